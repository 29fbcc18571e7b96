/** From fields to the encodings that a table is created with, and back. */
import { bytes, struct } from '../encoding/encodings.js'
import { storedFields, type StoredSchema } from '../encoding/stored-schema.js'
import type { FieldEncoding, KeyEncoding, ValueEncoding } from '../encoding/types.js'
import type { OwnColumn } from '../encoding/field-type.js'
import { invalidOption } from '../options/arguments.js'
import { scalarBytes, type TargetType } from './columns.js'
import type { TargetField } from './mapping.js'

/** Encodings as `FlashTable.open` takes them; a set has none for values. */
export interface Encodings {
  readonly keyEncoding: KeyEncoding
  readonly valueEncoding?: ValueEncoding
}

/** Requires: one of the fields is the key, and has a type that keys may have. */
export function encodingsOf(fields: readonly TargetField[]): Encodings {
  const key = fields.find(({ name }) => name === 'key')!
  const values = fields.filter(field => field !== key)
  const [first] = values
  const keyEncoding = encodingOf(key) as KeyEncoding
  if (first === undefined) return { keyEncoding }
  if (first.name === 'value') return { keyEncoding, valueEncoding: encodingOf(first) }
  const encodings = Object.fromEntries(values.map(field => [field.name, encodingOf(field)]))
  return { keyEncoding, valueEncoding: struct(encodings) }
}

function encodingOf({ type, byteLength }: TargetType): FieldEncoding {
  return type === 'bytes' ? bytes(byteLength) : type
}

/** The fields of a table as its columns have them: of `fixed` and custom encodings the encoded bytes. */
export function targetFieldsOf(schema: StoredSchema): TargetField[] {
  return storedFields(schema).map(field => {
    const { name, type } = field
    if ('bytes' in field) return { name, type: 'bytes', byteLength: field.bytes }
    const scalar = type as Exclude<TargetType['type'], 'bytes'>
    return { name, type: scalar, byteLength: scalarBytes(scalar) }
  })
}

/** The fields of these names, in this order; all of them without names. Throws `FLASHTABLE_INVALID_OPTION`. */
export function selectFields<F extends { readonly name: string }>(
  fields: readonly F[],
  names?: readonly string[],
): readonly F[] {
  if (names === undefined) return fields
  if (names.length === 0) throw invalidOption('columns: expected at least one name')
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw invalidOption(`columns: "${twice}" is given twice`)
  return names.map(name => {
    const field = fields.find(field => field.name === name)
    if (field !== undefined) return field
    throw invalidOption(
      `columns: there is no "${name}"; the table has ${fields.map(({ name }) => name).join(', ')}`,
    )
  })
}

/** How many rows the column of this field has. */
export function rowsOf(
  { name, type, byteLength }: TargetField,
  columns: Readonly<Record<string, OwnColumn>>,
): number {
  return columns[name]!.length / (type === 'bytes' ? byteLength : 1)
}
