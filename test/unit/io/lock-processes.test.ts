/** The lock between real processes, some with fs-ext and some without, and between pid namespaces. */
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { LOCK_NAME, lockClaimName } from '../../../src/io/file-names.js'
import { acquireLock, lockOf } from '../../../src/io/lock.js'
import { digestOf } from '../../../src/io/pid-file.js'
import type { ProcessIdentity } from '../../../src/io/process-identity.js'
import { Random } from '../../support/random.js'
import {
  deadProcess,
  fsExtIsThere,
  kill,
  kinds,
  lockPlace,
  now,
  real,
  release,
  withoutFlock,
  withTool,
} from './lock-place.js'

const place = lockPlace()
const { lockPath, writeRecord, startAgent, startElsewhere, take } = place

describe.each([
  { holder: true, other: true },
  { holder: true, other: false },
  { holder: false, other: true },
  { holder: false, other: false },
])('in two processes, fs-ext in the holder: $holder, in the other: $other', ({ holder, other }) => {
  const acquire = other ? acquireLock : withoutFlock

  test('the second is refused and told who has the lock; after kill -9 it gets it at once', async () => {
    const agent = await startAgent(holder)
    expect(await take(agent)).toEqual({ taken: true })
    await expect(acquire(place.directory, now)).rejects.toMatchObject({
      code: 'FLASHTABLE_LOCKED',
      message: expect.stringMatching(new RegExp(`in process ${agent.pid};`)) as string,
    })
    await kill(agent)
    const lock = await acquire(place.directory, now)
    await lock.release()
  })

  test('a holder that is stopped has the lock still', async () => {
    const agent = await startAgent(holder)
    expect(await take(agent)).toEqual({ taken: true })
    agent.kill('SIGSTOP')
    await expect(acquire(place.directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
    agent.kill('SIGCONT')
    expect(await release(agent)).toEqual({ released: true })
    await (await acquire(place.directory, now)).release()
  })

  test('the second gets the lock when the first gives it up while it waits', async () => {
    const agent = await startAgent(holder)
    expect(await take(agent)).toEqual({ taken: true })
    let looks = 0
    const waiting = lockOf({
      ...real,
      flock: other ? real.flock : undefined,
      sleep: async () => {
        if (++looks === 3) await release(agent)
      },
    })
    const lock = await waiting(place.directory, { timeoutMs: Infinity })
    expect(looks).toBe(3)
    expect(await take(agent)).toMatchObject({ code: 'FLASHTABLE_LOCKED' })
    await lock.release()
    expect(await take(agent)).toEqual({ taken: true })
  })
})

describe('many processes, some with fs-ext and some without', () => {
  test('that all want the lock of a dead one: each time exactly one gets it', async () => {
    const contenders = await Promise.all([true, false, false, true].map(flock => startAgent(flock)))
    const random = new Random(1)
    const dead = await deadProcess()
    for (let round = 0; round < 60; round++) {
      const content = random.chance(0.2) ? '' : writeRecord(LOCK_NAME, dead)
      if (content === '') writeFileSync(lockPath(), '')
      // In some rounds one has died on the way to taking it over.
      const claim = lockClaimName(digestOf(LOCK_NAME, Buffer.from(content)))
      if (random.chance(0.3)) writeRecord(claim, dead, '1'.repeat(32))
      const answers = await Promise.all(contenders.map(agent => take(agent)))
      const winners = contenders.filter((_, i) => 'taken' in answers[i]!)
      expect(winners.length, `round ${round}: ${JSON.stringify(answers)}`).toBe(1)
      for (const answer of answers)
        expect('taken' in answer || answer).toSatisfy(ok => ok === true || isLocked(ok))
      await release(winners[0]!)
      expect(readdirSync(place.directory)).toEqual([])
    }
  })

  test('that all wait for the lock: each gets it in the end', async () => {
    const contenders = await Promise.all([true, false, true].map(flock => startAgent(flock)))
    let held = 0
    await Promise.all(
      contenders.map(async agent => {
        for (let round = 0; round < 5; round++) {
          expect(await take(agent, 100_000)).toEqual({ taken: true })
          expect(++held).toBe(1)
          held--
          await release(agent)
        }
      }),
    )
  })
})

const isLocked = (answer: unknown): boolean =>
  typeof answer === 'object' && answer !== null && 'code' in answer && answer.code === 'FLASHTABLE_LOCKED'

describe('a holder in another pid namespace', () => {
  const elsewhere = async (): Promise<ProcessIdentity> => ({
    ...(await real.processes.self()),
    pidNamespace: 'pid:[1]',
    pid: 17,
  })

  test('is taken to be alive, and the error tells what to do', async () => {
    for (const { acquire } of kinds) {
      writeRecord(LOCK_NAME, await elsewhere())
      await expect(acquire(place.directory, now)).rejects.toMatchObject({
        code: 'FLASHTABLE_LOCKED',
        message: expect.stringMatching(/process 17 of another pid namespace.*delete .*LOCK$/) as string,
      })
    }
  })

  test('that is real, as in a container, has the lock while it lives, and no more after kill -9', async context => {
    for (const [holder, other] of [
      [true, withTool],
      [false, acquireLock],
      [false, withTool],
    ] as const) {
      const agent = await startElsewhere(holder)
      const ready = await Promise.race([once(agent, 'message'), once(agent, 'exit')])
      if (typeof ready[0] !== 'object') return context.skip('no pid namespaces can be made here')
      expect(await take(agent)).toEqual({ taken: true })
      await expect(other(place.directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
      const { pid } = JSON.parse(readFileSync(lockPath(), 'utf8')) as { pid: number }
      expect(pid).toBe(1)
      agent.kill('SIGKILL')
      await once(agent, 'exit')
      // unshare is gone; what it has started is killed with it, and perhaps not at once.
      const lock = await other(place.directory, { timeoutMs: 30_000 })
      await lock.release()
    }
    return undefined
  })

  test.runIf(fsExtIsThere)('that had the flock is dead when the flock can be had', async () => {
    writeRecord(LOCK_NAME, await elsewhere(), '0'.repeat(32), true)
    await expect(withoutFlock(place.directory, now)).rejects.toMatchObject({ code: 'FLASHTABLE_LOCKED' })
    await (await acquireLock(place.directory, now)).release()
  })
})
