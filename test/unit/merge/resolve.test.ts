import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { resolve } from '../../../src/merge/resolve.js'
import { DELETE_KEY, DELETE_RECORD, PUT } from '../../../src/records/operations.js'
import { recordLayout } from '../../../src/records/record-layout.js'
import { applied, byKey, histories } from '../../support/history.js'
import { after } from '../../support/oracle.js'
import { columnsOf, meaningOf, rowsOf, wideLayout, type Row } from '../../support/rows.js'

const layout = wideLayout(1, 2)

function resolved(rows: readonly Row[], replace: boolean, keepDeletes: boolean): Row[] {
  const columns = columnsOf(layout, byKey(rows))
  resolve(columns, { layout, replace, keepDeletes })
  return rowsOf(layout, columns)
}

const operations = histories({ maxLength: 40, keys: 4 })

describe.each([
  ['keep', false],
  ['replace', true],
])('what is left of operations, with duplicates: %s', (_, replace) => {
  test('is the records of the history, where nothing older can exist', () => {
    fc.assert(
      fc.property(operations, rows => {
        expect(resolved(rows, replace, false)).toEqual(byKey(applied(rows, replace)))
      }),
      { numRuns: 1000 },
    )
  })

  test('does to everything older what all of them would do, where deletes are kept', () => {
    fc.assert(
      fc.property(operations, operations, (older, rows) => {
        const records = applied(older, replace)
        const expected = byKey(applied(rows, replace, records))
        const left = resolved(rows, replace, true)
        expect(byKey(applied(left, replace, records))).toEqual(expected)
        // And in as many rows at the most: a merge never grows.
        expect(left.length).toBeLessThanOrEqual(rows.length)
      }),
      { numRuns: 2000 },
    )
  })

  test('is the same when it is resolved again', () => {
    fc.assert(
      fc.property(operations, fc.boolean(), (rows, keepDeletes) => {
        const once = resolved(rows, replace, keepDeletes)
        expect(resolved(once, replace, keepDeletes)).toEqual(once)
      }),
    )
  })

  test('has no column of kinds where only puts are left', () => {
    const rows: Row[] = [
      { key: 1n, values: [1, 1], kind: DELETE_KEY },
      { key: 1n, values: [2, 2], kind: PUT },
    ]
    const columns = columnsOf(layout, rows)
    resolve(columns, { layout, replace, keepDeletes: false })
    expect(columns.kinds).toBeUndefined()
    expect(rowsOf(layout, columns)).toEqual([rows[1]])
  })

  test('is nothing of nothing', () => {
    expect(resolved([], replace, true)).toEqual([])
  })
})

describe('with duplicates: keep', () => {
  const put = (value: number): Row => ({ key: 7n, values: [value, 0], kind: PUT })
  const deleteRecord = (value: number): Row => ({ key: 7n, values: [value, 0], kind: DELETE_RECORD })
  const deleteKey: Row = { key: 7n, values: [0, 0], kind: DELETE_KEY }

  test('a delete of a record leaves newer and other records, and stays for the older ones', () => {
    const rows = [put(1), put(2), deleteRecord(1), put(1)]
    expect(resolved(rows, false, true)).toEqual([put(2), deleteRecord(1), put(1)])
    expect(resolved(rows, false, false)).toEqual([put(2), put(1)])
  })

  test('of a record deleted twice one delete stays', () => {
    expect(resolved([deleteRecord(1), put(2), deleteRecord(1)], false, true)).toEqual([
      put(2),
      deleteRecord(1),
    ])
  })

  test('a deleted key needs no older deletes', () => {
    const rows = [put(1), deleteKey, deleteRecord(1), deleteKey, put(3), deleteRecord(2)]
    expect(resolved(rows, false, true)).toEqual(meaningOf([deleteKey, put(3), deleteRecord(2)]))
  })
})

describe('with duplicates: replace', () => {
  const put = (value: number): Row => ({ key: 7n, values: [value, 0], kind: PUT })
  const deleteRecord = (value: number): Row => ({ key: 7n, values: [value, 0], kind: DELETE_RECORD })
  const deleteKey: Row = { key: 7n, values: [], kind: DELETE_KEY }

  test('a deleted newest record hides what it had replaced', () => {
    expect(resolved([put(1), put(2), deleteRecord(2)], true, false)).toEqual([])
    expect(resolved([put(1), put(2), deleteRecord(2)], true, true)).toEqual([deleteKey])
  })

  test('a delete of a record that was replaced does nothing', () => {
    expect(resolved([put(1), put(2), deleteRecord(1)], true, false)).toEqual([put(2)])
    expect(resolved([put(1), put(2), deleteRecord(1)], true, true)).toEqual([put(2)])
  })

  test('deletes of records alone stay: which record is the newest is not known', () => {
    const rows = [deleteRecord(1), deleteRecord(2)]
    expect(resolved(rows, true, true)).toEqual(rows)
    expect(resolved(rows, true, false)).toEqual([])
  })
})

describe('with combine', () => {
  const combining = recordLayout(
    [4],
    [4, 4],
    [],
    [
      { operator: 'sum', lane: 1, laneCount: 1, number: 'unsigned' },
      { operator: 'last', lane: 2, laneCount: 1, number: 'unsigned' },
    ],
  )
  const rules = {
    keyOf: ({ key }: Row) => key,
    isSame: () => false,
    replace: false,
    combine: (a: Row, b: Row): Row => ({ ...b, values: [a.values[0]! + b.values[0]!, b.values[1]!] }),
  }
  const recordsOf = (rows: readonly Row[], records: readonly Row[] = []): readonly Row[] =>
    rows.reduce(
      (left, row) =>
        after(left, row.kind === PUT ? { kind: 'put', record: row } : { kind: 'del', key: row.key }, rules),
      records,
    )
  const left = (rows: readonly Row[], keepDeletes: boolean): Row[] => {
    const columns = columnsOf(combining, byKey(rows))
    resolve(columns, { layout: combining, replace: false, keepDeletes })
    return rowsOf(combining, columns)
  }
  const puts = operations.map(rows =>
    rows.map(row => ({ ...row, kind: row.kind === DELETE_RECORD ? PUT : row.kind })),
  )

  test('is a record for each key, where nothing older can exist', () => {
    fc.assert(
      fc.property(puts, rows => {
        expect(left(rows, false)).toEqual(byKey(recordsOf(rows)))
      }),
      { numRuns: 1000 },
    )
  })

  test('does to everything older what all would do, in two rows of a key at most', () => {
    fc.assert(
      fc.property(puts, puts, (older, rows) => {
        const records = recordsOf(older)
        const kept = left(rows, true)
        expect(byKey(recordsOf(kept, records))).toEqual(byKey(recordsOf(rows, records)))
        for (const { key } of kept) {
          const kinds = kept.filter(row => row.key === key).map(({ kind }) => kind)
          expect([[PUT], [DELETE_KEY], [DELETE_KEY, PUT]]).toContainEqual(kinds)
        }
        expect(left(kept, true)).toEqual(kept)
      }),
      { numRuns: 1000 },
    )
  })

  test('has no column of kinds where only puts are left', () => {
    const columns = columnsOf(combining, [
      { key: 1n, values: [1, 1], kind: PUT },
      { key: 1n, values: [0, 0], kind: DELETE_KEY },
      { key: 1n, values: [2, 2], kind: PUT },
      { key: 1n, values: [3, 4], kind: PUT },
    ])
    resolve(columns, { layout: combining, replace: false, keepDeletes: false })
    expect(columns.kinds).toBeUndefined()
    expect(rowsOf(combining, columns)).toEqual([{ key: 1n, values: [5, 4], kind: PUT }])
  })
})
