/** How others read an exported file, where they would guess wrong. docs/decisions/interop.md. */
import type { RowField } from '../rows/row-format.js'
import type { ExportFormat } from './formats.js'

const DUCKDB_TYPES: Readonly<Record<string, string>> = {
  u8: 'UTINYINT',
  u16: 'USMALLINT',
  u32: 'UINTEGER',
  u64: 'UBIGINT',
  i8: 'TINYINT',
  i16: 'SMALLINT',
  i32: 'INTEGER',
  i64: 'BIGINT',
  f32: 'FLOAT',
  f64: 'DOUBLE',
}

/** Lines for a report: none where readers know the types from the file. */
export function readingAdvice(
  format: ExportFormat,
  file: string,
  fields: readonly RowField[],
): (readonly [label: string, value: string])[] {
  const path = `'${file.replaceAll("'", "''")}'`
  const types = fields.map(({ name, type }) => `${name}: '${DUCKDB_TYPES[type] ?? 'VARCHAR'}'`).join(', ')
  // DuckDB guesses from the first rows, which have the smallest keys, and would take others for floats.
  if (format === 'csv') return [['DuckDB', `read_csv(${path}, types = {${types}})`]]
  if (format === 'jsonl') return [['DuckDB', `read_json(${path}, columns = {${types}})`]]
  if (format === 'npy') return [['numpy', `numpy.load(${path}, mmap_mode='r')`]]
  return []
}
