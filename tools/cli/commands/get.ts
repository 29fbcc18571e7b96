/** `flashtable get DIR KEY`: all records of a key; the table is opened only for reading. */
import { Option, type Command } from 'commander'
import type { StoredSchema } from '../../../src/encoding/stored-schema.js'
import { FlashTable } from '../../../src/index.js'
import { jsonOption, parseCount, parseDirectory, single } from '../arguments.js'
import { closing } from '../closing.js'
import { readableEncodings } from '../encodings.js'
import { parseKey } from '../key.js'
import { EXIT, inLine, report } from '../output.js'
import { readSchema } from '../table-schema.js'

const DETAILS = `
KEY is 4660 or 0x1234 if the keys are integers, 0a0b0c... (two hexadecimal digits a byte) if they are bytes.

Prints a line of field names, then one line for each record, oldest first, separated by tabs, for cut and awk.
With --reverse the newest comes first. Like grep, it prints nothing and exits with 1 if there is no record.

Examples:
  flashtable get fingerprints.table 0x1234
  flashtable get fingerprints.table 0x1234 --reverse --limit 1`

export function defineGet(program: Command): void {
  program
    .command('get')
    .summary('print all records of a key')
    .description('Prints all records of KEY in the table in DIR. Changes nothing.')
    .argument('<dir>', 'directory of the table', parseDirectory)
    .argument('<key>', 'key of the records')
    .addOption(single(new Option('--limit <count>', 'the most records').argParser(parseCount)))
    .addOption(single(new Option('--offset <count>', 'records to pass over first').argParser(parseCount)))
    .addOption(new Option('--reverse', 'newest first'))
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runGet)
}

interface Options {
  readonly limit?: number
  readonly offset?: number
  readonly reverse?: true
  readonly json?: true
}

async function runGet(directory: string, keyText: string, options: Options): Promise<void> {
  const { json, ...wanted } = options
  const schema = await readSchema(directory)
  const key = parseKey(keyText, schema.key)
  const opening = FlashTable.open(directory, { ...readableEncodings(schema), readOnly: true })
  const values = await closing(await opening, table => table.getAll(key, wanted))
  const records = values.map(value => fieldsOf(schema, keyText, value))
  if (records.length === 0) process.exitCode = EXIT.failed
  if (records.length === 0 && json !== true) return
  report(json, { directory, key: keyText, records }, () => recordLines(records).join('\n'))
}

/** A heading, and one line for each record. */
function recordLines(records: readonly object[]): string[] {
  const head = Object.keys(records[0]!)
  return [head, ...records.map(record => Object.values(record).map(fieldText))].map(row => row.join('\t'))
}

/** A value that is not a struct is the field `value`; a record of a set, which has no value, is its key. */
function fieldsOf({ value: type }: StoredSchema, keyText: string, value: unknown): object {
  if (type === null) return { key: keyText }
  return type.type === 'struct' ? (value as object) : { value }
}

function fieldText(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
  return inLine(text)
}
