/** Records as commands read them: how many match, and how many rows columns have. */
import type { StoredFieldType, StoredSchema } from '../../src/encoding/stored-schema.js'
import type { FlashTable, KeyEncoding, ValueEncoding } from '../../src/index.js'
import type { KeyRange } from './range.js'
import type { ReadTable } from './read-table.js'
import type { RowColumns } from './rows/row-format.js'

/** What records are read from. */
type Records = AnyTable | Pick<ReadTable, 'scanColumns' | 'count'>

/** A table whose encodings are known only when it is open. */
export type AnyTable = FlashTable<KeyEncoding, ValueEncoding>

/** What a scan may be asked for. */
export interface Scan extends KeyRange {
  readonly where?: Record<string, unknown> | undefined
  readonly reverse?: boolean | undefined
  readonly limit?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export function scan(table: Records, wanted: Scan): AsyncGenerator<RowColumns, void> {
  return (table as ReadTable).scanColumns(wanted)
}

/** Rows of columns that have a key. */
export function rowsOf(columns: RowColumns, key: StoredFieldType): number {
  return columns['key']!.length / ('bytes' in key ? key.bytes : 1)
}

/** How many records match. */
export async function countRecords(table: Records, { key }: StoredSchema, wanted: Scan): Promise<number> {
  if (!areObjects(key)) return (table as ReadTable).count(wanted)
  // The library would take the range for a key.
  if (Object.values(wanted).every(option => option === undefined)) return table.count()
  let records = 0
  for await (const columns of scan(table, wanted)) records += rowsOf(columns, key)
  return records
}

function areObjects(type: StoredFieldType): boolean {
  return type.type === 'custom' || (type.type === 'fixed' && type.encoding === 'json')
}
