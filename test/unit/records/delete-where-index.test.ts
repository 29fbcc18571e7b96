import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DeleteWhereIndex } from '../../../src/records/delete-where-index.js'
import { hideRows } from '../../../src/records/hide-rows.js'
import { compareLanes } from '../../../src/records/lane-ranges.js'
import { DELETE_KEY, DELETE_RECORD, PUT, type DeleteWhere } from '../../../src/records/operations.js'
import { columnsOf, meaningOf, rowsOf, wideLayout, type Row } from '../../support/rows.js'
import { matchesTerms } from '../../support/where.js'

/** One key lane and three value lanes. */
const layout = wideLayout(1, 3)

/** Few values, so that entries match; extremes, so that signs would show. */
const value = fc.constantFrom(0, 1, 0x80000000, 0xffffffff)

const equality: fc.Arbitrary<DeleteWhere> = fc
  .record({
    sequence: fc.nat(30),
    lanes: fc.subarray([1, 2, 3], { minLength: 1 }),
    values: fc.tuple(value, value, value),
  })
  .map(({ sequence, lanes, values }) => ({ sequence, lanes, values: values.slice(0, lanes.length) }))

/** A range of lane 2, or of 2 and 3, and perhaps a value or a range of lane 1. */
const comparison: fc.Arbitrary<DeleteWhere> = fc
  .record({
    sequence: fc.nat(30),
    bounds: fc.tuple(fc.tuple(value, value), fc.tuple(value, value)),
    first: fc.tuple(value, value),
    laneCount: fc.constantFrom(1, 2),
    firstIs: fc.constantFrom('any', 'a value', 'a range'),
  })
  .map(({ sequence, bounds, first, laneCount, firstIs }) => {
    const range = (lane: number, ends: readonly (readonly number[])[]) => {
      const [lower, upper] = ends.toSorted(compareLanes)
      return { lane, lower: lower!, upper: upper! }
    }
    const own = range(
      2,
      bounds.map(bound => bound.slice(0, laneCount)),
    )
    const other = firstIs === 'a range' ? [range(1, [[first[0]], [first[1]]])] : []
    const [lanes, values] = firstIs === 'a value' ? [[1], [first[0]]] : [[], []]
    return { sequence, lanes, values, ranges: [...other, own] }
  })

const entry = fc.oneof(equality, comparison)

const record: fc.Arbitrary<Row> = fc
  .record({
    key: fc.nat(5),
    values: fc.tuple(value, value, value),
    kind: fc.constantFrom(PUT, PUT, PUT, DELETE_KEY, DELETE_RECORD),
  })
  .map(({ key, values, kind }) => ({ key: BigInt(key), values, kind }))

/** The contract in one line: a matching entry that is newer than the record and that the view sees. */
function isHidden(
  entries: readonly DeleteWhere[],
  values: readonly number[],
  sequence: number,
  before: number,
): boolean {
  return entries.some(
    entry =>
      entry.sequence > sequence && entry.sequence < before && matchesTerms(entry, lane => values[lane - 1]),
  )
}

describe('an index of delete-where entries', () => {
  test('hides what a walk over all entries hides', () => {
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 25 }),
        record,
        fc.integer({ min: -1, max: 31 }),
        fc.oneof(fc.nat(32), fc.constant(Infinity)),
        (entries, row, sequence, before) => {
          const index = new DeleteWhereIndex(layout, entries)
          expect(index.size).toBe(entries.length)
          const { lanes } = columnsOf(layout, [row])
          expect(index.hides(lanes, 0, sequence, before)).toBe(
            isHidden(entries, row.values, sequence, before),
          )
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('tells lists of values apart that would read the same one behind another', () => {
    const index = new DeleteWhereIndex(layout, [{ sequence: 5, lanes: [1, 2], values: [1, 11] }])
    const hides = (values: number[]) =>
      index.hides(columnsOf(layout, [{ key: 0n, values, kind: PUT }]).lanes, 0, 1, 9)
    expect(hides([1, 11, 0])).toBe(true)
    expect(hides([11, 1, 0])).toBe(false)
  })

  test('does not get slower a record by entries with the same values', () => {
    const index = new DeleteWhereIndex(layout)
    for (let sequence = 0; sequence < 100_000; sequence++) index.add({ sequence, lanes: [1], values: [42] })
    const { lanes } = columnsOf(layout, [{ key: 0n, values: [42, 0, 0], kind: PUT }])
    let hidden = 0
    // A walk over all entries for each of these would take minutes.
    for (let i = 0; i < 100_000; i++) if (index.hides(lanes, 0, 99_999 + i, Infinity)) hidden++
    expect(hidden).toBe(0)
    expect(index.hides(lanes, 0, 99_998, Infinity)).toBe(true)
    expect(index.hides(lanes, 0, 99_997, 99_999)).toBe(true)
    expect(index.hides(lanes, 0, 99_998, 99_999)).toBe(false)
  })
})

describe('an index of entries with comparisons', () => {
  test('does not get slower a record by entries that newer ones cover', () => {
    const index = new DeleteWhereIndex(layout)
    for (let bound = 0; bound < 100_000; bound++)
      index.add({ sequence: bound, lanes: [], values: [], ranges: [{ lane: 2, lower: [0], upper: [bound] }] })
    const { lanes } = columnsOf(layout, [{ key: 0n, values: [0, 0xffff_ffff, 0], kind: PUT }])
    // A walk over all entries for each of these would take minutes.
    for (let i = 0; i < 100_000; i++) expect(index.hides(lanes, 0, -1, Infinity)).toBe(false)
    lanes[2]![0] = 70_000
    expect(index.hides(lanes, 0, 99_998, Infinity)).toBe(true)
    expect(index.hides(lanes, 0, 99_999, Infinity)).toBe(false)
    expect(index.hides(lanes, 0, 0, 70_001)).toBe(true)
    expect(index.hides(lanes, 0, 0, 70_000)).toBe(false)
  })
})

describe('hiding rows', () => {
  test('drops hidden puts, or makes them deletes of their keys, and leaves all else in order', () => {
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 40 }),
        fc.array(entry, { maxLength: 6 }),
        fc.nat(40),
        fc.nat(30),
        fc.oneof(fc.nat(32), fc.constant(Infinity)),
        fc.boolean(),
        fc.boolean(),
        (rows, entries, from, sequence, before, replace, withKinds) => {
          const columns = columnsOf(layout, rows, withKinds || rows.some(row => row.kind !== PUT))
          from = Math.min(from, rows.length)
          hideRows(columns, from, sequence, {
            deletes: new DeleteWhereIndex(layout, entries),
            before,
            replace,
          })
          const expected = rows.flatMap((row, i): Row[] => {
            if (i < from || row.kind !== PUT || !isHidden(entries, row.values, sequence, before)) return [row]
            return replace ? [{ ...row, kind: DELETE_KEY }] : []
          })
          expect(rowsOf(layout, columns)).toEqual(meaningOf(expected))
        },
      ),
      { numRuns: 1000 },
    )
  })
})
