/** When a replica publishes, what its calls wait for, and how it ends, on a table and a clock of the test. */
import { expect, test } from 'vitest'
import { FlashTableError } from '../../../src/base/errors.js'
import { Replica } from '../../../src/replica/replica.js'

const INTERVAL_MS = 1000

/** A table that has that many operations, and a replica of it that waits until it is told to go on. */
class Fake {
  puts = 0
  nowMs = 0
  failure: Error | undefined
  /** Of a look at the table. */
  lookFailure: Error | undefined
  /** Holds publishes up. */
  gate: Promise<void> = Promise.resolve()
  /** What was published, and what was waited for. */
  readonly published: number[] = []
  readonly waits: number[] = []
  released = 0
  #goOn: () => void = () => {}

  start(): Promise<Replica> {
    const parts = {
      url: 'sim://store',
      intervalMs: INTERVAL_MS,
      look: () => (this.lookFailure === undefined ? Promise.resolve() : Promise.reject(this.lookFailure)),
      sequence: () => this.puts,
      stamp: () => `${this.puts}`,
      publish: async (signal: AbortSignal) => {
        signal.throwIfAborted()
        const sequence = this.puts
        await Promise.race([
          this.gate,
          new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
        ])
        if (this.failure !== undefined) throw this.failure
        this.published.push(sequence)
        return { version: this.published.length, sequence, stamp: `${sequence}` }
      },
      release: () => {
        this.released++
        return Promise.resolve()
      },
      wait: (ms: number, signal: AbortSignal) => {
        this.waits.push(ms)
        return new Promise<void>(resolve => {
          this.#goOn = resolve
          if (signal.aborted) resolve()
          signal.addEventListener('abort', () => resolve())
        })
      },
      now: () => this.nowMs,
    }
    return Replica.start(parts)
  }

  /** The wait is over, and what follows it is done. */
  async goOn(): Promise<void> {
    const { length } = this.waits
    this.nowMs += this.waits.at(-1)!
    this.#goOn()
    await expect.poll(() => this.waits.length, { interval: 1 }).toBeGreaterThan(length)
  }

  /** Publishes stop where they are until the result is called. */
  close(): () => void {
    let open: () => void
    this.gate = new Promise(resolve => (open = resolve))
    return () => open()
  }
}

const unavailable = (): Error => new FlashTableError('FLASHTABLE_UNAVAILABLE', 'it is not there')
const fenced = (): Error => new FlashTableError('FLASHTABLE_FENCED', 'another writer has taken over')

test('syncs share a publish that begins after the last of them, not one that has begun before', async () => {
  const fake = new Fake()
  await using replica = await fake.start()
  const open = fake.close()
  fake.puts = 1
  const first = replica.sync()
  await Promise.resolve()
  fake.puts = 2
  const later = Array.from({ length: 5 }, () => replica.sync())
  open()
  await first
  expect(replica.status()).toMatchObject({ sequence: 1, lagRecords: 1 })
  await Promise.all(later)
  expect(fake.published).toEqual([0, 1, 2])
})

test('it publishes at the interval what is new, and nothing if nothing is', async () => {
  const fake = new Fake()
  await using _ = await fake.start()
  for (const puts of [0, 5, 5, 9, 9, 9]) {
    fake.puts = puts
    await fake.goOn()
  }
  expect(fake.published).toEqual([0, 5, 9])
  expect(new Set(fake.waits)).toEqual(new Set([INTERVAL_MS]))
})

test('failures are told, waited for twice as long each time up to a minute, and over after a success', async () => {
  const fake = new Fake()
  await using replica = await fake.start()
  await fake.goOn()
  fake.puts = 3
  fake.failure = unavailable()
  for (let failures = 0; failures < 8; failures++) await fake.goOn()
  expect(fake.waits.slice(1)).toEqual([INTERVAL_MS, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000])
  // Since the last look that found it up to date.
  expect(replica.status()).toMatchObject({
    lagRecords: 3,
    lagMs: fake.nowMs - INTERVAL_MS,
    failure: 'it is not there',
    ended: false,
  })
  fake.failure = undefined
  await fake.goOn()
  expect(replica.status()).toMatchObject({ lagRecords: 0, lagMs: 0, failure: undefined, ended: false })
  expect(fake.waits.at(-1)).toBe(INTERVAL_MS)
})

test('one that was taken over ends: nothing is tried any more, and its close is well', async () => {
  const fake = new Fake()
  const replica = await fake.start()
  fake.puts = 1
  fake.failure = fenced()
  await expect(replica.sync()).rejects.toMatchObject({ code: 'FLASHTABLE_FENCED' })
  fake.failure = undefined
  await expect(replica.sync()).rejects.toMatchObject({ code: 'FLASHTABLE_FENCED' })
  expect(replica.status()).toMatchObject({ ended: true, failure: 'another writer has taken over' })
  await replica.close()
  expect([fake.published, fake.waits.length, fake.released]).toEqual([[0], 1, 1])
})

test('a close whose signal aborts ends the publish, and tells all who wait for it', async () => {
  const fake = new Fake()
  const replica = await fake.start()
  fake.close()
  fake.puts = 1
  const controller = new AbortController()
  const calls = [replica.sync(), replica.sync(), replica.close({ signal: controller.signal })]
  controller.abort(new Error('enough'))
  const reasons = (await Promise.allSettled(calls)).map(result => (result as PromiseRejectedResult).reason)
  expect(reasons).toMatchObject([
    { code: 'FLASHTABLE_NOT_OPEN' },
    { code: 'FLASHTABLE_NOT_OPEN' },
    { message: 'enough' },
  ])
  expect([fake.published, fake.released]).toEqual([[0], 1])
})

test('where nobody can look, it is not the newest state', async () => {
  const fake = new Fake()
  const replica = await fake.start()
  fake.nowMs = 500
  expect(replica.status()).toMatchObject({ lagMs: 0, failure: undefined })
  fake.lookFailure = new Error('no directory')
  await expect(replica.sync()).rejects.toThrow('no directory')
  expect(replica.status()).toMatchObject({ lagMs: 500, failure: 'no directory' })
  fake.lookFailure = undefined
  await replica.sync()
  expect(replica.status()).toMatchObject({ lagMs: 0, failure: undefined })
})

test('a close that is refused closes nothing', async () => {
  const fake = new Fake()
  const replica = await fake.start()
  await expect(replica.close({ force: true } as never)).rejects.toMatchObject({
    code: 'FLASHTABLE_INVALID_OPTION',
  })
  fake.puts = 1
  await replica.sync()
  await replica.close()
  expect([fake.published, fake.released, replica.status().ended]).toEqual([[0, 1], 1, true])
})

test('the signal of any call of close ends the last publish for all of them', async () => {
  const fake = new Fake()
  const replica = await fake.start()
  fake.close()
  fake.puts = 1
  const first = replica.close()
  const controller = new AbortController()
  const second = replica.close({ signal: controller.signal })
  controller.abort(new Error('enough'))
  await expect(first).rejects.toThrow('enough')
  await expect(second).rejects.toThrow('enough')
  await expect(replica.close({ signal: AbortSignal.abort(new Error('later')) })).rejects.toThrow('enough')
  expect([fake.published, fake.released, replica.status().ended]).toEqual([[0], 1, true])
})

test('a close publishes what is new, also after a failure', async () => {
  const fake = new Fake()
  const replica = await fake.start()
  fake.puts = 1
  fake.failure = unavailable()
  await expect(replica.sync()).rejects.toMatchObject({ code: 'FLASHTABLE_UNAVAILABLE' })
  fake.failure = undefined
  await replica.close()
  expect(replica.status()).toMatchObject({ ended: true, sequence: 1, failure: undefined })
  const other = await fake.start()
  fake.puts = 2
  fake.failure = unavailable()
  await expect(other.close()).rejects.toMatchObject({ code: 'FLASHTABLE_UNAVAILABLE' })
  expect(other.status().ended).toBe(true)
  expect(fake.released).toBe(2)
})

test('where the first publish fails there is no replica, and nothing is kept', async () => {
  const fake = new Fake()
  fake.failure = unavailable()
  await expect(fake.start()).rejects.toMatchObject({ code: 'FLASHTABLE_UNAVAILABLE' })
  expect([fake.waits.length, fake.released]).toEqual([0, 1])
})
