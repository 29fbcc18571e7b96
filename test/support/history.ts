/**
 * What a table holds after a history of operations as rows: the twin of merges and lookups. oracle.ts says what a change does.
 *
 * Values are few, so that deletes of records hit.
 */
import fc from 'fast-check'
import { DELETE_KEY, DELETE_RECORD, PUT, type DeleteWhere } from '../../src/records/operations.js'
import { after, type Change, type Rules } from './oracle.js'
import type { Row } from './rows.js'
import { matchesTerms } from './where.js'

/** Applies the operations, oldest first, to records that are there; the records that are left, in insertion order. */
export function applied(operations: readonly Row[], replace: boolean, records: readonly Row[] = []): Row[] {
  const rules: Rules<Row, bigint> = {
    keyOf: ({ key }) => key,
    isSame: (a, b) => a.key === b.key && a.values.join() === b.values.join(),
    replace,
  }
  return [...operations.reduce((left, row) => after(left, changeOf(row), rules), records)]
}

function changeOf(row: Row): Change<Row, bigint> {
  if (row.kind === DELETE_KEY) return { kind: 'del', key: row.key }
  return { kind: row.kind === DELETE_RECORD ? 'delRecord' : 'put', record: row }
}

/** Applies one *delete where* entry: its lanes are counted from the first key lane. */
export function without(records: readonly Row[], entry: DeleteWhere, keyLanes: number): Row[] {
  return records.filter(record => !matchesTerms(entry, lane => record.values[lane - keyLanes]))
}

/** In key order; records of a key stay in theirs. */
export function byKey(rows: readonly Row[]): Row[] {
  return [...rows].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
}

/** Operations on few keys with few values of two lanes; mostly puts, or of all kinds alike. */
export function histories(limits: { maxLength: number; keys: number }): fc.Arbitrary<Row[]> {
  const kinds = fc.constantFrom([PUT], [PUT, PUT, PUT, DELETE_KEY, DELETE_RECORD], [PUT, DELETE_RECORD])
  return kinds.chain(kinds =>
    fc.array(
      fc
        .record({
          key: fc.nat(limits.keys - 1),
          value: fc.nat(1),
          other: fc.nat(1),
          kind: fc.constantFrom(...kinds),
        })
        .map(({ key, value, other, kind }) => ({ key: BigInt(key), values: [value, other], kind })),
      { maxLength: limits.maxLength },
    ),
  )
}
