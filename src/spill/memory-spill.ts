/**
 * Keeps rows in memory that are split into pieces: value columns no wider than their lanes, and none for a value that
 * all rows share.
 *
 * Memory that was never used is what costs most here: the system has to find it and to clear it. So there is little of
 * it, in shares that are let go as the file grows, for the system to write the file into. docs/architecture.md, Bulk load.
 */
import type { LaneColumn } from '../columns/operations.js'
import type { RecordLayout } from '../columns/record-layout.js'
import { cutPieces, piecesFrom } from './pieces.js'
import type { MemorySpill, Pieces, Spill } from './spill.js'

/** Copies the rows into so many spills at most, with ascending keys. */
export function spillToMemory(
  { keyLaneCount, laneBytes }: RecordLayout,
  lanes: readonly Uint32Array[],
  pieces: Pieces,
  shares: number,
): MemorySpill[] {
  return cutPieces(pieces, shares).map(range => {
    const given = lanes.map(lane => lane.subarray(pieces.starts[range.from]!, pieces.starts[range.to]!))
    return {
      kind: 'memory',
      ...piecesFrom(pieces, range),
      keyLanes: given.slice(0, keyLaneCount).map(column => copyWords(column)),
      valueLanes: given
        .slice(keyLaneCount)
        .map((column, lane) =>
          isConstant(column) ? column[0]! : narrowCopy(column, laneBytes[keyLaneCount + lane]!),
        ),
    }
  })
}

/** Bytes that the rows of these spills take in memory. */
export function bytesInMemory(spills: readonly Spill[]): number {
  const columns = spills.flatMap(spill =>
    spill.kind === 'memory' ? [...spill.keyLanes, ...spill.valueLanes] : [],
  )
  return columns.reduce<number>(
    (sum, column) => sum + (typeof column === 'number' ? 0 : column.byteLength),
    0,
  )
}

/** Bytes that so many rows take at most. */
export function memorySpillBytes({ keyLaneCount, laneBytes }: RecordLayout, rows: number): number {
  return (
    rows * laneBytes.reduce((sum, bytes, lane) => sum + (lane < keyLaneCount ? 4 : columnBytes(bytes)), 0)
  )
}

function isConstant(column: Uint32Array): boolean {
  const first = column[0]!
  for (let row = 1; row < column.length; row++) if (column[row] !== first) return false
  return true
}

/** Bytes of a value in the narrowest column for values of so many. */
function columnBytes(valueBytes: number): 1 | 2 | 4 {
  return valueBytes === 1 ? 1 : valueBytes === 2 ? 2 : 4
}

function narrowCopy(column: Uint32Array, valueBytes: number): LaneColumn {
  const bytes = columnBytes(valueBytes)
  if (bytes === 4) return copyWords(column)
  const memory = new SharedArrayBuffer(column.length * bytes)
  const copy = bytes === 1 ? new Uint8Array(memory) : new Uint16Array(memory)
  copy.set(column)
  return copy
}

function copyWords(column: Uint32Array): Uint32Array {
  const copy = new Uint32Array(new SharedArrayBuffer(column.byteLength))
  copy.set(column)
  return copy
}
