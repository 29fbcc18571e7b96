/**
 * Turns the stored schema back into what a program declares: encodings that can be given to another open, or shown.
 *
 * Of a custom encoding only the name is known: the one that is made here stands for it in an open, and cannot read
 * values. docs/api.md, What a table says about itself.
 */
import { fieldTypeOfStored, keyTypeOfStored, valueTypeOfStored } from './resolve.js'
import { isScalarName, type StoredFieldType, type StoredValue } from './stored-schema.js'
import { TableEncoding } from './table-encoding.js'
import type { FieldEncoding, KeyEncoding, ValueEncoding } from './types.js'

/** The encoding of keys. */
export function declaredKey(stored: StoredFieldType): KeyEncoding {
  return declared(stored, () => TableEncoding.ofField(keyTypeOfStored(stored))) as KeyEncoding
}

/** The encoding of values; `undefined` for a set. */
export function declaredValue(stored: StoredValue): ValueEncoding {
  if (stored === null) return undefined
  if (stored.type !== 'struct') return declaredField(stored)
  const fields = Object.fromEntries(stored.fields.map(field => [field.name, declaredField(field)]))
  return TableEncoding.ofStruct(valueTypeOfStored(stored), fields) as unknown as ValueEncoding
}

function declaredField(stored: StoredFieldType): FieldEncoding {
  return declared(stored, () => TableEncoding.ofField(fieldTypeOfStored(stored))) as FieldEncoding
}

function declared(stored: StoredFieldType, make: () => TableEncoding): unknown {
  return isScalarName(stored.type) ? stored.type : make()
}
