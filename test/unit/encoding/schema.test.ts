import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytes, encodings, fixed, struct } from '../../../src/encoding/encodings.js'
import { Schema } from '../../../src/encoding/schema.js'
import type { FieldEncoding } from '../../../src/encoding/types.js'
import { DELETE_KEY, DELETE_RECORD, OperationBuffer, PUT } from '../../../src/records/operations.js'
import { FIELD_CASES } from '../../support/field-types.js'
import { thrownBy } from '../../support/thrown-by.js'

const FINGERPRINT = struct({ time: 'u16', flags: 'u16', id: 'i32' })
const fingerprints = (): Schema => Schema.create({ keyEncoding: 'u64', valueEncoding: FINGERPRINT })

/** The lanes of the rows, row by row. */
const rows = ({ count, lanes }: { count: number; lanes: readonly Uint32Array[] }): number[][] =>
  Array.from({ length: count }, (_, row) => lanes.map(lane => lane[row]!))

describe('a schema', () => {
  test('lays a record out in lanes, those of the key first', () => {
    const schema = Schema.create({
      keyEncoding: bytes(6),
      valueEncoding: struct({ a: 'i8', b: 'u64', c: bytes(5), d: 'u16' }),
    })
    expect(schema.layout).toEqual({
      keyLaneCount: 2,
      laneCount: 8,
      laneBytes: [4, 2, 1, 4, 4, 4, 1, 2],
      recordBytes: 22,
      floats: [],
    })
  })

  test('biases signed fields within their width and keeps the bits of floats', () => {
    const schema = Schema.create({
      keyEncoding: 'u8',
      valueEncoding: struct({ a: 'i8', b: 'i16', c: 'i32', d: 'i64', e: 'f32', f: 'f64' }),
    })
    const operations = new OperationBuffer(schema.layout)
    operations.appendRecord(PUT, schema.encodeRecord(9, { a: -128, b: -1, c: 0, d: -1n, e: 1, f: -1 }))
    expect(rows(operations)).toEqual([
      [9, 0, 0x7fff, 0x80000000, 0x7fffffff, 0xffffffff, 0x3f800000, 0xbff00000, 0],
    ])
  })

  test('lays bytes out big-endian, the rest right-aligned', () => {
    const schema = Schema.create({ keyEncoding: bytes(7) })
    const key = new Uint32Array(2)
    schema.encodeKey(Uint8Array.of(1, 2, 3, 4, 5, 6, 7), key)
    expect([...key]).toEqual([0x01020304, 0x050607])
  })

  test('without a value encoding is that of a set', () => {
    const set = Schema.create({ keyEncoding: 'u32', valueEncoding: undefined })
    expect(set.layout).toMatchObject({ keyLaneCount: 1, laneCount: 1, recordBytes: 4 })
    const operations = new OperationBuffer(set.layout)
    operations.appendRecord(PUT, set.encodeRecord(5, undefined))
    expect(set.decodeKey(operations.lanes, 0)).toBe(5)
    expect(set.decodeValue(operations.lanes, 0)).toBeUndefined()
    expect(thrownBy(() => operations.appendRecord(PUT, set.encodeRecord(5, {})))).toMatchObject({
      name: 'TypeError',
      code: 'FLASHTABLE_INVALID_VALUE',
      message: 'the value: expected none, because this table is a set of keys, found an object',
    })
  })
})

describe('values', () => {
  test.each(FIELD_CASES)('of $name come back as they were put, alone and in a struct', testCase => {
    const { encoding, values, extremes } = testCase
    const alone = Schema.create({ keyEncoding: 'u8', valueEncoding: encoding })
    const struck = Schema.create({
      keyEncoding: 'u8',
      valueEncoding: struct({ a: 'u8', x: encoding, b: 'u64' }),
    })
    const roundTrip = (x: unknown): void => {
      for (const [schema, value] of [
        [alone, x],
        [struck, { a: 1, x, b: 2n }],
      ] as const) {
        const operations = new OperationBuffer(schema.layout, 1)
        operations.appendRecord(PUT, schema.encodeRecord(0, value))
        operations.appendRecord(PUT, schema.encodeRecord(7, value))
        expect(schema.decodeValue(operations.lanes, 1)).toEqual(value)
        expect(schema.decodeKey(operations.lanes, 1)).toBe(7)
      }
    }
    for (const x of extremes) roundTrip(x)
    fc.assert(fc.property(values, roundTrip))
  })
})

describe('a value', () => {
  const limits = (type: FieldEncoding, value: unknown): Error => {
    const schema = Schema.create({ keyEncoding: 'u8', valueEncoding: struct({ x: type }) })
    const operations = new OperationBuffer(schema.layout)
    const error = thrownBy(() => operations.appendRecord(PUT, schema.encodeRecord(0, { x: value })))
    expect(operations.count).toBe(0)
    expect(error).toMatchObject({ code: 'FLASHTABLE_INVALID_VALUE' })
    return error
  }

  test.each([
    ['u8', 256, "field 'x': expected an integer from 0 to 255 (u8), found 256"],
    ['u8', -1, 'found -1'],
    ['u8', 1.5, 'found 1.5'],
    ['u8', NaN, 'found NaN'],
    ['i8', 128, 'an integer from -128 to 127 (i8), found 128'],
    ['i8', -129, 'found -129'],
    ['u16', 65536, 'an integer from 0 to 65535 (u16), found 65536'],
    ['i16', -32769, 'an integer from -32768 to 32767 (i16)'],
    ['u32', 2 ** 32, 'an integer from 0 to 4294967295 (u32)'],
    ['u32', Infinity, 'found Infinity'],
    ['i32', 2 ** 31, 'an integer from -2147483648 to 2147483647 (i32)'],
    ['i32', -(2 ** 31) - 1, 'found -2147483649'],
    ['u64', 2n ** 64n, 'a bigint from 0n to 18446744073709551615n (u64), found 18446744073709551616n'],
    ['u64', -1n, 'found -1n'],
    ['i64', 2n ** 63n, 'a bigint from -9223372036854775808n to 9223372036854775807n (i64)'],
    ['i64', -(2n ** 63n) - 1n, 'found -9223372036854775809n'],
    ['f32', 1e39, 'a number within the range of f32, found 1e+39'],
    ['f32', -1e300, 'found -1e+300'],
    [bytes(3), new Uint8Array(2), 'a Uint8Array of 3 bytes, found Uint8Array(2)'],
    [bytes(3), new Uint8Array(4), 'found Uint8Array(4)'],
    [fixed('hex', 2), 'ab', "field 'x': expected 2 bytes of hex, found 1 bytes in 'ab'"],
  ] as const)('of the type %s that does not fit is a RangeError: %o', (type, value, message) => {
    const error = limits(type, value)
    expect(error).toBeInstanceOf(RangeError)
    expect(error.message).toContain(message)
  })

  test.each([
    ['u8', 1n, "field 'x': expected an integer from 0 to 255 (u8), found 1n"],
    ['u8', '1', "found '1'"],
    ['u8', true, 'found true'],
    ['u8', undefined, 'found undefined'],
    ['u8', new Date(0), 'found an object'],
    ['u64', 1, 'a bigint from 0n to 18446744073709551615n (u64), found 1'],
    ['u64', '1', "found '1'"],
    ['i64', 1, '(i64), found 1'],
    ['f32', '1', "a number (f32), found '1'"],
    ['f64', 1n, 'a number (f64), found 1n'],
    ['f64', undefined, 'found undefined'],
    [bytes(2), 'ab', "a Uint8Array of 2 bytes, found 'ab'"],
    [bytes(2), [1, 2], 'found an array'],
    [bytes(2), new Int8Array(2), 'found Int8Array(2)'],
    [bytes(2), new ArrayBuffer(2), 'found an object'],
    [fixed('hex', 1), 10, 'found 10'],
  ] as const)('of the type %s that is of another type is a TypeError: %o', (type, value, message) => {
    const error = limits(type, value)
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toContain(message)
  })

  test.each([
    [undefined, "the value: expected struct({ time: 'u16', flags: 'u16', id: 'i32' }), found undefined"],
    [null, 'found null'],
    [17, 'found 17'],
    [new Uint8Array(8), 'found Uint8Array(8)'],
    [[1, 2, 3], "found another field '0'"],
    [{}, "field 'time': expected an integer from 0 to 65535 (u16), found undefined"],
    [{ time: 1, flags: 2 }, "field 'id': expected an integer"],
    [{ time: 1, flags: 2, id: 3, more: 4 }, "found another field 'more'"],
    [{ time: 1, flags: 2, id: 3, more: undefined }, "found another field 'more'"],
    [{ time: 1, flags: 2, Id: 3 }, "found another field 'Id'"],
    [{ time: 1, flags: 2, id: 3, ['__proto__']: 4 }, "found another field '__proto__'"],
  ])('of a struct with other fields is a TypeError: %o', (value, message) => {
    const schema = fingerprints()
    const operations = new OperationBuffer(schema.layout)
    const error = thrownBy(() => operations.appendRecord(PUT, schema.encodeRecord(1n, value)))
    expect(error).toMatchObject({ name: 'TypeError', code: 'FLASHTABLE_INVALID_VALUE' })
    expect(error.message).toContain(message)
    expect(operations.count).toBe(0)
  })

  test('of a struct may have its fields in any order, frozen, inherited or without a prototype', () => {
    class Fingerprint {
      readonly time = 1
      readonly id = 3
      get flags(): number {
        return 2
      }
    }
    const schema = fingerprints()
    const bare: unknown = Object.assign(Object.create(null), { id: 3, flags: 2, time: 1 })
    for (const value of [Object.freeze({ flags: 2, id: 3, time: 1 }), new Fingerprint(), bare]) {
      const operations = new OperationBuffer(schema.layout)
      operations.appendRecord(PUT, schema.encodeRecord(1n, value))
      expect(schema.decodeValue(operations.lanes, 0)).toEqual({ time: 1, flags: 2, id: 3 })
    }
  })

  test('has each of its fields read once, though a getter may give something else the next time', () => {
    const reads: PropertyKey[] = []
    const value = new Proxy(
      { time: 1, flags: 2, id: 3 },
      {
        get(target, name, receiver) {
          reads.push(name)
          return Reflect.get(target, name, receiver) as unknown
        },
      },
    )
    const schema = fingerprints()
    schema.encodeRecord(1n, value)
    expect(reads).toEqual(['time', 'flags', 'id'])
  })

  test('that puts another one while it is read leaves both whole', () => {
    const schema = fingerprints()
    const operations = new OperationBuffer(schema.layout, 1)
    const outer = {
      time: 1,
      get flags(): number {
        operations.appendRecord(PUT, schema.encodeRecord(2n ** 64n - 1n, { time: 10, flags: 20, id: 30 }))
        return 2
      },
      id: 3,
    }
    operations.appendRecord(PUT, schema.encodeRecord(1n, { time: 0, flags: 0, id: 0 }))
    operations.appendRecord(PUT, schema.encodeRecord(5n, outer))
    expect([1, 2].map(row => schema.decodeKey(operations.lanes, row))).toEqual([2n ** 64n - 1n, 5n])
    expect([1, 2].map(row => schema.decodeValue(operations.lanes, row))).toEqual([
      { time: 10, flags: 20, id: 30 },
      { time: 1, flags: 2, id: 3 },
    ])
  })

  test('of bytes is copied on its way in and out', () => {
    const schema = Schema.create({ keyEncoding: 'u8', valueEncoding: bytes(2) })
    const operations = new OperationBuffer(schema.layout)
    const value = Uint8Array.of(1, 2)
    operations.appendRecord(PUT, schema.encodeRecord(0, value))
    value.fill(9)
    const first = schema.decodeValue(operations.lanes, 0) as Uint8Array
    first.fill(9)
    expect(schema.decodeValue(operations.lanes, 0)).toEqual(Uint8Array.of(1, 2))
  })

  test('that is NaN is stored in one form, whatever its bits were', () => {
    const schema = Schema.create({ keyEncoding: 'u8', valueEncoding: struct({ a: 'f32', b: 'f64' }) })
    const [odd] = new Float64Array(BigUint64Array.of(0xfff8000000000001n).buffer)
    const operations = new OperationBuffer(schema.layout)
    operations.appendRecord(PUT, schema.encodeRecord(0, { a: NaN, b: NaN }))
    operations.appendRecord(PUT, schema.encodeRecord(0, { a: odd, b: odd }))
    const [first, second] = rows(operations)
    expect(second).toEqual(first)
  })

  test('of f32 is rounded to the nearest float', () => {
    const schema = Schema.create({ keyEncoding: 'u8', valueEncoding: 'f32' })
    const operations = new OperationBuffer(schema.layout)
    operations.appendRecord(PUT, schema.encodeRecord(0, 0.1))
    expect(schema.decodeValue(operations.lanes, 0)).toBe(Math.fround(0.1))
  })
})

describe('keys', () => {
  test.each([
    { name: 'u8', keyEncoding: 'u8', keys: fc.integer({ min: 0, max: 255 }) },
    { name: 'u16', keyEncoding: 'u16', keys: fc.integer({ min: 0, max: 65535 }) },
    { name: 'u32', keyEncoding: 'u32', keys: fc.integer({ min: 0, max: 2 ** 32 - 1 }) },
    { name: 'u64', keyEncoding: 'u64', keys: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) },
    { name: 'encodings.u64', keyEncoding: encodings.u64, keys: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) },
    { name: 'bytes(1)', keyEncoding: bytes(1), keys: fc.uint8Array({ minLength: 1, maxLength: 1 }) },
    { name: 'bytes(6)', keyEncoding: bytes(6), keys: fc.uint8Array({ minLength: 6, maxLength: 6 }) },
    { name: 'bytes(32)', keyEncoding: bytes(32), keys: fc.uint8Array({ minLength: 32, maxLength: 32 }) },
  ])('of $name come back, and order by lanes as they do themselves', ({ keyEncoding, keys }) => {
    const schema = Schema.create({ keyEncoding })
    const lanesOf = (key: unknown): number[] => {
      const lanes = new Uint32Array(schema.layout.keyLaneCount)
      schema.encodeKey(key, lanes)
      expect(
        schema.decodeKey(
          [...lanes].map(lane => Uint32Array.of(lane)),
          0,
        ),
      ).toEqual(key)
      return [...lanes]
    }
    fc.assert(
      fc.property(keys, keys, (a, b) => {
        const order =
          a instanceof Uint8Array || b instanceof Uint8Array
            ? Buffer.compare(a as Uint8Array, b as Uint8Array)
            : Number(a > b) - Number(a < b)
        expect(compare(lanesOf(a), lanesOf(b))).toBe(order)
      }),
    )
  })

  test('of u64 may be safe integers', () => {
    const schema = Schema.create({ keyEncoding: 'u64' })
    fc.assert(
      fc.property(fc.maxSafeNat(), key => {
        const lanes = new Uint32Array(2)
        schema.encodeKey(key, lanes)
        expect(schema.decodeKey([lanes.subarray(0, 1), lanes.subarray(1)], 0)).toBe(BigInt(key))
      }),
    )
  })

  test('of text order by their encoded bytes', () => {
    const schema = Schema.create({ keyEncoding: fixed('hex', 2) })
    const lanes = new Uint32Array(1)
    schema.encodeKey('FF01', lanes)
    expect(lanes[0]).toBe(0xff01)
    expect(schema.decodeKey([lanes], 0)).toBe('ff01')
  })

  test.each([
    ['u8', 256, 'the key: expected an integer from 0 to 255 (u8), found 256'],
    ['u32', -1, 'found -1'],
    ['u32', 0.5, 'found 0.5'],
    ['u64', 2 ** 53, 'or a safe integer (u64), found 9007199254740992'],
    ['u64', -1, 'found -1'],
    ['u64', NaN, 'found NaN'],
    ['u64', 1.5, 'found 1.5'],
    ['u64', 2n ** 64n, 'found 18446744073709551616n'],
    ['u64', -1n, 'found -1n'],
    [bytes(20), new Uint8Array(19), 'the key: expected a Uint8Array of 20 bytes, found Uint8Array(19)'],
    [fixed('hex', 2), 'ffffff', "the key: expected 2 bytes of hex, found 3 bytes in 'ffffff'"],
  ] as const)('of %s that do not fit are a RangeError: %o', (keyEncoding, key, message) => {
    const schema = Schema.create({ keyEncoding })
    const into = new Uint32Array(8).fill(7)
    const error = thrownBy(() => schema.encodeKey(key, into))
    expect(error).toMatchObject({ name: 'RangeError', code: 'FLASHTABLE_INVALID_KEY' })
    expect(error.message).toContain(message)
    expect([...into]).toEqual(Array(8).fill(7))
  })

  test.each([
    ['u8', 1n],
    ['u32', '1'],
    ['u64', '1'],
    ['u64', undefined],
    ['u64', null],
    [bytes(2), 'ab'],
    [bytes(2), 1],
    [fixed('hex', 2), 1],
  ] as const)('of %s that are of another type are a TypeError: %o', (keyEncoding, key) => {
    const schema = Schema.create({ keyEncoding })
    const into = new Uint32Array(8)
    expect(thrownBy(() => schema.encodeKey(key, into))).toMatchObject({
      name: 'TypeError',
      code: 'FLASHTABLE_INVALID_KEY',
    })
  })
})

describe('operations', () => {
  test('are appended with their kinds', () => {
    const schema = fingerprints()
    const operations = new OperationBuffer(schema.layout, 1)
    operations.appendRecord(PUT, schema.encodeRecord(1n, { time: 1, flags: 0, id: 1 }))
    operations.appendRecord(DELETE_RECORD, schema.encodeRecord(1n, { time: 1, flags: 0, id: 1 }))
    operations.appendRecord(DELETE_KEY, schema.encodeDeleteKey(1n))
    operations.appendRecord(PUT, schema.encodeRecord(2n, { time: 1, flags: 0, id: 1 }))
    expect([...operations.kinds!.subarray(0, 4)]).toEqual([PUT, DELETE_RECORD, DELETE_KEY, PUT])
    const record = [0, 1, 1, 0, 0x80000001]
    expect(rows(operations)).toEqual([record, record, [0, 1, 0, 0, 0], [0, 2, ...record.slice(2)]])
  })

  test('hold no column of kinds where all are puts', () => {
    const schema = fingerprints()
    const operations = new OperationBuffer(schema.layout)
    operations.appendRecord(PUT, schema.encodeRecord(1n, { time: 1, flags: 0, id: 1 }))
    expect(operations.kinds).toBeUndefined()
  })

  test('of which one fails leave the others, and the next ones, whole', () => {
    const schema = fingerprints()
    const operations = new OperationBuffer(schema.layout, 1)
    const value = { time: 1, flags: 2, id: 3 }
    operations.appendRecord(PUT, schema.encodeRecord(1n, value))
    expect(() => operations.appendRecord(PUT, schema.encodeRecord(9n, { ...value, id: 2 ** 31 }))).toThrow(
      RangeError,
    )
    expect(() =>
      operations.appendRecord(DELETE_RECORD, schema.encodeRecord(9n, { ...value, time: -1 })),
    ).toThrow(RangeError)
    expect(() => operations.appendRecord(DELETE_KEY, schema.encodeDeleteKey(-9n))).toThrow(RangeError)
    operations.appendRecord(PUT, schema.encodeRecord(2n, value))
    expect(operations.kinds).toBeUndefined()
    expect([0, 1].map(row => schema.decodeKey(operations.lanes, row))).toEqual([1n, 2n])
    expect(operations.count).toBe(2)
  })

  test('write their kind anew in a buffer that was used before', () => {
    const schema = Schema.create({ keyEncoding: 'u8' })
    const operations = new OperationBuffer(schema.layout, 4)
    operations.appendRecord(PUT, schema.encodeRecord(1, undefined))
    operations.appendRecord(DELETE_KEY, schema.encodeDeleteKey(2))
    operations.dropFirst(1)
    operations.appendRecord(PUT, schema.encodeRecord(3, undefined))
    expect([...operations.kinds!.subarray(0, 2)]).toEqual([DELETE_KEY, PUT])
  })
})

function compare(a: readonly number[], b: readonly number[]): number {
  const lane = a.findIndex((value, index) => value !== b[index])
  return lane < 0 ? 0 : Math.sign(a[lane]! - b[lane]!)
}
