/** Gathers batches of columns into larger ones: what a format writes at once. */
import { emptyColumn } from '../../../src/exchange/columns.js'
import type { TargetField } from '../../../src/exchange/mapping.js'
import { rowsOf } from '../../../src/exchange/target-encodings.js'
import type { RowColumns } from '../rows/row-format.js'

/**
 * The same rows, `batchRows` of them at a time; the last batch may have fewer. The columns are new ones, or without
 * `batchRows` those that came.
 */
export async function* gatherRows(
  batches: AsyncIterable<RowColumns>,
  fields: readonly TargetField[],
  batchRows: number | undefined,
): AsyncGenerator<{ columns: RowColumns; rows: number }, void> {
  if (batchRows === undefined) {
    for await (const columns of batches) yield { columns, rows: rowsOf(fields[0]!, columns) }
    return
  }
  let gathered = emptyColumns(fields, batchRows)
  let filled = 0
  for await (const batch of batches) {
    const rows = rowsOf(fields[0]!, batch)
    for (let from = 0; from < rows;) {
      const count = Math.min(rows - from, batchRows - filled)
      for (const { name, type, byteLength } of fields) {
        const values = type === 'bytes' ? byteLength : 1
        const part = batch[name]!.subarray(from * values, (from + count) * values)
        ;(gathered[name] as Uint8Array).set(part as Uint8Array, filled * values)
      }
      from += count
      filled += count
      if (filled < batchRows) continue
      yield { columns: gathered, rows: filled }
      gathered = emptyColumns(fields, batchRows)
      filled = 0
    }
  }
  if (filled > 0) yield { columns: firstRows(gathered, fields, filled), rows: filled }
}

function emptyColumns(fields: readonly TargetField[], rows: number): RowColumns {
  return Object.fromEntries(fields.map(field => [field.name, emptyColumn(field, rows)]))
}

function firstRows(columns: RowColumns, fields: readonly TargetField[], rows: number): RowColumns {
  return Object.fromEntries(
    fields.map(({ name, type, byteLength }) => [
      name,
      columns[name]!.slice(0, rows * (type === 'bytes' ? byteLength : 1)),
    ]),
  )
}
