/** Shared memory that was let go is told to V8, which else would not look for it. */
import { constants, PerformanceObserver } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { tellLetGo } from '../../../src/spill/let-go.js'

/** Collections of the whole heap meanwhile. */
async function majorCollections(during: () => Promise<void>): Promise<number> {
  let count = 0
  const observer = new PerformanceObserver(list => {
    for (const entry of list.getEntries()) {
      const { kind } = (entry as PerformanceEntry & { detail: { kind: number } }).detail
      if (kind === constants.NODE_PERFORMANCE_GC_MAJOR) count++
    }
  })
  observer.observe({ entryTypes: ['gc'] })
  await during()
  await setTimeout(20)
  observer.disconnect()
  return count
}

test('V8 collects when much was let go, in steps large or small, and takes no memory for it', async () => {
  for (const [steps, bytes] of [
    [20, 2 ** 26],
    [2000, 2 ** 20],
  ] as const) {
    const before = process.memoryUsage.rss()
    const collections = await majorCollections(async () => {
      for (let step = 0; step < steps; step++) {
        tellLetGo(bytes)
        if (step % (steps / 20) === 0) await setTimeout(5)
      }
    })
    expect(collections).toBeGreaterThan(2)
    expect(process.memoryUsage.rss() - before).toBeLessThan(2 ** 26)
  }
})

test('more than there is room for is no error', () => {
  expect(() => tellLetGo(2 ** 60)).not.toThrow()
})
