/**
 * A whole sealed memtable, sorted, as the input of a compaction. Runs on a worker thread.
 *
 * Fetching the rows of a large memtable in key order would miss caches and TLB with every value. So the columns are
 * first split by key into parts that fit the second-level cache, in sequential passes (partitioned radix sort, Satish
 * et al. 2010). Then each part is sorted and handed out as one batch. That takes a copy of the memtable, and less than
 * half of the time. docs/internals.md, Memtable.
 */
import type { SortedInput } from '../merge/sorted-input.js'
import type { Hiding } from '../records/hide-rows.js'
import {
  DELETE_KEY,
  gatherColumn,
  PUT,
  type OperationBuffer,
  type Operations,
} from '../records/operations.js'
import { SHORT_ROWS_MAX } from '../sort/short-sort.js'
import { sortedOrder } from '../sort/sort.js'
import { splitByKey, type Parts } from '../sort/split.js'
import type { Memtable } from './memtable.js'

const BIN_BITS = 11
/** A part of a memtable with the default size has about 30,000 rows, which fit the second-level cache. */
const PARTS_WANTED = 64
const MIN_PART_ROWS = 8192
/** A kind of row only in this file: a *delete where* entry hides it, and nothing of it remains. */
const HIDDEN = 255

export class SealInput implements SortedInput {
  readonly #memtable: Memtable
  readonly #hiding: Hiding
  #parts: Parts | undefined
  #nextPart = 0
  #closed = false

  /** `hiding`: what its entries hide is left out, or becomes a *delete key* with `replace`. */
  constructor(memtable: Memtable, hiding: Hiding) {
    this.#memtable = memtable
    this.#hiding = hiding
  }

  async next(into: OperationBuffer): Promise<boolean> {
    if (this.#closed || this.#memtable.count === 0) return false
    this.#parts ??= this.#split()
    const { rows, starts } = this.#parts
    if (this.#nextPart === starts.length - 1) return false
    const from = starts[this.#nextPart]!
    const to = starts[++this.#nextPart]!
    const order = sortedOrder(rows.lanes, this.#memtable.layout.keyLaneCount, from, to)
    appendRows(rows, order, into)
    return true
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#parts = undefined
  }

  #split(): Parts {
    const { layout, lanes, count } = this.#memtable
    const kinds = kindsAfter(this.#memtable, this.#hiding)
    const partRows = Math.min(SHORT_ROWS_MAX, Math.max(MIN_PART_ROWS, Math.ceil(count / PARTS_WANTED)))
    const into = lanes.map(() => new Uint32Array(count))
    return splitByKey(layout, { lanes, count, kinds }, { binBits: BIN_BITS, partRows }, into)
  }
}

/** The kind of each row after the *delete where* entries; `undefined`: all are puts. */
function kindsAfter(memtable: Memtable, { deletes, before, replace }: Hiding): Uint8Array | undefined {
  const { kinds, lanes, count } = memtable
  if (deletes.size === 0) return kinds
  const after = new Uint8Array(count)
  for (let row = 0; row < count; row++) {
    const kind = kinds === undefined ? PUT : kinds[row]!
    const hidden = kind === PUT && deletes.hides(lanes, row, memtable.sequenceOf(row), before)
    // With `replace`, what the put replaced stays replaced.
    after[row] = hidden ? (replace ? DELETE_KEY : HIDDEN) : kind
  }
  return after
}

/** Appends the rows of a part that are still there, in their order. */
function appendRows(rows: Operations, sorted: Uint32Array, into: OperationBuffer): void {
  const { kinds } = rows
  const order = kinds === undefined ? sorted : sorted.filter(row => kinds[row] !== HIDDEN)
  const at = into.count
  into.reserve(order.length)
  for (const [lane, column] of rows.lanes.entries()) gatherColumn(column, order, into.lanes[lane]!, at)
  if (kinds !== undefined && order.some(row => kinds[row] !== PUT))
    gatherColumn(kinds, order, into.ensureKinds(), at)
  else into.kinds?.fill(PUT, at, at + order.length)
  into.count += order.length
}
