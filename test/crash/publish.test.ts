/**
 * Tables published to an unreliable store from machines that die: whatever happens, the published table is whole, each of
 * its versions is a prefix of what was put, and of two writers one is stopped.
 */
import { describe, expect, test } from 'vitest'
import { hasCode } from '../../src/base/errors.js'
import { FlashTable } from '../../src/flash-table.js'
import { REMOTE_MANIFEST_KEY, parseRemote, type RemoteManifest } from '../../src/remote/remote-manifest.js'
import type { Environment } from '../../src/table/environment.js'
import { Random } from '../support/random.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'
import { SimulatedStore, StoredObjects } from '../support/simulated-store.js'

const OPTIONS = { keyEncoding: 'u32', bufferBytes: 1024, fanout: 2, filterBitsPerRecord: 0 } as const
type Table = FlashTable<'u32', undefined>

/** Throws if the published table is not whole, or went back. */
class Invariants {
  #last: RemoteManifest | undefined
  readonly #stored: StoredObjects

  constructor(stored: StoredObjects) {
    this.#stored = stored
  }

  check(): void {
    const pointer = this.#stored.pointers.get(REMOTE_MANIFEST_KEY)
    if (pointer === undefined) return
    const remote = parseRemote(pointer.bytes, 'sim://store')
    for (const { key, entry } of remote.files) {
      const bytes = this.#stored.objects.get(key)
      if (bytes?.byteLength !== entry.pages * remote.table.pageBytes)
        throw new Error(`${key} is named and not whole`)
    }
    const last = this.#last
    if (last !== undefined && remote.nonce !== last.nonce) {
      if (remote.parent !== last.nonce) throw new Error('a state was skipped')
      if (remote.epoch < last.epoch) throw new Error('the epoch went back')
      const newest = ({ versions }: RemoteManifest): number => versions.at(-1)?.version ?? 0
      if (newest(remote) < newest(last)) throw new Error('the version went back')
    }
    this.#last = remote
  }
}

async function keysOf(table: Table): Promise<number[]> {
  const keys: number[] = []
  for await (const key of table.keys()) keys.push(key)
  return keys
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at)
}

const random = new Random(1)

/** Ids of tables, writers and keys differ between machines. */
function environmentOf(disk: SimulatedFileSystem): Environment {
  return { ...simulatedEnvironment(disk), randomBytes: count => random.bytes(count) }
}

/** One machine with a copy of the table. */
class Machine {
  disk: SimulatedFileSystem
  table: Table | undefined
  readonly store: SimulatedStore
  readonly directory: string

  constructor(directory: string, store: SimulatedStore, seed: number) {
    this.disk = new SimulatedFileSystem({ seed })
    this.store = store
    this.directory = directory
  }

  async open(): Promise<Table> {
    this.table ??= (await FlashTable.openIn(
      this.directory,
      OPTIONS,
      environmentOf(this.disk),
    )) as unknown as Table
    return this.table
  }

  async put(count: number): Promise<void> {
    const table = await this.open()
    const { next } = (await table.stats()).sequence
    for (let key = next; key < next + count; key++) await table.put(key)
  }

  /** The process ends, and a power cut takes what was not synced. */
  async cut(seed: number): Promise<void> {
    const disk = this.disk.crashState(seed)
    await this.table?.close().catch(() => {})
    this.table = undefined
    this.disk = disk
    this.store.crashAt = Infinity
  }
}

async function restored(store: SimulatedStore, version: number): Promise<number[]> {
  const environment = environmentOf(new SimulatedFileSystem())
  await FlashTable.restoreIn(store, '/copy', { version, verify: true }, environment)
  const table = (await FlashTable.openIn('/copy', {}, environment)) as unknown as Table
  const keys = await keysOf(table)
  await table.close()
  return keys
}

async function checkVersions(stored: StoredObjects): Promise<number> {
  const reader = new SimulatedStore(stored)
  const pointer = stored.pointers.get(REMOTE_MANIFEST_KEY)
  if (pointer === undefined) return 0
  const { versions } = parseRemote(pointer.bytes, reader.url)
  for (const { version, sequence } of versions)
    expect(await restored(reader, version)).toEqual(upTo(sequence))
  return versions.length
}

async function life(seed: number): Promise<{ versions: number; fenced: number; published: number }> {
  const chance = new Random(seed)
  const stored = new StoredObjects()
  const invariants = new Invariants(stored)
  stored.onCall = () => invariants.check()
  let machines = [new Machine('/a', new SimulatedStore(stored, seed + 1, 0.08), seed)]
  let fenced = 0
  let published = 0
  for (let step = 0; step < 14; step++) {
    const machine = chance.pick(machines)
    const what = chance.below(10)
    if (what === 0) await machine.cut(chance.next())
    if (what === 1) {
      // The machine dies in the middle of a publish.
      machine.store.crashAt = machine.store.ownCalls + chance.between(1, 12)
      await publish(machine).catch(() => {})
      await machine.cut(chance.next())
      continue
    }
    if (what === 2 && machines.length < 3) {
      const copy = new Machine(`/copy${step}`, new SimulatedStore(stored, chance.next(), 0.08), chance.next())
      const environment = environmentOf(copy.disk)
      const isThere = await FlashTable.restoreIn(copy.store, copy.directory, {}, environment).then(
        () => true,
        () => false,
      )
      if (isThere) machines = [...machines, copy]
      continue
    }
    await machine.put(chance.below(120))
    try {
      const { sequence } = await publish(machine, chance.chance(0.3))
      const { next } = (await machine.table!.stats()).sequence
      expect(sequence).toBe(next)
      published++
    } catch (error) {
      if (hasCode(error, 'FLASHTABLE_FENCED')) fenced++
      else if (!hasCode(error, 'FLASHTABLE_UNAVAILABLE') && !hasCode(error, 'FLASHTABLE_EXISTS')) throw error
    }
  }
  for (const { table } of machines) await table?.close()
  stored.settle()
  return { versions: await checkVersions(stored), fenced, published }
}

async function publish(machine: Machine, takeOver = false): Promise<{ sequence: number }> {
  const table = await machine.open()
  return table.publish(machine.store, { takeOver, retention: 400 })
}

describe('lives of published tables', () => {
  const LIVES = 60
  test(`${LIVES} lives`, async () => {
    let [versions, fenced, published] = [0, 0, 0]
    for (let seed = 0; seed < LIVES; seed++) {
      const result = await life(seed).catch((error: unknown) => {
        throw new Error(`seed ${seed}`, { cause: error })
      })
      versions += result.versions
      fenced += result.fenced
      published += result.published
    }
    // The lives are worth it: all that can happen has happened.
    expect(versions).toBeGreaterThan(LIVES)
    expect(fenced).toBeGreaterThan(10)
    expect(published).toBeGreaterThan(LIVES)
  })
})
