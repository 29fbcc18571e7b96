/** Encodings that read all values of a table, also those that only its own program knows. */
import type { StoredFieldType, StoredSchema } from '../../src/encoding/stored-schema.js'
import type { Encodings } from '../../src/exchange/target-encodings.js'
import { bytes, fixed, struct, type FieldEncoding, type KeyEncoding } from '../../src/index.js'

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
