/**
 * Schemas for tests with random operations: keys and values of few choices, so that deletes hit, extremes among them.
 */
import { bytes, fixed, struct, type KeyEncoding, type ValueEncoding } from '../../src/index.js'
import type { CombineFields } from '../../src/index.js'
import { combinedValue } from './combine.js'
import type { ModelRecord } from './model.js'
import type { Random } from './random.js'

export type Key = number | bigint | Uint8Array | string
type Column =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array

/** A type of field: how its column is made, and its values. */
interface FieldKind {
  readonly encoding: never
  readonly Column: { new (length: number): Column }
  /** Elements of the column a row. */
  readonly width: number
  readonly values: readonly unknown[]
}

export interface SchemaCase {
  readonly name: string
  readonly duplicates: 'keep' | 'replace' | undefined
  readonly combine: CombineFields | undefined
  readonly pageBytes: number
  readonly keyEncoding: KeyEncoding
  readonly valueEncoding: ValueEncoding
  readonly keyKind: FieldKind
  /** A key that is likely to have records, or one that is not. */
  readonly randomKey: (random: Random) => Key
  readonly fields: ReadonlyMap<string, FieldKind>
  readonly isStruct: boolean
}

const kind = (
  encoding: unknown,
  Column: FieldKind['Column'],
  values: readonly unknown[],
  width = 1,
): FieldKind => ({
  encoding: encoding as never,
  Column,
  width,
  values,
})

const byteString = (...values: number[]): Uint8Array => Uint8Array.from(values)

/** Values of each type: the extremes, and some between. */
const KINDS = {
  u8: kind('u8', Uint8Array, [0, 1, 200, 255]),
  u16: kind('u16', Uint16Array, [0, 1, 2, 300, 65_535]),
  u32: kind('u32', Uint32Array, [0, 5, 2 ** 31, 2 ** 32 - 1]),
  u64: kind('u64', BigUint64Array, [0n, 1n, 2n ** 32n, 2n ** 64n - 1n]),
  i8: kind('i8', Int8Array, [-128, -1, 0, 1, 127]),
  i16: kind('i16', Int16Array, [-32_768, -1, 0, 7, 32_767]),
  i32: kind('i32', Int32Array, [-(2 ** 31), -1, 0, 42, 2 ** 31 - 1]),
  i64: kind('i64', BigInt64Array, [-(2n ** 63n), -1n, 0n, 2n ** 40n, 2n ** 63n - 1n]),
  f32: kind('f32', Float32Array, [0, -0, NaN, -Infinity, Math.fround(0.1), 1e10]),
  f64: kind('f64', Float64Array, [0, -0, NaN, Infinity, Math.PI, -1e300]),
  bytes3: kind(
    bytes(3),
    Uint8Array,
    [byteString(0, 0, 0), byteString(1, 2, 3), byteString(255, 255, 255)],
    3,
  ),
  bytes9: kind(bytes(9), Uint8Array, [new Uint8Array(9), byteString(9, 8, 7, 6, 5, 4, 3, 2, 1)], 9),
  hex2: kind(fixed('hex', 2), Uint8Array, ['0000', '00ff', 'abcd'], 2),
}

interface CaseOptions {
  readonly duplicates?: 'keep' | 'replace'
  readonly combine?: CombineFields
  readonly pageBytes?: number
  /** Keys below this are drawn most of the time. */
  readonly keys?: number
}

function schemaCase(
  keyName: string,
  value: Record<string, FieldKind> | FieldKind | undefined,
  { combine, duplicates = 'keep', pageBytes = 4096, keys = 40 }: CaseOptions = {},
): SchemaCase {
  const { encoding, Column, width, make } = keyKindOf(keyName)
  const isStruct = value !== undefined && !('encoding' in value)
  const fields =
    value === undefined ? {} : isStruct ? (value as Record<string, FieldKind>) : { value: value as FieldKind }
  const encodings = Object.entries(fields).map(([name, { encoding }]) => [name, encoding] as const)
  const valueEncoding: ValueEncoding = isStruct ? struct(Object.fromEntries(encodings)) : encodings[0]?.[1]
  return {
    name: `${keyName} -> ${isStruct ? Object.keys(fields).join() : (encodings[0]?.[0] ?? 'set')}, ${combine === undefined ? duplicates : Object.values(combine).join(' ')}, ${pageBytes}`,
    duplicates: combine === undefined ? duplicates : undefined,
    combine,
    pageBytes,
    keyEncoding: encoding,
    valueEncoding,
    keyKind: kind(encoding, Column, [], width),
    randomKey: random =>
      make(random.chance(0.9) ? Math.min(random.below(keys), random.below(keys)) : random.next()),
    fields: new Map(Object.entries(fields)),
    isStruct,
  }
}

interface KeyKind {
  readonly encoding: KeyEncoding
  readonly Column: FieldKind['Column']
  readonly width: number
  /** The key of a number: small numbers are few keys, some of them neighbours, some far apart. */
  readonly make: (number: number) => Key
}

function keyKindOf(name: string): KeyKind {
  switch (name) {
    case 'u8':
      return { encoding: 'u8', Column: Uint8Array, width: 1, make: n => n % 256 }
    case 'u16':
      return { encoding: 'u16', Column: Uint16Array, width: 1, make: n => (n * 801) % 65_536 }
    case 'u32':
      return {
        encoding: 'u32',
        Column: Uint32Array,
        width: 1,
        make: n => (n % 2 === 0 ? n : 2 ** 32 - 1 - n),
      }
    case 'u64':
      return {
        encoding: 'u64',
        Column: BigUint64Array,
        width: 1,
        make: n =>
          n % 3 === 0
            ? BigInt(n)
            : BigInt.asUintN(64, BigInt(n - (n % 3)) * 0x9e37_79b9_7f4a_7c15n + BigInt(n % 3)),
      }
    default: {
      const length = Number(/\d+/.exec(name)![0])
      const make = (n: number): Uint8Array => {
        const key = new Uint8Array(length).fill(n % 5 === 0 ? 255 : 0)
        // Some keys differ in their first bytes, some in their last ones.
        const at = n % 2 === 0 ? 0 : length - 1
        key[at] = n
        key[Math.floor(length / 2)] = n >>> 8
        return key
      }
      if (name.startsWith('hex')) {
        const hex = (n: number): string => Buffer.from(make(n)).toString('hex')
        return { encoding: fixed('hex', length), Column: Uint8Array, width: length, make: hex }
      }
      return { encoding: bytes(length), Column: Uint8Array, width: length, make }
    }
  }
}

/**
 * All key types and value types, sets, both kinds of duplicates, and tables that combine: by what is associative, as the
 * model does not know what is combined first.
 */
export const SCHEMA_CASES: readonly SchemaCase[] = [
  schemaCase('u64', { time: KINDS.u16, flags: KINDS.u8, id: KINDS.i32 }),
  schemaCase('u64', { time: KINDS.u16, id: KINDS.i32 }, { duplicates: 'replace', keys: 300 }),
  schemaCase('u8', { a: KINDS.i8, b: KINDS.f32, c: KINDS.bytes3 }, { keys: 256 }),
  schemaCase('u16', KINDS.f64, { pageBytes: 8192, keys: 100 }),
  schemaCase('u32', undefined, { keys: 500 }),
  schemaCase('u32', undefined, { duplicates: 'replace', keys: 2000 }),
  schemaCase('bytes(1)', KINDS.i64, { duplicates: 'replace', keys: 256 }),
  schemaCase('bytes(5)', { x: KINDS.u64, y: KINDS.i16, z: KINDS.hex2 }, { keys: 20 }),
  schemaCase('bytes(16)', KINDS.bytes9, { keys: 200 }),
  schemaCase('bytes(32)', { n: KINDS.u32, m: KINDS.i64 }, { keys: 5, pageBytes: 16_384 }),
  schemaCase('hex(7)', { f: KINDS.f64, g: KINDS.u8 }, { duplicates: 'replace', keys: 60 }),
  schemaCase('u64', KINDS.u32, { combine: { value: 'sum' }, keys: 300 }),
  schemaCase(
    'u16',
    { n: KINDS.u64, a: KINDS.i64, f: KINDS.f32, b: KINDS.bytes9, c: KINDS.i8 },
    { combine: { n: 'sum', a: 'min', f: 'max', b: 'first', c: 'or' } },
  ),
  schemaCase(
    'bytes(5)',
    { d: KINDS.f64, z: KINDS.hex2, o: KINDS.u64, i: KINDS.i16, s: KINDS.u8 },
    { combine: { d: 'min', z: 'last', o: 'and', i: 'max', s: 'sum' }, keys: 20, pageBytes: 8192 },
  ),
]

/** What two records of a key become in the model; `undefined`: both stay, or the newer one. */
export function combineRule({
  combine,
  fields,
}: SchemaCase): ((older: ModelRecord, newer: ModelRecord) => ModelRecord) | undefined {
  if (combine === undefined) return undefined
  return (older, newer) => {
    const combined = new Map(
      [...fields].map(([name, { encoding }]) => {
        const operator = combine[name]!
        const [a, b] = [older.fields.get(name)!, newer.fields.get(name)!]
        if (operator === 'first' || operator === 'last') return [name, operator === 'first' ? a : b]
        const type = encoding as string
        const valueOf = type.endsWith('64') && type !== 'f64' ? BigInt : Number
        return [name, textOf(combinedValue(type, operator, valueOf(a), valueOf(b)))]
      }),
    )
    return { key: older.key, fields: combined, value: [...combined.values()].join() }
  }
}

/** What is read, as text: 0 and -0 are told apart, as are all values but NaN of different bits. */
export function textOf(value: unknown): string {
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.length).toString('hex')
  return Object.is(value, -0) ? '-0' : String(value)
}

/** Text that orders as the keys of the schema do. */
export function keyText(key: unknown): string {
  if (typeof key === 'bigint' || typeof key === 'number') return key.toString(16).padStart(16, '0')
  return typeof key === 'string' ? key : textOf(key)
}

export interface TestRecord {
  readonly key: Key
  readonly value: unknown
  readonly model: ModelRecord
}

export function randomRecord(schema: SchemaCase, random: Random, key = schema.randomKey(random)): TestRecord {
  const fields = new Map([...schema.fields].map(([name, { values }]) => [name, random.pick(values)] as const))
  return { key, value: valueOf(schema, fields), model: modelRecord(schema, key, fields) }
}

export function modelRecord(
  schema: SchemaCase,
  key: unknown,
  fields: ReadonlyMap<string, unknown>,
): ModelRecord {
  const texts = new Map([...schema.fields.keys()].map(name => [name, textOf(fields.get(name))] as const))
  return { key: keyText(key), fields: texts, value: [...texts.values()].join() }
}

function valueOf(schema: SchemaCase, fields: ReadonlyMap<string, unknown>): unknown {
  return schema.isStruct ? Object.fromEntries(fields) : fields.get('value')
}

/** The text of a value as the table gives it. */
export function valueText(schema: SchemaCase, value: unknown): string {
  const fields = schema.isStruct ? new Map(Object.entries(value as object)) : new Map([['value', value]])
  return [...schema.fields.keys()].map(name => textOf(fields.get(name))).join()
}

/** Columns for `putColumns`. */
export function columnsOf(schema: SchemaCase, records: readonly TestRecord[]): Record<string, unknown> {
  const columns: Record<string, unknown> = {
    key: columnOf(
      schema.keyKind,
      records.map(({ key }) => key),
    ),
  }
  for (const [name, field] of schema.fields) {
    const values = records.map(({ value }) =>
      schema.isStruct ? (value as Record<string, unknown>)[name] : value,
    )
    columns[name] = columnOf(field, values)
  }
  return columns
}

export function columnOf({ Column, width }: FieldKind, values: readonly unknown[]): Column {
  const column = new Column(values.length * width)
  for (const [i, value] of values.entries()) {
    if (typeof value === 'string') (column as Uint8Array).set(Buffer.from(value, 'hex'), i * width)
    else if (value instanceof Uint8Array) (column as Uint8Array).set(value, i * width)
    else if (Number.isNaN(value)) setNaN(column, i)
    else (column as unknown as unknown[])[i] = value
  }
  return column
}

/** Signs and payloads that a NaN may have, quiet and signalling: its highest 32 bits, sign and exponent left out. */
const NAN_BITS = [0x400000, 0x7fffff, 0x400001, 1, 0x80400000, 0x807fffff, 0x80000001] as const

/** A NaN of other bits for each place. As a number it could lose them. */
function setNaN(column: Column, place: number): void {
  const view = new DataView(column.buffer, column.byteOffset)
  const bits = NAN_BITS[place % NAN_BITS.length]!
  if (column instanceof Float32Array) view.setUint32(place * 4, (bits | 0x7f800000) >>> 0, true)
  else {
    // Of an f64 the low word alone may make it a NaN.
    view.setUint32(place * 8, place, true)
    view.setUint32(
      place * 8 + 4,
      ((bits & 0x80000000) | 0x7ff00000 | (place % 2 === 0 ? 0x80000 : 1)) >>> 0,
      true,
    )
  }
}

/** The rows of columns that the table gives, as text: the key where there is one, and the value. */
export function rowsOf(
  schema: SchemaCase,
  columns: Record<string, unknown>,
): { key: string; value: string }[] {
  const kinds = new Map([...schema.fields, ['key', schema.keyKind] as const])
  const texts = new Map<string, string[]>()
  for (const [name, field] of kinds) {
    const column = columns[name] as Column | undefined
    if (column === undefined) continue
    if (!(column instanceof field.Column))
      throw new TypeError(`column ${name} is a ${column.constructor.name}`)
    const isBytes = field.encoding !== ('u8' as never) && column instanceof Uint8Array
    texts.set(
      name,
      Array.from({ length: column.length / field.width }, (_, i) => {
        const value = isBytes ? column.subarray(i * field.width, (i + 1) * field.width) : column[i]
        return name === 'key' ? keyText(value) : textOf(value)
      }),
    )
  }
  const length = [...texts.values()][0]?.length ?? 0
  for (const [name, column] of texts) {
    if (column.length !== length)
      throw new RangeError(`column ${name} has ${column.length} rows, not ${length}`)
  }
  // Columns hold the bytes of what fixed() encodes: in hex they are its values.
  return Array.from({ length }, (_, i) => ({
    key: texts.get('key')?.[i] ?? '',
    value: [...schema.fields.keys()].map(name => texts.get(name)![i]!).join(),
  }))
}
