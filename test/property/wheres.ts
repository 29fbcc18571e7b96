/** What *delete where* and filters of scans ask of fields. */
import type { ComparedField, ModelWhere } from '../support/model.js'
import { modelRecord, textOf } from '../support/schemas.js'
import type { RunState } from './run-state.js'

/** Values and comparisons of some fields, for the table and for the model. */
export function randomWhere(run: RunState): { where: object; model: ModelWhere } {
  const { random, schema } = run
  const names = [...schema.fields.keys()]
  const chosen = names.filter(() => random.chance(0.6))
  // One field alone would empty the table too often.
  const used = chosen.length === 0 ? names : chosen
  const compared = used.flatMap(name => (random.chance(0.4) ? [comparison(run, name)] : []))
  const comparisons = compared.map(({ name, where }) => [name, where] as const)
  const fields = new Map(used.map(name => [name, random.pick(schema.fields.get(name)!.values)] as const))
  const { fields: texts } = modelRecord(schema, 0, fields)
  const equal = used.filter(name => !compared.some(other => other.name === name))
  return {
    where: { ...Object.fromEntries(fields), ...Object.fromEntries(comparisons) },
    model: { fields: new Map(equal.map(name => [name, texts.get(name)!] as const)), compared },
  }
}

/** A comparison of a field with one or two of its values. */
function comparison({ random, schema }: RunState, name: string): ComparedField & { readonly where: object } {
  const { values } = schema.fields.get(name)!
  const bounds = values.filter(value => !Number.isNaN(value))
  const operators = random.pick([['lt'], ['lte'], ['gt'], ['gte'], ['gt', 'lte'], ['gte', 'lt']] as const)
  const chosen = operators.map(operator => [operator, random.pick(bounds)] as const)
  const valueOf = new Map(values.map(value => [textOf(value), value]))
  return {
    name,
    where: Object.fromEntries(chosen),
    text: chosen.map(([operator, bound]) => `${operator} ${textOf(bound)}`).join(' '),
    holds: text => {
      const value = valueOf.has(text) ? valueOf.get(text) : combinedValue(text, bounds[0])
      return chosen.every(([operator, bound]) => isSo(value, operator, bound))
    },
  }
}

/** A value that nobody put: a sum, of the kind of `like`. */
function combinedValue(text: string, like: unknown): number | bigint {
  return typeof like === 'bigint' ? BigInt(text) : Number(text)
}

/** Numbers as JavaScript compares them, byte strings and hex digits byte by byte. */
function isSo(value: unknown, operator: 'lt' | 'lte' | 'gt' | 'gte', bound: unknown): boolean {
  const comparable = (given: unknown) => (given instanceof Uint8Array ? textOf(given) : (given as number))
  const [a, b] = [comparable(value), comparable(bound)]
  if (operator === 'lt') return a < b
  if (operator === 'lte') return a <= b
  return operator === 'gt' ? a > b : a >= b
}
