import { expect, test } from 'vitest'
import { ReadPace } from '../../../src/bucket-file/read-pace.js'

test('reads block until one was slow, then not for a while that doubles each time', () => {
  let now = 0
  const pace = new ReadPace(() => now)
  const read = (tookMs: number): boolean => pace.tryRead(() => (now += tookMs))
  for (let i = 0; i < 1000; i++) expect(read(0.002)).toBe(true)
  for (const pauseMs of [10, 20, 40, 80, 160, 320, 640, 1000, 1000]) {
    expect(read(5)).toBe(true)
    const slowAt = now
    expect(read(5)).toBe(false)
    now = slowAt + pauseMs - 1
    expect(read(5)).toBe(false)
    now = slowAt + pauseMs
  }
  // Fast reads make the next pause shorter again.
  for (let i = 0; i < 4; i++) expect(read(0.002)).toBe(true)
  expect(read(5)).toBe(true)
  now += 61
  expect(read(0.002)).toBe(false)
  now += 2
  expect(read(0.002)).toBe(true)
})

test('a read that fails says nothing of the device, and its error comes out', () => {
  const pace = new ReadPace(() => 0)
  const failing = (): never => {
    throw new Error('EIO')
  }
  expect(() => pace.tryRead(failing)).toThrow('EIO')
  expect(pace.tryRead(() => {})).toBe(true)
})
