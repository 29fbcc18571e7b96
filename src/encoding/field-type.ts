/**
 * What the engine must know about a type of field: its lanes, its values and its columns.
 *
 * It is between the API and the lanes of the engine; scalars.ts and bytes.ts implement it. Checks are made when a value
 * is turned into lanes, so that nothing wrapped, padded or cut ever gets further. docs/file-format.md, Lanes.
 */
import { describeValue } from '../base/describe-value.js'
import { invalidType, outOfRange } from '../base/errors.js'
import type { LaneColumn } from '../records/lane-columns.js'
import type { StoredFieldType } from './stored-schema.js'

/** A column of a batch or a result, one typed array for each field. */
export type Column<B extends ArrayBufferLike = ArrayBufferLike> =
  | Uint8Array<B>
  | Uint16Array<B>
  | Uint32Array<B>
  | Int8Array<B>
  | Int16Array<B>
  | Int32Array<B>
  | Float32Array<B>
  | Float64Array<B>
  | BigUint64Array<B>
  | BigInt64Array<B>

/** A column that belongs to the receiver. */
export type OwnColumn = Column<ArrayBuffer>

/** Where a value is, for errors: `the key`, `field 'time'`. */
export interface Place {
  readonly code: 'FLASHTABLE_INVALID_KEY' | 'FLASHTABLE_INVALID_VALUE'
  readonly what: string
}

/** One type of field. Lanes are counted from `at`, the first lane of the field. */
export interface FieldType {
  readonly stored: StoredFieldType
  /** As it is written in a program: `'u64'`, `bytes(20)`. */
  readonly text: string
  /** Natural width of each lane. */
  readonly laneBytes: readonly number[]
  /** Bytes of an encoded value. */
  readonly byteLength: number
  /** The name of the typed array that is its column. */
  readonly columnName: string
  /** Of an integer of one lane: the lane is the number plus this. */
  readonly bias?: number
  /** Elements of the column for each row: 1, or n for `bytes(n)`. */
  readonly rowLength: number
  /**
   * Puts the value into the lanes from `lanes[at]` on, or throws a `TypeError` or `RangeError` that names `place` and
   * leaves the lanes as they were. No code of the caller runs once the first lane is written.
   */
  toLanes(value: unknown, lanes: Uint32Array, at: number, place: Place): void
  /** The value of row `row`; it shares no memory with the lanes. */
  fromLanes(lanes: readonly Uint32Array[], at: number, row: number): unknown
  /** Fills `rows` rows of the lanes, from row `row` on. Requires: the column has `rows * rowLength` elements. */
  columnToLanes(column: Column, rows: number, lanes: readonly LaneColumn[], at: number, row: number): void
  /** A new column of the rows `from` to `to`. */
  columnFromLanes(lanes: readonly Uint32Array[], at: number, from: number, to: number): OwnColumn
  /** A column over the little-endian bytes of one value; `bytes.byteLength` is `byteLength`. */
  columnOfBytes(bytes: Uint8Array<ArrayBuffer>): OwnColumn
}

/** The value has a wrong type. */
export function wrongType(place: Place, expected: string, value: unknown): TypeError {
  return invalidType(place.code, `${place.what}: expected ${expected}, found ${describeValue(value)}`)
}

/** The value has the right type, but does not fit. */
export function outOfBounds(place: Place, expected: string, value: unknown): RangeError {
  return outOfRange(place.code, `${place.what}: expected ${expected}, found ${describeValue(value)}`)
}
