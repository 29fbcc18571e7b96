/** `flashtable load FILE NEW`: makes a table of a dump, all or nothing. */
import { open } from 'node:fs/promises'
import { addAbortSignal, type Readable } from 'node:stream'
import type { Command } from 'commander'
import { FlashTable } from '../../../src/index.js'
import { jsonOption, memoryOption, parseDirectory, parseFile, waitOption } from '../arguments.js'
import { closing } from '../closing.js'
import type { DumpHeader } from '../dump/header.js'
import { DumpReader } from '../dump/read-dump.js'
import { readableEncodings } from '../encodings.js'
import { failWith } from '../failure.js'
import { interruptible } from '../interrupt.js'
import { formatCount, report, textList } from '../output.js'
import { withProgress, type Update } from '../progress.js'
import { readStats, writtenText } from '../table-stats.js'

/** Bytes that are read at once. */
const CHUNK_BYTES = 256 * 1024

const DETAILS = `
NEW must hold nothing. All is checked: every field, the number of records and the checksum; if anything is wrong, or if
it is interrupted, nothing is in NEW. Records keep their order, and the table its schema, options and metadata.

Examples:
  flashtable load fingerprints.dump copy.table
  gzip -dc fingerprints.dump.gz | flashtable load - copy.table`

export function defineLoad(program: Command): void {
  program
    .command('load')
    .summary('make a table of a dump')
    .description(
      'Makes a table in the new directory NEW from the text in FILE that flashtable dump has written.',
    )
    .argument('<file>', 'file to read, - for standard input', parseFile)
    .argument('<new>', 'directory of the table', parseDirectory)
    .addOption(memoryOption())
    .addOption(waitOption())
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runLoad)
}

interface Options {
  readonly memory?: number
  readonly wait?: number
  readonly json?: true
}

async function runLoad(file: string, directory: string, { memory, wait, json }: Options): Promise<void> {
  const name = file === '-' ? 'standard input' : file
  const records = await interruptible(signal =>
    withProgress('loading', onProgress =>
      withInput(file, signal, async input => {
        const reader = new DumpReader(name, input)
        const header = await reader.header()
        const loading = load(reader, header, directory, { memory, wait, signal, onProgress })
        await loading.catch((error: unknown) => failWith(error, `nothing of ${name} is in ${directory}`))
        return header.records
      }),
    ),
  )
  const stats = await readStats(directory)
  report(json, { file, directory, records, bytesWritten: stats.bytesWritten }, () =>
    textList([
      ['loaded', `${formatCount(records)} records of ${name} into ${directory}`],
      ...writtenText(stats),
    ]),
  )
}

interface Loading {
  /** Bytes of records that may wait in memory. */
  readonly memory: number | undefined
  readonly wait: number | undefined
  readonly signal: AbortSignal
  readonly onProgress: Update
}

/** Half of the work is reading, the other half is building the file. */
async function load(
  reader: DumpReader,
  header: DumpHeader,
  directory: string,
  { memory, wait, signal, onProgress }: Loading,
): Promise<void> {
  async function* columns() {
    for await (const { columns, records } of reader.batches(header)) {
      yield columns
      onProgress(records, 2 * header.records)
    }
  }
  const { schema, duplicates, combine, pageBytes, mode, meta } = header
  const options = {
    ...readableEncodings(schema),
    duplicates,
    combine,
    pageBytes,
    mode,
    memoryBytes: memory,
    lockTimeoutMs: wait,
    signal,
    onProgress: ({ done, total }: { done: number; total: number }) => onProgress(total + done, 2 * total),
  }
  const table = await FlashTable.bulkLoad(directory, options as never, columns() as never)
  // After the records: metadata may tell what a table holds, and must not be ahead of it.
  await closing(table, table => table.setMeta(meta))
}

/** Runs `work` with what is in the file, or comes from standard input. */
async function withInput<Result>(
  path: string,
  signal: AbortSignal,
  work: (input: AsyncIterable<Uint8Array>) => Promise<Result>,
): Promise<Result> {
  if (path === '-') return work(chunksOf(process.stdin, signal))
  return closing(await open(path), handle =>
    work(chunksOf(handle.createReadStream({ highWaterMark: CHUNK_BYTES, autoClose: false }), signal)),
  )
}

async function* chunksOf(stream: Readable, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  try {
    yield* addAbortSignal(signal, stream) as AsyncIterable<Uint8Array>
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
}
