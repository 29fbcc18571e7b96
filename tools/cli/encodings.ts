/** From a schema in text to the encodings that a table is created with. */
import type { StoredFieldType, StoredSchema } from '../../src/encoding/stored-schema.js'
import {
  bytes,
  fixed,
  struct,
  type FieldEncoding,
  type KeyEncoding,
  type ValueEncoding,
} from '../../src/index.js'
import type { Field, RecordSchema } from './schema.js'

/** Encodings as `FlashTable.open` takes them; a set has none for values. */
export interface Encodings {
  readonly keyEncoding: KeyEncoding
  readonly valueEncoding?: ValueEncoding
}

export function encodingsOf(schema: RecordSchema): Encodings {
  const key = schema.fields.find(field => field.name === 'key')!
  const values = schema.fields.filter(field => field !== key)
  const [first] = values
  // The schema has been parsed: its key has one of the types that keys may have.
  const keyEncoding = encodingOf(key) as KeyEncoding
  if (first === undefined) return { keyEncoding }
  if (first.name === 'value') return { keyEncoding, valueEncoding: encodingOf(first) }
  const fields = Object.fromEntries(values.map(field => [field.name, encodingOf(field)]))
  return { keyEncoding, valueEncoding: struct(fields) }
}

function encodingOf(field: Field): FieldEncoding {
  return field.type === 'bytes' ? bytes(field.byteLength) : field.type
}

/** Encodings that can read all values of a table: those that only its program knows are read as bytes. */
export function readableEncodings({ key, value }: StoredSchema): Encodings {
  const keyEncoding = readable(key) as KeyEncoding
  if (value === null) return { keyEncoding }
  if (value.type !== 'struct') return { keyEncoding, valueEncoding: readable(value) }
  const fields = Object.fromEntries(value.fields.map(field => [field.name, readable(field)]))
  return { keyEncoding, valueEncoding: struct(fields) }
}

function readable(type: StoredFieldType): FieldEncoding {
  switch (type.type) {
    case 'bytes':
      return bytes(type.bytes)
    case 'fixed':
      return fixed(type.encoding, type.bytes)
    case 'custom':
      return fixed(asBytes(type.encoding), type.bytes)
    default:
      return type.type
  }
}

/** Stands in for an encoding that is known only by name. */
function asBytes(name: string) {
  const same = (value: Uint8Array): Uint8Array => value
  return { name, format: 'view', encode: same, decode: same } as const
}
