/**
 * The plain twin of a table: an array of records in the order in which they were put. oracle.ts says what a change does.
 *
 * States are immutable, so that a snapshot of the model is a reference. Keys and values are compared as text.
 */
import { after, type Change, type Rules } from './oracle.js'

export interface ModelRecord {
  /** Orders as the key does. */
  readonly key: string
  /** The text of each field, by name; a value that is no struct is the field `value`. */
  readonly fields: ReadonlyMap<string, string>
  /** The text of all fields. */
  readonly value: string
}

/** A field that a *delete where* compares. */
export interface ComparedField {
  readonly name: string
  /** The comparison, to be shown. */
  readonly text: string
  /** Whether the text of a field is that of a value that it matches. */
  readonly holds: (field: string) => boolean
}

/** What is asked of fields: their values, and what they compare with. */
export interface ModelWhere {
  readonly fields: ReadonlyMap<string, string>
  readonly compared?: readonly ComparedField[]
}

export type State = readonly ModelRecord[]

export type ModelOperation =
  | { readonly type: 'put'; readonly record: ModelRecord }
  | { readonly type: 'putIfAbsent'; readonly record: ModelRecord }
  | { readonly type: 'del'; readonly key: string }
  | { readonly type: 'delRecord'; readonly record: ModelRecord }
  | ({ readonly type: 'delWhere' } & ModelWhere)
  | { readonly type: 'clear'; readonly range?: ModelRange }

/** Bounds are texts of keys. */
export interface ModelRange {
  readonly gt?: string | undefined
  readonly gte?: string | undefined
  readonly lt?: string | undefined
  readonly lte?: string | undefined
  readonly reverse?: boolean | undefined
  readonly limit?: number | undefined
}

/** What becomes of the records of a key. */
export type KeyRules = Pick<Rules<ModelRecord, string>, 'replace' | 'combine'>

const RULES: Omit<Rules<ModelRecord, string>, keyof KeyRules> = {
  keyOf: ({ key }) => key,
  isSame: (record, { key, fields }) => record.key === key && matches(record, fields),
}

/** The state after the operation. */
export function applied(state: State, operation: ModelOperation, rules: KeyRules): State {
  return after(state, changeOf(operation), { ...RULES, ...rules })
}

function changeOf(operation: ModelOperation): Change<ModelRecord, string> {
  switch (operation.type) {
    case 'put':
    case 'putIfAbsent':
    case 'delRecord':
      return { kind: operation.type, record: operation.record }
    case 'del':
      return { kind: 'del', key: operation.key }
    case 'delWhere':
      return {
        kind: 'delWhere',
        hides: record => matchesWhere(record, operation),
      }
    case 'clear': {
      const { range } = operation
      if (range === undefined) return { kind: 'clear' }
      return { kind: 'delWhere', hides: ({ key }) => holdsKey(range, key) }
    }
  }
}

/** Whether a *delete where* hides the record, and a filter finds it. */
export function matchesWhere(record: ModelRecord, { fields, compared = [] }: ModelWhere): boolean {
  return matches(record, fields) && compared.every(({ name, holds }) => holds(record.fields.get(name)!))
}

/** Whether the record has these values: 0 and -0 are one, as all NaN are. */
function matches(record: ModelRecord, fields: ReadonlyMap<string, string>): boolean {
  const valueOf = (text: string | undefined) => (text === '-0' ? '0' : text)
  return [...fields].every(([name, text]) => valueOf(record.fields.get(name)) === valueOf(text))
}

export function appliedAll(state: State, operations: readonly ModelOperation[], rules: KeyRules): State {
  const keeps = !rules.replace && rules.combine === undefined
  if (keeps && operations.every(({ type }) => type === 'put')) {
    return [...state, ...operations.map(operation => (operation as { record: ModelRecord }).record)]
  }
  return operations.reduce((before, operation) => applied(before, operation, rules), state)
}

/** The records of each key, oldest first. */
export function byKey(state: State): ReadonlyMap<string, readonly ModelRecord[]> {
  const groups = new Map<string, ModelRecord[]>()
  for (const record of state) {
    const group = groups.get(record.key)
    if (group === undefined) groups.set(record.key, [record])
    else group.push(record)
  }
  return groups
}

function holdsKey({ gt, gte, lt, lte }: ModelRange, key: string): boolean {
  return (
    (gt === undefined || key > gt) &&
    (gte === undefined || key >= gte) &&
    (lt === undefined || key < lt) &&
    (lte === undefined || key <= lte)
  )
}

/** Keys and their records in the range; the limit is for who takes from it. */
export function inRange(state: State, range: ModelRange): (readonly [string, readonly ModelRecord[]])[] {
  const groups = [...byKey(state)].filter(([key]) => holdsKey(range, key))
  groups.sort(([a], [b]) => (a < b ? -1 : 1))
  if (range.reverse !== true) return groups
  return groups.toReversed().map(([key, records]) => [key, records.toReversed()] as const)
}
