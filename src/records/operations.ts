/**
 * Operations in memory: columns of lanes and a column of kinds, grown by doubling.
 *
 * Batches, decoded frames, decoded pages and merge buffers all have this one form; memtables have narrow columns. Requires: rows of one key are in the
 * order in which they were put. docs/internals.md, Operations.
 */
import { giveBackColumn, newColumn } from '../kernels/kernels.js'
import type { LaneColumn } from './lane-columns.js'
import type { RecordLayout } from './record-layout.js'

/** What an operation does. The numbers are on disk: docs/file-format.md, Operation kinds. */
export const PUT = 0
/** Hides every older record of the key; its value lanes mean nothing. */
export const DELETE_KEY = 1
/** Hides every older record that equals it in all lanes. */
export const DELETE_RECORD = 2
/** This version does not know kinds from this number on. */
export const KIND_COUNT = 3
/**
 * A put if the key has no record when its turn comes. It is of calls alone: then it becomes a put or nothing
 * (commit/conditional-puts.ts), so it is never on disk.
 */
export const PUT_IF_ABSENT = KIND_COUNT

/** Columns of operations, to be read. */
export interface Operations {
  readonly count: number
  /** One column for each lane, key lanes first, which have 32 bits a value; rows from `count` on mean nothing. */
  readonly lanes: readonly LaneColumn[]
  /** `undefined`: all are puts. */
  readonly kinds: Uint8Array | undefined
}

/** Operations outside of memtables: all columns have 32 bits a value. */
export interface WideOperations extends Operations {
  readonly lanes: readonly Uint32Array[]
}

/** The columns of the key: each has 32 bits a value, also in a memtable. */
export function keyLanesOf({ lanes }: Pick<Operations, 'lanes'>, keyLaneCount: number): Uint32Array[] {
  return lanes.slice(0, keyLaneCount) as Uint32Array[]
}

/** What lanes must be within, both bounds included: they are compared as one number, the first lane highest. */
export interface LaneRange {
  /** The first lane within the record; there are as many as `lower` and `upper` have. */
  readonly lane: number
  readonly lower: readonly number[]
  /** Not below `lower`. The bounds of a float are in the ordered form (lane-ranges.ts). */
  readonly upper: readonly number[]
}

/** What the lanes of a record must be: `lanes[i]` equals `values[i]` for all i, and all ranges hold it. */
export interface WhereTerms {
  /** Lane numbers within the record, of the value (so >= keyLaneCount), ascending. */
  readonly lanes: readonly number[]
  readonly values: readonly number[]
  /** Ascending, of other lanes of the value; or one alone, of all lanes of the key. Absent: none. */
  readonly ranges?: readonly LaneRange[] | undefined
}

/**
 * *Delete where*: hides every older record that the terms match.
 *
 * It has its own sequence number: records with a smaller one are older.
 */
export interface DeleteWhere extends WhereTerms {
  readonly sequence: number
}

/** Columns of up to this many rows are copied by a loop: a `subarray` would cost more, above all in garbage. */
const LOOP_ROWS_MAX = 32

/** Copies rows [from, to) of a column. Requires: the values fit the target. */
export function copyColumn(
  source: LaneColumn,
  from: number,
  to: number,
  target: LaneColumn,
  at: number,
): void {
  if (to - from > LOOP_ROWS_MAX) target.set(source.subarray(from, to), at)
  else for (let row = from; row < to; row++, at++) target[at] = source[row]!
}

/** Reverses rows [from, to) of a column. */
function reverseColumn<C extends Uint32Array | Uint8Array>(column: C, from: number, to: number): void {
  if (to - from > LOOP_ROWS_MAX) column.subarray(from, to).reverse()
  else
    for (let low = from, high = to - 1; low < high; low++, high--) {
      const value = column[low]!
      column[low] = column[high]!
      column[high] = value
    }
}

/** Copies the values of the rows that `order` names, in its order. Hot. */
export function gatherColumn(source: LaneColumn, order: Uint32Array, target: LaneColumn, at: number): void {
  for (let i = 0; i < order.length; i++) target[at + i] = source[order[i]!]!
}

/** Columns of operations that grow. */
export class OperationBuffer implements WideOperations {
  count = 0
  lanes: Uint32Array[]
  kinds: Uint8Array | undefined = undefined
  #capacity: number

  constructor(layout: RecordLayout, capacity = 16) {
    this.#capacity = Math.max(1, capacity)
    this.lanes = Array.from({ length: layout.laneCount }, () => newColumn(this.#capacity))
  }

  /** Rows for which there is room. */
  get capacity(): number {
    return this.#capacity
  }

  /** Makes room for `rows` more rows; the columns may be other arrays afterwards. */
  reserve(rows: number): void {
    const needed = this.count + rows
    if (needed <= this.#capacity) return
    this.#capacity = Math.max(needed, this.#capacity * 2)
    for (let lane = 0; lane < this.lanes.length; lane++) {
      const before = this.lanes[lane]!
      const grown = newColumn(this.#capacity)
      grown.set(before.subarray(0, this.count))
      this.lanes[lane] = grown
      giveBackColumn(before)
    }
    if (this.kinds !== undefined) {
      const grown = new Uint8Array(this.#capacity)
      grown.set(this.kinds.subarray(0, this.count))
      this.kinds = grown
    }
  }

  /** The column of kinds, created when the first operation comes that is not a put. */
  ensureKinds(): Uint8Array {
    this.kinds ??= new Uint8Array(this.#capacity)
    return this.kinds
  }

  /** Appends one operation. Hot. */
  appendRecord(kind: number, record: Uint32Array): void {
    this.reserve(1)
    const row = this.count
    for (let lane = 0; lane < record.length; lane++) this.lanes[lane]![row] = record[lane]!
    if (kind !== PUT) this.ensureKinds()[row] = kind
    else if (this.kinds !== undefined) this.kinds[row] = PUT
    this.count = row + 1
  }

  /** Counts `rows` more rows, all puts. Requires: there was room for them, and they were written into the lanes. */
  addPuts(rows: number): void {
    this.kinds?.fill(PUT, this.count, this.count + rows)
    this.count += rows
  }

  /** Appends rows `from` to `to` of `source`. */
  append(source: Operations, from: number, to: number): void {
    const rows = to - from
    this.reserve(rows)
    for (let lane = 0; lane < this.lanes.length; lane++) {
      copyColumn(source.lanes[lane]!, from, to, this.lanes[lane]!, this.count)
    }
    if (source.kinds !== undefined) {
      copyColumn(source.kinds, from, to, this.ensureKinds(), this.count)
    } else if (this.kinds !== undefined) {
      this.kinds.fill(PUT, this.count, this.count + rows)
    }
    this.count += rows
  }

  /** Appends rows [from, to) of `source` in reverse order. */
  appendReversed(source: Operations, from = 0, to = source.count): void {
    const at = this.count
    this.append(source, from, to)
    this.reverseFrom(at)
  }

  /** Reverses the order of the rows from row `from` on. */
  reverseFrom(from: number): void {
    for (const lane of this.lanes) reverseColumn(lane, from, this.count)
    if (this.kinds !== undefined) reverseColumn(this.kinds, from, this.count)
  }

  /** Appends the rows of `source` that `order` names, in its order. */
  gather(source: Operations, order: Uint32Array): void {
    const rows = order.length
    const at = this.count
    this.reserve(rows)
    for (let lane = 0; lane < this.lanes.length; lane++) {
      gatherColumn(source.lanes[lane]!, order, this.lanes[lane]!, at)
    }
    if (source.kinds !== undefined) {
      gatherColumn(source.kinds, order, this.ensureKinds(), at)
    } else if (this.kinds !== undefined) {
      this.kinds.fill(PUT, at, at + rows)
    }
    this.count += rows
  }

  /** Keeps only the rows whose place in `keep` is not 0. */
  keepOnly(keep: Uint8Array): void {
    const { lanes, kinds } = this
    let kept = 0
    let puts = true
    for (let row = 0; row < this.count; row++) {
      if (keep[row] === 0) continue
      if (kept !== row) {
        for (const lane of lanes) lane[kept] = lane[row]!
        if (kinds !== undefined) kinds[kept] = kinds[row]!
      }
      if (kinds !== undefined && kinds[kept] !== PUT) puts = false
      kept++
    }
    this.count = kept
    if (puts) this.kinds = undefined
  }

  /** Keeps the first `rows` rows. */
  truncate(rows: number): void {
    this.count = rows
    if (countPuts(this) === rows) this.kinds = undefined
  }

  /** Drops all rows and keeps the room. */
  clear(): void {
    this.count = 0
    this.kinds = undefined
  }

  /** Drops the first `rows` rows. */
  dropFirst(rows: number): void {
    for (const lane of this.lanes) lane.copyWithin(0, rows, this.count)
    this.kinds?.copyWithin(0, rows, this.count)
    this.count -= rows
  }
}

/** How many of the operations from row `from` on are puts. */
export function countPuts({ kinds, count }: Operations, from = 0): number {
  const first = Math.max(0, from)
  if (kinds === undefined) return Math.max(0, count - first)
  let puts = 0
  for (let row = first; row < count; row++) if (kinds[row] === PUT) puts++
  return puts
}
