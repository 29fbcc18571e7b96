/** Which column becomes which field. */
import { invalidOption } from '../options/arguments.js'
import {
  FIELD_NAME_RULE,
  isFieldName,
  isScalarKeyName,
  MAX_KEY_BYTES,
  SCALAR_KEY_NAMES,
  SCALAR_NAMES,
  type ScalarName,
} from '../encoding/stored-schema.js'
import type { SourceField, TargetType } from './columns.js'

/** A field of a table: `key`, `value`, or one of a struct. */
export interface TargetField extends TargetType {
  readonly name: string
}

/** A column, and the field that it becomes. */
export interface MappedField {
  readonly source: SourceField
  readonly target: TargetField
}

/** For each field the name of its column. */
export type FieldMap = Readonly<Record<string, string>>

/**
 * Maps each of the `targets` to the column that `map` names, or to that of its own name. Without targets all columns become
 * fields, with the types they have; a single column becomes the key.
 *
 * Throws `FLASHTABLE_INVALID_OPTION`, which says what does not fit.
 */
export function mapFields(
  columns: readonly SourceField[],
  map: FieldMap,
  targets?: readonly TargetField[],
): MappedField[] {
  for (const [field, column] of Object.entries(map)) {
    if (targets !== undefined && !targets.some(({ name }) => name === field))
      throw invalidOption(`map names the field "${field}", and the schema has only ${list(targets)}`)
    findColumn(columns, column, `map wants the column "${column}"`)
  }
  if (targets === undefined) return mapAll(columns, map)
  return targets.map(target => {
    const name = Object.hasOwn(map, target.name) ? map[target.name]! : target.name
    const source = findColumn(columns, name, `the field "${target.name}" has no column`)
    if (source.refused !== undefined) throw invalidOption(`the column "${name}" is ${source.refused}`)
    return { source, target }
  })
}

function findColumn(columns: readonly SourceField[], wanted: string, problem: string): SourceField {
  const found = columns.find(({ name }) => name === wanted)
  if (found !== undefined) return found
  throw invalidOption(
    `${problem}: the columns are ${list(columns)}; map says which is which, as in key=${columns[0]?.name}`,
  )
}

function mapAll(columns: readonly SourceField[], map: FieldMap): MappedField[] {
  const fieldOf = new Map(Object.entries(map).map(([field, column]) => [column, field]))
  const mapped = columns.map(source => {
    const name = fieldOf.get(source.name) ?? (columns.length === 1 ? 'key' : source.name)
    return { source, target: { name, ...typeOf(source, name, columns) } }
  })
  const names = mapped.map(({ target }) => target.name)
  for (const name of names) checkName(name, names)
  if (!names.includes('key'))
    throw invalidOption(
      `no column is named key: they are ${list(columns)}; map says which it is: key=${columns[0]?.name}`,
    )
  return mapped
}

function checkName(name: string, names: readonly string[]): void {
  if (names.indexOf(name) !== names.lastIndexOf(name))
    throw invalidOption(`two columns would be the field "${name}": map gives one of them another name`)
  if (name === 'key' || (name === 'value' && names.length === 2) || isFieldName(name)) return
  throw invalidOption(
    `a field cannot be named "${name}": a name is ${FIELD_NAME_RULE}; map gives the column another name, and with a ` +
      'schema only the columns that it names are taken',
  )
}

/** The type that the column has; keys are unsigned. */
function typeOf(source: SourceField, name: string, columns: readonly SourceField[]): TargetType {
  const { type, byteLength, refused } = source
  if (refused !== undefined)
    throw invalidOption(
      `the column "${source.name}" is ${refused}; with a schema only the columns that it names are taken`,
    )
  if (type === undefined || type === 'text' || type === 'binary')
    throw invalidOption(
      `the type of the column "${source.name}" is not told: give a schema with the types of all fields, for ` +
        `instance ${columns.map(({ name }, i) => `${i === 0 ? 'key' : name}:u64`).join(',')}`,
    )
  if (name !== 'key') return { type, byteLength }
  if (type === 'bytes' ? byteLength <= MAX_KEY_BYTES : isScalarKeyName(unsigned(type)))
    return { type: type === 'bytes' ? type : unsigned(type), byteLength }
  throw invalidOption(
    `the column "${source.name}" cannot be the key: it is ${type}, and keys are ${SCALAR_KEY_NAMES.join(', ')} or ` +
      `bytes(1) to bytes(${MAX_KEY_BYTES})`,
  )
}

/** `u64` of `i64`: whether a key is negative is seen when it is read. */
function unsigned(type: ScalarName): ScalarName {
  return SCALAR_NAMES.find(name => name === type.replace(/^i/, 'u'))!
}

function list(fields: readonly { readonly name: string }[]): string {
  return fields.map(({ name }) => name).join(', ')
}
