import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FlashTableError } from '../../../src/base/errors.js'
import { bytes, encodings, fixed, struct } from '../../../src/encoding/encodings.js'
import { Schema, type GivenEncodings } from '../../../src/encoding/schema.js'
import { OperationBuffer, PUT } from '../../../src/records/operations.js'
import { FIELD_CASES } from '../../support/field-types.js'
import { operationsOf } from '../../support/operations-of.js'
import { thrownBy } from '../../support/thrown-by.js'

const MANIFEST = '/tables/a/MANIFEST'
const point = {
  name: 'point',
  format: 'view',
  encode: ([x, y]: [number, number]) => Uint8Array.of(x, y),
  decode: (view: Uint8Array) => [view[0]!, view[1]!],
} as const

/** As it is after it was written and read. */
const stored = (given: GivenEncodings): unknown => JSON.parse(JSON.stringify(Schema.create(given).stored))

const FINGERPRINT: GivenEncodings = {
  keyEncoding: 'u64',
  valueEncoding: struct({ time: 'u16', digest: bytes(4), text: fixed('hex', 2) }),
}

describe('a stored schema', () => {
  test('has the form that docs/file-format.md shows', () => {
    expect(stored(FINGERPRINT)).toEqual({
      key: { type: 'u64' },
      value: {
        type: 'struct',
        fields: [
          { name: 'time', type: 'u16' },
          { name: 'digest', type: 'bytes', bytes: 4 },
          { name: 'text', type: 'fixed', encoding: 'hex', bytes: 2 },
        ],
      },
    })
    expect(stored({ keyEncoding: bytes(20), valueEncoding: fixed(point, 2) })).toEqual({
      key: { type: 'bytes', bytes: 20 },
      value: { type: 'custom', encoding: 'point', bytes: 2 },
    })
    expect(stored({ keyEncoding: 'u8' })).toEqual({ key: { type: 'u8' }, value: null })
  })

  test.each(FIELD_CASES)(
    'opens without the encodings as it was created: $name',
    ({ encoding, extremes, values }) => {
      const given = { keyEncoding: 'u16', valueEncoding: struct({ a: 'i8', x: encoding }) }
      const opened = Schema.open(stored(given), MANIFEST, {})
      expect(opened.layout).toEqual(Schema.create(given).layout)
      expect(opened.stored).toEqual(Schema.create(given).stored)
      const operations = new OperationBuffer(opened.layout)
      const [value] = extremes.length > 0 ? extremes : fc.sample(values, { numRuns: 1, seed: 1 })
      operations.appendRecord(PUT, opened.encodeRecord(1, { a: 1, x: value }))
      expect(opened.decodeValue(operations.lanes, 0)).toEqual({ a: 1, x: value })
    },
  )

  test.each([
    FINGERPRINT,
    { keyEncoding: 'u8' },
    { keyEncoding: bytes(32), valueEncoding: 'f64' },
    { keyEncoding: fixed('hex', 20), valueEncoding: fixed(point, 2) },
    { keyEncoding: encodings.u64, valueEncoding: encodings.i8 },
  ])('opens with the encodings of its creation: %o', given => {
    expect(Schema.open(stored(given), MANIFEST, given).stored).toEqual(Schema.create(given).stored)
  })

  test('opens with the aliases of its encodings', () => {
    const schema = stored({ keyEncoding: fixed('utf8', 4), valueEncoding: fixed('buffer', 4) })
    const given = { keyEncoding: fixed('utf-8', 4), valueEncoding: fixed('binary', 4) }
    expect(Schema.open(schema, MANIFEST, given).layout.recordBytes).toBe(8)
  })

  test.each([
    ['another key', { keyEncoding: 'u32' }, "another keyEncoding: expected 'u64', found 'u32'"],
    ['another width', { keyEncoding: bytes(8) }, "another keyEncoding: expected 'u64', found bytes(8)"],
    ['no value', {}, 'found no value'],
    ['another value', { valueEncoding: 'u16' }, "found 'u16'"],
    [
      'another name',
      { valueEncoding: struct({ Time: 'u16', digest: bytes(4), text: fixed('hex', 2) }) },
      "expected struct({ time: 'u16', digest: bytes(4), text: fixed('hex', 2) }), found struct({ Time: 'u16'",
    ],
    [
      'another order',
      { valueEncoding: struct({ digest: bytes(4), time: 'u16', text: fixed('hex', 2) }) },
      'found struct({ digest: bytes(4), time',
    ],
    [
      'another encoding',
      { valueEncoding: struct({ time: 'u16', digest: bytes(4), text: fixed('base64', 2) }) },
      "text: fixed('base64', 2)",
    ],
    [
      'a sign',
      { valueEncoding: struct({ time: 'i16', digest: bytes(4), text: fixed('hex', 2) }) },
      "time: 'i16'",
    ],
    [
      'a custom encoding of the same name',
      {
        valueEncoding: struct({ time: 'u16', digest: bytes(4), text: fixed({ ...point, name: 'hex' }, 2) }),
      },
      'text: fixed(<hex>, 2)',
    ],
  ])('is refused, and never taken for the same, where the given one has %s', (_, given, message) => {
    const asked = { keyEncoding: 'u64', ...given }
    const error = thrownBy(() => Schema.open(stored(FINGERPRINT), MANIFEST, asked))
    expect(error).toMatchObject({ name: 'FlashTableError', code: 'FLASHTABLE_SCHEMA_MISMATCH' })
    expect(error.message).toContain(MANIFEST)
    expect(error.message).toContain(message)
  })

  test('of a set is never opened with values', () => {
    const set = stored({ keyEncoding: 'u64' })
    const error = thrownBy(() => Schema.open(set, MANIFEST, { keyEncoding: 'u64', valueEncoding: 'u8' }))
    expect(error).toMatchObject({ code: 'FLASHTABLE_SCHEMA_MISMATCH' })
    expect(error.message).toContain("another valueEncoding: expected no value, found 'u8'")
  })

  test('is opened with both encodings or neither', () => {
    const error = thrownBy(() => Schema.open(stored(FINGERPRINT), MANIFEST, { valueEncoding: 'u8' }))
    expect(error).toMatchObject({ name: 'TypeError', code: 'FLASHTABLE_INVALID_OPTION' })
  })

  test('with a custom encoding that was left out has columns, and errors that say so in place of values', () => {
    const given = { keyEncoding: 'u8', valueEncoding: struct({ at: fixed(point, 2), n: 'u8' }) }
    const opened = Schema.open(stored(given), MANIFEST, {})
    const operations = operationsOf(opened, {
      key: Uint8Array.of(1),
      at: Uint8Array.of(3, 4),
      n: Uint8Array.of(5),
    })
    expect(opened.lanesToColumns(operations.lanes, 0, 1, false)).toEqual({
      at: Uint8Array.of(3, 4),
      n: Uint8Array.of(5),
    })
    const failures = [
      () => opened.decodeValue(operations.lanes, 0),
      () => operations.appendRecord(PUT, opened.encodeRecord(1, { at: [3, 4], n: 5 })),
      () => opened.whereLanes({ at: [3, 4] }),
    ]
    for (const act of failures) {
      const error = thrownBy(act)
      expect(error).toMatchObject({ name: 'TypeError', code: 'FLASHTABLE_INVALID_OPTION' })
      expect(error.message).toContain("created with the custom encoding 'point'")
    }
    const again = Schema.open(stored(given), MANIFEST, given)
    expect(again.decodeValue(operations.lanes, 0)).toEqual({ at: [3, 4], n: 5 })
  })
})

describe('a damaged schema', () => {
  const key = { type: 'u64' }
  const withFields = (fields: unknown): unknown => ({ key, value: { type: 'struct', fields } })
  const fields = (count: number): unknown =>
    Array.from({ length: count }, (_, i) => ({ name: `f${i}`, type: 'u8' }))
  const deep = JSON.parse(`${'{"type":'.repeat(5000)}1${'}'.repeat(5000)}`) as unknown

  test.each([
    ['nothing', undefined, 'schema: expected an object, found undefined'],
    ['null', null, 'schema: expected an object, found null'],
    ['text', 'u64', "schema: expected an object, found 'u64'"],
    ['an array', [], 'schema: expected an object, found an array'],
    ['no key', { value: null }, 'schema.key: expected a value, found undefined'],
    ['no value', { key }, 'schema.value: expected a value, found undefined'],
    ['more than that', { key, value: null, extra: 1 }, "schema: expected only key, value, found 'extra'"],
    ['a key that is text', { key: 'u64', value: null }, "schema.key: expected an object, found 'u64'"],
    [
      'a signed key',
      { key: { type: 'i64' }, value: null },
      'schema.key.type: expected one of u8, u16, u32, u64',
    ],
    ['a struct as key', { key: { type: 'struct', fields: fields(1) }, value: null }, "found 'struct'"],
    ['a key that is too long', { key: { type: 'bytes', bytes: 33 }, value: null }, 'keys of at most 32'],
    ['an unknown type', { key, value: { type: 'u128' } }, "found 'u128'"],
    ['a type of the prototype', { key, value: { type: 'toString' } }, "found 'toString'"],
    ['a type that is no text', { key, value: { type: 8 } }, 'schema.value.type: expected one of u8, '],
    [
      'more properties',
      { key, value: { type: 'u8', bytes: 1 } },
      "schema.value: expected only type, found 'bytes'",
    ],
    ['no width', { key, value: { type: 'bytes' } }, 'schema.value.bytes: expected a value'],
    ['a width of nothing', { key, value: { type: 'bytes', bytes: 0 } }, 'an integer from 1 to 1024, found 0'],
    ['a width in text', { key, value: { type: 'bytes', bytes: '4' } }, "found '4'"],
    ['half a width', { key, value: { type: 'bytes', bytes: 1.5 } }, 'found 1.5'],
    ['a great width', { key, value: { type: 'bytes', bytes: 1e9 } }, 'found 1000000000'],
    [
      'a record that is too long',
      { key, value: { type: 'bytes', bytes: 1020 } },
      'at most 1024 bytes, found 8 and 1028',
    ],
    [
      'an unknown encoding',
      { key, value: { type: 'fixed', encoding: 'rot13', bytes: 1 } },
      "schema.value.encoding: expected one of utf8, buffer, view, json, hex, base64, found 'rot13'",
    ],
    [
      'an encoding of the prototype',
      { key, value: { type: 'fixed', encoding: '__proto__', bytes: 1 } },
      '__proto__',
    ],
    [
      'a custom encoding without a name',
      { key, value: { type: 'custom', encoding: '', bytes: 1 } },
      "found ''",
    ],
    ['fields that are no list', withFields({ length: 1 }), 'schema.value.fields: expected 1 to 64 fields'],
    ['no fields', withFields([]), 'expected 1 to 64 fields, found 0 fields'],
    ['10,000 fields', withFields(fields(10_000)), 'expected 1 to 64 fields, found 10000 fields'],
    ['a field that is null', withFields([null]), 'schema.value.fields[0]: expected an object, found null'],
    ['a field without a name', withFields([{ type: 'u8' }]), 'schema.value.fields[0].name: expected a value'],
    [
      'a field named __proto__',
      withFields([{ name: '__proto__', type: 'u8' }]),
      'fields[0].name: expected an identifier',
    ],
    ['a field named key', withFields([{ name: 'key', type: 'u8' }]), "found 'key'"],
    [
      'a field of a great name',
      withFields([{ name: 'x'.repeat(1e6), type: 'u8' }]),
      'an identifier of 1 to 64',
    ],
    [
      'a name twice',
      withFields([
        { name: 'a', type: 'u8' },
        { name: 'a', type: 'u8' },
      ]),
      'fields[1].name: expected a name that is not taken',
    ],
    [
      'a struct in a struct',
      withFields([{ name: 'a', type: 'struct', fields: fields(1) }]),
      "found 'struct'",
    ],
    ['great depth', deep, "schema: expected only key, value, found 'type'"],
    ['great depth within', { key: deep, value: null }, 'schema.key.type: expected one of'],
  ])('with %s is reported with its place', (_, json, message) => {
    const error = thrownBy(() => Schema.open(json, MANIFEST, {}))
    expect(error).toMatchObject({ name: 'FlashTableError', code: 'FLASHTABLE_CORRUPTION' })
    expect(error.message).toContain(`${MANIFEST} is damaged at `)
    expect(error.message).toContain(message)
    expect(error.message.length).toBeLessThan(500)
  })

  test('of any JSON is reported or opened', () => {
    const part = fc.oneof(
      fc.jsonValue(),
      fc.record(
        {
          type: fc.constantFrom('u8', 'u64', 'f32', 'bytes', 'fixed', 'custom', 'struct'),
          bytes: fc.oneof(fc.integer(), fc.integer({ min: 1, max: 40 })),
          encoding: fc.oneof(fc.string(), fc.constantFrom('hex', 'json')),
          fields: fc.array(
            fc.record(
              { name: fc.string(), type: fc.constantFrom('u8', 'bytes'), bytes: fc.nat() },
              { requiredKeys: [] },
            ),
          ),
        },
        { requiredKeys: ['type'] },
      ),
    )
    fc.assert(
      fc.property(fc.record({ key: part, value: part }), json => {
        try {
          expect(Schema.open(json, MANIFEST, {}).stored).toEqual(json)
        } catch (error) {
          if (!(error instanceof FlashTableError)) throw error
          expect(error.code).toBe('FLASHTABLE_CORRUPTION')
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('the encodings of a new table', () => {
  test.each([
    [{}, 'keyEncoding: needed to create a table, found undefined'],
    [{ valueEncoding: 'u8' }, 'keyEncoding: needed to create a table'],
    [
      { keyEncoding: 'i64' },
      "keyEncoding: expected u8, u16, u32, u64, bytes(n) or fixed(encoding, n), found 'i64'",
    ],
    [{ keyEncoding: 'f64' }, "found 'f64': keys are ordered as unsigned numbers"],
    [{ keyEncoding: encodings.i8 }, "found 'i8'"],
    [{ keyEncoding: 'hex' }, "keyEncoding: 'hex' declares no width; use fixed('hex', n)"],
    [{ keyEncoding: 'u128' }, "found 'u128'"],
    [{ keyEncoding: 8 }, 'found 8'],
    [{ keyEncoding: null }, 'keyEncoding: expected u8, '],
    [{ keyEncoding: struct({ a: 'u8' }) }, 'keyEncoding: a struct stands for a whole value'],
    [{ keyEncoding: 'u8', valueEncoding: null }, 'valueEncoding: expected u8, '],
    [{ keyEncoding: 'u8', valueEncoding: { time: 'u16' } }, 'valueEncoding: the encoding declares no width'],
    [{ keyEncoding: 'u8', valueEncoding: 'json' }, "use fixed('json', n)"],
  ])('that make no schema are refused with a TypeError: %o', (given, message) => {
    const error = thrownBy(() => Schema.create(given))
    expect(error).toMatchObject({ name: 'TypeError', code: 'FLASHTABLE_INVALID_OPTION' })
    expect(error.message).toContain(message)
  })

  test.each([
    [{ keyEncoding: bytes(33) }, 'keyEncoding: expected 1 to 32 bytes, found bytes(33)'],
    [{ keyEncoding: fixed('hex', 33) }, "found fixed('hex', 33)"],
    [
      { keyEncoding: bytes(32), valueEncoding: bytes(993) },
      'keyEncoding and valueEncoding: expected at most 1024 bytes per record, found 1025',
    ],
  ])('that are too long are refused with a RangeError: %o', (given, message) => {
    const error = thrownBy(() => Schema.create(given))
    expect(error).toMatchObject({ name: 'RangeError', code: 'FLASHTABLE_INVALID_OPTION' })
    expect(error.message).toContain(message)
  })

  test('are taken where they declare their width, whatever their kind', () => {
    const schema = Schema.create({ keyEncoding: 'u8', valueEncoding: { ...point, byteLength: 2 } })
    expect(schema.stored.value).toEqual({ type: 'custom', encoding: 'point', bytes: 2 })
  })

  test('are taken where they make a record of 1,024 bytes', () => {
    const schema = Schema.create({ keyEncoding: bytes(32), valueEncoding: bytes(992) })
    expect(schema.layout).toMatchObject({ recordBytes: 1024, laneCount: 256, keyLaneCount: 8 })
  })
})
