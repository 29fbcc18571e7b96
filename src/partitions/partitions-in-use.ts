/** The partitions of an open table, and what all its calls need: which of them a key belongs to, and whether it is open. */
import { FlashTableError } from '../base/errors.js'
import type { Schema } from '../encoding/schema.js'
import type { Snapshot } from '../state/snapshot.js'
import type { TableStatus } from '../table/describe.js'
import type { KeyRanges } from './key-ranges.js'
import type { OpenedPartitions } from './open-partitions.js'
import type { Partition } from './partition.js'

export class PartitionsInUse {
  readonly location: string
  readonly schema: Schema
  readonly ranges: KeyRanges
  readonly all: readonly Partition[]
  /** Those that are written here. */
  readonly written: readonly Partition[]
  readonly #cache: OpenedPartitions['cache']
  readonly #key: Uint32Array
  #status: TableStatus = 'open'
  #closed: Promise<void> | undefined

  constructor(location: string, schema: Schema, ranges: KeyRanges, { all, cache }: OpenedPartitions) {
    this.location = location
    this.schema = schema
    this.ranges = ranges
    this.all = all
    this.#cache = cache
    this.written = all.filter(partition => partition.isWritten)
    this.#key = new Uint32Array(schema.layout.keyLaneCount)
  }

  get status(): TableStatus {
    return this.#status
  }

  /** Why blocks are not kept in the directory that was asked for; `undefined`: they are, or none was. */
  get cacheFailure(): string | undefined {
    return this.#cache?.diskStats()?.off
  }

  /** Throws `FLASHTABLE_NOT_OPEN` as soon as `close` has been called. */
  assertOpen(): void {
    if (this.#closed !== undefined)
      throw new FlashTableError(
        'FLASHTABLE_NOT_OPEN',
        `the table with partitions in ${this.location} is closed`,
      )
  }

  /** The partition of a key. Throws with `FLASHTABLE_INVALID_KEY`. */
  ofKey(key: unknown): Partition {
    this.schema.encodeKey(key, this.#key)
    return this.all[this.ranges.partitionOf(this.#key)]!
  }

  /** Throws `FLASHTABLE_READ_ONLY` if none is written here. */
  assertWrites(call: string): void {
    this.assertOpen()
    if (this.written.length > 0) return
    throw new FlashTableError(
      'FLASHTABLE_READ_ONLY',
      `${call}: this process writes no partition of ${this.location}: open with write`,
    )
  }

  /** Pins those of the partitions that are written here, all in one moment; by their numbers. */
  pinWritten(partitions: readonly Partition[]): (Snapshot | undefined)[] {
    const pins = this.all.map((): Snapshot | undefined => undefined)
    for (const { number, table, isWritten } of partitions) if (isWritten) pins[number] = table!.snapshot()
    return pins
  }

  /** Idempotent. Rejects with the failure of the first that could not be closed; all are released in any case. */
  close(): Promise<void> {
    this.#closed ??= this.#close().finally(() => (this.#status = 'closed'))
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#status = 'closing'
    await allEnded(this.all.map(partition => partition.close())).finally(() => this.#cache?.close())
  }
}

/** Waits for all, whatever becomes of them. Then rejects as the first of them that did. */
export async function allEnded<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises)
  return Promise.all(promises)
}
