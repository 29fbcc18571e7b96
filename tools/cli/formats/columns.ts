/** Columns of records: what files give, what a table takes and gives. */
import type { OwnColumn } from '../../../src/encoding/field-type.js'
import type { ScalarName } from '../../../src/encoding/stored-schema.js'

/** The columns of a table by field name, `key` among them. */
export type TableColumns = Record<string, OwnColumn> & { readonly key: OwnColumn }

/** What a file says of a column. */
export interface FileField {
  readonly name: string
  /** `text` and `binary`: values of any length, one by one; `undefined`: the file does not tell, its values are text. */
  readonly type: ScalarName | 'bytes' | 'text' | 'binary' | undefined
  /** Of a value; 0 if it may be any. */
  readonly byteLength: number
}

/**
 * A column of a file: the typed array of its type (of `bytes` with all values in a row), or values one by one:
 * numbers, bigints, texts, `Uint8Array`s; what is missing is `undefined` or `null`.
 */
export type FileColumn = OwnColumn | readonly unknown[]

/** Some records of a file. */
export interface FileBatch {
  readonly columns: ReadonlyMap<string, FileColumn>
  readonly rows: number
  /** Bytes of the file that have been read so far. */
  readonly bytesRead: number
  /** Where a row is in the file, such as `line 17`. */
  place(row: number): string
  /** What is wrong with rows as a whole, by row. */
  readonly wrong?: ReadonlyMap<number, string>
}

/** A file of records. Its batches can be read more than once, unless it is standard input. */
export interface RecordSource {
  readonly path: string
  /** How much there is to read; `undefined` if that is not known. */
  readonly bytes: number | undefined
  /** Its columns, in the order of the file. */
  readonly fields: readonly FileField[]
  /** All records, in the order of the file; only the columns of these names are needed. */
  batches(names: readonly string[]): AsyncGenerator<FileBatch>
  close(): Promise<void>
}

interface ColumnConstructor {
  new (length: number): OwnColumn
  new (buffer: ArrayBuffer): OwnColumn
}

/** The typed array of each type. */
export const COLUMN_OF = {
  u8: Uint8Array,
  u16: Uint16Array,
  u32: Uint32Array,
  u64: BigUint64Array,
  i8: Int8Array,
  i16: Int16Array,
  i32: Int32Array,
  i64: BigInt64Array,
  f32: Float32Array,
  f64: Float64Array,
} as const satisfies Record<ScalarName, unknown>

/** A column of zeros. */
export function emptyColumn(type: ScalarName | 'bytes', byteLength: number, rows: number): OwnColumn {
  if (type === 'bytes') return new Uint8Array(rows * byteLength)
  return new (COLUMN_OF[type] as unknown as ColumnConstructor)(rows)
}

/** The bytes of a typed array, without a copy. */
export function bytesOf(column: OwnColumn): Uint8Array<ArrayBuffer> {
  return new Uint8Array(column.buffer, column.byteOffset, column.byteLength)
}
