/**
 * A whole sealed memtable, sorted, as the input of a compaction. Runs in the worker thread.
 *
 * Fetching the rows of a large memtable in key order would miss caches and TLB with every value. So the columns are
 * first split by key into parts that fit the second-level cache, in sequential passes (partitioned radix sort, Satish
 * et al. 2010); each part is then sorted and handed out by itself. That takes a copy of the memtable, and less than
 * half of the time. docs/architecture.md, Memtable.
 */
import type { Hiding } from '../columns/hide-rows.js'
import { DELETE_KEY, OperationBuffer, PUT } from '../columns/operations.js'
import { sortedOrder } from '../columns/sort.js'
import type { SortedInput } from '../columns/sorted-input.js'
import type { Memtable } from './memtable.js'

/** Rows that agree in so many leading bits of the first key lane that differs are a bin; a part is a few bins. */
const BIN_BITS = 11
/** Streams that are written side by side; more would not fit the first-level TLB. */
const PARTS_WANTED = 64
const MIN_PART_ROWS = 8192
/** Rows that one call of an inner loop takes: small enough that V8 compiles it as a whole after a few calls. */
const BLOCK_ROWS = 8192
/** A kind of row in this file alone: a *delete where* entry hides it, and nothing of it remains. */
const HIDDEN = 255

/** The memtable's rows, split by key: those of part p are [starts[p], starts[p + 1]), in the order in which they came. */
interface Parts {
  readonly rows: OperationBuffer
  readonly starts: readonly number[]
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

  async next(into: OperationBuffer): Promise<boolean> {
    if (this.#closed || this.#memtable.count === 0) return false
    this.#parts ??= splitByKey(this.#memtable, kindsAfter(this.#memtable, this.#hiding))
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
}

/** What each row is once *delete where* entries have had their effect; `undefined`: all are puts. */
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

function splitByKey(memtable: Memtable, kinds: Uint8Array | undefined): Parts {
  const { layout, lanes, count } = memtable
  const rows = new OperationBuffer(layout, count)
  const { partOf, starts } = assignParts(lanes.slice(0, layout.keyLaneCount), count)
  for (const [lane, column] of lanes.entries()) scatter(column, partOf, starts, rows.lanes[lane]!)
  if (kinds !== undefined) scatter(kinds, partOf, starts, rows.needKinds())
  rows.count = count
  return { rows, starts }
}

/** The part that each row goes to. Where keys cluster, a part may be large: it only takes longer. */
function assignParts(
  keyLanes: readonly Uint32Array[],
  count: number,
): { partOf: Uint8Array; starts: number[] } {
  let measured = measure(keyLanes[0]!, count)
  let lane = 0
  while (measured.width === 0 && lane + 1 < keyLanes.length) measured = measure(keyLanes[++lane]!, count)
  const column = keyLanes[lane]!
  const { min, width } = measured
  const shift = Math.max(0, width - BIN_BITS)
  const binRows = new Int32Array(1 << BIN_BITS)
  forBlocks(count, (from, to) => countBins(column, min, shift, binRows, from, to))
  const partOfBin = new Uint8Array(binRows.length)
  const partRows = Math.max(MIN_PART_ROWS, Math.ceil(count / PARTS_WANTED))
  const starts = [0]
  let end = 0
  for (const [bin, rows] of binRows.entries()) {
    // Two neighbouring parts have more than `partRows` rows, so there are about twice as many as wanted at most.
    if (end > starts.at(-1)! && end + rows - starts.at(-1)! > partRows) starts.push(end)
    partOfBin[bin] = starts.length - 1
    end += rows
  }
  const partOf = new Uint8Array(count)
  forBlocks(count, (from, to) => mapBins(column, min, shift, partOfBin, partOf, from, to))
  return { partOf, starts: [...starts, count] }
}

function measure(column: Uint32Array, count: number): { min: number; width: number } {
  const extremes = Uint32Array.of(column[0]!, column[0]!)
  forBlocks(count, (from, to) => widenExtremes(column, extremes, from, to))
  return { min: extremes[0]!, width: 32 - Math.clz32(extremes[1]! - extremes[0]!) }
}

function widenExtremes(column: Uint32Array, extremes: Uint32Array, from: number, to: number): void {
  let min = extremes[0]!
  let max = extremes[1]!
  for (let row = from; row < to; row++) {
    const value = column[row]!
    if (value < min) min = value
    if (value > max) max = value
  }
  extremes[0] = min
  extremes[1] = max
}

function countBins(
  column: Uint32Array,
  min: number,
  shift: number,
  binRows: Int32Array,
  from: number,
  to: number,
): void {
  for (let row = from; row < to; row++) binRows[(column[row]! - min) >>> shift]!++
}

function mapBins(
  column: Uint32Array,
  min: number,
  shift: number,
  partOfBin: Uint8Array,
  partOf: Uint8Array,
  from: number,
  to: number,
): void {
  for (let row = from; row < to; row++) partOf[row] = partOfBin[(column[row]! - min) >>> shift]!
}

/** Copies a column, part by part; within a part the rows stay in their order. */
function scatter<Column extends Uint32Array | Uint8Array>(
  column: Column,
  partOf: Uint8Array,
  starts: readonly number[],
  into: Column,
): void {
  const next = Int32Array.from(starts)
  forBlocks(partOf.length, (from, to) => scatterBlock(column, partOf, next, into, from, to))
}

function scatterBlock<Column extends Uint32Array | Uint8Array>(
  column: Column,
  partOf: Uint8Array,
  next: Int32Array,
  into: Column,
  from: number,
  to: number,
): void {
  for (let row = from; row < to; row++) {
    const part = partOf[row]!
    const place = next[part]!
    next[part] = place + 1
    into[place] = column[row]!
  }
}

/** Appends the rows of a part that are still there, in their order. */
function appendRows(rows: OperationBuffer, sorted: Uint32Array, into: OperationBuffer): void {
  const { kinds } = rows
  const order = kinds === undefined ? sorted : sorted.filter(row => kinds[row] !== HIDDEN)
  const at = into.count
  into.reserve(order.length)
  for (const [lane, column] of rows.lanes.entries()) gather(column, order, into.lanes[lane]!, at)
  if (kinds !== undefined && order.some(row => kinds[row] !== PUT)) gather(kinds, order, into.needKinds(), at)
  else into.kinds?.fill(PUT, at, at + order.length)
  into.count += order.length
}

function gather<Column extends Uint32Array | Uint8Array>(
  column: Column,
  order: Uint32Array,
  into: Column,
  at: number,
): void {
  for (let i = 0; i < order.length; i++) into[at + i] = column[order[i]!]!
}

function forBlocks(count: number, work: (from: number, to: number) => void): void {
  for (let from = 0; from < count; from += BLOCK_ROWS) work(from, Math.min(from + BLOCK_ROWS, count))
}
