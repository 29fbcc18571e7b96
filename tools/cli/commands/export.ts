/** `flashtable export DIR FILE`: the records of a table, or some of them, in a format that others read. README.md, Export. */
import { stat } from 'node:fs/promises'
import { Option, type Command } from 'commander'
import { selectFields, targetFieldsOf } from '../../../src/exchange/target-encodings.js'
import { jsonOption, parseCount, parseNames, single } from '../arguments.js'
import { EXPORT_FORMATS, exportFormatOf, type ExportFormat } from '../formats/formats.js'
import { gatherRows } from '../formats/gather.js'
import { readingAdvice } from '../formats/reading-advice.js'
import {
  COMPRESSIONS,
  openWriter,
  PARQUET_ENCODINGS,
  type Compression,
  type ParquetEncoding,
  type RecordWriter,
  type Written,
} from '../formats/record-writer.js'
import {
  addReadingOptions,
  cacheOption,
  reading,
  READING_DETAILS,
  type ReadingTexts,
} from '../open-for-reading.js'
import { formatBytes, formatCount, report, textList } from '../output.js'
import { withOutput } from '../output-file.js'
import { withProgress, type Update } from '../progress.js'
import { addRangeOptions, parseRange, type RangeTexts } from '../range.js'
import type { ReadTable } from '../read-table.js'
import { countRecords, scan, type Scan } from '../records.js'
import type { RowColumns } from '../rows/row-format.js'
import { storedFields, type StoredSchema } from '../../../src/encoding/stored-schema.js'
import { parseReadable } from '../store.js'
import { UsageError } from '../usage.js'
import { parseWhere, whereOption } from '../where.js'

/** Formats that a terminal can show. */
const TEXTS: readonly ExportFormat[] = ['csv', 'jsonl']

const DETAILS = `
FILE may be - for standard output. Formats, which the ending of FILE tells:
  csv           a line of names, then a line for each record; bytes in hexadecimal digits
  jsonl         a JSON object on each line; 64-bit integers are strings, with --json-numbers they are numbers
  npy           a structured array, for numpy.load(FILE, mmap_mode='r')
  parquet       (needs hyparquet-writer)
  arrow         Arrow IPC (needs apache-arrow); FILE.arrows or --format arrow-stream is a stream
  records       packed little-endian records, nothing between them

Records come in the order of their keys, those of a key in that of their insertion. FILE is there when all of it is, or
not at all. Values of fixed encodings are text in csv and jsonl, and bytes in the others.
${READING_DETAILS}

Examples:
  flashtable export prints prints.parquet
  flashtable export prints - --format csv --gte 0x1000 --lt 0x2000 --columns key,id --where 'time<500' | head
  flashtable export s3://backups/prints prints.parquet --at 2026-11-28T18:00:00Z`

export function defineExport(program: Command): void {
  const command = program
    .command('export')
    .summary('write records as CSV, JSON lines, npy, Parquet, Arrow or packed records')
    .description(
      'Writes the records of the table in DIR, or those of a range, to FILE. Changes nothing in DIR.',
    )
    .argument('<dir>', 'directory of the table, or where it is published', parseReadable)
    .argument('<file>', 'file to write, - for standard output')
    .addOption(single(new Option('--format <format>', 'format of FILE').choices(EXPORT_FORMATS)))
  addReadingOptions(addRangeOptions(command))
    .addOption(cacheOption())
    .addOption(whereOption())
    .addOption(
      single(new Option('--columns <names>', 'key and fields, in this order: key,id').argParser(parseNames)),
    )
    .addOption(single(new Option('--limit <count>', 'the most records').argParser(parseCount)))
    .addOption(new Option('--reverse', 'from the last key to the first'))
    .addOption(single(new Option('--compress <codec>', 'of parquet; default: snappy').choices(COMPRESSIONS)))
    .addOption(
      single(
        new Option('--encoding <encoding>', 'of parquet; delta takes half the bytes, and more time').choices(
          PARQUET_ENCODINGS,
        ),
      ),
    )
    .addOption(
      new Option('--json-numbers', 'of jsonl: 64-bit integers as numbers, which many programs round'),
    )
    .addOption(new Option('--force', 'replace FILE if it is there'))
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runExport)
}

interface Options extends RangeTexts, ReadingTexts {
  readonly format?: ExportFormat
  readonly where?: readonly string[]
  readonly columns?: readonly string[]
  readonly limit?: number
  readonly reverse?: true
  readonly compress?: Compression
  readonly encoding?: ParquetEncoding
  readonly jsonNumbers?: true
  readonly force?: true
  readonly json?: true
}

async function runExport(directory: string, file: string, options: Options): Promise<void> {
  const { json } = options
  const format = options.format ?? exportFormatOf(file)
  checkOptions(file, format, options)
  const { place, stored, records } = await reading(directory, options, async readable => {
    const { place, schema } = readable
    const stored = selectFields(storedFields(schema), options.columns)
    const fields = selectFields(targetFieldsOf(schema), options.columns)
    const wanted: Scan = {
      ...parseRange(schema, options),
      where: options.where === undefined ? undefined : parseWhere(options.where, schema),
      signal: readable.signal,
    }
    const records = await withProgress('exporting', onProgress =>
      readable.open(table =>
        exportRecords({ table, schema, wanted, stored, fields, file, format, onProgress }, options),
      ),
    )
    return { place, stored, records }
  })
  // Standard output has the records.
  if (file === '-' || records === undefined) return
  const bytes = (await stat(file)).size
  report(json, { ...place, file, format, records, bytes }, () =>
    textList([
      ['exported', `${formatCount(records)} records (${formatBytes(bytes)}) to ${file}`],
      ...readingAdvice(format, file, stored),
    ]),
  )
}

interface Export extends Pick<Written, 'stored' | 'fields'> {
  readonly table: ReadTable
  readonly schema: StoredSchema
  /** All records that are asked for, were there no limit. */
  readonly wanted: Scan
  readonly file: string
  readonly format: ExportFormat
  readonly onProgress: Update
}

/** Resolves to their number, or to `undefined` if standard output takes no more. */
async function exportRecords(
  { table, schema, wanted, stored, fields, file, format, onProgress }: Export,
  { limit = Infinity, reverse, compress: compression, encoding, jsonNumbers, force }: Options,
): Promise<number | undefined> {
  // npy has the number of records before them. For the others it is progress: to look at each record would take as long
  // as to export it.
  const counted = format === 'npy' ? wanted : { ...wanted, where: undefined }
  const rows = Math.min(limit, await countRecords(table, schema, counted))
  const written = { stored, fields, rows, compression, encoding, jsonNumbers }
  const batches = scan(table, { ...wanted, limit, reverse })
  return withOutput({ path: file, force, signal: wanted.signal }, async output =>
    writeAll(batches, written, await openWriter(format, output, written), onProgress),
  )
}

function checkOptions(file: string, format: ExportFormat, options: Options): void {
  if (file === '-' && options.json === true)
    throw new UsageError('standard output has the records: --json has no place there')
  if (file === '-' && process.stdout.isTTY && !TEXTS.includes(format))
    throw new UsageError(`${format} is not for a terminal: name a FILE, or send it through a pipe`)
  if (format !== 'parquet' && (options.compress !== undefined || options.encoding !== undefined))
    throw new UsageError('--compress and --encoding are for --format parquet')
  if (format !== 'jsonl' && options.jsonNumbers === true)
    throw new UsageError('--json-numbers is for --format jsonl')
}

async function writeAll(
  batches: AsyncIterable<RowColumns>,
  { fields, rows: total }: Written,
  writer: RecordWriter,
  onProgress: Update,
): Promise<number> {
  let records = 0
  for await (const { columns, rows } of gatherRows(batches, fields, writer.batchRows)) {
    await writer.write(columns, rows)
    records += rows
    onProgress(records, total)
  }
  await writer.end()
  return records
}
