/** What an open table says about itself without reading anything. docs/api.md, What a table says about itself. */
import { declaredKey, declaredValue } from '../encoding/declared.js'
import { copyOfSchema } from '../encoding/stored-schema.js'
import type { KeyEncoding, ValueEncoding } from '../encoding/types.js'
import { copyOfCombine, countRecords, duplicatesOf } from './stats.js'
import type { TableParts } from './table-parts.js'

/** `'closing'`: `close()` was called, and has not settled. */
export type TableStatus = 'open' | 'closing' | 'closed'

/** The encodings of a table: those given to its open, or those it was created with. */
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

/** What `JSON.stringify` shows of a table. */
export function tableAsJson(parts: TableParts, status: TableStatus): object {
  const { state, schema, directory: location, writer } = parts
  const { pageBytes } = state.manifest
  const combine = copyOfCombine(state.manifest)
  return {
    location,
    status,
    readOnly: writer === undefined,
    schema: copyOfSchema(schema.stored),
    ...(combine === undefined ? { duplicates: duplicatesOf(state.manifest) } : { combine }),
    pageBytes,
    ...countRecords(state),
  }
}

/** What `util.inspect` shows of a table. */
export function tableAsFields(parts: TableParts, status: TableStatus, encodings: TableEncodings): object {
  const { state, directory: location, writer, poison } = parts
  const { pageBytes } = state.manifest
  const combine = copyOfCombine(state.manifest)
  return {
    location,
    status,
    ...(poison.latched ? { poisoned: poison.reason } : {}),
    readOnly: writer === undefined,
    ...encodings,
    ...(combine === undefined ? { duplicates: duplicatesOf(state.manifest) } : { combine }),
    pageBytes,
    ...countRecords(state),
  }
}
