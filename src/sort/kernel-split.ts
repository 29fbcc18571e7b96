/**
 * Splits rows by key by the kernels of the thread: a copy of the rows, each in one piece, in the memory of the kernels.
 *
 * Values have no more bytes than in the memtable, so that little memory is touched; a part is then sorted, and taken apart
 * into columns again. The source may lie elsewhere: it is copied in block by block, 0.15 ns a value. The twin: split.ts.
 */
import { assert } from '../base/assert.js'
import { kernels, type Kernels } from '../kernels/kernels.js'
import { columnAt, memtableWidths, type ColumnWidth, type LaneColumn } from '../records/lane-columns.js'
import { keyLanesOf, PUT, type OperationBuffer } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { KernelOrder } from './kernel-sort.js'
import { sortedOrder } from './sort.js'
import { binsIn, binsOf, groupBins, type Extremes, type SplitOptions } from './split.js'

/** Rows that are copied in together. */
const BLOCK_ROWS = 4096
/** Room that `splitRows` needs for the places of rows. */
const PLACES = 256
/** Words of what it is told of a lane. */
const LANE_WORDS = 4

export class KernelSplit {
  /** Rows of part p are [starts[p], starts[p + 1]). No part is empty. */
  readonly starts: readonly number[]
  readonly #layout: RecordLayout
  readonly #kernels: Kernels
  readonly #rows: Uint8Array
  /** Bytes of a row, and of each lane its place and bytes therein. */
  readonly #shape: RowShape

  private constructor(
    layout: RecordLayout,
    present: Kernels,
    rows: Uint8Array,
    shape: RowShape,
    starts: readonly number[],
  ) {
    this.#layout = layout
    this.#kernels = present
    this.#rows = rows
    this.#shape = shape
    this.starts = starts
  }

  /**
   * `undefined` where there are no kernels for such rows, or no memory. Requires: `count` puts, at least one, in columns as
   * wide as those of a memtable.
   */
  static of(
    layout: RecordLayout,
    lanes: readonly LaneColumn[],
    count: number,
    { binBits, partRows }: SplitOptions,
  ): KernelSplit | undefined {
    const present = kernels()
    if (present === undefined || layout.keyLaneCount > 2) return undefined
    const shape = shapeOf(layout)
    assert(
      lanes.every((column, lane) => column.BYTES_PER_ELEMENT === shape.lanes[lane]!.bytes),
      'columns are as wide as those of a memtable',
    )
    const rows = present.takeBytes(count * shape.rowBytes)
    const splitter = Splitter.of(present, lanes, count, binBits)
    if (rows === undefined || splitter === undefined) {
      if (rows !== undefined) present.giveBack(rows)
      splitter?.close()
      return undefined
    }
    const starts = splitter.split(layout.keyLaneCount, { binBits, partRows }, shape, rows)
    splitter.close()
    return new KernelSplit(layout, present, rows, shape, starts)
  }

  /** Appends the rows of a part, sorted by key; rows of one key stay in their order. */
  appendSorted(part: number, into: OperationBuffer): void {
    const from = this.starts[part]!
    const count = this.starts[part + 1]! - from
    const { rowBytes, lanes } = this.#shape
    const begin = this.#rows.byteOffset + from * rowBytes
    const at = into.count
    into.reserve(count)
    const keyLanes = lanes.slice(0, this.#layout.keyLaneCount).map(({ offset }) => begin + offset)
    const order = this.#kernels.hasAll(into.lanes)
      ? KernelOrder.of({ keyLanes, stride: rowBytes, count })
      : undefined
    if (order === undefined) this.#appendByTwin(from, count, into)
    else {
      for (const [lane, { offset, bytes }] of lanes.entries())
        order.gather(begin + offset, rowBytes, bytes, into.lanes[lane]!, at)
      into.kinds?.fill(PUT, at, at + count)
      into.count += count
      order.close()
    }
  }

  close(): void {
    this.#kernels.giveBack(this.#rows)
  }

  /** The same where the memory of the kernels is full, or there is one row. */
  #appendByTwin(from: number, count: number, into: OperationBuffer): void {
    const { rowBytes, lanes } = this.#shape
    const view = new DataView(this.#rows.buffer, this.#rows.byteOffset + from * rowBytes, count * rowBytes)
    const columns = lanes.map(({ offset, bytes }) =>
      Uint32Array.from({ length: count }, (_, row) => valueAt(view, row * rowBytes + offset, bytes)),
    )
    const order = sortedOrder(columns, this.#layout.keyLaneCount, 0, count)
    into.gather({ count, lanes: columns, kinds: undefined }, order)
  }
}

function valueAt(view: DataView, at: number, bytes: number): number {
  if (bytes === 1) return view.getUint8(at)
  return bytes === 2 ? view.getUint16(at, true) : view.getUint32(at, true)
}

interface RowShape {
  readonly rowBytes: number
  readonly lanes: readonly { readonly offset: number; readonly bytes: ColumnWidth }[]
}

function shapeOf(layout: RecordLayout): RowShape {
  let rowBytes = 0
  const lanes = memtableWidths(layout).map(bytes => {
    const offset = rowBytes
    rowBytes += bytes
    return { offset, bytes }
  })
  return { rowBytes, lanes }
}

/** Words of a block of a column. */
function blockWords(width: number): number {
  return (BLOCK_ROWS * width) / Uint32Array.BYTES_PER_ELEMENT
}

/** One split under way: the memory that it needs meanwhile. */
class Splitter {
  readonly #kernels: Kernels
  readonly #lanes: readonly LaneColumn[]
  readonly #count: number
  readonly #memory: Uint32Array
  /** A block of each column, as wide as the column. */
  readonly #blocks: readonly LaneColumn[]
  readonly #places: Uint32Array
  readonly #laneTable: Uint32Array
  readonly #binRows: Uint32Array
  /** Where the number of the next row of each part stands, by bin; and these numbers. */
  readonly #nextOfBin: Uint32Array
  readonly #next: Uint32Array

  private constructor(
    present: Kernels,
    lanes: readonly LaneColumn[],
    count: number,
    binCount: number,
    memory: Uint32Array,
  ) {
    let used = 0
    const cut = (length: number): Uint32Array => memory.subarray(used, (used += length))
    this.#kernels = present
    this.#lanes = lanes
    this.#count = count
    this.#memory = memory
    this.#blocks = lanes.map(({ BYTES_PER_ELEMENT: width }) =>
      columnAt(present.buffer, cut(blockWords(width)).byteOffset, width as ColumnWidth, BLOCK_ROWS),
    )
    this.#places = cut(PLACES)
    this.#laneTable = cut(LANE_WORDS * lanes.length)
    this.#binRows = cut(binCount).fill(0)
    this.#nextOfBin = cut(binCount)
    this.#next = cut(binCount)
  }

  static of(
    present: Kernels,
    lanes: readonly LaneColumn[],
    count: number,
    binBits: number,
  ): Splitter | undefined {
    const binCount = binsIn(binBits)
    const blocks = lanes.reduce((sum, { BYTES_PER_ELEMENT: width }) => sum + blockWords(width), 0)
    const words = blocks + lanes.length * LANE_WORDS + PLACES + 3 * binCount
    const memory = present.takeWords(words)
    return memory && new Splitter(present, lanes, count, binCount, memory)
  }

  /** Copies the rows to `rows`, part by part; returns where each part starts. */
  split(
    keyLaneCount: number,
    { binBits, partRows }: SplitOptions,
    { rowBytes, lanes }: RowShape,
    rows: Uint8Array,
  ): number[] {
    const { run } = this.#kernels
    const bins = binsOf(keyLanesOf({ lanes: this.#lanes }, keyLaneCount), binBits, column =>
      this.#measure(column),
    )
    const { lane: binLane, shift, first } = bins
    this.#forBlocks(this.#lanes[binLane]!, (block, length) =>
      run.countBins(block, length, shift, first, this.#binRows.byteOffset),
    )
    const { partOfBin, starts } = groupBins(this.#binRows, partRows)
    for (let part = 0; part + 1 < starts.length; part++)
      this.#next[part] = rows.byteOffset + starts[part]! * rowBytes
    for (const [bin, part] of partOfBin.entries()) this.#nextOfBin[bin] = this.#next.byteOffset + 4 * part
    for (const [lane, { offset, bytes }] of lanes.entries())
      this.#laneTable.set([this.#blocks[lane]!.byteOffset, offset, bytes], LANE_WORDS * lane)
    for (let from = 0; from < this.#count; from += BLOCK_ROWS) {
      for (const [lane, column] of this.#lanes.entries()) this.#copyIn(column, from, this.#blocks[lane]!)
      run.splitRows(
        this.#blocks[binLane]!.byteOffset,
        Math.min(BLOCK_ROWS, this.#count - from),
        shift,
        first,
        this.#nextOfBin.byteOffset,
        rowBytes,
        this.#laneTable.byteOffset,
        lanes.length,
        this.#places.byteOffset,
      )
    }
    return starts
  }

  close(): void {
    this.#kernels.giveBack(this.#memory)
  }

  #measure(column: Uint32Array): Extremes {
    const extremes = this.#places
    extremes[0] = extremes[1] = column[0]!
    this.#forBlocks(column, (block, length) =>
      this.#kernels.run.widenExtremes(block, length, extremes.byteOffset),
    )
    return { min: extremes[0], max: extremes[1] }
  }

  #forBlocks(column: LaneColumn, work: (block: number, length: number) => void): void {
    const block = this.#blocks[0]!
    for (let from = 0; from < this.#count; from += BLOCK_ROWS) {
      work(block.byteOffset, this.#copyIn(column, from, block))
    }
  }

  #copyIn(column: LaneColumn, from: number, block: LaneColumn): number {
    const to = Math.min(this.#count, from + BLOCK_ROWS)
    block.set(column.subarray(from, to))
    return to - from
  }
}
