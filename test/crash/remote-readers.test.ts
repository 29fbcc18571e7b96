/** Readers of a published table beside its writer, with a store that fails, forgets and damages. */
import { expect, test } from 'vitest'
import { codeOf } from '../../src/base/errors.js'
import { FlashTable } from '../../src/flash-table.js'
import type { Snapshot } from '../../src/state/snapshot.js'
import { environmentOf, Machine, newStored, upTo, type SetTable } from '../support/published.js'
import { Random } from '../support/random.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'
import { SimulatedStore } from '../support/simulated-store.js'

/** A store whose ranges are damaged at these odds: a byte that is another one. */
class DamagingStore extends SimulatedStore {
  readonly #odds: number
  readonly #random: Random

  constructor(stored: ReturnType<typeof newStored>, seed: number, odds: number) {
    super(stored)
    this.#odds = odds
    this.#random = new Random(seed + 1)
  }

  override async get(...given: Parameters<SimulatedStore['get']>): Promise<Uint8Array | undefined> {
    const bytes = await super.get(...given)
    if (bytes === undefined || bytes.byteLength === 0 || !this.#random.chance(this.#odds)) return bytes
    const damaged = Uint8Array.from(bytes)
    damaged[this.#random.below(bytes.byteLength)]! ^= 1 + this.#random.below(255)
    return damaged
  }
}

async function readerOf(store: SimulatedStore, options: object = {}): Promise<SetTable> {
  // A small table would be in memory as a whole.
  const environment = { ...environmentOf(new SimulatedFileSystem()), blockBytes: 0 }
  const given = { refreshInterval: Infinity, ...options }
  return (await FlashTable.openRemoteIn(store, given, environment)) as unknown as SetTable
}

/** Tries again what the store has refused or damaged. Anything else is a failure. */
async function insisting<T>(read: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await read()
    } catch (error) {
      const code = codeOf(error)
      const isPassing = code === 'FLASHTABLE_UNAVAILABLE' || code === 'FLASHTABLE_CORRUPTION'
      if (!isPassing || attempt > 200) throw error
    }
  }
}

async function keysOf(reader: SetTable, snapshot?: Snapshot): Promise<number[]> {
  const keys: number[] = []
  for await (const key of reader.keys({ snapshot })) keys.push(key)
  return keys
}

test('a reader beside 1,000 publishes that keep nothing: no wrong answer, and it lives to the end', async () => {
  const stored = newStored()
  const machine = new Machine(new SimulatedStore(stored))
  await machine.put(3)
  await machine.publish({ retention: 0 })
  const store = new DamagingStore(stored, 7, 0.02)
  const reader = await readerOf(store, { cacheBytes: 0 })
  const random = new Random(3)
  // Half of the looks for a newer version fail, and some of the other calls.
  store.faultOf = name => (random.chance(name === 'load' ? 0.5 : 0.05) ? 'before' : 'none')
  let [published, seen] = [3, 0]
  let held: { readonly snapshot: Snapshot; readonly count: number } | undefined
  for (let round = 0; round < 1000; round++) {
    const count = 1 + random.below(60)
    await machine.put(count)
    if (round % 50 === 49) await (await machine.open()).compact()
    await machine.publish({ retention: 0 })
    published += count
    if (random.chance(0.3)) await insisting(() => reader.refresh())
    const key = random.below(published + 60)
    const has = await insisting(() => reader.has(key))
    const at = await insisting(() => reader.count())
    // What it sees is a prefix, and never less than before.
    expect(at).toBeGreaterThanOrEqual(seen)
    expect(at).toBeLessThanOrEqual(published)
    seen = at
    // The count may be of a newer version than the lookup.
    if (has) expect(key).toBeLessThan(at)
    if (round % 20 === 10) held = { snapshot: await reader.snapshot(), count: at }
    if (round % 20 === 0 && held !== undefined) {
      const { snapshot, count } = held
      const keys = await insisting(() => keysOf(reader, snapshot)).catch((error: unknown) => codeOf(error))
      if (keys !== 'FLASHTABLE_SNAPSHOT_EXPIRED') expect(keys).toEqual(upTo(count))
      await snapshot.close()
    }
  }
  await insisting(() => reader.refresh())
  expect(await insisting(() => keysOf(reader))).toEqual(upTo(published))
  expect((await reader.stats()).remote!.failure).toBeUndefined()
  await reader.close()
  await machine.close()
})

test('a look that fails is told, tried again, and does not end the reader', async () => {
  const stored = newStored()
  const machine = new Machine(new SimulatedStore(stored))
  await machine.put(5)
  await machine.publish()
  const store = new SimulatedStore(stored)
  const reader = await readerOf(store, { refreshInterval: 10 })
  store.faultOf = name => (name === 'load' ? 'before' : 'none')
  await expect.poll(async () => (await reader.stats()).remote!.failure).toMatch(/was not reached/)
  expect(await reader.count()).toBe(5)
  await machine.put(1)
  await machine.publish()
  store.faultOf = undefined
  await expect.poll(() => reader.count()).toBe(6)
  expect((await reader.stats()).remote!.failure).toBeUndefined()
  await reader.close()
  await machine.close()
})

test('a page that comes damaged is fetched once more; one that stays so is an error', async () => {
  const stored = newStored()
  const machine = new Machine(new SimulatedStore(stored))
  await machine.put(2000)
  await machine.publish()
  await machine.close()
  const once = new Set<string>()
  const store = new SimulatedStore(stored)
  const get = store.get.bind(store)
  let isDamaged = (id: string): boolean => !once.has(id) && once.add(id) !== undefined
  store.get = async (key, options) => {
    const bytes = await get(key, options)
    if (bytes !== undefined && isDamaged(`${key} ${options?.range?.start}`)) bytes[100]! ^= 1
    return bytes
  }
  const reader = await readerOf(store)
  expect(await keysOf(reader)).toEqual(upTo(2000))
  await reader.close()
  isDamaged = () => true
  const other = await readerOf(store)
  await expect(other.count({ lt: 10 })).rejects.toMatchObject({ code: 'FLASHTABLE_CORRUPTION' })
  await other.close()
})

test('an object that somebody has deleted is damage, however often a reader begins again', async () => {
  const stored = newStored()
  const machine = new Machine(new SimulatedStore(stored))
  await machine.put(500)
  await machine.publish()
  await machine.close()
  const reader = await readerOf(new SimulatedStore(stored), { cacheBytes: 0, filterBytes: 0 })
  const objects = new Map(stored.objects)
  stored.objects.clear()
  stored.onCall = () => {}
  const damaged = { code: 'FLASHTABLE_CORRUPTION', message: expect.stringMatching(/somebody has deleted it/) }
  await expect(readerOf(new SimulatedStore(stored))).rejects.toMatchObject(damaged)
  await expect(reader.count({ gte: 400 })).rejects.toMatchObject(damaged)
  await expect(keysOf(reader)).rejects.toMatchObject(damaged)
  const snapshot = await reader.snapshot()
  await expect(reader.get(400, { snapshot })).rejects.toMatchObject(damaged)
  await snapshot.close()
  for (const [key, bytes] of objects) stored.objects.set(key, bytes)
  expect(await reader.count()).toBe(500)
  await reader.close()
})

test('another table that takes the place of the published one is told, and the old one stays readable', async () => {
  const stored = newStored()
  const machine = new Machine(new SimulatedStore(stored))
  await machine.put(10)
  await machine.publish()
  await machine.close()
  const reader = await readerOf(new SimulatedStore(stored))
  expect(await reader.count()).toBe(10)
  const other = newStored()
  const stranger = new Machine(new SimulatedStore(other), '/other')
  await stranger.put(3)
  await stranger.publish()
  await stranger.close()
  stored.onCall = () => {}
  for (const [key, content] of other.pointers) stored.pointers.set(key, { ...content, version: 'other' })
  await expect(reader.refresh()).rejects.toMatchObject({ code: 'FLASHTABLE_MOVED' })
  expect(await reader.count()).toBe(10)
  expect((await reader.stats()).remote!.failure).toMatch(/another published table/)
  await reader.close()
})

test('a copy that has taken over is the same published table to a reader', async () => {
  const stored = newStored()
  const machine = new Machine(new SimulatedStore(stored))
  await machine.put(300)
  await machine.publish()
  const store = new SimulatedStore(stored)
  const reader = await readerOf(store)
  expect(await reader.count()).toBe(300)
  const copy = await Machine.restored(new SimulatedStore(stored), '/copy')
  await copy.put(20)
  const { version } = await copy.publish({ takeOver: true })
  const before = store.counts['get']
  await reader.refresh({ atLeast: version })
  expect(await keysOf(reader)).toEqual(upTo(320))
  // The file that both have was not opened again.
  expect(store.counts['get']! - before!).toBeLessThanOrEqual(4)
  for (const open of [reader, machine, copy]) await open.close()
})
