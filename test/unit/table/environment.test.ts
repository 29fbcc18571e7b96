import { expect, test, vi } from 'vitest'
import { nodeEnvironment } from '../../../src/table/environment.js'

test('a wait that is longer than a timer can be lasts until it is aborted', async () => {
  const warnings: string[] = []
  const note = (warning: Error): void => void warnings.push(warning.name)
  process.on('warning', note)
  const controller = new AbortController()
  const ended = vi.fn<() => void>()
  const waiting = nodeEnvironment.wait(30 * 86_400_000, controller.signal).then(ended)
  // A timer of a millisecond, as a longer one is turned into, would be over.
  await new Promise(resolve => setTimeout(resolve, 20))
  expect(ended).not.toHaveBeenCalled()
  controller.abort()
  await waiting
  process.off('warning', note)
  expect(warnings).toEqual([])
})
