/** From a schema in text to the encodings that a table is created with. */
import { bytes, struct, type FieldEncoding, type KeyEncoding, type ValueEncoding } from '../../src/index.js'
import type { Field, RecordSchema } from './schema.js'

/** What `FlashTable.open` takes of them; a set has no encoding of values. */
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
