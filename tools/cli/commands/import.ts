/**
 * `flashtable import FILE DIR`: makes a table from the records of a file.
 *
 * What can be checked is checked before anything is written. README.md, Import.
 */
import { Option, type Command } from 'commander'
import { encodingsOf, targetFieldsOf, type Encodings } from '../../../src/exchange/target-encodings.js'
import type { FieldMap } from '../../../src/exchange/mapping.js'
import { FlashTable, FlashTableError, type CombineFields, type StoredSchema } from '../../../src/index.js'
import { jsonOption, memoryOption, parseCount, parsePairs, single, waitOption } from '../arguments.js'
import { closing } from '../closing.js'
import { readableEncodings } from '../encodings.js'
import { failWith } from '../failure.js'
import { IMPORT_FORMATS, type ImportFormat } from '../formats/formats.js'
import { isRaw, openSource, type SourceOptions } from '../formats/open-source.js'
import { TableSource } from '../formats/table-source.js'
import { interruptible } from '../interrupt.js'
import { formatBytes, formatCount, report, textList } from '../output.js'
import { withProgress, type Update } from '../progress.js'
import { parseSchema, type RecordSchema } from '../schema.js'
import { parseShape, type Shape } from '../shape.js'
import { parseTable } from '../store.js'
import { readStats, writtenText } from '../table-stats.js'
import { UsageError } from '../usage.js'

const DETAILS = `
FILE may be - for standard input. Formats, which need not be said if the first bytes of FILE or its ending tell them:
  csv      values separated by commas, semicolons or tabs; the first line has the names (needs papaparse)
  jsonl    a JSON object on each line
  npy      an array that numpy.save has written, structured or plain
  parquet  (needs hyparquet)
  arrow    Arrow IPC, a file or a stream (needs apache-arrow)
  records  packed little-endian records, nothing between them
  memmap   a hash table mapped into memory with numpy: --shape BUCKETS,SLOTS of packed records. Slot 0 of
           a bucket is its head; other slots are imported if bit 0 of their field "flags" is set

The schema names the fields of the table: u8 u16 u32 u64 i8 i16 i32 i64 f32 f64 bytes(n). One field is named key (u8
to u64 or bytes); without any other the table is a set. Of records and memmap it gives the order of the fields in the
file. npy, parquet and arrow tell their types: without a schema all columns are taken. --map says which column becomes
which field where the names differ. With --append the schema is that of the table.

A row that does not fit (a value that is missing, too large, or no number) ends the import, with its line and column;
--skip-bad N leaves out up to N of them. Records keep their order. The import is all or nothing; if interrupted, it
leaves an empty table that the next one may fill. With --append, what was read so far stays.

Examples:
  flashtable import old.memmap prints --format memmap --shape 16384,32 --schema key:u64,time:u16,flags:u16,id:i32
  flashtable import chunks.csv chunks --schema 'key:bytes(20),size:u32' --map key=sha1
  zcat hits.jsonl.gz | flashtable import - hits --format jsonl --schema key:u64,time:u32`

/** What to import, and into which table. */
export interface Import extends SourceOptions {
  /** A path, or `-` for standard input. */
  readonly file: string
  readonly directory: string
  /** For fields the names of their columns. */
  readonly map?: FieldMap | undefined
  /** How many wrong rows may be left out. */
  readonly skipBad?: number | undefined
  /** Of a new table: only the newest record of each key is kept. */
  readonly replace?: boolean | undefined
  /** Of a new table: how the records of a key become one. */
  readonly combine?: CombineFields | undefined
  /** Adds to an existing table; without it, a table that holds anything is `FLASHTABLE_EXISTS`. */
  readonly append?: boolean | undefined
  /** Bytes of records that may wait in memory. */
  readonly memory?: number | undefined
  /** Milliseconds to wait for another writer. */
  readonly wait?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** In bytes of the file, each counted when it is read and once more when it is written. */
  readonly onProgress?: Update
}

export interface Imported {
  readonly records: number
  /** Bytes of a record, unpacked. */
  readonly recordBytes: number
  /** Wrong rows that were left out. */
  readonly skipped: number
  /** Where the first of them is, and what is wrong with it. */
  readonly firstSkipped: string | undefined
}

/** Imports, all or nothing unless it appends. */
export async function importFile(options: Import): Promise<Imported> {
  const there = await existingSchema(options.directory)
  if (there !== undefined && there.hasRecords && options.append !== true)
    throw new FlashTableError('FLASHTABLE_EXISTS', `${options.directory} holds a table; --append adds to it`)
  const { source, format } = await openSource(options.file, options)
  return closing(source, async source => {
    const adopted = options.append === true && options.schema === undefined ? there?.schema : undefined
    const targets = options.schema?.fields ?? (adopted && targetFieldsOf(adopted))
    const table = new TableSource(source, targets, options.map ?? {}, options.skipBad ?? 0)
    const encodings = adopted === undefined ? encodingsOf(table.fields) : readableEncodings(adopted)
    const records = await (options.append === true
      ? appendAll(table, encodings, isRaw(format), options)
      : loadAll(table, encodings, options))
    const { count: skipped, first: firstSkipped } = table.wrong
    const recordBytes = table.fields.reduce((sum, { byteLength }) => sum + byteLength, 0)
    return { records, recordBytes, skipped, firstSkipped }
  })
}

/** Loads into a new table, or into an empty one such as an interrupted import leaves. */
async function loadAll(source: TableSource, encodings: Encodings, options: Import): Promise<number> {
  const { directory, memory, wait, signal, onProgress, replace, combine } = options
  const bytes = source.bytes ?? 0
  let records = 0
  async function* columns() {
    for await (const { columns, rows, bytesRead } of source.batches()) {
      records += rows
      yield columns
      onProgress?.(bytesRead, 2 * bytes)
    }
  }
  const loading = FlashTable.bulkLoad(
    directory,
    {
      ...encodings,
      ...(replace === true ? { duplicates: 'replace' as const } : {}),
      ...(combine === undefined ? {} : { combine: combine as never }),
      memoryBytes: memory,
      lockTimeoutMs: wait,
      signal,
      onProgress: ({ done, total }) => onProgress?.(bytes * (1 + done / total), 2 * bytes),
    },
    columns(),
  )
  const table = await loading.catch((error: unknown) => {
    failWith(error, `nothing of ${source.path} is in ${directory}`)
  })
  await table.close()
  return records
}

async function appendAll(
  source: TableSource,
  encodings: Encodings,
  isRaw: boolean,
  options: Import,
): Promise<number> {
  const { directory, wait, signal, onProgress } = options
  // What is put cannot be taken back: wrong rows are found first. Standard input can be read once, and every raw record is
  // one.
  if (source.bytes !== undefined && !isRaw) for await (const _ of source.batches()) signal?.throwIfAborted()
  const table = await FlashTable.open(directory, { ...encodings, lockTimeoutMs: wait, signal })
  return closing(table, async table => {
    let records = 0
    try {
      for await (const { columns, rows, bytesRead } of source.batches()) {
        signal?.throwIfAborted()
        await table.putColumns(columns)
        records += rows
        onProgress?.(bytesRead, source.bytes ?? 0)
      }
    } catch (error) {
      failWith(error, `only the first ${records} records of ${source.path} are in ${directory}`)
    }
    return records
  })
}

/** The table that is there, if there is one. Only reads: opening for writing changes a table a little. */
async function existingSchema(
  directory: string,
): Promise<{ readonly schema: StoredSchema; readonly hasRecords: boolean } | undefined> {
  try {
    const { sequence, schema } = await readStats(directory)
    return { schema, hasRecords: sequence.next > 0 }
  } catch (error) {
    if (error instanceof FlashTableError && error.code === 'FLASHTABLE_NOT_FOUND') return undefined
    throw error
  }
}

export function defineImport(program: Command): void {
  program
    .command('import')
    .summary('make a table from CSV, JSON lines, npy, Parquet, Arrow, packed records or a numpy.memmap table')
    .description('Makes a table in the new directory DIR from the records in FILE.')
    .argument('<file>', 'file to read, - for standard input')
    .argument('<dir>', 'directory of the table', parseTable)
    .addOption(single(new Option('--format <format>', 'format of FILE').choices(IMPORT_FORMATS)))
    .addOption(
      single(
        new Option('--schema <fields>', 'fields of a record, name:type, separated by commas').argParser(
          parseSchema,
        ),
      ),
    )
    .addOption(
      single(
        new Option('--map <fields>', 'columns of fields: key=hash,id=track').argParser(text =>
          parsePairs(text, 'key=hash'),
        ),
      ),
    )
    .addOption(single(new Option('--shape <shape>', 'of a memmap: BUCKETS,SLOTS').argParser(parseShape)))
    .addOption(
      single(
        new Option('--offset <bytes>', 'of records and memmap: bytes before the first record').argParser(
          parseCount,
        ),
      ),
    )
    .option('--big-endian', 'of records and memmap: numbers have their highest byte first')
    .option('--no-header', 'of csv: the first line has values; the columns are 1, 2 and so on')
    .addOption(
      single(new Option('--skip-bad <count>', 'leave out up to so many wrong rows').argParser(parseCount)),
    )
    .option('--replace', 'the new table keeps only the newest record of each key')
    .addOption(
      single(
        new Option(
          '--combine <fields>',
          'the new table makes one of the records of a key: count=sum,last=max',
        ).argParser(text => parsePairs(text, 'count=sum')),
      ),
    )
    .option('--append', 'add to an existing table')
    .option('--force', 'import FILE as records even if it is recognised as another format')
    .addOption(memoryOption())
    .addOption(waitOption())
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runImport)
}

interface ImportOptions {
  readonly format?: ImportFormat
  readonly schema?: RecordSchema
  readonly map?: FieldMap
  readonly shape?: Shape
  readonly offset?: number
  readonly bigEndian?: true
  readonly header: boolean
  readonly skipBad?: number
  readonly replace?: true
  readonly combine?: FieldMap
  readonly append?: true
  readonly force?: true
  readonly memory?: number
  readonly wait?: number
  readonly json?: true
}

async function runImport(file: string, directory: string, options: ImportOptions): Promise<void> {
  const { json, header: hasHeader, combine, ...rest } = options
  if (options.append === true && (options.replace === true || combine !== undefined))
    throw new UsageError('--replace and --combine are for a new table, and --append adds to one')
  const imported = await interruptible(signal =>
    withProgress('importing', onProgress =>
      importFile({
        ...rest,
        file,
        directory,
        hasHeader,
        combine: combine as CombineFields | undefined,
        signal,
        onProgress,
      }),
    ),
  )
  const stats = await readStats(directory)
  const { records, skipped, firstSkipped } = imported
  const recordBytes = records * imported.recordBytes
  const { bytesWritten, writeAmplification } = stats
  const result = {
    file,
    directory,
    records,
    recordBytes,
    skipped,
    firstSkipped,
    bytesWritten,
    writeAmplification,
  }
  report(json, result, () =>
    textList([
      ['imported', `${formatCount(records)} records (${formatBytes(recordBytes)}) into ${directory}`],
      ...(skipped === 0
        ? []
        : [['left out', `${formatCount(skipped)} wrong rows, the first: ${firstSkipped}`] as const]),
      ...writtenText(stats),
    ]),
  )
}
