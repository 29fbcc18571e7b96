import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DeleteWhereIndex } from '../../../src/records/delete-where-index.js'
import { hideRows } from '../../../src/records/hide-rows.js'
import { DELETE_KEY, DELETE_RECORD, PUT, type DeleteWhere } from '../../../src/records/operations.js'
import { columnsOf, meaningOf, rowsOf, wideLayout, type Row } from '../../support/rows.js'

/** One key lane and three value lanes. */
const layout = wideLayout(1, 3)

/** Few values, so that entries match; extremes, so that signs would show. */
const value = fc.constantFrom(0, 1, 0x80000000, 0xffffffff)

const entry: fc.Arbitrary<DeleteWhere> = fc
  .record({
    sequence: fc.nat(30),
    lanes: fc.subarray([1, 2, 3], { minLength: 1 }),
    values: fc.tuple(value, value, value),
  })
  .map(({ sequence, lanes, values }) => ({ sequence, lanes, values: values.slice(0, lanes.length) }))

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
      entry.sequence > sequence &&
      entry.sequence < before &&
      entry.lanes.every((lane, i) => values[lane - 1] === entry.values[i]),
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
