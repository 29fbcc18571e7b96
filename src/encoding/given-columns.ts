/**
 * Checks what a caller hands over by field name: the columns of a batch, the fields of a *delete where*.
 *
 * Every property is read once, so that a getter cannot answer differently after the check. docs/api.md, Columns.
 */
import { describeValue, isDetached, lengthOfTypedArray, typedArrayName } from '../base/describe-value.js'
import { invalidType, outOfRange } from '../base/errors.js'
import { firstOther, hasProperty } from '../options/arguments.js'
import { wrongType, type Column, type FieldType, type Place } from './field-type.js'
import type { Field } from './value-type.js'

/** The columns of a batch: the right typed arrays, all of `rows` rows. */
export interface GivenColumns {
  readonly rows: number
  readonly key: Column
  readonly values: readonly { readonly field: Field; readonly column: Column }[]
}

const COLUMNS: Place = { code: 'FLASHTABLE_INVALID_VALUE', what: 'the columns' }
const KEY_COLUMN: Place = { code: 'FLASHTABLE_INVALID_KEY', what: "column 'key'" }
/** Of comparisons in a *delete where*. */
const OPERATORS = ['lt', 'lte', 'gt', 'gte']

export function checkColumns(keyType: FieldType, fields: readonly Field[], columns: unknown): GivenColumns {
  const names = ['key', ...fields.map(field => field.name)]
  const given = readProperties(COLUMNS, `an object of the typed arrays ${names.join(', ')}`, names, columns)
  const { column: key, rows } = checkKeyColumn(keyType, KEY_COLUMN, given.get('key'))
  const values = fields.map(field => {
    const place: Place = { code: 'FLASHTABLE_INVALID_VALUE', what: `column '${field.name}'` }
    const column = checkType(field.type, place, given.get(field.name))
    const length = lengthOfTypedArray(column)
    const expected = rows * field.type.rowLength
    if (length !== expected) {
      throw outOfRange(
        place.code,
        `${place.what}: expected ${expected} elements, because column 'key' has ${rows} rows, found ${length}`,
      )
    }
    return { field, column }
  })
  return { rows, key, values }
}

/** A column of keys, and how many there are; `orElse` says what else is allowed. */
export function checkKeyColumn(
  type: FieldType,
  place: Place,
  given: unknown,
  orElse = '',
): { readonly column: Column; readonly rows: number } {
  const column = checkType(type, place, given, orElse)
  const length = lengthOfTypedArray(column)
  if (length % type.rowLength === 0) return { column, rows: length / type.rowLength }
  throw outOfRange(
    place.code,
    `${place.what}: expected a multiple of ${type.rowLength} bytes (${type.text}), found ${length}`,
  )
}

/** The fields that a *delete where* or a filter gives, at least one, by name. `call`: for errors. */
export function readWhere(
  fields: readonly Field[],
  where: unknown,
  call: string,
): ReadonlyMap<string, unknown> {
  const place: Place = { code: 'FLASHTABLE_INVALID_VALUE', what: call }
  if (fields.length === 0)
    throw invalidType(
      place.code,
      `${call}: this table is a set of keys and has no fields; ` +
        (call === 'delWhere' ? 'use del(key)' : 'leave it out'),
    )
  const names = fields.map(field => field.name)
  const expected = `one or more of the fields ${names.join(', ')}`
  const given = readProperties(place, expected, names, where)
  if (given.size === 0) throw invalidType(place.code, `${call}: expected ${expected}, found none`)
  return given
}

/** The operators of a comparison in a *delete where*, at least one, by name. */
export function readComparison(place: Place, comparison: object): ReadonlyMap<string, unknown> {
  const expected = `a value, or one or two of ${OPERATORS.join(', ')}`
  const given = readProperties(place, expected, OPERATORS, comparison)
  if (given.size === 0) throw invalidType(place.code, `${place.what}: expected ${expected}, found none`)
  return given
}

function readProperties(
  place: Place,
  expected: string,
  names: readonly string[],
  object: unknown,
): ReadonlyMap<string, unknown> {
  if (typeof object !== 'object' || object === null || ArrayBuffer.isView(object)) {
    throw wrongType(place, expected, object)
  }
  const other = firstOther(object, Object.fromEntries(names.map(name => [name, true])))
  if (other !== undefined) {
    throw invalidType(
      place.code,
      `${place.what}: expected ${expected}, found another one, ${describeValue(other)}`,
    )
  }
  const source = object as Readonly<Record<string, unknown>>
  // Inherited ones count too: a *delete where* with fewer fields would delete more.
  return new Map(names.filter(name => hasProperty(object, name)).map(name => [name, source[name]]))
}

function checkType(type: FieldType, place: Place, column: unknown, orElse = ''): Column {
  const isRight = typedArrayName(column) === type.columnName
  // Detached memory looks like no rows.
  if (isRight && !isDetached(column as Column)) return column as Column
  throw wrongType(place, `${type.columnName} (${type.text})${orElse}`, column)
}
