/**
 * Tests that tsc makes and nobody runs: a type that is wrong, or an expected error that does not come, fails
 * `npm run check`.
 */
import { describe, expectTypeOf, test } from 'vitest'
import { bytes, encodings, fixed, struct } from '../../../src/encoding/encodings.js'
import type {
  ColumnsIn,
  ColumnsOut,
  Combine,
  EncodingOptions,
  KeyColumn,
  KeyEncoding,
  KeyIn,
  KeyOut,
  KeysIn,
  ValueColumnsOut,
  ValueEncoding,
  ValueIn,
  ValueOut,
  WhereIn,
} from '../../../src/encoding/types.js'

/** What a table infers from its options: `FlashTable.open` does the same. */
interface Table<K extends KeyEncoding, V extends ValueEncoding> {
  put(key: KeyIn<K>, value: ValueIn<V>): void
  get(key: KeyIn<K>): ValueOut<V> | undefined
  keys(): KeyOut<K>
  putColumns(columns: ColumnsIn<K, V>): void
  query(keys: KeysIn<K>): ColumnsOut<K, V>
  values(): ValueColumnsOut<V>
  delWhere(where: WhereIn<V>): void
}

declare function combining<K extends KeyEncoding, V extends ValueEncoding = undefined>(
  options: EncodingOptions<K, V> & { combine: Combine<V> },
): void

declare function open(): Table<KeyEncoding, ValueEncoding>
declare function open<K extends KeyEncoding, V extends ValueEncoding = undefined>(
  options: EncodingOptions<K, V>,
): Table<K, V>

type Own = ArrayBuffer

describe('types that are inferred from the encodings', () => {
  test('of a struct are those of its fields, and refuse others', () => {
    const table = open({
      keyEncoding: 'u64',
      valueEncoding: struct({ time: 'u16', flags: 'u16', id: 'i32', at: 'f64', hash: 'i64', raw: bytes(4) }),
    })
    interface Value {
      time: number
      flags: number
      id: number
      at: number
      hash: bigint
      raw: Uint8Array<Own>
    }
    expectTypeOf(table.get).parameter(0).toEqualTypeOf<bigint | number>()
    expectTypeOf(table.keys()).toEqualTypeOf<bigint>()
    expectTypeOf(table.get(1n)).toEqualTypeOf<Value | undefined>()
    expectTypeOf(table.query(new BigUint64Array(1))).toEqualTypeOf<
      { key: BigUint64Array<Own> } & {
        time: Uint16Array<Own>
        flags: Uint16Array<Own>
        id: Int32Array<Own>
        at: Float64Array<Own>
        hash: BigInt64Array<Own>
        raw: Uint8Array<Own>
      }
    >()
    expectTypeOf(table.values().raw).toEqualTypeOf<Uint8Array<Own>>()
    table.put(1n, { time: 1, flags: 2, id: 3, at: 4, hash: 5n, raw: Buffer.alloc(4) })
    table.query([1n, 2])
    table.delWhere({ id: 3 })
    table.delWhere({ time: 3, hash: 4n })
    table.delWhere({ time: { lt: 3 }, hash: { gte: 4n, lt: 9n }, at: { gt: -1, lte: 1 }, id: 3 })
    table.delWhere({ raw: { lte: new Uint8Array(4) } })
    // @ts-expect-error an operator that there is not
    table.delWhere({ time: { eq: 3 } })
    // @ts-expect-error one operator that there is not
    table.delWhere({ time: { lt: 3, ne: 3 } })
    // @ts-expect-error two bounds at one side
    table.delWhere({ time: { lt: 3, lte: 3 } })
    // @ts-expect-error two bounds at one side
    table.delWhere({ hash: { lt: 3n, gt: 3n, gte: 3n } })
    // @ts-expect-error no bound
    table.delWhere({ time: {} })
    // @ts-expect-error a number for 64 bits
    table.delWhere({ hash: { lt: 3 } })
    // @ts-expect-error a comparison of a field of another name
    table.delWhere({ Id: { lt: 3 } })
    // @ts-expect-error a key that is text
    table.put('1', { time: 1, flags: 2, id: 3, at: 4, hash: 5n, raw: new Uint8Array(4) })
    // @ts-expect-error a missing field
    table.put(1n, { time: 1, flags: 2, id: 3, at: 4, hash: 5n })
    // @ts-expect-error a number for 64 bits
    table.put(1n, { time: 1, flags: 2, id: 3, at: 4, hash: 5, raw: new Uint8Array(4) })
    // @ts-expect-error another field
    table.put(1n, { time: 1, flags: 2, id: 3, at: 4, hash: 5n, raw: new Uint8Array(4), more: 1 })
    // @ts-expect-error no value
    table.put(1n)
    // @ts-expect-error keys of a signed column
    table.query(new BigInt64Array(1))
    // @ts-expect-error a field of another name
    table.delWhere({ Id: 3 })
    // @ts-expect-error the key is no field
    table.delWhere({ key: 3n })
  })

  test('of columns are the typed arrays of the encodings, and refuse others', () => {
    const table = open({ keyEncoding: 'u32', valueEncoding: struct({ time: 'u16', id: 'i32' }) })
    const key = new Uint32Array(1)
    const time = new Uint16Array(1)
    const id = new Int32Array(1)
    table.putColumns({ key, time, id })
    table.putColumns(table.query(key))
    table.putColumns({ key: new Uint32Array(new SharedArrayBuffer(4)), time, id })
    // @ts-expect-error a missing column
    table.putColumns({ key, time })
    // @ts-expect-error no key
    table.putColumns({ time, id })
    // @ts-expect-error another column
    table.putColumns({ key, time, id, more: id })
    // @ts-expect-error another sign
    table.putColumns({ key, time: new Int16Array(1), id })
    // @ts-expect-error another width
    table.putColumns({ key, time: new Uint32Array(1), id })
    // @ts-expect-error an array of numbers
    table.putColumns({ key, time: [1], id })
    // @ts-expect-error another width of key
    table.putColumns({ key: new BigUint64Array(1), time, id })
  })

  test('of a value that is no struct are those of its encoding, in a column named value', () => {
    const table = open({ keyEncoding: bytes(20), valueEncoding: 'u64' })
    expectTypeOf(table.get).parameter(0).toEqualTypeOf<Uint8Array>()
    expectTypeOf(table.keys()).toEqualTypeOf<Uint8Array<Own>>()
    expectTypeOf(table.get(new Uint8Array(20))).toEqualTypeOf<bigint | undefined>()
    table.putColumns({ key: new Uint8Array(20), value: new BigUint64Array(1) })
    table.delWhere({ value: 5n })
    table.delWhere({ value: { lt: 5n } })
    // @ts-expect-error values are bigints
    table.delWhere({ value: { lt: 5 } })
    // @ts-expect-error values are bigints
    table.put(new Uint8Array(20), 5)
  })

  test('of a set have no values and no fields', () => {
    const table = open({ keyEncoding: 'u8' })
    expectTypeOf(table.put).parameter(0).toEqualTypeOf<number>()
    expectTypeOf(table.put).parameter(1).toEqualTypeOf<undefined>()
    expectTypeOf(table.values()).toEqualTypeOf<{}>()
    table.putColumns({ key: new Uint8Array(1) })
    // @ts-expect-error a set has no values
    table.put(1, 2)
    // @ts-expect-error a set has no fields
    table.delWhere({ value: 1 })
  })

  test('of encodings of level-transcoder are what these encode and decode', () => {
    const point = {
      name: 'point',
      format: 'view',
      encode: ([x, y]: [number, number]) => Uint8Array.of(x, y),
      decode: (view: Uint8Array): [number, number] => [view[0]!, view[1]!],
    } as const
    const table = open({
      keyEncoding: fixed('hex', 20),
      valueEncoding: struct({ text: fixed('utf-8', 4), json: fixed('json', 8), point: fixed(point, 2) }),
    })
    expectTypeOf(table.put).parameter(0).toEqualTypeOf<string | Buffer>()
    expectTypeOf(table.keys()).toEqualTypeOf<string>()
    expectTypeOf<NonNullable<ReturnType<typeof table.get>>>().toEqualTypeOf<{
      text: string
      json: unknown
      point: [number, number]
    }>()
    expectTypeOf(table.query(['ab']).key).toEqualTypeOf<Uint8Array<Own>>()
    table.put('ab', { text: 'abcd', json: [1], point: [1, 2] })
    // @ts-expect-error half a point
    table.put('ab', { text: 'abcd', json: [1], point: [1] })
  })

  test('of encodings given as objects are those of their names', () => {
    const table = open({
      keyEncoding: encodings.u64,
      valueEncoding: struct({ a: encodings.i16, b: encodings.u64 }),
    })
    expectTypeOf(table.get).parameter(0).toEqualTypeOf<bigint | number>()
    expectTypeOf<NonNullable<ReturnType<typeof table.get>>>().toEqualTypeOf<{ a: number; b: bigint }>()
    table.putColumns({ key: new BigUint64Array(1), a: new Int16Array(1), b: new BigUint64Array(1) })
  })

  test('are unknown where the encodings were left out', () => {
    const table = open()
    expectTypeOf(table.get).parameter(0).toEqualTypeOf<unknown>()
    expectTypeOf(table.keys()).toEqualTypeOf<unknown>()
    expectTypeOf(table.get('x')).toEqualTypeOf<unknown>()
    expectTypeOf(table.values()['time']).toExtend<ArrayBufferView | undefined>()
    table.putColumns({ key: new Uint8Array(1), time: new Uint16Array(1) })
    table.delWhere({ time: 1 })
  })

  test('of combine are an operator for each field, of those that its type has', () => {
    const valueEncoding = struct({ n: 'i64', f: 'f32', raw: bytes(3), g: encodings.f64 })
    const given = { keyEncoding: 'u64', valueEncoding } as const
    expectTypeOf<Combine<typeof valueEncoding>['raw']>().toEqualTypeOf<'first' | 'last'>()
    expectTypeOf(() => {
      combining({ ...given, combine: { n: 'or', f: 'sum', raw: 'last', g: 'min' } })
      combining({ keyEncoding: 'u8', valueEncoding: 'u32', combine: { value: 'sum' } })
      // @ts-expect-error a missing field
      combining({ ...given, combine: { n: 'or', f: 'sum', raw: 'last' } })
      // @ts-expect-error another field
      combining({ ...given, combine: { n: 'or', f: 'sum', raw: 'last', g: 'min', h: 'sum' } })
      // @ts-expect-error no such operator
      combining({ ...given, combine: { n: 'add', f: 'sum', raw: 'last', g: 'min' } })
      // @ts-expect-error bits of a float
      combining({ ...given, combine: { n: 'or', f: 'and', raw: 'last', g: 'min' } })
      // @ts-expect-error bits of a float given as an object
      combining({ ...given, combine: { n: 'or', f: 'sum', raw: 'last', g: 'or' } })
      // @ts-expect-error a sum of bytes
      combining({ ...given, combine: { n: 'or', f: 'sum', raw: 'sum', g: 'min' } })
      // @ts-expect-error a set has nothing to combine
      combining({ keyEncoding: 'u8', combine: {} })
    }).toBeFunction()
  })

  test('refuse what is no encoding of a key, a value or a field', () => {
    // @ts-expect-error keys are unsigned
    expectTypeOf(() => open({ keyEncoding: 'i32' })).toBeFunction()
    // @ts-expect-error an encoding without a width
    expectTypeOf(() => open({ keyEncoding: 'hex' })).toBeFunction()
    // @ts-expect-error a struct is no key
    expectTypeOf(() => open({ keyEncoding: struct({ a: 'u8' }) })).toBeFunction()
    // @ts-expect-error no such type
    expectTypeOf(() => struct({ a: 'u128' })).toBeFunction()
    // @ts-expect-error a reserved name
    expectTypeOf(() => struct({ key: 'u8' })).toBeFunction()
    // @ts-expect-error a struct in a struct
    expectTypeOf(() => struct({ a: struct({ b: 'u8' }) })).toBeFunction()
    // @ts-expect-error an encoding that is not known
    expectTypeOf(() => fixed('rot13', 4)).toBeFunction()
  })

  test('are wide enough for encodings that are known at run time alone', () => {
    const fields: Record<string, 'u8' | 'u16'> = { a: 'u8' }
    const table = open({ keyEncoding: 'u8', valueEncoding: struct(fields) })
    table.put(1, { a: 1 })
    expectTypeOf<KeyColumn<'u8' | 'u16'>>().toEqualTypeOf<Uint8Array | Uint16Array>()
  })
})
