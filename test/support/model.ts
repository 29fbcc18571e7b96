/**
 * The plain twin of a table: an array of records in the order in which they were put.
 *
 * States are immutable, so that a snapshot of the model is a reference. Keys and values are compared as text.
 */

export interface ModelRecord {
  /** Orders as the key does. */
  readonly key: string
  /** The text of each field, by name; a value that is no struct is the field `value`. */
  readonly fields: ReadonlyMap<string, string>
  /** The text of all fields. */
  readonly value: string
}

export type State = readonly ModelRecord[]

export type ModelOperation =
  | { readonly type: 'put'; readonly record: ModelRecord }
  | { readonly type: 'del'; readonly key: string }
  | { readonly type: 'delRecord'; readonly record: ModelRecord }
  | { readonly type: 'delWhere'; readonly fields: ReadonlyMap<string, string> }
  | { readonly type: 'clear' }

/** Bounds are texts of keys. */
export interface ModelRange {
  readonly gt?: string | undefined
  readonly gte?: string | undefined
  readonly lt?: string | undefined
  readonly lte?: string | undefined
  readonly reverse?: boolean | undefined
  readonly limit?: number | undefined
}

/** The state behind the operation. */
export function applied(state: State, operation: ModelOperation, replace: boolean): State {
  switch (operation.type) {
    case 'put': {
      const { record } = operation
      return [...(replace ? state.filter(({ key }) => key !== record.key) : state), record]
    }
    case 'del':
      return state.filter(({ key }) => key !== operation.key)
    case 'delRecord': {
      const { key, fields } = operation.record
      return state.filter(record => record.key !== key || !matches(record, fields))
    }
    case 'delWhere':
      return state.filter(record => !matches(record, operation.fields))
    case 'clear':
      return []
  }
}

/** Whether the record has these values: 0 and -0 are one, as all NaN are. */
function matches(record: ModelRecord, fields: ReadonlyMap<string, string>): boolean {
  const valueOf = (text: string | undefined) => (text === '-0' ? '0' : text)
  return [...fields].every(([name, text]) => valueOf(record.fields.get(name)) === valueOf(text))
}

export function appliedAll(state: State, operations: readonly ModelOperation[], replace: boolean): State {
  if (!replace && operations.every(({ type }) => type === 'put')) {
    return [...state, ...operations.map(operation => (operation as { record: ModelRecord }).record)]
  }
  return operations.reduce((before, operation) => applied(before, operation, replace), state)
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

/** Keys and their records in the range; the limit is for who takes from it. */
export function inRange(state: State, range: ModelRange): (readonly [string, readonly ModelRecord[]])[] {
  const { gt, gte, lt, lte, reverse } = range
  const groups = [...byKey(state)].filter(
    ([key]) =>
      (gt === undefined || key > gt) &&
      (gte === undefined || key >= gte) &&
      (lt === undefined || key < lt) &&
      (lte === undefined || key <= lte),
  )
  groups.sort(([a], [b]) => (a < b ? -1 : 1))
  if (reverse !== true) return groups
  return groups.toReversed().map(([key, records]) => [key, records.toReversed()] as const)
}
