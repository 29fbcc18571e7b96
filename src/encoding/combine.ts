/**
 * The option `combine` and the fields of the value: each is named once, with an operator that its type has.
 *
 * docs/api.md, Combining; docs/file-format.md, Manifest.
 */
import type { CombineFields, CombineOperator } from '../options/options.js'
import type { CombineRule } from '../records/record-layout.js'
import { isFloatName, isScalarName } from './stored-schema.js'
import type { Field } from './value-type.js'

/** Of any field. */
const OF_BYTES: readonly CombineOperator[] = ['first', 'last']
const OF_FLOATS: readonly CombineOperator[] = ['sum', 'min', 'max', ...OF_BYTES]
const OF_INTEGERS: readonly CombineOperator[] = [...OF_FLOATS, 'or', 'and']

/** What is wrong with the operators for a value of these fields; `undefined`: nothing. */
export function combineProblem(combine: CombineFields, fields: readonly Field[]): string | undefined {
  if (fields.length === 0) return "a set has no values to combine; it needs duplicates: 'replace'"
  const other = Object.keys(combine).find(name => !fields.some(field => field.name === name))
  if (other !== undefined) return `there is no field '${other}'; the fields are ${namesOf(fields)}`
  for (const { name, type } of fields) {
    const operator = Object.hasOwn(combine, name) ? combine[name] : undefined
    const operators = operatorsOf(type.stored.type)
    if (operator === undefined)
      return `field '${name}' has none of ${operators.join(', ')}; all fields need one`
    if (!operators.includes(operator))
      return `field '${name}' is ${type.text}: expected ${operators.join(', ')}, found '${operator}'`
  }
  return undefined
}

/** Requires: there is no problem. `keyLanes`: the lanes before those of the value. */
export function combineRules(
  combine: CombineFields,
  fields: readonly Field[],
  keyLanes: number,
): readonly CombineRule[] {
  return fields.map(({ name, type, at }) => ({
    operator: combine[name]!,
    lane: keyLanes + at,
    laneCount: type.laneBytes.length,
    number: numberOf(type.stored.type),
  }))
}

/** The same in the order of the fields, for the manifest. */
export function storedCombine(combine: CombineFields, fields: readonly Field[]): CombineFields {
  return Object.fromEntries(fields.map(({ name }) => [name, combine[name]!]))
}

/** As it is written in a program. */
export function combineText(combine: CombineFields): string {
  return `{ ${Object.entries(combine)
    .map(([name, operator]) => `${name}: '${operator}'`)
    .join(', ')} }`
}

function operatorsOf(type: string): readonly CombineOperator[] {
  if (!isScalarName(type)) return OF_BYTES
  return isFloatName(type) ? OF_FLOATS : OF_INTEGERS
}

function numberOf(type: string): CombineRule['number'] {
  if (!isScalarName(type)) return undefined
  if (isFloatName(type)) return 'float'
  return type.startsWith('i') ? 'signed' : 'unsigned'
}

function namesOf(fields: readonly Field[]): string {
  return fields.map(({ name }) => name).join(', ')
}
