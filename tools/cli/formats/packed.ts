/** Packed records to columns and back: `records` files, memory-mapped tables, and the records of npy files. */
import type { OwnColumn } from '../../../src/encoding/field-type.js'
import type { Field, RecordSchema } from '../schema.js'
import { emptyColumn } from '../../../src/exchange/columns.js'
import { bytesOf } from './columns.js'
import { copyStrided } from './strided.js'

/** The columns of `rows` records that stand in a row in `records`, by field name. */
export function unpackRecords(
  records: Uint8Array<ArrayBuffer>,
  rows: number,
  { fields, recordBytes }: RecordSchema,
): Map<string, OwnColumn> {
  return new Map(
    fields.map(field => {
      const { name, byteLength, offset } = field
      const column = emptyColumn(field, rows)
      const from = { bytes: records, offset, stride: recordBytes }
      copyStrided(from, { bytes: bytesOf(column), offset: 0, stride: byteLength }, byteLength, rows)
      if (field.bigEndian === true) swapBytes(column, field)
      return [name, column]
    }),
  )
}

/** Writes the records of some columns, one after another, to the start of `records`. */
export function packRecords(
  columns: Readonly<Record<string, OwnColumn>>,
  rows: number,
  { fields, recordBytes }: RecordSchema,
  records: Uint8Array<ArrayBuffer>,
): void {
  for (const { name, byteLength, offset } of fields) {
    const from = { bytes: bytesOf(columns[name]!), offset: 0, stride: byteLength }
    copyStrided(from, { bytes: records, offset, stride: recordBytes }, byteLength, rows)
  }
}

function swapBytes(column: OwnColumn, { type, byteLength }: Field): void {
  if (type === 'bytes' || byteLength === 1) return
  const bytes = Buffer.from(column.buffer, column.byteOffset, column.byteLength)
  if (byteLength === 2) bytes.swap16()
  else if (byteLength === 4) bytes.swap32()
  else bytes.swap64()
}
