/**
 * Turns what a program or a manifest says about the encodings into types of keys and values.
 *
 * docs/api.md, Encodings; docs/file-format.md, Schema.
 */
import { describeValue } from '../base/describe-value.js'
import { invalidType, outOfRange } from '../base/errors.js'
import { BytesType, FixedType } from './bytes.js'
import type { FieldType } from './field-type.js'
import { builtInCodec, builtInName, customCodec, missingCodec } from './level-encoding.js'
import { SCALAR_KEY_TYPES, SCALAR_TYPES } from './scalars.js'
import {
  isByteLength,
  isScalarKeyName,
  isScalarName,
  MAX_KEY_BYTES,
  MAX_RECORD_BYTES,
  SCALAR_KEY_NAMES,
  SCALAR_NAMES,
  type StoredFieldType,
  type StoredValue,
} from './stored-schema.js'
import { TableEncoding } from './table-encoding.js'
import { NO_VALUE, singleValue, StructValue, type ValueType } from './value-type.js'

/** The type of a key; throws `FLASHTABLE_INVALID_OPTION`. */
export function keyTypeOf(encoding: unknown): FieldType {
  const type = fieldTypeOf(encoding, 'keyEncoding')
  const name = type.stored.type
  if (isScalarKeyName(name)) return SCALAR_KEY_TYPES[name]
  if (isScalarName(name)) {
    throw invalidOption(
      `keyEncoding: expected ${SCALAR_KEY_NAMES.join(', ')}, bytes(n) or fixed(encoding, n), found '${name}': ` +
        'keys are ordered as unsigned numbers',
    )
  }
  if (type.byteLength > MAX_KEY_BYTES) {
    throw outOfRange(
      'FLASHTABLE_INVALID_OPTION',
      `keyEncoding: expected 1 to ${MAX_KEY_BYTES} bytes, found ${type.text}`,
    )
  }
  return type
}

/** The type of a value; throws `FLASHTABLE_INVALID_OPTION`. */
export function valueTypeOf(encoding: unknown): ValueType {
  if (encoding === undefined) return NO_VALUE
  if (typeof encoding === 'object' && encoding !== null) {
    const type = TableEncoding.valueOf(encoding)
    if (type !== undefined) return type
  }
  return singleValue(fieldTypeOf(encoding, 'valueEncoding'))
}

/** Refuses records that are too long; throws `FLASHTABLE_INVALID_OPTION`. */
export function checkRecordBytes(what: string, recordBytes: number): void {
  if (recordBytes <= MAX_RECORD_BYTES) return
  throw outOfRange(
    'FLASHTABLE_INVALID_OPTION',
    `${what}: expected at most ${MAX_RECORD_BYTES} bytes per record, found ${recordBytes}`,
  )
}

/** The type of a key that a table was created with. */
export function keyTypeOfStored(stored: StoredFieldType): FieldType {
  return isScalarKeyName(stored.type) ? SCALAR_KEY_TYPES[stored.type] : fieldTypeOfStored(stored)
}

/** The type of values that a table was created with. */
export function valueTypeOfStored(stored: StoredValue): ValueType {
  if (stored === null) return NO_VALUE
  if (stored.type !== 'struct') return singleValue(fieldTypeOfStored(stored))
  return new StructValue(stored.fields.map(field => [field.name, fieldTypeOfStored(field)]))
}

/** The type of a field that a table was created with. */
export function fieldTypeOfStored(stored: StoredFieldType): FieldType {
  switch (stored.type) {
    case 'bytes':
      return new BytesType(stored.bytes)
    case 'fixed':
      return new FixedType(builtInCodec(stored.encoding), stored.bytes)
    case 'custom':
      return new FixedType(missingCodec(stored.encoding), stored.bytes)
    default:
      return SCALAR_TYPES[stored.type]
  }
}

/** The type of one field by its name or encoding object; `what` says whose it is. */
export function fieldTypeOf(encoding: unknown, what: string): FieldType {
  if (isScalarName(encoding)) return SCALAR_TYPES[encoding]
  if (typeof encoding === 'object' && encoding !== null) {
    const own = TableEncoding.fieldOf(encoding)
    if (own !== undefined) return own
    if (TableEncoding.valueOf(encoding) !== undefined) {
      throw invalidOption(`${what}: a struct stands for a whole value, not for a key or a field`)
    }
    // An encoding that declares its width itself.
    const byteLength: unknown = 'byteLength' in encoding ? encoding.byteLength : undefined
    if (typeof byteLength === 'number') {
      checkByteLength(what, byteLength)
      return new FixedType(customCodec(encoding), byteLength)
    }
    if (isFieldsOfStruct(encoding)) {
      throw invalidOption(
        `${what}: the encoding declares no width; a value of several fields is declared with struct({ ... })`,
      )
    }
    throw invalidOption(`${what}: the encoding declares no width; use fixed(encoding, n)`)
  }
  if (typeof encoding === 'string' && builtInName(encoding) !== undefined) {
    throw invalidOption(`${what}: '${encoding}' declares no width; use fixed('${encoding}', n)`)
  }
  throw invalidOption(
    `${what}: expected ${SCALAR_NAMES.join(', ')}, bytes(n) or fixed(encoding, n), found ${describeValue(encoding)}`,
  )
}

/** An object whose properties are encodings, and that is not an encoding itself. */
function isFieldsOfStruct(object: object): boolean {
  if ('encode' in object || 'decode' in object || Array.isArray(object)) return false
  return Object.values<unknown>({ ...object }).some(
    value => isScalarName(value) || (typeof value === 'object' && value !== null && 'encode' in value),
  )
}

/** Refuses a width that no field can have; throws `FLASHTABLE_INVALID_OPTION`. */
export function checkByteLength(what: string, byteLength: unknown): void {
  if (typeof byteLength === 'number' && isByteLength(byteLength)) return
  const message = `${what}: expected a byte length from 1 to ${MAX_RECORD_BYTES}, found ${describeValue(byteLength)}`
  throw typeof byteLength === 'number'
    ? outOfRange('FLASHTABLE_INVALID_OPTION', message)
    : invalidOption(message)
}

function invalidOption(message: string): TypeError {
  return invalidType('FLASHTABLE_INVALID_OPTION', message)
}
