/** Machines that publish their copies of a table to a simulated store, and what must hold whatever they do. */
import { FlashTable } from '../../src/flash-table.js'
import { REMOTE_MANIFEST_KEY, parseRemote, type RemoteManifest } from '../../src/remote/remote-manifest.js'
import type { Environment } from '../../src/table/environment.js'
import type { PublishOptions } from '../../src/table/publish.js'
import type { PublishResult } from '../../src/remote/publisher.js'
import { Random } from './random.js'
import { simulatedEnvironment } from './simulated-environment.js'
import { SimulatedFileSystem } from './simulated-file-system.js'
import { SimulatedStore, StoredObjects } from './simulated-store.js'

const OPTIONS = { keyEncoding: 'u32', bufferBytes: 1024, fanout: 2, filterBitsPerRecord: 0 } as const
export type SetTable = FlashTable<'u32', undefined>

/** Of ids and keys: they differ between machines. */
const random = new Random(1)

export function environmentOf(disk: SimulatedFileSystem): Environment {
  return { ...simulatedEnvironment(disk), randomBytes: count => random.bytes(count) }
}

/** What is stored, with a check after every call. */
export function newStored(): StoredObjects {
  const stored = new StoredObjects()
  const invariants = new Invariants(stored)
  stored.onCall = () => invariants.check()
  return stored
}

export function remoteOf(stored: StoredObjects): RemoteManifest | undefined {
  const pointer = stored.pointers.get(REMOTE_MANIFEST_KEY)
  return pointer && parseRemote(pointer.bytes, 'sim://store')
}

/** Throws if the published table is not whole, or went back. */
class Invariants {
  #last: RemoteManifest | undefined
  #failure: unknown
  /** Keys that were named, and are no more. */
  readonly #dropped = new Set<string>()
  readonly #stored: StoredObjects

  constructor(stored: StoredObjects) {
    this.#stored = stored
  }

  /** Once it has failed it fails for ever: the call that was at fault may not be awaited. */
  check(): void {
    try {
      if (this.#failure !== undefined) throw this.#failure
      this.#check()
    } catch (error) {
      this.#failure = error
      throw error
    }
  }

  #check(): void {
    const remote = remoteOf(this.#stored)
    if (remote === undefined) return
    for (const { key, entry } of remote.files) {
      const bytes = this.#stored.objects.get(key)
      if (bytes?.byteLength !== entry.pages * remote.table.pageBytes)
        throw new Error(`${key} is named and not whole`)
      if (this.#dropped.has(key)) throw new Error(`${key} is named again`)
    }
    const last = this.#last
    if (last !== undefined && remote.nonce !== last.nonce) {
      if (remote.parent !== last.nonce) throw new Error('a state was skipped')
      if (remote.epoch < last.epoch) throw new Error('the epoch went back')
      const [before, now] = [last, remote].map(({ versions }) => versions.at(-1)!)
      if (now!.version < before!.version) throw new Error('the version went back')
      if (now!.sequence < before!.sequence) throw new Error('the sequence went back')
      if (now!.at < before!.at) throw new Error('time went back')
      const named = new Set(remote.files.map(({ key }) => key))
      for (const { key } of last.files) if (!named.has(key)) this.#dropped.add(key)
    }
    this.#last = remote
  }
}

export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at)
}

/** One machine with a copy of the table. Its records are the numbers from 0 on. */
export class Machine {
  disk: SimulatedFileSystem
  table: SetTable | undefined
  readonly store: SimulatedStore
  readonly directory: string

  constructor(store: SimulatedStore, directory = '/table', disk = new SimulatedFileSystem()) {
    this.disk = disk
    this.store = store
    this.directory = directory
  }

  /** A machine with a copy of the newest version. */
  static async restored(store: SimulatedStore, directory: string): Promise<Machine> {
    const machine = new Machine(store, directory)
    await FlashTable.restoreIn(store, directory, {}, environmentOf(machine.disk))
    return machine
  }

  async open(): Promise<SetTable> {
    this.table ??= (await FlashTable.openIn(
      this.directory,
      OPTIONS,
      environmentOf(this.disk),
    )) as unknown as SetTable
    return this.table
  }

  /** The table as another process beside the writer has it. */
  async openBeside(): Promise<SetTable> {
    const options = { readOnly: true } as const
    return (await FlashTable.openIn(this.directory, options, environmentOf(this.disk))) as unknown as SetTable
  }

  async put(count: number): Promise<void> {
    const table = await this.open()
    const { next } = (await table.stats()).sequence
    for (let key = next; key < next + count; key++) await table.put(key)
  }

  async publish(options: PublishOptions = {}): Promise<PublishResult> {
    return (await this.open()).publish(this.store, options)
  }

  /** The process ends, and a power cut takes what was not synced. */
  async cut(seed = 0): Promise<void> {
    const disk = this.disk.crashState(seed)
    await this.close().catch(() => {})
    this.disk = disk
    this.store.crashAt = Infinity
  }

  async close(): Promise<void> {
    const table = this.table
    this.table = undefined
    await table?.close()
  }
}

/** The keys of a version, as a restore gives them. */
export async function restoredKeys(store: SimulatedStore, version: number): Promise<number[]> {
  const environment = environmentOf(new SimulatedFileSystem())
  await FlashTable.restoreIn(store, '/copy', { version, verify: true }, environment)
  const table = (await FlashTable.openIn('/copy', {}, environment)) as unknown as SetTable
  const keys: number[] = []
  for await (const key of table.keys()) keys.push(key)
  await table.close()
  return keys
}
