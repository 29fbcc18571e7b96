/** Replicas on a store and a disk that fail: what `sync` has resolved for is in the store, and nothing is there too early. */
import { expect, test } from 'vitest'
import { codeOf } from '../../src/base/errors.js'
import type { Replica } from '../../src/replica/replica.js'
import { Machine, newStored, remoteOf, restoredKeys, upTo } from '../support/published.js'
import { Random } from '../support/random.js'
import { SimulatedStore, type StoreFault } from '../support/simulated-store.js'

/** So long that a replica publishes only when it is asked to. */
const NEVER = '10m'

/** What the newest version must have, and may have. */
interface Told {
  /** Operations that a `sync` has resolved for. */
  synced: number
  put: number
  /** The replica, once there is one. */
  replica?: Replica
}

/** Puts, and syncs of a replica, until something fails. */
async function live(machine: Machine, rounds: number, told: Told): Promise<unknown> {
  try {
    const table = await machine.open()
    const replica = await table.replicate(machine.store, { interval: NEVER, retention: 0 })
    told.replica = replica
    told.synced = told.put
    for (let round = 0; round < rounds; round++) {
      const count = 1 + (round % 4) * 30
      told.put += count
      await machine.put(count)
      if (round % 3 === 2) await table.compact()
      await replica.sync()
      told.synced = told.put
    }
    return undefined
  } catch (error) {
    return error
  }
}

/** The newest version is a prefix that has all that was synced; returns its length. */
async function expectPrefix(store: SimulatedStore, { synced, put }: Told): Promise<number> {
  const remote = remoteOf(store.stored)
  if (remote === undefined) {
    expect(synced).toBe(0)
    return 0
  }
  const { version, sequence } = remote.versions.at(-1)!
  expect(sequence).toBeGreaterThanOrEqual(synced)
  expect(sequence).toBeLessThanOrEqual(put)
  expect(await restoredKeys(new SimulatedStore(store.stored), version)).toEqual(upTo(sequence))
  return sequence
}

test('a machine that dies at any call of the store leaves what was synced, and less than its table has', async () => {
  let [calls, later] = [0, 0]
  for (let crashAt = 1; ; crashAt++) {
    const machine = new Machine(new SimulatedStore(newStored()))
    const told = { synced: 0, put: 0 }
    machine.store.crashAt = crashAt
    const failure = await live(machine, 8, told)
    calls = machine.store.ownCalls
    if (failure === undefined) {
      await machine.close()
      break
    }
    machine.store.stored.settle()
    // The power goes, too, and takes what the table had not synced.
    await machine.cut(crashAt)
    const published = await expectPrefix(machine.store, told)
    const table = await machine.open()
    const { next } = (await table.stats()).sequence
    expect(next).toBeGreaterThanOrEqual(published)
    // It goes on.
    told.put = next
    expect(await live(machine, 2, told)).toBeUndefined()
    later++
    await expectPrefix(machine.store, told)
    await machine.close()
  }
  expect([calls > 40, later > 40]).toEqual([true, true])
})

test('the same of a replica beside the writer: what it publishes is on the device before', async () => {
  let published = 0
  for (let crashAt = 1; ; crashAt++) {
    const machine = new Machine(new SimulatedStore(newStored()))
    const told = { synced: 0, put: 0 }
    await machine.put(10)
    told.put = 10
    const sidecar = await machine.openBeside()
    machine.store.crashAt = crashAt
    let failure: unknown
    try {
      const replica = await sidecar.replicate(machine.store, { interval: NEVER, retention: 0 })
      for (let round = 0; round < 6; round++) {
        told.synced = replica.status().sequence
        const count = 1 + (round % 4) * 30
        told.put += count
        await machine.put(count)
        if (round === 3) await machine.table!.compact()
        await replica.sync()
        expect(replica.status().sequence).toBe(told.put)
      }
    } catch (error) {
      failure = error
    }
    machine.store.crashAt = Infinity
    const cutAt = machine.disk.crashState(crashAt)
    const version = remoteOf(machine.store.stored)
    const inStore = version === undefined ? 0 : await expectPrefix(machine.store, told)
    await sidecar.close()
    await machine.close()
    const after = new Machine(new SimulatedStore(newStored()), machine.directory, cutAt)
    const { next } = (await (await after.open()).stats()).sequence
    expect(next).toBeGreaterThanOrEqual(inStore)
    await after.close()
    published = Math.max(published, inStore)
    if (failure === undefined) break
    expect((failure as Error).message).toContain('the machine is gone')
  }
  expect(published).toBeGreaterThan(100)
})

test.for(['before', 'after', 'late'] as const)(
  'any call is lost, done: %s; the next sync makes it good',
  async fault => {
    for (let at = 1; ; at++) {
      const machine = new Machine(new SimulatedStore(newStored()))
      let isDone = false
      machine.store.faultOf = (_, own): StoreFault => {
        if (own !== at) return 'none'
        isDone = true
        return fault
      }
      const told: Told = { synced: 0, put: 0 }
      const failure = await live(machine, 5, told)
      if (failure !== undefined) {
        expect(codeOf(failure)).toBe('FLASHTABLE_UNAVAILABLE')
        await expectPrefix(machine.store, told)
        const table = await machine.open()
        // The one that has failed, unless its first publish did.
        const replica = told.replica ?? (await table.replicate(machine.store, { interval: NEVER }))
        await machine.put(5)
        told.put += 5
        await replica.sync()
        told.synced = told.put
        machine.store.stored.settle()
      }
      await expectPrefix(machine.store, told)
      await machine.close()
      if (!isDone) break
    }
  },
)

test('random lives: every version is what the table had, and what is forgotten is gone', async () => {
  for (let seed = 0; seed < 12; seed++) {
    const random = new Random(seed)
    const stored = newStored()
    const machine = new Machine(new SimulatedStore(stored, seed, 0.03))
    const table = await machine.open()
    const states = new Map<number, number[]>()
    const keys = new Set<number>()
    let replica: Replica | undefined
    let next = 0
    for (let step = 0; step < 60; step++) {
      const count = 1 + random.below(60)
      for (let i = 0; i < count; i++) {
        await table.put(next)
        keys.add(next++)
      }
      if (random.chance(0.3)) {
        const key = random.below(next)
        await table.del(key)
        keys.delete(key)
      }
      if (random.chance(0.1)) {
        const [gte, lt] = [random.below(next), random.below(next)].sort((a, b) => a - b) as [number, number]
        await table.clear({ gte, lt: lt + 1 })
        for (let key = gte; key <= lt; key++) keys.delete(key)
      }
      if (random.chance(0.1)) await table.compact()
      try {
        replica ??= await table.replicate(machine.store, { interval: NEVER, retention: '30s' })
        await replica.sync()
        states.set(
          replica.status().version,
          [...keys].sort((a, b) => a - b),
        )
      } catch (error) {
        expect(codeOf(error)).toBe('FLASHTABLE_UNAVAILABLE')
      }
    }
    stored.settle()
    const { versions, files } = remoteOf(stored)!
    expect(versions.length).toBeGreaterThan(1)
    let compared = 0
    for (const { version } of versions.filter((_, i) => i % 4 === 0 || i === versions.length - 1)) {
      const state = states.get(version)
      if (state === undefined) continue
      expect(await restoredKeys(new SimulatedStore(stored), version)).toEqual(state)
      compared++
    }
    expect(compared).toBeGreaterThan(0)
    const newest = files.filter(({ until }) => until === undefined)
    expect(newest.length).toBeLessThan(40)
    await machine.close()
  }
})

test('a machine that was asleep while another one took over harms nobody', async () => {
  for (let sleepAt = 1; ; sleepAt++) {
    const stored = newStored()
    const machine = new Machine(new SimulatedStore(stored))
    await machine.put(40)
    const table = await machine.open()
    const replica = await table.replicate(machine.store, { interval: NEVER, retention: 0 })
    await machine.put(40)
    const base = machine.store.ownCalls
    let other: Machine | undefined
    machine.store.beforeCall = async (_, own) => {
      if (own - base !== sleepAt || other !== undefined) return
      other = await Machine.restored(new SimulatedStore(stored), '/other')
      const successor = await (await other.open()).replicate(other.store, { takeOver: true, interval: NEVER })
      await other.put(100)
      await (await other.open()).compact()
      await successor.sync()
    }
    const failure: unknown = await replica.sync().catch((error: unknown) => error)
    machine.store.beforeCall = () => Promise.resolve()
    if (other === undefined) {
      expect(failure).toBeUndefined()
      await machine.close()
      break
    }
    // Deletes may come after the swap.
    if (failure !== undefined) expect(codeOf(failure)).toBe('FLASHTABLE_FENCED')
    await machine.put(5)
    await expect(replica.sync()).rejects.toMatchObject({ code: 'FLASHTABLE_FENCED' })
    expect(replica.status().ended).toBe(true)
    const { version, sequence } = remoteOf(stored)!.versions.at(-1)!
    expect(await restoredKeys(new SimulatedStore(stored), version)).toEqual(upTo(sequence))
    await other.put(10)
    await other.close()
    await machine.close()
  }
})
