/** `flashtable get DIR KEY...`: the records of keys, or near them; the table is opened only for reading. */
import { createInterface } from 'node:readline'
import { Option, type Command } from 'commander'
import type { OwnColumn } from '../../../src/encoding/field-type.js'
import type { StoredSchema } from '../../../src/encoding/stored-schema.js'
import { fixed } from '../../../src/index.js'
import { jsonOption, parseCount, single } from '../arguments.js'
import { parseKey } from '../key.js'
import {
  addReadingOptions,
  cacheOption,
  reading,
  READING_DETAILS,
  type ReadingTexts,
} from '../open-for-reading.js'
import { EXIT } from '../output.js'
import { withOutput } from '../output-file.js'
import type { ReadTable } from '../read-table.js'
import { rowsOf, scan } from '../records.js'
import { jsonFormat, tableFormat, type RowColumns, type RowField } from '../rows/row-format.js'
import { RowWriter } from '../rows/row-writer.js'
import { storedFields } from '../../../src/encoding/stored-schema.js'
import { parseReadable } from '../store.js'
import { UsageError } from '../usage.js'

const DETAILS = `
KEY is 4660 or 0x1234 if the keys are integers, 0a0b0c... (two hexadecimal digits a byte) if they are bytes. The KEY -
stands for keys from standard input, one a line.

Prints a line of field names, then one line for each record, oldest first, separated by tabs, for cut and awk. With
--reverse the newest of a key comes first. Of several keys, or with -, the first column is the key. With --within there
are two: query, the key that was asked for, and key, the one that was found. Like grep, it prints nothing and exits
with 1 if there is no record.
${READING_DETAILS}

Examples:
  flashtable get fingerprints.table 0x1234 --reverse --limit 1
  flashtable get s3://backups/fingerprints 0x1234 --cache ~/.cache/fingerprints
  cut -f 1 hashes.txt | flashtable get fingerprints.table - --within 2`

export function defineGet(program: Command): void {
  const command = program
    .command('get')
    .summary('print the records of keys')
    .description('Prints all records of each KEY in the table in DIR. Changes nothing.')
    .argument('<dir>', 'directory of the table, or where it is published', parseReadable)
    .argument('<key...>', 'keys of the records, or - to read them')
    .addOption(single(new Option('--limit <count>', 'the most records of a key').argParser(parseCount)))
    .addOption(
      single(new Option('--offset <count>', 'records of a key to pass over first').argParser(parseCount)),
    )
    .addOption(new Option('--reverse', 'newest first'))
    .addOption(
      single(new Option('--within <distance>', 'near keys too, at most so far away').argParser(parseCount)),
    )
  addReadingOptions(command)
    .addOption(cacheOption())
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runGet)
}

interface Options extends ReadingTexts {
  readonly limit?: number
  readonly offset?: number
  readonly reverse?: true
  readonly within?: number
  readonly json?: true
}

/** Rows of columns that are wanted. */
type Found = AsyncIterable<readonly [columns: RowColumns, from: number, to: number]>

async function runGet(directory: string, keyTexts: readonly string[], options: Options): Promise<void> {
  const { limit, offset, reverse, within, json } = options
  if (within !== undefined && (limit ?? offset ?? reverse) !== undefined)
    throw new UsageError(
      '--within gives all records of near keys: --limit, --offset and --reverse are not for it',
    )
  const sole = keyTexts.length === 1 && keyTexts[0] !== '-' ? { key: keyTexts[0]! } : undefined
  const records = await reading(directory, options, async ({ place, schema, signal, open }) => {
    const fields = shownFields(schema, sole === undefined, within !== undefined)
    const format = json === true ? jsonFormat(fields, { ...place, ...sole }) : tableFormat(fields)
    return open(table =>
      withOutput({ path: '-', signal }, async output => {
        const writer = new RowWriter(output, format)
        for await (const key of keysOf(keyTexts, schema, signal)) {
          const found =
            within === undefined
              ? recordsOf(table, schema, key, { ...options, signal })
              : recordsNear(table, schema, key, within)
          for await (const [columns, from, to] of found) await writer.add(columns, from, to)
        }
        if (writer.records > 0 || json === true) await writer.end()
        return writer.records
      }),
    )
  })
  if (records === 0) process.exitCode = EXIT.failed
}

/** The keys of the command line and of standard input, in their order. */
async function* keysOf(
  texts: readonly string[],
  { key }: StoredSchema,
  signal: AbortSignal,
): AsyncGenerator<unknown> {
  for (const text of texts) {
    if (text !== '-') yield parseKey(text, key)
    else {
      let line = 0
      try {
        for await (const text of createInterface({ input: process.stdin, signal })) {
          line++
          if (text.trim() !== '') yield keyOfLine(text.trim(), line, key)
        }
      } finally {
        // readline only pauses it, and a paused one may go on reading ahead: that would keep the process alive.
        process.stdin.destroy()
      }
      signal.throwIfAborted()
    }
  }
}

function keyOfLine(text: string, line: number, type: StoredSchema['key']): unknown {
  try {
    return parseKey(text, type)
  } catch (error) {
    throw new UsageError(`line ${line} of standard input: ${(error as Error).message}`)
  }
}

/** A set has only keys; others show theirs where it may differ from line to line. */
function shownFields(schema: StoredSchema, isMany: boolean, isNear: boolean): readonly RowField[] {
  const [key, ...values] = storedFields(schema)
  if (isNear) return [{ ...key!, name: 'query' }, key!, ...values]
  return isMany || values.length === 0 ? [key!, ...values] : values
}

async function* recordsOf(
  table: ReadTable,
  schema: StoredSchema,
  key: unknown,
  { limit = Infinity, offset = 0, reverse, signal }: Options & { readonly signal: AbortSignal },
): Found {
  let skipped = 0
  for await (const columns of scan(table, { gte: key, lte: key, limit: limit + offset, reverse, signal })) {
    const rows = rowsOf(columns, schema.key)
    const from = Math.min(rows, offset - skipped)
    skipped += from
    yield [columns, from, rows]
  }
}

async function* recordsNear(table: ReadTable, schema: StoredSchema, key: unknown, within: number): Found {
  const columns = await table.getColumns([key], { within })
  const rows = rowsOf(columns, schema.key)
  yield [{ ...columns, query: repeated(key, schema.key, columns['key']!, rows) }, 0, rows]
}

/** A column of the kind of `like` that has the same key in each row. */
function repeated(key: unknown, type: StoredSchema['key'], like: OwnColumn, rows: number): OwnColumn {
  if (!ArrayBuffer.isView(key) && type.type !== 'fixed') return like.slice().fill(key as never)
  const encoded =
    type.type === 'fixed' ? fixed(type.encoding, type.bytes).encode(key as never) : (key as Uint8Array)
  const column = new Uint8Array(like.byteLength)
  for (let row = 0; row < rows; row++) column.set(encoded, row * encoded.byteLength)
  return column
}
