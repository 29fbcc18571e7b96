/**
 * The schema as JSON: what the manifest stores of the encodings, and the checks when it is read.
 *
 * It comes from a file, so nothing in it is trusted: every shape, name, width and count is checked before anything is
 * built from it. docs/file-format.md, Schema.
 */
import { describeValue } from '../base/describe-value.js'
import { FlashTableError } from '../base/errors.js'

/** Integers and floats by name. */
export type ScalarName = (typeof SCALAR_NAMES)[number]

export const SCALAR_NAMES = ['u8', 'u16', 'u32', 'u64', 'i8', 'i16', 'i32', 'i64', 'f32', 'f64'] as const

export function isScalarName(name: unknown): name is ScalarName {
  return (SCALAR_NAMES as readonly unknown[]).includes(name)
}

/** Whether values of this type are compared by value, not by their bits. */
export function isFloatName(name: string): boolean {
  return name === 'f32' || name === 'f64'
}

/** Those that are ordered as unsigned numbers. */
export type ScalarKeyName = (typeof SCALAR_KEY_NAMES)[number]

export const SCALAR_KEY_NAMES = ['u8', 'u16', 'u32', 'u64'] as const

export function isScalarKeyName(name: unknown): name is ScalarKeyName {
  return (SCALAR_KEY_NAMES as readonly unknown[]).includes(name)
}

/** A type of field. */
export type StoredFieldType =
  | { readonly type: ScalarName }
  | { readonly type: 'bytes'; readonly bytes: number }
  /** `fixed`: level-transcoder knows the encoding by name. `custom`: the caller must give it again. */
  | { readonly type: 'fixed'; readonly encoding: BuiltInName; readonly bytes: number }
  | { readonly type: 'custom'; readonly encoding: string; readonly bytes: number }

export type StoredField = { readonly name: string } & StoredFieldType

export type StoredValue =
  StoredFieldType | { readonly type: 'struct'; readonly fields: readonly StoredField[] } | null

/** On disk: the `schema` of the manifest. A table without values, a set, has the value `null`. */
export interface StoredSchema {
  readonly key: StoredFieldType
  readonly value: StoredValue
}

/** Key and values as fields: `key`, and those of the value; a value that is not a struct is the field `value`. */
export function storedFields({ key, value }: StoredSchema): readonly StoredField[] {
  const values = value === null ? [] : value.type === 'struct' ? value.fields : [{ name: 'value', ...value }]
  return [{ name: 'key', ...key }, ...values]
}

/** Bytes of a raw record, key and value. */
export const MAX_RECORD_BYTES = 1024
export const MAX_KEY_BYTES = 32
export const MAX_FIELDS = 64

/** Names of columns that a result or a batch has in addition to the fields. */
const RESERVED_NAMES = ['key', 'query', 'value'] as const

export type ReservedName = (typeof RESERVED_NAMES)[number]

/** An identifier, which has no surprises as a property: no number (those move to the front), no `__proto__`. */
const FIELD_NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$]{0,63}$/u

export const FIELD_NAME_RULE = `an identifier of 1 to 64 characters other than ${RESERVED_NAMES.join(', ')} and __proto__`

/** The names of the built-in encodings of level-transcoder, without aliases. */
export type BuiltInName = (typeof BUILT_IN_NAMES)[number]

export const BUILT_IN_NAMES = ['utf8', 'buffer', 'view', 'json', 'hex', 'base64'] as const

export function isBuiltInName(name: string): name is BuiltInName {
  return (BUILT_IN_NAMES as readonly string[]).includes(name)
}

const MAX_ENCODING_NAME_LENGTH = 64

export const ENCODING_NAME_RULE = `a name of 1 to ${MAX_ENCODING_NAME_LENGTH} characters`

/** Whether a custom encoding may have this name. */
export function isEncodingName(name: string): boolean {
  return name.length >= 1 && name.length <= MAX_ENCODING_NAME_LENGTH
}

/** Whether a field may have this width. */
export function isByteLength(bytes: number): boolean {
  return Number.isInteger(bytes) && bytes >= 1 && bytes <= MAX_RECORD_BYTES
}

export function isFieldName(name: string): boolean {
  return (
    FIELD_NAME.test(name) && name !== '__proto__' && !(RESERVED_NAMES as readonly string[]).includes(name)
  )
}

/** Checks what came from a file; throws `FLASHTABLE_CORRUPTION`, which names `path` and the place within the schema. */
export function parseStoredSchema(json: unknown, path: string): StoredSchema {
  const check = new SchemaCheck(path)
  const schema = check.object(json, 'schema', ['key', 'value'])
  return {
    key: check.fieldType(schema['key'], 'schema.key', KEY_TYPES),
    value: check.value(schema['value'], 'schema.value'),
  }
}

type Checked = Readonly<Record<string, unknown>>

const BYTE_TYPES = ['bytes', 'fixed', 'custom'] as const
const KEY_TYPES: readonly string[] = [...SCALAR_KEY_NAMES, ...BYTE_TYPES]
const FIELD_TYPES: readonly string[] = [...SCALAR_NAMES, ...BYTE_TYPES]

class SchemaCheck {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  value(json: unknown, where: string): StoredValue {
    if (json === null) return null
    if (!isObject(json) || json['type'] !== 'struct') return this.fieldType(json, where, FIELD_TYPES)
    const struct = this.object(json, where, ['type', 'fields'])
    return { type: 'struct', fields: this.#fields(struct['fields'], `${where}.fields`) }
  }

  /** A type of field; `more` are the names of its other properties. */
  fieldType(
    json: unknown,
    where: string,
    types: readonly string[],
    more: readonly string[] = [],
  ): StoredFieldType {
    if (!isObject(json)) throw this.#damaged(where, 'an object', json)
    const type = json['type']
    if (typeof type !== 'string' || !types.includes(type)) {
      throw this.#damaged(`${where}.type`, `one of ${types.join(', ')}`, type)
    }
    if (type === 'bytes') {
      this.object(json, where, ['type', 'bytes', ...more])
      return { type, bytes: this.#width(json['bytes'], `${where}.bytes`) }
    }
    if (type === 'fixed' || type === 'custom') {
      this.object(json, where, ['type', 'encoding', 'bytes', ...more])
      const bytes = this.#width(json['bytes'], `${where}.bytes`)
      const encoding = json['encoding']
      if (type === 'custom' && typeof encoding === 'string' && isEncodingName(encoding)) {
        return { type, encoding, bytes }
      }
      if (type === 'fixed' && typeof encoding === 'string' && isBuiltInName(encoding)) {
        return { type, encoding, bytes }
      }
      const expected = type === 'custom' ? ENCODING_NAME_RULE : `one of ${BUILT_IN_NAMES.join(', ')}`
      throw this.#damaged(`${where}.encoding`, expected, encoding)
    }
    this.object(json, where, ['type', ...more])
    return { type: type as ScalarName }
  }

  /** An object with exactly these properties. */
  object(json: unknown, where: string, names: readonly string[]): Checked {
    if (!isObject(json)) throw this.#damaged(where, 'an object', json)
    for (const name of Object.keys(json)) {
      if (!names.includes(name)) throw this.#damaged(where, `only ${names.join(', ')}`, name)
    }
    for (const name of names) {
      if (!Object.hasOwn(json, name)) throw this.#damaged(`${where}.${name}`, 'a value', undefined)
    }
    return json
  }

  #fields(json: unknown, where: string): readonly StoredField[] {
    if (!Array.isArray(json) || json.length < 1 || json.length > MAX_FIELDS) {
      const got = Array.isArray(json) ? `${json.length} fields` : describeValue(json)
      throw this.#damagedText(where, `1 to ${MAX_FIELDS} fields`, got)
    }
    const names = new Set<string>()
    return json.map((field: unknown, index) => {
      const type = this.fieldType(field, `${where}[${index}]`, FIELD_TYPES, ['name'])
      const name = (field as Checked)['name']
      if (typeof name !== 'string' || !isFieldName(name)) {
        throw this.#damaged(`${where}[${index}].name`, FIELD_NAME_RULE, name)
      }
      if (names.has(name)) throw this.#damaged(`${where}[${index}].name`, 'a name that is not taken', name)
      names.add(name)
      return { name, ...type }
    })
  }

  #width(json: unknown, where: string): number {
    if (typeof json === 'number' && isByteLength(json)) return json
    throw this.#damaged(where, `an integer from 1 to ${MAX_RECORD_BYTES}`, json)
  }

  #damaged(where: string, expected: string, value: unknown): FlashTableError {
    return this.#damagedText(where, expected, describeValue(value))
  }

  #damagedText(where: string, expected: string, got: string): FlashTableError {
    return new FlashTableError(
      'FLASHTABLE_CORRUPTION',
      `${this.#path} is damaged at ${where}: expected ${expected}, found ${got}`,
    )
  }
}

function isObject(json: unknown): json is Checked {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

/** A copy for a caller, who may change it. */
export function copyOfSchema({ key, value }: StoredSchema): StoredSchema {
  if (value?.type !== 'struct') return { key: { ...key }, value: value === null ? null : { ...value } }
  return { key: { ...key }, value: { ...value, fields: value.fields.map(field => ({ ...field })) } }
}
