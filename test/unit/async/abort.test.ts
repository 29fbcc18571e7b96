import { expect, test } from 'vitest'
import { newSharedAbortController } from '../../../src/async/abort.js'

test('a shared signal has any number of listeners, and nobody is warned of a leak', async () => {
  const warnings: Error[] = []
  const note = (warning: Error): unknown => warnings.push(warning)
  process.on('warning', note)
  const { signal } = newSharedAbortController()
  for (let i = 0; i < 100; i++) signal.addEventListener('abort', () => {})
  await new Promise(resolve => setImmediate(resolve))
  process.off('warning', note)
  expect(warnings).toEqual([])
})
