import { afterEach, expect, test, vi } from 'vitest'
import { interruptible } from '../../../../tools/cli/interrupt.js'

afterEach(() => {
  vi.restoreAllMocks()
  process.removeAllListeners('SIGINT')
})

test('a signal that is passed on twice counts once, also where the work has ended meanwhile; a later one ends the process', async () => {
  const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never)
  let nowMs = 0
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs)
  const send = (): boolean => process.emit('SIGINT', 'SIGINT')
  const work = interruptible(
    signal => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  )
  send()
  nowMs = 100
  send()
  await expect(work).rejects.toMatchObject({ code: 'INTERRUPTED', exitCode: 130 })
  // Nobody would be there to take it, and it would end the process without a word.
  expect(send()).toBe(true)
  expect(exit).not.toHaveBeenCalled()
  nowMs = 1000
  send()
  expect(exit).toHaveBeenCalledWith(130)
})

test('work that was not interrupted leaves no listener', async () => {
  const before = process.listenerCount('SIGINT')
  expect(await interruptible(async () => 1)).toBe(1)
  expect(process.listenerCount('SIGINT')).toBe(before)
})
