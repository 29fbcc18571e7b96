/** V8 is told about shared memory that was freed; otherwise it would not look for it. */
import { constants, PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { hintFreed } from '../../../src/base/gc-hint.js'

const STEPS_MAX = 500

/** Whether V8 collects the whole heap while `step` is done again and again. */
async function collectsDuring(step: () => void): Promise<boolean> {
  const collections: PerformanceEntry[] = []
  const observer = new PerformanceObserver(list => {
    for (const entry of list.getEntries()) {
      const { kind } = (entry as PerformanceEntry & { detail: { kind: number } }).detail
      if (kind === constants.NODE_PERFORMANCE_GC_MAJOR) collections.push(entry)
    }
  })
  observer.observe({ entryTypes: ['gc'] })
  for (let steps = 0; steps < STEPS_MAX && collections.length === 0; steps++) {
    step()
    await setTimeout(2)
  }
  observer.disconnect()
  return collections.length > 0
}

test.each([
  ['at once', 2 ** 26, 1],
  ['little by little', 2 ** 20, 64],
])('V8 collects when much shared memory was freed: %s', async (_, bytes, times) => {
  const before = process.memoryUsage.rss()
  const collected = await collectsDuring(() => {
    for (let i = 0; i < times; i++) hintFreed(bytes)
  })
  expect(collected).toBe(true)
  // Nothing is taken for it.
  expect(process.memoryUsage.rss() - before).toBeLessThan(2 ** 26)
})

test('more than there is room for is no error', () => {
  expect(() => hintFreed(2 ** 60)).not.toThrow()
})
