/** `flashtable export DIR FILE`: the records of a table, or some of them, in a format that others read. README.md, Export. */
import { stat } from 'node:fs/promises'
import { Option, type Command } from 'commander'
import { selectFields, targetFieldsOf } from '../../../src/exchange/target-encodings.js'
import { FlashTable } from '../../../src/index.js'
import { jsonOption, parseCount, parseDirectory, parseNames, single } from '../arguments.js'
import { closing } from '../closing.js'
import { readableEncodings } from '../encodings.js'
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
import { interruptible } from '../interrupt.js'
import { formatBytes, formatCount, report, textList } from '../output.js'
import { withOutput } from '../output-file.js'
import { withProgress, type Update } from '../progress.js'
import { addRangeOptions, parseRange, type RangeTexts } from '../range.js'
import { countRecords, scan } from '../records.js'
import type { RowColumns } from '../rows/row-format.js'
import { storedFields } from '../../../src/encoding/stored-schema.js'
import { readSchema } from '../table-schema.js'
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

Examples:
  flashtable export prints prints.parquet
  flashtable export prints - --format csv --gte 0x1000 --lt 0x2000 --columns key,id --where 'time<500' | head`

export function defineExport(program: Command): void {
  const command = program
    .command('export')
    .summary('write records as CSV, JSON lines, npy, Parquet, Arrow or packed records')
    .description(
      'Writes the records of the table in DIR, or those of a range, to FILE. Changes nothing in DIR.',
    )
    .argument('<dir>', 'directory of the table', parseDirectory)
    .argument('<file>', 'file to write, - for standard output')
    .addOption(single(new Option('--format <format>', 'format of FILE').choices(EXPORT_FORMATS)))
  addRangeOptions(command)
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

interface Options extends RangeTexts {
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
  const { json, force } = options
  const format = options.format ?? exportFormatOf(file)
  checkOptions(file, format, options)
  const schema = await readSchema(directory)
  const stored = selectFields(storedFields(schema), options.columns)
  const fields = selectFields(targetFieldsOf(schema), options.columns)
  const range = parseRange(schema, options)
  const where = options.where === undefined ? undefined : parseWhere(options.where, schema)
  const { limit = Infinity, reverse } = options
  const records = await interruptible(signal =>
    withProgress('exporting', async onProgress => {
      const opening = FlashTable.open(directory, { ...readableEncodings(schema), readOnly: true, signal })
      return closing(await opening, async table => {
        // npy has the number of records before them. For the others it is progress: to look at each record would take as long
        // as to export it.
        const counted = format === 'npy' ? { ...range, where } : range
        const rows = Math.min(limit, await countRecords(table, schema, { ...counted, signal }))
        const { compress: compression, encoding, jsonNumbers } = options
        const written = { stored, fields, rows, compression, encoding, jsonNumbers }
        const batches = scan(table, { ...range, where, limit, reverse, signal })
        return withOutput({ path: file, force, signal }, async output =>
          writeAll(batches, written, await openWriter(format, output, written), onProgress),
        )
      })
    }),
  )
  // Standard output has the records.
  if (file === '-' || records === undefined) return
  const bytes = (await stat(file)).size
  report(json, { directory, file, format, records, bytes }, () =>
    textList([
      ['exported', `${formatCount(records)} records (${formatBytes(bytes)}) to ${file}`],
      ...readingAdvice(format, file, stored),
    ]),
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
