/**
 * What records are asked for on the command line, one term for each `--where`: `time<1700000`, `id=42`, `digest=0a0b`.
 *
 * Several terms mean "and". Two of them may be bounds of one field, at both sides.
 */
import { Option } from 'commander'
import type { StoredFieldType, StoredSchema } from '../../src/encoding/stored-schema.js'
import { parseField } from './key.js'
import { UsageError } from './usage.js'

/** Comparisons, and what `delWhere` of the library calls them; the longer ones first. */
const OPERATORS = { '<=': 'lte', '>=': 'gte', '<': 'lt', '>': 'gt' } as const

export function whereOption(): Option {
  return new Option(
    '--where <term>',
    'records whose field is or compares so: "id=42", "time<1700000", "time>=5"; several mean "and"',
  ).argParser((text: string, before: readonly string[] | undefined) => [...(before ?? []), text])
}

/** The terms as the library takes them. Throws a {@link UsageError} that says what would do. */
export function parseWhere(texts: readonly string[], schema: StoredSchema): Record<string, unknown> {
  const where = new Map<string, unknown>()
  const types = fieldTypes(schema)
  for (const text of texts) {
    const [, name, operator, value] = /^\s*([^\s<>=]+)\s*(<=|>=|<|>|=)\s*(.*?)\s*$/s.exec(text) ?? []
    if (name === undefined || operator === undefined || value === undefined)
      throw new UsageError(`"${text}" is no term: write it as "time<1700000", with one of < <= > >= =`)
    const type = types.get(name)
    if (type === undefined)
      throw new UsageError(
        types.size === 0
          ? 'this table is a set of keys, it has no fields'
          : `there is no field "${name}": the table has ${[...types.keys()].join(', ')}`,
      )
    add(where, name, operator, parseField(value, type, `field "${name}"`))
  }
  return Object.fromEntries(where)
}

function add(where: Map<string, unknown>, name: string, operator: string, value: unknown): void {
  const before = where.get(name)
  const comparisons = typeof before === 'object' && before !== null && !(before instanceof Uint8Array)
  if (operator === '=' ? before !== undefined : before !== undefined && !comparisons)
    throw new UsageError(`field "${name}" has a value, and another term`)
  if (operator === '=') where.set(name, value)
  else {
    const comparison = OPERATORS[operator as keyof typeof OPERATORS]
    const sameSide = (other: string): boolean => other.startsWith(comparison[0]!)
    if (comparisons && Object.keys(before).some(sameSide))
      throw new UsageError(`field "${name}" has two terms with ${operator[0]} or ${operator[0]}=`)
    where.set(name, { ...(comparisons ? before : {}), [comparison]: value })
  }
}

/** A value that is not a struct is the field `value`. */
function fieldTypes({ value }: StoredSchema): ReadonlyMap<string, StoredFieldType> {
  if (value === null) return new Map()
  if (value.type !== 'struct') return new Map([['value', value]])
  return new Map(value.fields.map(field => [field.name, field] as const))
}
