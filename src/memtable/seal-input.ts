/**
 * A whole sealed memtable, sorted, as the input of a compaction. Runs on a worker thread.
 *
 * Fetching the rows of a large memtable in key order would miss caches and TLB with every value. So the columns are
 * first split by key into parts that fit the second-level cache, in sequential passes (partitioned radix sort, Satish
 * et al. 2010). Then each part is sorted and handed out as one batch. That takes a copy of the memtable, and less than
 * half of the time. All rows of a key come in one batch. docs/internals.md, Memtable.
 */
import type { SortedInput } from '../merge/sorted-input.js'
import type { Hiding } from '../records/hide-rows.js'
import {
  DELETE_KEY,
  gatherColumn,
  keyLanesOf,
  PUT,
  type OperationBuffer,
  type Operations,
} from '../records/operations.js'
import { giveBackColumn, newColumn } from '../kernels/kernels.js'
import { compareKeyToRow } from '../records/compare.js'
import { KernelSplit } from '../sort/kernel-split.js'
import { SHORT_ROWS_MAX } from '../sort/short-sort.js'
import { sortedOrder } from '../sort/sort.js'
import { splitByKey } from '../sort/split.js'
import type { Memtable } from './memtable.js'

const BIN_BITS = 11
/** A part of a memtable with the default size has about 30,000 rows, which fit the second-level cache. */
const PARTS_WANTED = 64
const MIN_PART_ROWS = 8192
/** A kind of row only in this file: a *delete where* entry hides it, and nothing of it remains. */
const HIDDEN = 255

/** The rows of a memtable, split by key. */
interface Parts {
  /** Rows of part p are [starts[p], starts[p + 1]). */
  readonly starts: readonly number[]
  /** Appends what is left of the rows of a part, sorted. */
  appendSorted(part: number, into: OperationBuffer): void
  close(): void
}

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

  get hasDeletes(): boolean {
    return this.#memtable.kinds !== undefined
  }

  ofKey(key: Uint32Array): SortedInput {
    return new SealedKeyInput(this.#memtable, this.#hiding, key)
  }

  async next(into: OperationBuffer): Promise<boolean> {
    if (this.#closed || this.#memtable.count === 0) return false
    this.#parts ??= this.#split()
    if (this.#nextPart === this.#parts.starts.length - 1) return false
    this.#parts.appendSorted(this.#nextPart++, into)
    return true
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#parts?.close()
    this.#parts = undefined
  }

  #split(): Parts {
    const { layout, lanes, count } = this.#memtable
    const kinds = kindsAfter(this.#memtable, this.#hiding)
    const partRows = Math.min(SHORT_ROWS_MAX, Math.max(MIN_PART_ROWS, Math.ceil(count / PARTS_WANTED)))
    const options = { binBits: BIN_BITS, partRows }
    const byKernels = kinds === undefined ? KernelSplit.of(layout, lanes, count, options) : undefined
    if (byKernels !== undefined) return byKernels
    const into = lanes.map(() => newColumn(count))
    const { rows, starts } = splitByKey(layout, { lanes, count, kinds }, options, into)
    const keyLanes = keyLanesOf(rows, layout.keyLaneCount)
    return {
      starts,
      appendSorted(part, buffer) {
        const order = sortedOrder(keyLanes, keyLanes.length, starts[part]!, starts[part + 1]!)
        appendRows(rows, order, buffer)
      },
      close: () => into.forEach(giveBackColumn),
    }
  }
}

/** The operations of one key, found by a look at all rows. */
class SealedKeyInput implements SortedInput {
  readonly #memtable: Memtable
  readonly #hiding: Hiding
  readonly #key: Uint32Array
  #ended = false

  constructor(memtable: Memtable, hiding: Hiding, key: Uint32Array) {
    this.#memtable = memtable
    this.#hiding = hiding
    this.#key = key
  }

  get hasDeletes(): boolean {
    return this.#memtable.kinds !== undefined
  }

  ofKey(key: Uint32Array): SortedInput {
    return new SealedKeyInput(this.#memtable, this.#hiding, key)
  }

  async next(into: OperationBuffer): Promise<boolean> {
    if (this.#ended) return false
    this.#ended = true
    const { lanes, keyLanes, count } = this.#memtable
    const kinds = kindsAfter(this.#memtable, this.#hiding)
    const rows = new Uint32Array(count)
    let found = 0
    for (let row = 0; row < count; row++)
      if (compareKeyToRow(this.#key, keyLanes, row) === 0) rows[found++] = row
    appendRows({ lanes, count, kinds }, rows.subarray(0, found), into)
    return true
  }

  async close(): Promise<void> {
    this.#ended = true
  }
}

/** The kind of each row after the *delete where* entries; `undefined`: all are puts. */
function kindsAfter(memtable: Memtable, { deletes, before, replace }: Hiding): Uint8Array | undefined {
  const { kinds, lanes, count } = memtable
  if (deletes.size === 0) return kinds
  const after = new Uint8Array(count)
  for (let row = 0; row < count; row++) {
    const kind = kinds === undefined ? PUT : kinds[row]!
    const sequence = memtable.sequenceOf(row)
    const hidden = kind === PUT && deletes.matches(lanes, row, sequence, before)
    // With `replace`, what the put replaced stays replaced.
    after[row] = hidden ? (replace ? DELETE_KEY : HIDDEN) : kind
    if (deletes.clears(lanes, row, sequence, before)) after[row] = HIDDEN
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
