/**
 * The contract of a table in thirty lines: what it holds after a change. docs/api.md, Writing.
 *
 * Every test that compares a table with a plain twin uses this one: property tests (model.ts), merges (history.ts), the
 * crash simulation (crash/history.ts) and power cuts (power-cut/model.ts) only say what their records are.
 */

/** One change of a table. */
export type Change<R, K> =
  | { readonly kind: 'put'; readonly record: R }
  | { readonly kind: 'putIfAbsent'; readonly record: R }
  | { readonly kind: 'del'; readonly key: K }
  | { readonly kind: 'delRecord'; readonly record: R }
  | { readonly kind: 'delWhere'; readonly hides: (record: R) => boolean }
  | { readonly kind: 'clear' }

/** What a test's records are. */
export interface Rules<R, K> {
  keyOf(record: R): K
  /** Whether `delRecord` of the one deletes the other. */
  isSame(a: R, b: R): boolean
  /** `duplicates: 'replace'`. */
  readonly replace: boolean
  /** With `combine`: the one record that two of a key become. */
  combine?: ((older: R, newer: R) => R) | undefined
}

/** The records after the change, in insertion order. The array that was given stays as it was. */
export function after<R, K>(records: readonly R[], change: Change<R, K>, rules: Rules<R, K>): readonly R[] {
  const { keyOf, isSame, replace, combine } = rules
  switch (change.kind) {
    case 'put': {
      const key = keyOf(change.record)
      const found = records.find(record => keyOf(record) === key)
      if (combine !== undefined && found !== undefined)
        return [...records.filter(record => record !== found), combine(found, change.record)]
      const kept = replace ? records.filter(record => keyOf(record) !== key) : records
      return [...kept, change.record]
    }
    case 'putIfAbsent': {
      const key = keyOf(change.record)
      return records.some(record => keyOf(record) === key) ? records : [...records, change.record]
    }
    case 'del':
      return records.filter(record => keyOf(record) !== change.key)
    case 'delRecord':
      return records.filter(record => !isSame(record, change.record))
    case 'delWhere':
      return records.filter(record => !change.hides(record))
    case 'clear':
      return []
  }
}
