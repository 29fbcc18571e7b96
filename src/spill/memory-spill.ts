/**
 * Keeps rows in memory, split into pieces: columns no wider than their lanes, and none for a value that all rows share.
 *
 * Page faults on fresh memory dominate. Therefore columns are narrow, and each share is released as soon as its rows are
 * in the file. docs/internals.md, Bulk load.
 */
import {
  columnsBytes,
  columnsIn,
  narrowestWidth,
  type ColumnWidth,
  type LaneColumn,
} from '../records/lane-columns.js'
import type { Operations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { cutPieces, piecesFrom, splitIntoPieces } from './pieces.js'
import type { MemorySpill, Spill } from './spill.js'

/** The system maps at most 65,530 pieces of memory for a process. */
const MAPPED_BYTES_MIN = 2 ** 20

/**
 * Copies the rows into at most `shares` spills, with ascending keys. `scratch`: room for all rows, one column for each
 * lane. Requires: puts, at least one.
 */
export function spillToMemory(
  layout: RecordLayout,
  { lanes, count, kinds }: Operations,
  scratch: readonly LaneColumn[],
  shares: number,
): MemorySpill[] {
  const { keyLaneCount, laneBytes } = layout
  const shared = lanes.map((column, lane) => (lane < keyLaneCount ? undefined : sharedValue(column, count)))
  const isStored = (_: unknown, lane: number) => shared[lane] === undefined
  const stored = { lanes: lanes.filter(isStored), count, kinds }
  const split = scratch.filter(isStored)
  const widths = laneBytes.filter(isStored).map(narrowestWidth)
  const pieces = splitIntoPieces(layout, stored, split, false)
  return cutPieces(pieces, shares).map(range => {
    const { starts } = pieces
    const copies = copyColumns(split, starts[range.from]!, starts[range.to]!, widths)
    let next = 0
    return {
      kind: 'memory',
      ...piecesFrom(pieces, range),
      lanes: shared.map(value => value ?? copies[next++]!),
    }
  })
}

/** Bytes that the rows of these spills take in memory. */
export function bytesInMemory(spills: readonly Spill[]): number {
  const columns = spills.flatMap(spill => (spill.kind === 'memory' ? spill.lanes : []))
  return columns.reduce<number>(
    (sum, column) => sum + (typeof column === 'number' ? 0 : column.byteLength),
    0,
  )
}

/** The most bytes that this many rows take. */
export function memorySpillBytes({ laneBytes }: RecordLayout, rows: number): number {
  return rows * laneBytes.reduce((sum, bytes) => sum + narrowestWidth(bytes), 0)
}

/** The value that the first `count` rows have, if they share one. */
function sharedValue(column: LaneColumn, count: number): number | undefined {
  const first = column[0]!
  for (let row = 1; row < count; row++) if (column[row] !== first) return undefined
  return first
}

/** Copies rows [from, to) into columns with these widths, one after another in the same memory. */
function copyColumns(
  columns: readonly LaneColumn[],
  from: number,
  to: number,
  widths: readonly ColumnWidth[],
): LaneColumn[] {
  const copies = columnsIn(sharedMemory(columnsBytes(widths, to - from)), widths, to - from)
  for (const [i, copy] of copies.entries()) copy.set(columns[i]!.subarray(from, to))
  return copies
}

/**
 * Large buffers are made growable: V8 then maps them separately, and unmaps them when they are collected. The allocator
 * would keep what it has cut out of a larger block.
 */
function sharedMemory(bytes: number): SharedArrayBuffer {
  const options = bytes < MAPPED_BYTES_MIN ? {} : { maxByteLength: bytes }
  return new SharedArrayBuffer(bytes, options)
}
