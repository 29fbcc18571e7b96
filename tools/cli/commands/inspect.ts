/** `flashtable inspect DIR [NAME]`: what is in the files of a table; nothing is changed, nothing locked. */
import { join } from 'node:path'
import { Option, type Command } from 'commander'
import { diskError } from '../../../src/base/errors.js'
import { MANIFEST_NAME } from '../../../src/io/file-names.js'
import { nodeFileSystem } from '../../../src/io/node-file-system.js'
import { jsonOption, parseCount, single } from '../arguments.js'
import { bucketText, inspectBucket } from '../inspect/bucket-file.js'
import { directoryFiles } from '../inspect/directory-files.js'
import { inspectSegment, segmentText } from '../inspect/log-segment.js'
import {
  inspecting,
  numberOf,
  problemLines,
  type InspectedTable,
  type Problem,
} from '../inspect/open-table.js'
import { inspectPage, pageText } from '../inspect/page.js'
import { inspectingPublished } from '../inspect/published.js'
import { inspectTable } from '../inspect/table.js'
import { tableText } from '../inspect/table-text.js'
import { interruptible } from '../interrupt.js'
import {
  addReadingOptions,
  READING_DETAILS,
  refuseStoreOptions,
  type ReadingTexts,
} from '../open-for-reading.js'
import { EXIT, formatCount, inLine, report, textTable } from '../output.js'
import { isStore, parseReadable } from '../store.js'
import { UsageError } from '../usage.js'

/** Frames of a segment that are shown, unless `--limit` says how many. */
const FRAMES = 100

const DETAILS = `
Without NAME: the manifest, the bucket files with their keys and bits a record, the segments of the log, and what hides
records. NAME is the name of a bucket file (its footer, sections, widths of columns and fullest pages; with --page one
page, row by row) or of a segment of the log (its frames, and where it ends and why; ${FRAMES} frames without --limit).
What is damaged is told with file and offset, the rest is shown, and the exit code is 1. To check all, use verify.
${READING_DETAILS}

Examples:
  flashtable inspect fingerprints.table
  flashtable inspect fingerprints.table 000031.bucket --page 7 --limit 20
  flashtable inspect s3://backups/fingerprints --at 2026-11-28T18:00:00Z`

export function defineInspect(program: Command): void {
  const command = program
    .command('inspect')
    .summary('show what is in the files of a table')
    .description(
      'Shows what is in the files of the table in DIR, also beside a program that writes it. Changes nothing.',
    )
    .argument('<dir>', 'directory of the table, or where it is published', parseReadable)
    .argument('[name]', 'name of a bucket file or a log segment')
  addReadingOptions(command)
    .addOption(single(new Option('--page <number>', 'one page of a bucket file').argParser(parseCount)))
    .addOption(single(new Option('--limit <count>', 'the most rows or frames').argParser(parseCount)))
    .addOption(
      single(new Option('--offset <count>', 'rows or frames to pass over first').argParser(parseCount)),
    )
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runInspect)
}

interface Options extends ReadingTexts {
  readonly page?: number
  readonly limit?: number
  readonly offset?: number
  readonly json?: true
}

/** What was found, and how it looks as text. */
interface Inspected {
  readonly result: object
  readonly text: () => string
  readonly problems: readonly Problem[]
}

async function runInspect(directory: string, file: string | undefined, options: Options): Promise<void> {
  checkOptions(file, options)
  const { result, text, problems } = await interruptible(signal =>
    isStore(directory)
      ? inspectUrl(directory, file, options, signal)
      : inspectDirectory(directory, file, options, signal),
  )
  report(options.json, result, text)
  if (problems.length > 0) process.exitCode = EXIT.failed
}

async function inspectUrl(
  url: string,
  file: string | undefined,
  options: Options,
  signal: AbortSignal,
): Promise<Inspected> {
  const inspected = await inspectingPublished(url, options, signal, table => inspect(table, file, options))
  const { directory, ...result } = inspected.result as { readonly directory: string }
  return { ...inspected, result: { url: directory, ...result } }
}

async function inspectDirectory(
  directory: string,
  file: string | undefined,
  options: Options,
  signal: AbortSignal,
): Promise<Inspected> {
  refuseStoreOptions(options)
  try {
    const files = { fileSystem: nodeFileSystem, directory }
    return await inspecting(files, signal, table => inspect(table, file, options))
  } catch (error) {
    return withoutManifest(directory, error)
  }
}

function checkOptions(file: string | undefined, { page, limit, offset }: Options): void {
  if (file === undefined && (page ?? limit ?? offset) !== undefined)
    throw new UsageError('--page, --limit and --offset are for a NAME: give one')
  const isBucket = file?.endsWith('.bucket') === true
  if (file !== undefined && !isBucket && page !== undefined)
    throw new UsageError('--page is for a bucket file, such as 000031.bucket')
  if (isBucket && page === undefined && (limit ?? offset) !== undefined)
    throw new UsageError('--limit and --offset of a bucket file need --page: they are for rows of a page')
}

async function inspect(
  table: InspectedTable,
  name: string | undefined,
  { page, limit, offset }: Options,
): Promise<Inspected> {
  if (name === undefined) return shown(await inspectTable(table), tableText)
  const { kind, number } = numberOf(table, name)
  if (kind === 'wal')
    return shown(await inspectSegment(table, number, { offset, limit: limit ?? FRAMES }), segmentText)
  if (page === undefined) return shown(await inspectBucket(table, number), bucketText)
  return shown(await inspectPage(table, number, { page, offset, limit }), pageText)
}

function shown<Result extends { readonly problems: readonly Problem[] }>(
  result: Result,
  text: (result: Result) => string,
): Inspected {
  return { result, text: () => text(result), problems: result.problems }
}

/** Without a manifest nothing in the files can be told apart: what is there is listed with the failure. */
async function withoutManifest(directory: string, error: unknown): Promise<Inspected> {
  const path = join(directory, MANIFEST_NAME)
  const failure = diskError(error, path)
  if (failure.code !== 'FLASHTABLE_CORRUPTION' || failure.path !== path) throw error
  const files = await directoryFiles(directory)
  const problems = [{ file: path, offset: failure.offset ?? null, message: failure.message }]
  return {
    result: { directory, manifest: null, directoryFiles: files, problems },
    problems,
    text: () =>
      [
        textTable(
          ['file', 'bytes'],
          files.map(({ name, bytes }) => [inLine(name), formatCount(bytes)]),
        ),
        '',
        'the manifest says which of them count, and how to read them; repair saves what is intact',
        ...problemLines(problems),
      ].join('\n'),
  }
}
