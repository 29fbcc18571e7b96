import { expect, test } from 'vitest'
import { ReadPace } from '../../../src/bucket-file/read-pace.js'

test('reads block until one was slow, then not for a while that doubles each time', () => {
  const pace = new ReadPace()
  let now = 0
  const read = (tookMs: number): void => {
    pace.note(now, now + tookMs)
    now += tookMs
  }
  for (let i = 0; i < 1000; i++) read(0.002)
  expect(pace.mayBlock(now)).toBe(true)
  for (const pauseMs of [10, 20, 40, 80, 160, 320, 640, 1000, 1000]) {
    read(5)
    expect([pace.mayBlock(now), pace.mayBlock(now + pauseMs - 1), pace.mayBlock(now + pauseMs)]).toEqual([
      false,
      false,
      true,
    ])
    now += pauseMs
  }
  // Fast reads make the next pause shorter again.
  for (let i = 0; i < 4; i++) read(0.002)
  read(5)
  expect([pace.mayBlock(now + 61), pace.mayBlock(now + 63)]).toEqual([false, true])
})
