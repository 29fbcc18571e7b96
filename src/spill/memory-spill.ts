/**
 * Keeps rows in memory, split into pieces: columns no wider than their lanes, and none for a value that all rows share.
 *
 * Memory that was never used is what costs most here: the system has to find it and to clear it.
 * docs/architecture.md, Bulk load.
 */
import type { LaneColumn, Operations } from '../columns/operations.js'
import type { RecordLayout } from '../columns/record-layout.js'
import { splitIntoPieces } from './pieces.js'
import type { MemorySpill } from './spill.js'

/** Copies the rows. Requires: puts, at least one. */
export function spillToMemory(layout: RecordLayout, rows: Operations): MemorySpill {
  const { keyLaneCount, laneBytes } = layout
  const keyLanes = rows.lanes.slice(0, keyLaneCount).map(() => sharedWords(rows.count))
  const given = rows.lanes.slice(keyLaneCount)
  const columns = given.map((column, lane) =>
    isConstant(column, rows.count) ? undefined : sharedColumn(laneBytes[keyLaneCount + lane]!, rows.count),
  )
  const pieces = splitIntoPieces(layout, rows, keyLanes, columns, false)
  const valueLanes = columns.map((column, lane) => column ?? given[lane]![0]!)
  return { kind: 'memory', ...pieces, keyLanes, valueLanes }
}

/** Bytes that so many rows take at most. */
export function memorySpillBytes({ keyLaneCount, laneBytes }: RecordLayout, rows: number): number {
  return (
    rows * laneBytes.reduce((sum, bytes, lane) => sum + (lane < keyLaneCount ? 4 : columnBytes(bytes)), 0)
  )
}

function isConstant(column: Uint32Array, rows: number): boolean {
  const first = column[0]!
  for (let row = 1; row < rows; row++) if (column[row] !== first) return false
  return true
}

/** Bytes of a value in the narrowest column for values of so many. */
function columnBytes(valueBytes: number): 1 | 2 | 4 {
  return valueBytes === 1 ? 1 : valueBytes === 2 ? 2 : 4
}

function sharedColumn(valueBytes: number, rows: number): LaneColumn {
  switch (columnBytes(valueBytes)) {
    case 1:
      return new Uint8Array(new SharedArrayBuffer(rows))
    case 2:
      return new Uint16Array(new SharedArrayBuffer(rows * 2))
    case 4:
      return sharedWords(rows)
  }
}

function sharedWords(rows: number): Uint32Array {
  return new Uint32Array(new SharedArrayBuffer(rows * Uint32Array.BYTES_PER_ELEMENT))
}
