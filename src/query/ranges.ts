/**
 * Scans as their users want them: a range with a limit, a direction and a signal, in batches of rows.
 */
import { throwIfAborted } from '../async/abort.js'
import type { Merge } from '../merge/merge.js'
import type { KeyRange } from '../records/key-range.js'
import type { WideOperations } from '../records/operations.js'
import type { WhereFilter } from '../records/where-filter.js'
import type { Pin } from '../state/pins.js'
import type { TableReader } from './reader.js'

export interface ScanOptions {
  readonly range: KeyRange
  readonly reverse: boolean
  /** Rows at most. */
  readonly limit: number
  /** Only rows that match. */
  readonly where?: WhereFilter | undefined
  readonly signal: AbortSignal | undefined
  /** Begins one step, if the table is open, and waits for it; `close` of the table waits for it too, and then it rejects. */
  readonly read: <T>(step: () => Promise<T>) => Promise<T>
}

/** Rows [from, to) of `rows`, in ascending order; a reverse scan walks them from the end. */
export interface RowBatch {
  readonly rows: WideOperations
  readonly from: number
  readonly to: number
}

/** A scan under way: its batches, one after the other. */
export class RangeScan {
  readonly options: ScanOptions
  readonly #reader: TableReader
  readonly #pin: Pin
  #merge: Merge | undefined
  #left: number

  /** The scan releases the pin when it is closed. */
  constructor(reader: TableReader, pin: Pin, options: ScanOptions) {
    this.#reader = reader
    this.#pin = pin
    this.options = options
    this.#left = options.limit
  }

  /** The next batch, which is good until the next call; `undefined` at the end. */
  async next(): Promise<RowBatch | undefined> {
    const { reverse, signal, read, where } = this.options
    let rows: WideOperations | undefined
    do {
      throwIfAborted(signal)
      if (this.#left === 0) return undefined
      rows = await read(() => this.#step())
      throwIfAborted(signal)
      if (rows === undefined) return undefined
      if (where !== undefined) rows = where.matching(rows)
    } while (rows.count === 0)
    const count = Math.min(this.#left, rows.count)
    this.#left -= count
    return reverse ? { rows, from: rows.count - count, to: rows.count } : { rows, from: 0, to: count }
  }

  /** However it ended. */
  async close(): Promise<void> {
    try {
      await this.#merge?.close()
    } finally {
      await this.#pin.release()
    }
  }

  async #step(): Promise<WideOperations | undefined> {
    const { range, reverse, signal, where } = this.options
    this.#merge ??= await this.#reader.scan(this.#pin.view, range, reverse, signal, where?.terms)
    return this.#merge.next()
  }
}
