/**
 * Columns of lanes no wider than they need be: those of memtables, and of spills in memory. Elsewhere columns have 32 bits
 * a value, which loops read fastest. docs/internals.md, Memtable.
 */
import type { RecordLayout } from './record-layout.js'

/** A column of a lane; narrow ones are for lanes of one or two bytes. */
export type LaneColumn = Uint8Array | Uint16Array | Uint32Array

/** Bytes of each value of a column. */
export type ColumnWidth = 1 | 2 | 4

/** Columns begin at multiples of this. */
const ALIGNMENT = Uint32Array.BYTES_PER_ELEMENT

/** Whether the column has 32 bits a value. */
export function isWide(column: LaneColumn): column is Uint32Array {
  return column.BYTES_PER_ELEMENT === Uint32Array.BYTES_PER_ELEMENT
}

/** The width of the narrowest column that can hold values of this many bytes. */
export function narrowestWidth(valueBytes: number): ColumnWidth {
  return valueBytes === 1 ? 1 : valueBytes === 2 ? 2 : 4
}

/** The widths of a memtable's columns: keys are compared as whole words, values are as narrow as they are stored. */
export function memtableWidths({ laneBytes, keyLaneCount }: RecordLayout): ColumnWidth[] {
  return laneBytes.map((bytes, lane) => (lane < keyLaneCount ? 4 : narrowestWidth(bytes)))
}

/** Bytes of columns with these widths and this many rows, one after another. */
export function columnsBytes(widths: readonly ColumnWidth[], rows: number): number {
  return widths.reduce((sum, width) => sum + alignedBytes(width, rows), 0)
}

/** The columns in this memory, which has {@link columnsBytes} bytes. */
export function columnsIn(
  memory: SharedArrayBuffer,
  widths: readonly ColumnWidth[],
  rows: number,
): LaneColumn[] {
  let offset = 0
  return widths.map(width => {
    const column = columnAt(memory, offset, width, rows)
    offset += alignedBytes(width, rows)
    return column
  })
}

function alignedBytes(width: ColumnWidth, rows: number): number {
  return Math.ceil((width * rows) / ALIGNMENT) * ALIGNMENT
}

/** A column of this width at byte `offset` of `memory`. */
export function columnAt(
  memory: ArrayBufferLike,
  offset: number,
  width: ColumnWidth,
  rows: number,
): LaneColumn {
  if (width === 1) return new Uint8Array(memory, offset, rows)
  return width === 2 ? new Uint16Array(memory, offset, rows) : new Uint32Array(memory, offset, rows)
}
