/**
 * The schema of a table: the only part of the engine that sees bigints, objects and the columns of the caller.
 *
 * It is between the API and everything else, which only knows lanes: keys and values become lanes on their way in, and
 * lanes become values and columns on their way out. Nothing that does not fit gets in. docs/file-format.md, Schema.
 */
import { invalidOption } from '../options/arguments.js'
import type { LaneColumn } from '../records/lane-columns.js'
import { OperationBuffer, type WhereTerms } from '../records/operations.js'
import { recordLayout, type RecordLayout } from '../records/record-layout.js'

import { typedArrayName } from '../base/describe-value.js'
import { FlashTableError, outOfRange } from '../base/errors.js'
import type { CombineFields } from '../options/options.js'
import { combineProblem, combineRules, combineText, storedCombine } from './combine.js'
import { checkColumns, checkKeyColumn, type GivenColumns } from './given-columns.js'
import { checkRecordBytes, keyTypeOf, keyTypeOfStored, valueTypeOf, valueTypeOfStored } from './resolve.js'
import { wrongType, type FieldType, type OwnColumn, type Place } from './field-type.js'
import {
  isFloatName,
  MAX_KEY_BYTES,
  MAX_RECORD_BYTES,
  parseStoredSchema,
  type StoredSchema,
} from './stored-schema.js'
import type { ValueType } from './value-type.js'
import { whereTerms } from './where.js'

/** The encodings of one open, not checked yet. */
export interface GivenEncodings {
  readonly keyEncoding?: unknown
  readonly valueEncoding?: unknown
  readonly combine?: CombineFields | undefined
}

/** Lanes of keys, all of one length. */
export interface KeyLanes {
  readonly count: number
  readonly lanes: readonly Uint32Array[]
}

const KEY: Place = { code: 'FLASHTABLE_INVALID_KEY', what: 'the key' }

export class Schema {
  readonly layout: RecordLayout
  /** For the manifest. */
  readonly stored: StoredSchema
  /** How the records of a key become one, for the manifest; in the order of the fields. */
  readonly combine: CombineFields | undefined
  readonly #key: FieldType
  readonly #value: ValueType
  /**
   * Room for the record that is being encoded. A call takes it while it encodes: if a getter or a custom encoding puts
   * another record meanwhile, that call finds it gone and makes its own.
   */
  #record: Uint32Array | undefined

  /** Requires: `combine` fits the value. */
  private constructor(key: FieldType, value: ValueType, combine: CombineFields | undefined) {
    this.#key = key
    this.#value = value
    this.stored = { key: key.stored, value: value.stored }
    const floats = value.fields
      .filter(({ type }) => isFloatName(type.stored.type))
      .map(({ type, at }) => ({ lane: key.laneBytes.length + at, laneCount: type.laneBytes.length }))
    const { fields } = value
    this.combine = combine && storedCombine(combine, fields)
    const rules = combine && combineRules(combine, fields, key.laneBytes.length)
    this.layout = recordLayout(key.laneBytes, value.laneBytes, floats, rules)
    checkRecordBytes('keyEncoding and valueEncoding', this.layout.recordBytes)
  }

  /** The schema of a new table. Throws a `TypeError` or `RangeError` with `FLASHTABLE_INVALID_OPTION`. */
  static create({ keyEncoding, valueEncoding, combine }: GivenEncodings): Schema {
    if (keyEncoding === undefined) {
      throw invalidOption('keyEncoding: needed to create a table, found undefined')
    }
    const value = valueTypeOf(valueEncoding)
    checkCombine(combine, value)
    return new Schema(keyTypeOf(keyEncoding), value, combine)
  }

  /** Throws what `create` and `open` throw for wrong encodings, whatever table there is. */
  static check(given: GivenEncodings): void {
    if (given.keyEncoding !== undefined) Schema.create(given)
    else if (given.valueEncoding !== undefined) throw valueEncodingAlone()
  }

  /**
   * The schema of the table that the manifest `path` describes.
   *
   * If `keyEncoding` is given, the encodings must be those of its creation. If neither is given, they are taken from
   * `stored`. Throws `FLASHTABLE_CORRUPTION` if `stored` is damaged, `FLASHTABLE_SCHEMA_MISMATCH` if it is another
   * schema, `FLASHTABLE_INVALID_OPTION`. The same for `combine`, which is stored beside the schema.
   */
  static open(stored: unknown, path: string, given: GivenEncodings, combine?: CombineFields): Schema {
    const schema = Schema.#ofStored(parseStoredSchema(stored, path), path, combine)
    if (given.keyEncoding === undefined) {
      if (given.valueEncoding !== undefined) throw valueEncodingAlone()
      checkSameCombine(path, schema, given.combine)
      return schema
    }
    const asked = Schema.create({ ...given, combine: undefined })
    checkSame(path, 'keyEncoding', schema.#key, asked.#key)
    checkSame(path, 'valueEncoding', schema.#value, asked.#value)
    checkSameCombine(path, schema, given.combine)
    return new Schema(asked.#key, asked.#value, combine)
  }

  static #ofStored(stored: StoredSchema, path: string, combine: CombineFields | undefined): Schema {
    const key = keyTypeOfStored(stored.key)
    const value = valueTypeOfStored(stored.value)
    const recordBytes = key.byteLength + value.byteLength
    if (key.byteLength > MAX_KEY_BYTES || recordBytes > MAX_RECORD_BYTES) {
      throw new FlashTableError(
        'FLASHTABLE_CORRUPTION',
        `${path} is damaged at schema: expected keys of at most ${MAX_KEY_BYTES} and records of at most ` +
          `${MAX_RECORD_BYTES} bytes, found ${key.byteLength} and ${recordBytes}`,
      )
    }
    const problem = combine && combineProblem(combine, value.fields)
    if (problem !== undefined)
      throw new FlashTableError('FLASHTABLE_CORRUPTION', `${path} is damaged at duplicates: ${problem}`)
    return new Schema(key, value, combine)
  }

  /**
   * Puts the lanes of a key at the start of `into`. Throws with `FLASHTABLE_INVALID_KEY` and leaves `into` as it was.
   *
   * Integers and bytes allocate nothing.
   */
  encodeKey(key: unknown, into: Uint32Array): void {
    this.#key.toLanes(key, into, 0, KEY)
  }

  /**
   * The lanes of a record: of a put, or of a *delete record*. Throws with `FLASHTABLE_INVALID_KEY` or `_VALUE`. The caller
   * copies them before it encodes the next record.
   */
  encodeRecord(key: unknown, value: unknown): Uint32Array {
    const record = this.#takeRecord()
    this.#key.toLanes(key, record, 0, KEY)
    this.#value.toLanes(value, record, this.layout.keyLaneCount)
    this.#record = record
    return record
  }

  /** The lanes of a *delete key*, its value lanes 0: as {@link encodeRecord}. */
  encodeDeleteKey(key: unknown): Uint32Array {
    const record = this.#takeRecord()
    this.#key.toLanes(key, record, 0, KEY)
    record.fill(0, this.layout.keyLaneCount)
    this.#record = record
    return record
  }

  /** The key of row `row`. */
  decodeKey(lanes: readonly Uint32Array[], row: number): unknown {
    return this.#key.fromLanes(lanes, 0, row)
  }

  /** The value of row `row`, `undefined` in a set. */
  decodeValue(lanes: readonly Uint32Array[], row: number): unknown {
    return this.#value.fromLanes(lanes, this.layout.keyLaneCount, row)
  }

  /**
   * The columns of a batch.
   *
   * Throws a `TypeError` for missing and unknown columns and wrong typed arrays, a `RangeError` for columns of
   * different lengths. The code is `FLASHTABLE_INVALID_KEY` for the column `key`, otherwise `FLASHTABLE_INVALID_VALUE`.
   */
  checkColumns(columns: unknown): GivenColumns {
    return checkColumns(this.#key, this.#value.fields, columns)
  }

  /** Columns that were checked as operations, all puts; copied, so that the caller may reuse the columns at once. */
  toOperations(given: GivenColumns): OperationBuffer {
    const operations = new OperationBuffer(this.layout, given.rows)
    this.columnsToLanes(given, operations.lanes, 0)
    operations.count = given.rows
    return operations
  }

  /** Fills the lanes from row `row` on with columns that were checked. No code of the caller runs. */
  columnsToLanes({ key, values, rows }: GivenColumns, lanes: readonly LaneColumn[], row: number): void {
    this.#key.columnToLanes(key, rows, lanes, 0, row)
    for (const { field, column } of values) {
      field.type.columnToLanes(column, rows, lanes, this.layout.keyLaneCount + field.at, row)
    }
  }

  /**
   * Keys for a query: their column, or an array of keys. Throws with `FLASHTABLE_INVALID_KEY`, and names the position.
   */
  keysToLanes(keys: unknown): KeyLanes {
    if (!Array.isArray(keys)) {
      const { column, rows: count } = checkKeyColumn(this.#key, KEYS, keys, ' or an array of keys')
      const lanes = newLanes(this.layout.keyLaneCount, count)
      this.#key.columnToLanes(column, count, lanes, 0, 0)
      return { count, lanes }
    }
    const count = keys.length
    // An array of holes is refused before memory is allocated for it.
    if (count > 0 && !(count - 1 in keys)) throw wrongType(KEYS, 'an array without holes', keys)
    const lanes = newLanes(this.layout.keyLaneCount, count)
    const record = new Uint32Array(lanes.length)
    const place = new KeyPlace()
    for (let i = 0; i < count; i++) {
      place.index = i
      this.#key.toLanes(keys[i], record, 0, place)
      for (let lane = 0; lane < lanes.length; lane++) lanes[lane]![i] = record[lane]!
    }
    return { count, lanes }
  }

  /** A new column of the keys of the rows `from` to `to`. */
  keyColumn(lanes: readonly Uint32Array[], from: number, to: number): OwnColumn {
    return this.#key.columnFromLanes(lanes, 0, from, to)
  }

  /** New columns of the rows `from` to `to`: the fields of the value, and `key` if `withKey` is true. */
  lanesToColumns(
    lanes: readonly Uint32Array[],
    from: number,
    to: number,
    withKey: boolean,
  ): Record<string, OwnColumn> {
    const columns: Record<string, OwnColumn> = {}
    if (withKey) columns['key'] = this.keyColumn(lanes, from, to)
    for (const { name, type, at } of this.#value.fields) {
      columns[name] = type.columnFromLanes(lanes, this.layout.keyLaneCount + at, from, to)
    }
    return columns
  }

  /**
   * The least and the greatest of the keys whose bytes begin so. Throws with `FLASHTABLE_INVALID_OPTION` where keys are no
   * bytes, and with `FLASHTABLE_INVALID_KEY`.
   */
  prefixBounds(prefix: unknown): { readonly lower: Uint32Array; readonly upper: Uint32Array } {
    const { stored, byteLength, text } = this.#key
    if (stored.type !== 'bytes' && stored.type !== 'fixed' && stored.type !== 'custom')
      throw invalidOption(`prefix: keys are ${text}, only keys of bytes have prefixes; use gte and lt`)
    if (typedArrayName(prefix) !== 'Uint8Array') throw wrongType(PREFIX, 'a Uint8Array', prefix)
    const bytes = prefix as Uint8Array
    if (bytes.length > byteLength)
      throw outOfRange(PREFIX.code, `prefix: expected at most ${byteLength} bytes, found ${bytes.length}`)
    const both = new Uint8Array(2 * byteLength)
    both.set(bytes)
    both.set(bytes, byteLength)
    both.fill(0xff, byteLength + bytes.length)
    const { lanes } = this.keysToLanes(both)
    return {
      lower: Uint32Array.from(lanes, lane => lane[0]!),
      upper: Uint32Array.from(lanes, lane => lane[1]!),
    }
  }

  /** Elements of the column of keys for each row. */
  get keyRowLength(): number {
    return this.#key.rowLength
  }

  /** Whether a key may be an object that is no typed array: one that looks like a range, for instance. */
  get hasObjectKeys(): boolean {
    const { stored } = this.#key
    return stored.type === 'custom' || (stored.type === 'fixed' && stored.encoding === 'json')
  }

  /**
   * What is asked of fields: by `delWhere`, or by `call`. Throws a `TypeError` or `RangeError` with
   * `FLASHTABLE_INVALID_VALUE`.
   */
  whereLanes(where: unknown, call = 'delWhere'): WhereTerms {
    return whereTerms(this.#value.fields, this.layout.keyLaneCount, where, call)
  }

  #takeRecord(): Uint32Array {
    const record = this.#record ?? new Uint32Array(this.layout.laneCount)
    this.#record = undefined
    return record
  }
}

function valueEncodingAlone(): TypeError {
  return invalidOption(
    'valueEncoding without keyEncoding: give both, or neither to open the table as it was created',
  )
}

const PREFIX: Place = { code: 'FLASHTABLE_INVALID_KEY', what: 'prefix' }
const KEYS: Place = { code: 'FLASHTABLE_INVALID_KEY', what: 'the keys' }

/** The place of one key among many, without a text for each. */
class KeyPlace implements Place {
  readonly code = 'FLASHTABLE_INVALID_KEY'
  index = 0

  get what(): string {
    return `keys[${this.index}]`
  }
}

function checkSame(
  path: string,
  option: string,
  stored: { readonly stored: unknown; readonly text: string },
  given: { readonly stored: unknown; readonly text: string },
): void {
  // Both are built the same way, so equal types have equal texts.
  if (JSON.stringify(stored.stored) === JSON.stringify(given.stored)) return
  throw new FlashTableError(
    'FLASHTABLE_SCHEMA_MISMATCH',
    `${path}: the table was created with another ${option}: expected ${stored.text}, found ${given.text}; ` +
      'leave the encodings out to open it as it was created',
  )
}

/** Refuses operators that do not fit the value; throws `FLASHTABLE_INVALID_OPTION`. */
function checkCombine(combine: CombineFields | undefined, value: ValueType): void {
  const problem = combine && combineProblem(combine, value.fields)
  if (problem !== undefined) throw invalidOption(`option 'combine': ${problem}`)
}

/** Whether a table that was opened combines as the caller says; all of its fields are in the schema. */
function checkSameCombine(path: string, { combine, stored }: Schema, given: CombineFields | undefined): void {
  if (given === undefined) return
  checkCombine(given, valueTypeOfStored(stored.value))
  const names = Object.keys(given)
  if (combine !== undefined && names.every(name => combine[name] === given[name])) return
  const found = combine === undefined ? 'without combine' : `with combine ${combineText(combine)}`
  throw new FlashTableError(
    'FLASHTABLE_SCHEMA_MISMATCH',
    `${path}: the table was created ${found}, but ${combineText(given)} was given; leave it out`,
  )
}

function newLanes(laneCount: number, rows: number): readonly Uint32Array[] {
  return Array.from({ length: laneCount }, () => new Uint32Array(rows))
}
