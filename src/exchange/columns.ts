/** Columns that come from elsewhere, and the typed arrays of a table's types. */
import type { OwnColumn } from '../encoding/field-type.js'
import type { ScalarName } from '../encoding/stored-schema.js'

/** What is known of a column that comes from elsewhere. */
export interface SourceField {
  readonly name: string
  /**
   * `text` and `binary`: values of any length, one by one. `undefined`: nothing is known, and its values are text; or it is
   * `refused`.
   */
  readonly type: ScalarName | 'bytes' | 'text' | 'binary' | undefined
  /** Of a value; 0 if it may be any. */
  readonly byteLength: number
  /** Why no field can be made of it: what it is. */
  readonly refused?: string | undefined
}

/**
 * The typed array of its type (of `bytes` with all values in a row), or values one by one: numbers, bigints, booleans, texts,
 * `Uint8Array`s; what is missing is `undefined` or `null`.
 */
export type SourceColumn = OwnColumn | readonly unknown[]

/** What a field of a table takes. */
export interface TargetType {
  readonly type: ScalarName | 'bytes'
  readonly byteLength: number
}

interface ColumnConstructor {
  new (length: number): OwnColumn
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
export function emptyColumn({ type, byteLength }: TargetType, rows: number): OwnColumn {
  if (type === 'bytes') return new Uint8Array(rows * byteLength)
  return new (COLUMN_OF[type] as unknown as ColumnConstructor)(rows)
}

/** Bytes of a value of a type other than `bytes`. */
export function scalarBytes(type: ScalarName): number {
  return COLUMN_OF[type].BYTES_PER_ELEMENT
}
