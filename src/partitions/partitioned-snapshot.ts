/** A state of every partition. docs/api.md, Partitions. */
import { FlashTableError } from '../base/errors.js'
import { INSPECT, inspectAs, type Inspect } from '../base/inspect.js'
import { invalidOption, refuseExtra, unexpected } from '../options/arguments.js'
import type { Snapshot } from '../state/snapshot.js'

/** What made a snapshot. */
export interface SnapshotOwner {
  readonly location: string
}

/**
 * A state of each partition: consistent within each, and of those that this process writes taken in one moment. Pass it as
 * `{ snapshot }` to any read of the table that made it. It keeps files until it is closed; `close()` of the table closes it too.
 */
export class PartitionedSnapshot {
  readonly #owner: SnapshotOwner
  /** `undefined`: nobody had published the partition. */
  readonly #parts: readonly (Snapshot | undefined)[]
  #isClosed = false

  /** @internal */
  constructor(owner: SnapshotOwner, parts: readonly (Snapshot | undefined)[]) {
    if (!Array.isArray(parts))
      throw invalidOption('snapshots are made by snapshot() of a table with partitions')
    this.#owner = owner
    this.#parts = parts
  }

  /** @internal */
  static is(value: unknown): value is PartitionedSnapshot {
    return typeof value === 'object' && value !== null && #parts in value
  }

  /**
   * The snapshots of the partitions, for reads of the table that made them.
   *
   * @internal
   */
  partsFor(owner: SnapshotOwner): readonly (Snapshot | undefined)[] {
    if (owner !== this.#owner)
      throw new FlashTableError('FLASHTABLE_SNAPSHOT_CLOSED', 'the snapshot belongs to another table')
    if (this.#isClosed) throw new FlashTableError('FLASHTABLE_SNAPSHOT_CLOSED', 'the snapshot is closed')
    return this.#parts
  }

  /** Releases the files. Idempotent. */
  async close(...extra: never[]): Promise<void> {
    refuseExtra('close', extra)
    this.#isClosed = true
    await Promise.all(this.#parts.map(part => part?.close()))
  }

  /**
   * How it looks in `JSON.stringify`.
   *
   * @internal
   */
  toJSON(): object {
    // The prototype has nothing to show.
    if (!(#parts in this)) return {}
    const { location } = this.#owner
    return { location, status: this.#isClosed ? 'closed' : 'open', partitions: this.#parts.length }
  }

  /**
   * How it looks in `util.inspect` and `console.log`.
   *
   * @internal
   */
  [INSPECT](depth: number, options: object, inspect: Inspect): string {
    return inspectAs('PartitionedSnapshot', this.toJSON(), depth, options, inspect)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** The option `snapshot`. */
export function optionalPartitionedSnapshot(value: unknown, name: string): PartitionedSnapshot | undefined {
  if (value === undefined || PartitionedSnapshot.is(value)) return value
  throw unexpected(name, 'a snapshot from snapshot() of this table', value)
}
