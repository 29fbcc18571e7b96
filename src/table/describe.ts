/** What an open table says of itself without reading anything. docs/api.md, What a table says of itself. */
import { declaredKey, declaredValue } from '../encoding/declared.js'
import type { KeyEncoding, ValueEncoding } from '../encoding/types.js'
import type { TableParts } from './table-parts.js'

/** `'closing'`: `close()` was called, and has not settled. */
export type TableStatus = 'open' | 'closing' | 'closed'

/** The encodings of a table: those given to its open, or as it was created. */
export interface TableEncodings {
  readonly keyEncoding: KeyEncoding
  readonly valueEncoding: ValueEncoding
}

export function encodingsOf({ options, schema }: TableParts): TableEncodings {
  if (options.keyEncoding === undefined) {
    const { key, value } = schema.stored
    return { keyEncoding: declaredKey(key), valueEncoding: declaredValue(value) }
  }
  // The open has checked them.
  const { keyEncoding, valueEncoding } = options
  return { keyEncoding: keyEncoding as KeyEncoding, valueEncoding: valueEncoding as ValueEncoding }
}
