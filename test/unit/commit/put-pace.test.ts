/** Puts are slowed the more the further merges are behind: smoothly, a little each, and never stopped. */
import { describe, expect, test } from 'vitest'
import { PutPace } from '../../../src/commit/put-pace.js'

const MIB = 2 ** 20

/** Seconds that `bytes` take in groups of `groupBytes` that come as soon as the one before has waited. */
function secondsFor(bytes: number, groupBytes: number, debt: number): { seconds: number; longestMs: number } {
  const pace = new PutPace()
  let [nowMs, longestMs] = [1000, 0]
  for (let put = 0; put < bytes; put += groupBytes) {
    const delayMs = pace.delayOf(groupBytes, debt, nowMs)
    longestMs = Math.max(longestMs, delayMs)
    nowMs += delayMs
  }
  return { seconds: (nowMs - 1000) / 1000, longestMs }
}

describe('the pace of puts', () => {
  test('is free while merges keep up', () => {
    expect(secondsFor(100 * MIB, MIB, 0)).toEqual({ seconds: 0, longestMs: 0 })
  })

  test('falls with the debt, step by step', () => {
    const rates = [0.05, 0.2, 0.4, 0.6, 0.8, 0.95].map(
      debt => 16 / secondsFor(16 * MIB, 2 ** 17, debt).seconds,
    )
    for (let i = 1; i < rates.length; i++) expect(rates[i]).toBeLessThan(rates[i - 1]! * 0.8)
    expect(rates[0]).toBeGreaterThan(500)
    expect(rates.at(-1)).toBeLessThan(5)
  })

  test('is the same for groups of every size', () => {
    const small = secondsFor(4 * MIB, 64, 0.5).seconds
    const large = secondsFor(4 * MIB, MIB / 2, 0.5).seconds
    expect(Math.abs(small / large - 1)).toBeLessThan(0.1)
  })

  test('stops nothing: no group waits for longer than 100 ms, whatever the debt', () => {
    const { seconds, longestMs } = secondsFor(MIB, 2 ** 12, 1)
    expect(longestMs).toBeLessThanOrEqual(100)
    expect(seconds).toBeLessThan(10)
    const pace = new PutPace()
    expect(pace.delayOf(128 * MIB, 1, 0)).toBe(100)
    // What is owed beyond that is forgiven.
    expect(pace.delayOf(1, 0.5, 600)).toBe(0)
  })

  test('does not count the time in which nothing was put as time to be caught up', () => {
    const pace = new PutPace()
    expect(pace.delayOf(MIB, 0.5, 0)).toBeGreaterThan(10)
    expect(pace.delayOf(MIB, 0.5, 10_000)).toBe(pace.delayOf(MIB, 0.5, 20_000))
  })
})
