/**
 * The schema of a table as text: `key:u64,time:u16,flags:u16,id:i32`, in the order of the fields in the file.
 *
 * One field is named `key`; without any other the table is a set. A single field named `value` is a table whose values
 * are not structs. README.md, Command line.
 */
import {
  FIELD_NAME_RULE,
  isFieldName,
  MAX_KEY_BYTES,
  SCALAR_KEY_NAMES,
  SCALAR_NAMES,
  storedFields,
  type ScalarName,
  type StoredFieldType,
  type StoredSchema,
} from '../../src/encoding/stored-schema.js'
import { inLine } from './output.js'
import { UsageError } from './usage.js'

/** One field of a record. */
export interface Field {
  readonly name: string
  readonly type: ScalarName | 'bytes'
  readonly byteLength: number
  /** Where in the record it begins. */
  readonly offset: number
  /** Whether the highest byte of a number comes first. */
  readonly bigEndian?: boolean
}

/** The fields of a record, in the order of the file. */
export interface RecordSchema {
  readonly fields: readonly Field[]
  readonly recordBytes: number
}

/** Reads a schema; throws a {@link UsageError} that says what is wrong where. */
export function parseSchema(text: string): RecordSchema {
  const fields: Field[] = []
  let offset = 0
  // A comma within brackets is part of a type.
  for (const part of text.split(/,(?![^()]*\))/)) {
    const [, name, typeName] = /^\s*([^\s:]+)\s*:\s*(.*?)\s*$/.exec(part) ?? []
    if (name === undefined || typeName === undefined) {
      throw new UsageError(`"${part}" is not of the form name:type, for example time:u16`)
    }
    if (fields.some(field => field.name === name)) throw new UsageError(`field "${name}" is given twice`)
    if (name !== 'key' && name !== 'value' && !isFieldName(name)) {
      throw new UsageError(`a field cannot be named "${name}": a name is ${FIELD_NAME_RULE}`)
    }
    const field = { name, ...parseType(name, typeName), offset }
    fields.push(field)
    offset += field.byteLength
  }
  checkKey(fields)
  if (fields.length > 2 && fields.some(field => field.name === 'value')) {
    throw new UsageError('a field named "value" must be the only one beside the key')
  }
  return { fields, recordBytes: offset }
}

function parseType(name: string, text: string): Pick<Field, 'type' | 'byteLength'> {
  const type = SCALAR_NAMES.find(scalar => scalar === text)
  // The number in the name of a type is its width in bits.
  if (type !== undefined) return { type, byteLength: Number(type.slice(1)) / 8 }
  const [, length] = /^bytes\(([1-9]\d{0,3})\)$/.exec(text) ?? []
  if (length !== undefined) return { type: 'bytes', byteLength: Number(length) }
  const [, packed] = /^(?:fixed|custom)\(.*,([1-9]\d{0,3})\)$/.exec(text) ?? []
  if (packed !== undefined) {
    throw new UsageError(
      `field "${name}" has the type "${text}", which only a program can give; write ${name}:bytes(${packed}) for its bytes`,
    )
  }
  throw new UsageError(
    `field "${name}" has the type "${text}"; the types are ${SCALAR_NAMES.join(' ')} and bytes(n)`,
  )
}

function checkKey(fields: readonly Field[]): void {
  const key = fields.find(field => field.name === 'key')
  if (key === undefined) throw new UsageError('no field is named "key"')
  const fits =
    key.type === 'bytes'
      ? key.byteLength <= MAX_KEY_BYTES
      : (SCALAR_KEY_NAMES as readonly string[]).includes(key.type)
  if (fits) return
  throw new UsageError(`the key must be ${SCALAR_KEY_NAMES.join(' ')} or bytes(1) to bytes(${MAX_KEY_BYTES})`)
}

/** The schema of a table as text: `import` and `repair` take it where all types are plain. */
export function schemaText(schema: StoredSchema): string {
  return storedFields(schema)
    .map(field => `${field.name}:${typeText(field)}`)
    .join(',')
}

function typeText(type: StoredFieldType): string {
  if (type.type === 'bytes') return `bytes(${type.bytes})`
  if (type.type === 'fixed') return `fixed(${type.encoding},${type.bytes})`
  return type.type === 'custom' ? `custom(${inLine(type.encoding)},${type.bytes})` : type.type
}
