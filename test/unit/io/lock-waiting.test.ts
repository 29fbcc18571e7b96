/** An `open` that waits for the lock: how long, and what ends it. */
import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { acquireLock, lockOf, type LockParts } from '../../../src/io/lock.js'
import { lockPlace, now, real } from './lock-place.js'

const place = lockPlace()

describe('waiting for the lock', () => {
  /** A clock that only sleep moves. */
  function clock(): Pick<LockParts, 'now' | 'sleep'> & { readonly slept: number[] } {
    const slept: number[] = []
    let time = 1000
    return {
      slept,
      now: () => time,
      sleep: ms => {
        slept.push(ms)
        time += ms
        return Promise.resolve()
      },
    }
  }

  test('ends when the time is up, with a last look then', async () => {
    const holder = await acquireLock(place.directory, now)
    const time = clock()
    await expect(lockOf({ ...real, ...time })(place.directory, { timeoutMs: 1000 })).rejects.toMatchObject({
      code: 'FLASHTABLE_LOCKED',
    })
    expect(time.slept.reduce((sum, ms) => sum + ms, 0)).toBe(1000)
    expect(Math.max(...time.slept)).toBe(100)
    await holder.release()
  })

  test('ends with the lock when that is free at the last look', async () => {
    const holder = await acquireLock(place.directory, now)
    const time = clock()
    const sleep = async (ms: number): Promise<void> => {
      await time.sleep(ms, undefined)
      if (time.now() === 2000) await holder.release()
    }
    const lock = await lockOf({ ...real, ...time, sleep })(place.directory, { timeoutMs: 1000 })
    await lock.release()
  })

  test('is not done at all with a timeout of 0', async () => {
    const holder = await acquireLock(place.directory, now)
    const time = clock()
    await expect(lockOf({ ...real, ...time })(place.directory, now)).rejects.toThrow()
    expect(time.slept).toEqual([])
    await holder.release()
  })

  test('ends with the reason of an abort, before and in the middle', async () => {
    const holder = await acquireLock(place.directory, now)
    const reason = { why: 'enough' }
    await expect(
      acquireLock(place.directory, { timeoutMs: Infinity, signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason)
    const controller = new AbortController()
    let sleeps = 0
    const acquire = lockOf({
      ...real,
      sleep: (ms, signal) => {
        if (++sleeps === 2) controller.abort(reason)
        return real.sleep(ms, signal)
      },
    })
    await expect(acquire(place.directory, { timeoutMs: Infinity, signal: controller.signal })).rejects.toBe(
      reason,
    )
    await holder.release()
    expect(readdirSync(place.directory)).toEqual([])
  })
})
