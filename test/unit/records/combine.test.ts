/** Two records become one, for every type and operator, as the arithmetic of big integers says. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Schema } from '../../../src/encoding/schema.js'
import { bytes, struct, type CombineOperator } from '../../../src/index.js'
import { Combiner } from '../../../src/records/combine.js'
import { combinedValue } from '../../support/combine.js'
import { FIELD_CASES, type FieldCase } from '../../support/field-types.js'

const OF_ALL = ['first', 'last'] as const
const OF_FLOATS = ['sum', 'min', 'max', ...OF_ALL] as const
const OF_INTEGERS = [...OF_FLOATS, 'or', 'and'] as const

function operatorsOf({ name }: FieldCase): readonly CombineOperator[] {
  if (/^[ui]\d+$/.test(name)) return OF_INTEGERS
  return /^f\d+$/.test(name) ? OF_FLOATS : OF_ALL
}

const CASES = FIELD_CASES.flatMap(field =>
  operatorsOf(field).map(operator => [field.name, operator, field] as const),
)

/** A value of the type, often an extreme. */
function valuesOf({ values, extremes }: FieldCase): fc.Arbitrary<unknown> {
  return extremes.length === 0 ? values : fc.oneof(values, fc.constantFrom(...extremes))
}

/** A field between two others, which must stay apart from it. */
function combinerOf({ encoding }: FieldCase, operator: CombineOperator) {
  const schema = Schema.create({ keyEncoding: 'u16', valueEncoding: encoding, combine: { value: operator } })
  const combiner = Combiner.of(schema.layout)!
  const columnsOf = (values: readonly unknown[]): Uint32Array[] => {
    const rows = values.map(value => Uint32Array.from(schema.encodeRecord(7, value)))
    return Array.from({ length: schema.layout.laneCount }, (_, lane) =>
      Uint32Array.from(rows, row => row[lane]!),
    )
  }
  return { schema, combiner, columnsOf }
}

describe.each(CASES)('two records with a field %s, by %s', (name, operator, field) => {
  const { schema, combiner, columnsOf } = combinerOf(field, operator)

  test('become what the values make, wherever the row is written', () => {
    fc.assert(
      fc.property(valuesOf(field), valuesOf(field), fc.nat(2), (older, newer, at) => {
        const lanes = columnsOf([older, newer, older])
        combiner.combine(lanes, 0, lanes, 1, lanes, at)
        expect(schema.decodeValue(lanes, at)).toEqual(combinedValue(name, operator, older, newer))
        expect(schema.decodeKey(lanes, at)).toBe(7)
        if (at !== 0) expect(schema.decodeValue(lanes, 0)).toEqual(older)
        if (at !== 1) expect(schema.decodeValue(lanes, 1)).toEqual(newer)
      }),
      { numRuns: 300 },
    )
  })

  const isExact = operator !== 'sum' || name.startsWith('u')
  test.runIf(isExact)('it does not matter which neighbours are combined first', () => {
    fc.assert(
      fc.property(valuesOf(field), valuesOf(field), valuesOf(field), (a, b, c) => {
        const left = columnsOf([a, b, c])
        combiner.combine(left, 0, left, 1, left, 0)
        combiner.combine(left, 0, left, 2, left, 0)
        const right = columnsOf([a, b, c])
        combiner.combine(right, 1, right, 2, right, 1)
        combiner.combine(right, 0, right, 1, right, 0)
        expect(right.map(lane => lane[0])).toEqual(left.map(lane => lane[0]))
      }),
      { numRuns: 200 },
    )
  })
})

test('a sum that is no number has the same bits everywhere', () => {
  for (const [name, bits] of [
    ['f32', [0x7fc00000]],
    ['f64', [0x7ff80000, 0]],
  ] as const) {
    const { combiner, columnsOf } = combinerOf(
      FIELD_CASES.find(field => field.name === name)!,
      'sum',
    )
    const lanes = columnsOf([Infinity, -Infinity])
    combiner.combine(lanes, 0, lanes, 1, lanes, 0)
    expect(lanes.slice(1).map(lane => lane[0])).toEqual(bits)
  }
})

test('each field of a struct has its own operator, and a table without them has none', () => {
  const valueEncoding = struct({ a: 'u8', b: 'i64', c: 'f32', d: bytes(5) })
  const given = { keyEncoding: 'u8', valueEncoding } as const
  const schema = Schema.create({ ...given, combine: { d: 'first', c: 'min', b: 'sum', a: 'max' } })
  expect(schema.combine).toEqual({ a: 'max', b: 'sum', c: 'min', d: 'first' })
  expect(Object.keys(schema.combine!)).toEqual(['a', 'b', 'c', 'd'])
  const rows = [
    { a: 3, b: -5n, c: 0.5, d: Uint8Array.of(1, 2, 3, 4, 5) },
    { a: 2, b: 3n, c: 1.5, d: Uint8Array.of(9, 9, 9, 9, 9) },
  ].map(value => Uint32Array.from(schema.encodeRecord(1, value)))
  const lanes = rows[0]!.length
  const columns = Array.from({ length: lanes }, (_, lane) => Uint32Array.from(rows, row => row[lane]!))
  Combiner.of(schema.layout)!.combine(columns, 0, columns, 1, columns, 1)
  expect(schema.decodeValue(columns, 1)).toEqual({
    a: 3,
    b: -2n,
    c: 0.5,
    d: Uint8Array.of(1, 2, 3, 4, 5),
  })
  expect(Combiner.of(Schema.create(given).layout)).toBeUndefined()
})
