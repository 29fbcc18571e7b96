/**
 * `flashtable import FILE DIR`: makes a flashtable from packed records or from a table that numpy mapped into memory.
 *
 * The size of the file is checked before anything is written. README.md, Import.
 */
import { Option, type Command } from 'commander'
import { FlashTable, FlashTableError } from '../../../src/index.js'
import { jsonOption, parseDirectory, single, waitOption } from '../arguments.js'
import { closing } from '../closing.js'
import { encodingsOf } from '../encodings.js'
import { failWith } from '../failure.js'
import { interruptible } from '../interrupt.js'
import { formatBytes, formatCount, report, textList } from '../output.js'
import { withProgress, type Update } from '../progress.js'
import { RecordFile } from '../record-file.js'
import { parseSchema, type RecordSchema } from '../schema.js'
import { parseShape, type Shape } from '../shape.js'
import { readStats, writtenText } from '../table-stats.js'
import { UsageError } from '../usage.js'

const DETAILS = `
Formats:
  records  packed little-endian records, nothing between them
  memmap   a hash table mapped into memory with numpy: --shape BUCKETS,SLOTS of packed records. Slot 0 of
           a bucket is its head; other slots are imported if bit 0 of their field "flags" is set

The schema names the fields in the order of the file: u8 u16 u32 u64 i8 i16 i32 i64 f32 f64 bytes(n). One field
is named key (u8 to u64 or bytes); without any other the table is a set.

The size of FILE must fit the schema (and the shape), and it must not be a file of another format (NumPy's .npy,
Parquet, SQLite, compressed files, CSV and so on); otherwise nothing is written. Records keep their order. The import
is all or nothing; if interrupted, it leaves an empty table that the next one may fill. With --append, what was
read so far stays.

Examples:
  flashtable import old.memmap prints --format memmap --shape 16384,32 --schema key:u64,time:u16,flags:u16,id:i32
  flashtable import chunks.bin chunks --format records --schema 'key:bytes(20),size:u32'`

/** What to import, and into which table. */
export interface Import {
  readonly file: string
  readonly directory: string
  readonly schema: RecordSchema
  /** Of a memory-mapped table; without it the file holds plain records. */
  readonly shape?: Shape | undefined
  /** Adds to an existing table; without it, a table that holds anything is `FLASHTABLE_EXISTS`. */
  readonly append?: boolean | undefined
  /** Imports a file even if it is recognised as something else. */
  readonly force?: boolean | undefined
  /** Milliseconds to wait for another writer. */
  readonly wait?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** In bytes of the file, each counted when it is read and once more when it is written. */
  readonly onProgress?: Update
}

/** Imports, all or nothing unless it appends; returns the number of records. */
export async function importFile(options: Import): Promise<number> {
  const { schema, shape, append, force } = options
  return closing(await RecordFile.open(options.file, schema, shape, force), file =>
    append === true ? appendAll(file, options) : loadAll(file, options),
  )
}

/** Loads into a new table, or into an empty one such as an interrupted import leaves. */
async function loadAll(
  file: RecordFile,
  { directory, schema, wait, signal, onProgress }: Import,
): Promise<number> {
  if (!(await isEmptyOrMissing(directory))) {
    throw new FlashTableError('FLASHTABLE_EXISTS', `${directory} holds a table; --append adds to it`)
  }
  let records = 0
  async function* columns() {
    for await (const { columns, rows, bytesRead } of file.chunks()) {
      records += rows
      yield columns
      onProgress?.(bytesRead, 2 * file.bytes)
    }
  }
  const loading = FlashTable.bulkLoad(
    directory,
    {
      ...encodingsOf(schema),
      lockTimeoutMs: wait,
      signal,
      onProgress: ({ done, total }) => onProgress?.(file.bytes * (1 + done / total), 2 * file.bytes),
    },
    columns(),
  )
  const table = await loading.catch((error: unknown) => {
    failWith(error, `nothing of ${file.path} is in ${directory}`)
  })
  await table.close()
  return records
}

async function appendAll(file: RecordFile, options: Import): Promise<number> {
  const { directory, schema, wait, signal, onProgress } = options
  const table = await FlashTable.open(directory, { ...encodingsOf(schema), lockTimeoutMs: wait, signal })
  return closing(table, async table => {
    let records = 0
    try {
      for await (const { columns, rows, bytesRead } of file.chunks()) {
        signal?.throwIfAborted()
        await table.putColumns(columns)
        records += rows
        onProgress?.(bytesRead, file.bytes)
      }
    } catch (error) {
      failWith(error, `only the first ${records} records of ${file.path} are in ${directory}`)
    }
    return records
  })
}

/** Whether nothing was ever put. Only reads: opening for writing changes a table a little. */
async function isEmptyOrMissing(directory: string): Promise<boolean> {
  try {
    return (await readStats(directory)).sequence.next === 0
  } catch (error) {
    if (error instanceof FlashTableError && error.code === 'FLASHTABLE_NOT_FOUND') return true
    throw error
  }
}

export function defineImport(program: Command): void {
  program
    .command('import')
    .summary('make a table from packed records or from a numpy.memmap table')
    .description('Makes a table in the new directory DIR from the records in FILE.')
    .argument('<file>', 'file to read')
    .argument('<dir>', 'directory of the table', parseDirectory)
    .addOption(
      single(
        new Option('--format <format>', 'format of FILE')
          .choices(['records', 'memmap'])
          .makeOptionMandatory(),
      ),
    )
    .addOption(
      single(
        new Option('--schema <fields>', 'fields of a record, name:type, separated by commas')
          .argParser(parseSchema)
          .makeOptionMandatory(),
      ),
    )
    .addOption(single(new Option('--shape <shape>', 'of a memmap: BUCKETS,SLOTS').argParser(parseShape)))
    .option('--append', 'add to an existing table')
    .option('--force', 'import FILE even if it is recognised as another format')
    .addOption(waitOption())
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runImport)
}

interface ImportOptions {
  readonly format: 'records' | 'memmap'
  readonly schema: RecordSchema
  readonly shape?: Shape
  readonly append?: true
  readonly force?: true
  readonly wait?: number
  readonly json?: true
}

async function runImport(file: string, directory: string, options: ImportOptions): Promise<void> {
  const { format, schema, shape, append, force, wait } = options
  if (format === 'memmap' && shape === undefined) throw new UsageError('--format memmap needs --shape')
  if (format === 'records' && shape !== undefined) throw new UsageError('--shape is for --format memmap')
  const records = await interruptible(signal =>
    withProgress('importing', onProgress =>
      importFile({ file, directory, schema, shape, append, force, wait, signal, onProgress }),
    ),
  )
  const stats = await readStats(directory)
  const recordBytes = records * schema.recordBytes
  const { bytesWritten, writeAmplification } = stats
  report(options.json, { file, directory, records, recordBytes, bytesWritten, writeAmplification }, () =>
    textList([
      ['imported', `${formatCount(records)} records (${formatBytes(recordBytes)}) into ${directory}`],
      ...writtenText(stats),
    ]),
  )
}
