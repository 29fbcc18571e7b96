/** Rows and operations as text, to be compared and shown. */
import {
  inRange,
  type ModelOperation,
  type ModelRecord,
  type ModelWhere,
  type State,
} from '../support/model.js'

export function rowsInOrder(state: State): string[] {
  return inRange(state, {}).flatMap(([, records]) => records.map(rowText))
}

export function sameRows(found: readonly string[], expected: readonly string[]): boolean {
  return found.length === expected.length && found.every((row, i) => row === expected[i])
}

export function rowText({ key, value }: Pick<ModelRecord, 'key' | 'value'>): string {
  return `${key}=${value}`
}

export function modelText(operation: ModelOperation): string {
  switch (operation.type) {
    case 'put':
    case 'putIfAbsent':
    case 'delRecord':
      return `${operation.type} ${rowText(operation.record)}`
    case 'del':
      return `del ${operation.key}`
    case 'delWhere':
      return `delWhere ${whereText(operation)}`
    case 'clear':
      return `clear ${JSON.stringify(operation.range ?? {})}`
  }
}

export function whereText({ fields, compared = [] }: ModelWhere): string {
  return [...fields, ...compared.map(({ name, text }) => `${name} ${text}`)].join(' ')
}

/** Throws where the lists differ: at which place, and how. */
export function same<T>(what: string, found: readonly T[], expected: readonly T[]): void {
  const length = Math.max(found.length, expected.length)
  for (let i = 0; i < length; i++) {
    if (found[i] === expected[i]) continue
    throw new Error(
      `${what}: expected ${expected.length} items, found ${found.length}; ` +
        `item ${i}: expected ${String(expected[i])}, found ${String(found[i])}`,
    )
  }
}
