/**
 * Puts the records of the log into memtables, at an open.
 *
 * Which frames count, and whether a missing one is a torn tail, is decided in wal/replay.ts. docs/durability.md, Recovery.
 */
import type { Manifest } from '../manifest/manifest.js'
import type { SegmentInfo } from '../manifest/segment-info.js'
import type { TableListing } from '../manifest/table-directory.js'
import type { Memtable } from '../memtable/memtable.js'
import { countPuts, type Operations } from '../records/operations.js'
import type { LifetimeCounters } from '../state/lifetime-counters.js'
import { newMemtable } from '../state/memtable-pool.js'
import type { MemtableHandle } from '../state/version.js'
import { replayLog, type ReplayBatch } from '../wal/replay.js'
import type { RecoveryOptions } from './recovered.js'

/** The records of the log. */
export interface LoadedLog {
  /** Oldest first, none of them empty. */
  readonly memtables: MemtableHandle[]
  readonly endSequence: number
}

/**
 * Replays the log into memtables. Counts the puts and bytes that the manifest does not know of yet: those that were
 * written after it. Rejects with `FLASHTABLE_CORRUPTION` or `_IO_ERROR`.
 */
export async function loadLog(
  options: RecoveryOptions,
  manifest: Manifest,
  listing: TableListing,
  counters: LifetimeCounters,
): Promise<LoadedLog> {
  const { closed, firstSegment } = manifest.log
  const closedNumbers = new Set(closed.map(segment => segment.number))
  const loader = new LogLoader(options)
  const { endSequence, segments } = await replayLog({
    ...options,
    closed,
    epoch: manifest.epoch,
    openSegments: listing.wals.filter(number => number >= firstSegment && !closedNumbers.has(number)),
    firstSequence: manifest.firstLogSequence,
    clean: manifest.clean,
    onBatch: (batch, segment) => {
      loader.load(batch, segment)
      // A batch may begin before the manifest was written and end after it.
      counters.countPuts(countPuts(batch.operations, manifest.nextSequence - batch.firstSequence))
    },
  })
  for (const segment of segments) counters.countLog(bytesAfter(segment, manifest.nextSequence))
  return { memtables: loader.memtables, endSequence }
}

/** The share of the segment's bytes that holds operations from this sequence number on. */
function bytesAfter({ firstSequence, endSequence, bytes }: SegmentInfo, sequence: number): number {
  if (endSequence <= sequence) return 0
  const operations = endSequence - Math.max(firstSequence, sequence)
  return Math.round((bytes * operations) / (endSequence - firstSequence))
}

/** Fills memtables with the batches of a replay. It begins a new memtable when one is full. */
class LogLoader {
  readonly memtables: MemtableHandle[] = []
  readonly #options: RecoveryOptions

  constructor(options: RecoveryOptions) {
    this.#options = options
  }

  load({ operations, deletes, firstSequence }: ReplayBatch, segment: number): void {
    let from = 0
    for (const [i, entry] of deletes.entries()) {
      // Its sequence number says how many operations come before it.
      const position = entry.sequence - firstSequence - i
      this.#append(operations, from, position, firstSequence + from + i, segment)
      this.#memtableFor(entry.sequence, segment).appendDeleteWhere(entry)
      from = position
    }
    this.#append(operations, from, operations.count, firstSequence + from + deletes.length, segment)
  }

  #append(operations: Operations, from: number, to: number, sequence: number, segment: number): void {
    for (let row = from; row < to;) {
      const memtable = this.#memtableFor(sequence + row - from, segment)
      const end = Math.min(to, row + memtable.capacity - memtable.count)
      memtable.append(operations, row, end)
      row = end
    }
  }

  /** The memtable that takes the operation with this sequence number. It notes that the segment holds some of its rows. */
  #memtableFor(sequence: number, segment: number): Memtable {
    let last = this.memtables.at(-1)
    if (last === undefined || last.memtable.count === last.memtable.capacity) {
      last = newMemtable(this.#options, sequence)
      this.memtables.push(last)
    }
    if (last.segments.at(-1) !== segment) last.segments.push(segment)
    return last.memtable
  }
}
