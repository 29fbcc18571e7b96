/**
 * `flashtable/arrow`: a table as record batches of Apache Arrow, and a table from them, for DuckDB, Polars, pandas and what
 * else reads Arrow. It needs the package `apache-arrow` beside this one. docs/api.md, Arrow.
 */
import type { RecordBatch, Schema } from 'apache-arrow'
import { invalidType } from './base/errors.js'
import type { KeyEncoding, ValueEncoding, WhereIn, KeyIn } from './encoding/types.js'
import { arrowBatchOf, arrowColumnOf, arrowFieldsOf, arrowSchemaOf } from './exchange/arrow-columns.js'
import { convertColumn, typeRange } from './exchange/convert.js'
import { mapFields, type FieldMap, type MappedField, type TargetField } from './exchange/mapping.js'
import { encodingsOf, rowsOf, selectFields, targetFieldsOf } from './exchange/target-encodings.js'
import { FlashTable } from './flash-table.js'
import { invalidOption } from './options/arguments.js'
import type { RangeOptions } from './table/table-types.js'
import type { LoadOptions, TableOptions } from './options/options.js'

/** What `arrowBatches` takes: a range, and which columns. */
export interface ArrowOptions<K, Where> extends RangeOptions<K, Where> {
  /** Names of the columns, `key` among them if it is wanted, in this order. Default: all. */
  readonly columns?: readonly string[] | undefined
}

/** What `importArrow` takes besides the options of a table. */
export interface ImportArrowOptions extends TableOptions, LoadOptions {
  /** For fields the names of their columns: `{ key: 'hash' }`. Default: the names are the same. */
  readonly map?: FieldMap | undefined
}

/** What Arrow has: record batches one after another, a reader of them, or a table. */
export type ArrowSource =
  Iterable<RecordBatch> | AsyncIterable<RecordBatch> | { readonly batches: readonly RecordBatch[] }

/**
 * The schema of the batches that `arrowBatches` gives: integers and floats as they are, all others as `FixedSizeBinary`, of
 * `fixed` and custom encodings their encoded bytes. Rejects with `FLASHTABLE_INVALID_OPTION` for a column that is not there.
 */
export async function arrowSchema(table: FlashTable, columns?: readonly string[]): Promise<Schema> {
  return arrowSchemaOf(await fieldsOf(table, columns))
}

async function fieldsOf(table: FlashTable, columns?: readonly string[]): Promise<readonly TargetField[]> {
  const { schema } = await table.stats()
  return selectFields(targetFieldsOf(schema), columns)
}

/**
 * The records of a range as record batches, some thousand rows each, in the order of `scanColumns`, from which they come
 * without a copy. Errors and cost as `scanColumns`.
 */
export async function* arrowBatches<K extends KeyEncoding, V extends ValueEncoding>(
  table: FlashTable<K, V>,
  options: ArrowOptions<KeyIn<K>, WhereIn<V>> = {},
): AsyncGenerator<RecordBatch, void> {
  const { columns: names, ...range } = options
  const fields = await fieldsOf(table as unknown as FlashTable, names)
  const schema = arrowSchemaOf(fields)
  for await (const columns of table.scanColumns(range)) {
    const all = columns as unknown as Parameters<typeof arrowBatchOf>[1]
    yield arrowBatchOf(schema, all, rowsOf(fields[0]!, all))
  }
}

/**
 * Builds a table from record batches, as `FlashTable.bulkLoad` does: all or nothing, into a new directory. Fields have the
 * types of their columns, the key that without a sign. Resolves to the open table. Rejects as `bulkLoad`, with
 * `FLASHTABLE_INVALID_OPTION` for columns that cannot be fields, `FLASHTABLE_INVALID_VALUE` for a value that is missing
 * or does not fit, or with what the source throws. The columns are copied once.
 */
export async function importArrow(
  location: string | URL,
  options: ImportArrowOptions,
  source: ArrowSource,
): Promise<FlashTable> {
  const { map = {}, ...open } = options
  const batches = iteratorOf(source)
  try {
    const first = await batches.next()
    if (first.done === true)
      throw invalidOption('the source has no batch, so nothing tells the fields of the table')
    const fields = mapFields(arrowFieldsOf(first.value.schema), map)
    const options = { ...open, ...encodingsOf(fields.map(({ target }) => target)) }
    const columns = columnsOfAll(first.value, batches, fields)
    return (await FlashTable.bulkLoad(location, options, columns as never)) as unknown as FlashTable
  } finally {
    // The source may have something to close, also where not all of it was read.
    await batches.return()
  }
}

async function* columnsOfAll(
  first: RecordBatch,
  others: AsyncGenerator<RecordBatch, void>,
  fields: readonly MappedField[],
): AsyncGenerator<Record<string, unknown>, void> {
  yield columnsOf(first, fields, 0)
  let rows = first.numRows
  for await (const batch of others) {
    yield columnsOf(batch, fields, rows)
    rows += batch.numRows
  }
}

async function* iteratorOf(source: ArrowSource): AsyncGenerator<RecordBatch, void> {
  yield* 'batches' in source ? source.batches : source
}

function columnsOf(
  batch: RecordBatch,
  fields: readonly MappedField[],
  before: number,
): Record<string, unknown> {
  return Object.fromEntries(
    fields.map(({ source, target }) => {
      const column = arrowColumnOf(batch, source.name)
      const converted = convertColumn(column, batch.numRows, source, target, (row, found) => {
        const what = found === null || found === undefined ? 'no value' : `${String(found)} does not fit`
        throw invalidType(
          'FLASHTABLE_INVALID_VALUE',
          `column '${source.name}', row ${before + row}: ${what}; it is ${typeRange(target)}`,
        )
      })
      return [target.name, converted]
    }),
  )
}
