import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytes, fixed, struct } from '../../../src/encoding/encodings.js'
import { Schema } from '../../../src/encoding/schema.js'
import { Memtable } from '../../../src/memtable/memtable.js'
import { OperationBuffer, PUT } from '../../../src/records/operations.js'
import { FIELD_CASES } from '../../support/field-types.js'
import { operationsOf } from '../../support/operations-of.js'
import { thrownBy } from '../../support/thrown-by.js'

const fingerprints = (): Schema =>
  Schema.create({ keyEncoding: 'u64', valueEncoding: struct({ time: 'u16', flags: 'u16', id: 'i32' }) })

const columns = (rows: number) => ({
  key: BigUint64Array.from({ length: rows }, (_, i) => 2n ** 63n + BigInt(i)),
  time: Uint16Array.from({ length: rows }, (_, i) => 65535 - i),
  flags: new Uint16Array(rows),
  id: Int32Array.from({ length: rows }, (_, i) => -i),
})

/** Any bits: every element of a typed array is valid, NaNs of all kinds too. */
const bitsOf = (length: number): fc.Arbitrary<Uint8Array<ArrayBuffer>> =>
  fc.uint8Array({ minLength: length, maxLength: length })

describe('columns', () => {
  test('become operations, row by row, and each is a put', () => {
    const schema = fingerprints()
    const operations = operationsOf(schema, columns(3))
    expect(operations.count).toBe(3)
    expect(operations.kinds).toBeUndefined()
    const values = [0, 1, 2].map(row => [
      schema.decodeKey(operations.lanes, row),
      schema.decodeValue(operations.lanes, row),
    ])
    expect(values).toEqual([
      [2n ** 63n, { time: 65535, flags: 0, id: 0 }],
      [2n ** 63n + 1n, { time: 65534, flags: 0, id: -1 }],
      [2n ** 63n + 2n, { time: 65533, flags: 0, id: -2 }],
    ])
  })

  test.each(FIELD_CASES)(
    'of $name hold what the values one by one hold',
    ({ encoding, Column, values, extremes }) => {
      const schema = Schema.create({ keyEncoding: 'u8', valueEncoding: struct({ a: 'u8', x: encoding }) })
      const check = (list: readonly unknown[]): void => {
        const puts = new OperationBuffer(schema.layout)
        for (const x of list) puts.appendRecord(PUT, schema.encodeRecord(1, { a: 2, x }))
        const out = schema.lanesToColumns(puts.lanes, 0, list.length, true)
        expect(Object.keys(out)).toEqual(['key', 'a', 'x'])
        expect(out['x']).toBeInstanceOf(Column)
        const again = operationsOf(schema, out)
        expect(again.count).toBe(list.length)
        expect(list.map((_, row) => schema.decodeValue(again.lanes, row))).toEqual(
          list.map(x => ({ a: 2, x })),
        )
        for (const [lane, column] of again.lanes.entries()) {
          expect(column.subarray(0, list.length)).toEqual(puts.lanes[lane]!.subarray(0, list.length))
        }
      }
      check(extremes)
      fc.assert(fc.property(fc.array(values, { maxLength: 20 }), check))
    },
  )

  test.each(FIELD_CASES)('of $name are in the columns of a memtable what they are in wide ones', given => {
    const { encoding, Column, byteLength } = given
    const schema = Schema.create({ keyEncoding: 'u16', valueEncoding: struct({ a: 'i8', x: encoding }) })
    fc.assert(
      fc.property(bitsOf(byteLength * 5), bitsOf(5), (bits, others) => {
        const x = new (Column as unknown as typeof Uint8Array)(bits.buffer)
        const a = new Int8Array(others.buffer)
        const checked = schema.checkColumns({ key: Uint16Array.of(0, 1, 2, 256, 65535), a, x })
        const memtable = new Memtable(schema.layout, 7, 0)
        memtable.reserveRows(7)
        schema.columnsToLanes(checked, memtable.lanes, 2)
        memtable.appendTail(7)
        const copy = new OperationBuffer(schema.layout)
        copy.append(memtable, 2, 7)
        const expected = schema.toOperations(checked)
        expect(copy.lanes.map(lane => [...lane.subarray(0, 5)])).toEqual(
          expected.lanes.map(lane => [...lane.subarray(0, 5)]),
        )
      }),
    )
  })

  test.each(FIELD_CASES)('of $name keep every bit', ({ encoding, Column, byteLength }) => {
    const schema = Schema.create({ keyEncoding: 'u8', valueEncoding: encoding })
    fc.assert(
      fc.property(bitsOf(byteLength * 5), bits => {
        const value = new (Column as unknown as typeof Uint8Array)(bits.buffer)
        const operations = operationsOf(schema, { key: new Uint8Array(5), value })
        const out = schema.lanesToColumns(operations.lanes, 0, 5, false)
        expect(new Uint8Array(out['value']!.buffer)).toEqual(bits)
      }),
    )
  })

  test.each(['u8', 'u16', 'u32', 'u64', 'bytes(1)', 'bytes(7)', 'bytes(32)', "fixed('hex', 5)"])(
    'of keys of %s keep every bit',
    name => {
      const { encoding, Column, byteLength } = FIELD_CASES.find(testCase => testCase.name === name)!
      const schema = Schema.create({ keyEncoding: encoding })
      fc.assert(
        fc.property(bitsOf(byteLength * 5), bits => {
          const key = new (Column as unknown as typeof Uint8Array)(bits.buffer)
          const operations = operationsOf(schema, { key })
          expect(operations.count).toBe(5)
          expect(schema.lanesToColumns(operations.lanes, 0, 5, true)).toEqual({ key })
          const keys = [0, 1, 2, 3, 4].map(row => schema.decodeKey(operations.lanes, row))
          for (const query of [key, keys]) {
            const { count, lanes } = schema.keysToLanes(query)
            expect(count).toBe(5)
            expect(lanes).toEqual(operations.lanes)
          }
        }),
      )
    },
  )

  test.each(FIELD_CASES)(
    'of a stretch of rows hold the values of these rows alone: $name',
    ({ encoding, Column, byteLength }) => {
      const schema = Schema.create({ keyEncoding: 'u8', valueEncoding: encoding })
      const bits = Uint8Array.from({ length: byteLength * 10 }, (_, i) => i * 37)
      const value = new (Column as unknown as typeof Uint8Array)(bits.buffer)
      const { lanes } = operationsOf(schema, { key: new Uint8Array(10), value })
      const part = schema.lanesToColumns(lanes, 3, 6, false)['value']!
      expect(new Uint8Array(part.buffer)).toEqual(bits.slice(byteLength * 3, byteLength * 6))
    },
  )

  test('without rows become no operations, and come back without rows', () => {
    const schema = fingerprints()
    const operations = operationsOf(schema, columns(0))
    expect(operations.count).toBe(0)
    expect(schema.lanesToColumns(operations.lanes, 0, 0, true)).toEqual(columns(0))
  })

  test('of a set are those of the keys alone', () => {
    const set = Schema.create({ keyEncoding: 'u16' })
    const operations = operationsOf(set, { key: Uint16Array.of(3, 4) })
    expect(set.lanesToColumns(operations.lanes, 0, 2, false)).toEqual({})
    expect(set.lanesToColumns(operations.lanes, 0, 2, true)).toEqual({ key: Uint16Array.of(3, 4) })
  })

  test('may be parts of a larger buffer, at any offset', () => {
    const schema = Schema.create({
      keyEncoding: bytes(3),
      valueEncoding: struct({ a: 'i8', b: 'u16', c: 'f32', d: 'i64', e: 'i16' }),
    })
    const memory = Uint8Array.from({ length: 256 }, (_, i) => i * 37)
    const part = {
      key: memory.subarray(5, 11),
      a: new Int8Array(memory.buffer, 13, 2),
      b: new Uint16Array(memory.buffer, 30, 2),
      c: new Float32Array(memory.buffer, 44, 2),
      d: new BigInt64Array(memory.buffer, 72, 2),
      e: new Int16Array(memory.buffer, 102, 2),
    }
    const { lanes } = operationsOf(schema, part)
    expect(schema.lanesToColumns(lanes, 0, 2, true)).toEqual(part)
  })

  test('are copied on their way in and out: what is written to them later changes nothing', () => {
    const schema = fingerprints()
    const given = columns(2)
    const operations = operationsOf(schema, given)
    for (const column of Object.values(given)) new Uint8Array(column.buffer).fill(0)
    const first = schema.lanesToColumns(operations.lanes, 0, 2, true)
    expect(first).toEqual(columns(2))
    for (const column of Object.values(first)) new Uint8Array(column.buffer).fill(0)
    expect(schema.lanesToColumns(operations.lanes, 0, 2, true)).toEqual(columns(2))
  })

  test('of bytes may be Buffers, and come back as plain Uint8Arrays', () => {
    const schema = Schema.create({ keyEncoding: bytes(2) })
    const operations = operationsOf(schema, { key: Buffer.of(1, 2, 3, 4) })
    const out = schema.lanesToColumns(operations.lanes, 0, 2, true)['key']
    expect(out).toEqual(Uint8Array.of(1, 2, 3, 4))
    expect(Buffer.isBuffer(out)).toBe(false)
  })

  test('are read once each, though a getter may give something else the next time', () => {
    let reads = 0
    const given = {
      ...columns(2),
      get time() {
        return reads++ === 0 ? new Uint16Array(2) : 'another'
      },
    }
    expect(operationsOf(fingerprints(), given).count).toBe(2)
    expect(reads).toBe(1)
  })

  test.each([
    [{ time: new Uint8Array(3) }, "column 'time': expected Uint16Array ('u16'), found Uint8Array(3)"],
    [{ id: new Uint32Array(3) }, "column 'id': expected Int32Array ('i32'), found Uint32Array(3)"],
    [{ time: [1, 2, 3] }, 'found an array'],
    [{ time: undefined }, "column 'time': expected Uint16Array ('u16'), found undefined"],
    [{ time: new DataView(new ArrayBuffer(6)) }, 'found an object'],
    [
      { tme: new Uint16Array(3) },
      "the columns: expected an object of the typed arrays key, time, flags, id, found another one, 'tme'",
    ],
    [{ query: new Uint32Array(3) }, "found another one, 'query'"],
  ])('that the table does not have, or of another kind, are a TypeError: %o', (change, message) => {
    const error = thrownBy(() => operationsOf(fingerprints(), { ...columns(3), ...change }))
    expect(error).toMatchObject({ name: 'TypeError', code: 'FLASHTABLE_INVALID_VALUE' })
    expect(error.message).toContain(message)
  })

  test.each([[undefined], [null], [[]], [new Uint8Array(3)], ['key']])(
    'that are no object with names are refused: %o',
    given => {
      expect(thrownBy(() => operationsOf(fingerprints(), given))).toMatchObject({ name: 'TypeError' })
    },
  )

  test.each([[undefined], [new BigInt64Array(3)], [[1n, 2n, 3n]]])(
    'without a column of keys are a TypeError: %o',
    key => {
      const error = thrownBy(() => operationsOf(fingerprints(), { ...columns(3), key }))
      expect(error).toMatchObject({ name: 'TypeError', code: 'FLASHTABLE_INVALID_KEY' })
      expect(error.message).toContain("column 'key': expected BigUint64Array ('u64'), found ")
    },
  )

  test('of different lengths are a RangeError', () => {
    const error = thrownBy(() => operationsOf(fingerprints(), { ...columns(3), flags: new Uint16Array(2) }))
    expect(error).toMatchObject({
      name: 'RangeError',
      code: 'FLASHTABLE_INVALID_VALUE',
      message: "column 'flags': expected 3 elements, because column 'key' has 3 rows, found 2",
    })
  })

  test('of bytes that are no whole rows are a RangeError', () => {
    const schema = Schema.create({ keyEncoding: bytes(4), valueEncoding: bytes(3) })
    expect(
      thrownBy(() => operationsOf(schema, { key: new Uint8Array(10), value: new Uint8Array(6) })),
    ).toMatchObject({
      name: 'RangeError',
      code: 'FLASHTABLE_INVALID_KEY',
      message: "column 'key': expected a multiple of 4 bytes (bytes(4)), found 10",
    })
    expect(
      thrownBy(() => operationsOf(schema, { key: new Uint8Array(8), value: new Uint8Array(7) })),
    ).toMatchObject({
      name: 'RangeError',
      code: 'FLASHTABLE_INVALID_VALUE',
      message: "column 'value': expected 6 elements, because column 'key' has 2 rows, found 7",
    })
  })
})

describe('keys of a query', () => {
  test('become lanes from an array of keys', () => {
    const schema = Schema.create({ keyEncoding: 'u64' })
    const { count, lanes } = schema.keysToLanes([1n, 2, 2n ** 64n - 1n])
    expect([count, lanes.map(lane => [...lane])]).toEqual([
      3,
      [
        [0, 0, 2 ** 32 - 1],
        [1, 2, 2 ** 32 - 1],
      ],
    ])
  })

  test('become no rows where there are none, in an array and in a column', () => {
    expect(fingerprints().keysToLanes([]).count).toBe(0)
    expect(fingerprints().keysToLanes(new BigUint64Array(0)).count).toBe(0)
  })

  test.each([
    [[1n, -1n], 'RangeError', 'keys[1]: expected a bigint from 0n'],
    [
      [1n, 'x'],
      'TypeError',
      "keys[1]: expected a bigint from 0n to 18446744073709551615n or a safe integer (u64), found 'x'",
    ],
    [
      new BigInt64Array(2),
      'TypeError',
      "the keys: expected BigUint64Array ('u64') or an array of keys, found BigInt64Array(2)",
    ],
    [5n, 'TypeError', 'found 5n'],
    [undefined, 'TypeError', 'found undefined'],
    [new Set([1n]), 'TypeError', 'found an object'],
  ])('of another kind are an error that names the place: %o', (keys, name, message) => {
    const error = thrownBy(() => fingerprints().keysToLanes(keys))
    expect(error).toMatchObject({ name, code: 'FLASHTABLE_INVALID_KEY' })
    expect(error.message).toContain(message)
  })
})

describe('the fields of a delete where', () => {
  test('become the lanes that hold them', () => {
    const schema = Schema.create({
      keyEncoding: 'u64',
      valueEncoding: struct({ a: 'u8', b: 'i64', c: 'i8', d: fixed('hex', 5) }),
    })
    expect(schema.whereLanes({ c: -1 })).toEqual({ lanes: [5], values: [127] })
    expect(schema.whereLanes({ d: '0102030405', b: -1n })).toEqual({
      lanes: [3, 4, 6, 7],
      values: [0x7fffffff, 0xffffffff, 0x01020304, 5],
    })
  })

  test('of a value that is no struct is the field value', () => {
    const schema = Schema.create({ keyEncoding: 'u64', valueEncoding: 'u32' })
    expect(schema.whereLanes({ value: 7 })).toEqual({ lanes: [2], values: [7] })
  })

  test('match the records that hold the same value, NaN too', () => {
    const schema = Schema.create({ keyEncoding: 'u8', valueEncoding: struct({ x: 'f64' }) })
    const operations = new OperationBuffer(schema.layout)
    operations.appendRecord(PUT, schema.encodeRecord(1, { x: NaN }))
    const { lanes, values } = schema.whereLanes({ x: NaN })
    expect(lanes.map(lane => operations.lanes[lane]![0])).toEqual(values)
  })

  test.each([
    [{}, 'TypeError', 'delWhere: expected one or more of the fields time, flags, id, found none'],
    [undefined, 'TypeError', 'found undefined'],
    [[], 'TypeError', 'found none'],
    [{ key: 1n }, 'TypeError', "found another one, 'key'"],
    [{ id: 1, more: 2 }, 'TypeError', "found another one, 'more'"],
    [{ id: undefined }, 'TypeError', "field 'id': expected an integer"],
    [{ id: '1' }, 'TypeError', "found '1'"],
    [{ time: 65536 }, 'RangeError', "field 'time': expected an integer from 0 to 65535 (u16), found 65536"],
  ])('that no record can have are refused: %o', (where, name, message) => {
    const error = thrownBy(() => fingerprints().whereLanes(where))
    expect(error).toMatchObject({ name, code: 'FLASHTABLE_INVALID_VALUE' })
    expect(error.message).toContain(message)
  })

  test('are refused by a set, which has none, and the error names del', () => {
    const error = thrownBy(() => Schema.create({ keyEncoding: 'u8' }).whereLanes({ value: 1 }))
    expect(error).toMatchObject({ name: 'TypeError', code: 'FLASHTABLE_INVALID_VALUE' })
    expect(error.message).toContain('use del(key)')
  })
})
