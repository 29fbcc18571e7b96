/** `flashtable scan DIR`: the records of a table, or of a range of keys, one a line; in bounded memory. */
import { Option, type Command } from 'commander'
import type { OwnColumn } from '../../../src/encoding/field-type.js'
import { storedFields, type StoredSchema } from '../../../src/encoding/stored-schema.js'
import { selectFields } from '../../../src/exchange/target-encodings.js'
import { jsonOption, parseCount, parseNames, single } from '../arguments.js'
import {
  addReadingOptions,
  cacheOption,
  reading,
  READING_DETAILS,
  type Readable,
  type ReadingTexts,
} from '../open-for-reading.js'
import { withOutput } from '../output-file.js'
import { addRangeOptions, parseRange, type RangeTexts } from '../range.js'
import { rowsOf, scan } from '../records.js'
import {
  csvFormat,
  jsonFormat,
  jsonLinesFormat,
  tableFormat,
  type RowColumns,
  type RowField,
  type RowFormat,
} from '../rows/row-format.js'
import { RowWriter } from '../rows/row-writer.js'
import { parseReadable } from '../store.js'
import { UsageError } from '../usage.js'
import { parseWhere, whereOption } from '../where.js'

const FORMATS = { table: tableFormat, csv: csvFormat, jsonl: jsonLinesFormat } as const

const DETAILS = `
Keys are written as for get. Records come by key, those of a key oldest first; with --reverse in the exact reverse.
Formats: table (columns separated by tabs), csv (RFC 4180 with a line of names), jsonl (one JSON object a line). A pipe
to head ends the scan; it is no failure.
${READING_DETAILS}

Examples:
  flashtable scan fingerprints.table --gte 0x1000 --lt 0x2000 --where 'time>=1700' --columns key,id
  flashtable scan fingerprints.table --format csv | gzip > fingerprints.csv.gz
  flashtable scan s3://backups/fingerprints --at 2026-11-28T18:00:00Z --gte 0x1000 --limit 100`

export function defineScan(program: Command): void {
  const command = program
    .command('scan')
    .summary('print the records, or those of a range of keys')
    .description(
      'Prints the records of the table in DIR, or of a range of keys, one a line, in the order of the keys. ' +
        'Changes nothing.',
    )
    .argument('<dir>', 'directory of the table, or where it is published', parseReadable)
  addReadingOptions(addRangeOptions(command))
    .addOption(cacheOption())
    .addOption(whereOption())
    .addOption(new Option('--reverse', 'from the last record to the first'))
    .addOption(single(new Option('--limit <count>', 'the most records, or keys').argParser(parseCount)))
    .addOption(new Option('--keys', 'each key once, without the fields'))
    .addOption(
      single(new Option('--columns <names>', 'fields to print, separated by commas').argParser(parseNames)),
    )
    .addOption(single(new Option('--format <format>', 'how to print them').choices(Object.keys(FORMATS))))
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runScan)
}

interface Options extends RangeTexts, ReadingTexts {
  readonly where?: readonly string[]
  readonly reverse?: true
  readonly limit?: number
  readonly keys?: true
  readonly columns?: readonly string[]
  readonly format?: keyof typeof FORMATS
  readonly json?: true
}

async function runScan(directory: string, options: Options): Promise<void> {
  if (options.json === true && options.format !== undefined)
    throw new UsageError('give --json or --format, not both; --format jsonl prints an object a line')
  const { keys: isKeys = false, limit = Infinity, reverse } = options
  await reading(directory, options, async ({ place, schema, signal, open }) => {
    const fields = chooseFields(schema, options)
    const where = options.where === undefined ? undefined : parseWhere(options.where, schema)
    const range = { ...parseRange(schema, options), where, reverse, limit: isKeys ? Infinity : limit }
    await open(table =>
      withOutput({ path: '-', signal }, async output => {
        const writer = new RowWriter(output, formatOf(fields, place, options))
        const batches = scan(table, { ...range, signal })
        for await (const columns of isKeys ? distinctKeys(batches, schema, limit) : batches)
          await writer.add(columns, 0, rowsOf(columns, schema.key))
        await writer.end()
      }),
    )
  })
}

function formatOf(
  fields: readonly RowField[],
  place: Readable['place'],
  { json, format }: Options,
): RowFormat {
  return json === true ? jsonFormat(fields, place) : FORMATS[format ?? 'table'](fields)
}

/** The fields that are asked for, in the order that is asked for. */
function chooseFields(schema: StoredSchema, { keys, columns }: Options): readonly RowField[] {
  const fields = storedFields(schema)
  if (keys === true && columns !== undefined) throw new UsageError('give --keys or --columns, not both')
  if (keys === true) return fields.slice(0, 1)
  return selectFields(fields, columns)
}

/** The key column alone, each key once, `limit` keys at most. Keys that are equal follow each other. */
async function* distinctKeys(
  batches: AsyncIterable<RowColumns>,
  { key }: StoredSchema,
  limit: number,
): AsyncGenerator<RowColumns> {
  const width = 'bytes' in key ? key.bytes : 1
  let left = limit
  /** Of the batch before. */
  let last: OwnColumn | undefined
  for await (const { key: column } of batches) {
    const keys = column!
    let length = 0
    for (let at = 0; at < keys.length && left > 0; at += width) {
      const isSame =
        length > 0
          ? isEqual(keys, at, keys, length - width, width)
          : last !== undefined && isEqual(keys, at, last, 0, width)
      if (isSame) continue
      keys.copyWithin(length, at, at + width)
      length += width
      left--
    }
    if (length > 0) last = keys.slice(length - width, length)
    yield { key: keys.subarray(0, length) as OwnColumn }
    if (left === 0) return
  }
}

function isEqual(a: OwnColumn, aAt: number, b: OwnColumn, bAt: number, width: number): boolean {
  for (let i = 0; i < width; i++) if (a[aAt + i] !== b[bAt + i]) return false
  return true
}
