/** `flashtable clear DIR`: all records of a range of keys, or all of the table. */
import { Option, type Command } from 'commander'
import { FlashTable } from '../../../src/index.js'
import { dryRunOption, jsonOption, waitOption } from '../arguments.js'
import { closing } from '../closing.js'
import { readableEncodings } from '../encodings.js'
import { interruptible } from '../interrupt.js'
import { report } from '../output.js'
import { addRangeOptions, hasRange, parseRange, type RangeTexts } from '../range.js'
import { countRecords } from '../records.js'
import { parseTable } from '../store.js'
import { readSchema } from '../table-schema.js'
import { UsageError } from '../usage.js'
import { deletedText } from './delete.js'

const DETAILS = `
Keys are written as for get. Of a range without a bound at one side all keys at that side are cleared.

Examples:
  flashtable clear fingerprints.table --gte 0x1000 --lt 0x2000 --dry-run
  flashtable clear fingerprints.table --all`

export function defineClear(program: Command): void {
  const command = program
    .command('clear')
    .summary('delete the records of a range of keys, or all')
    .description(
      'Deletes all records whose keys are in the range from the table in DIR, or with --all all records.',
    )
    .argument('<dir>', 'directory of the table', parseTable)
  addRangeOptions(command)
    .addOption(new Option('--all', 'all records'))
    .addOption(dryRunOption())
    .addOption(waitOption())
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runClear)
}

interface Options extends RangeTexts {
  readonly all?: true
  readonly dryRun?: true
  readonly wait?: number
  readonly json?: true
}

async function runClear(directory: string, options: Options): Promise<void> {
  const isRange = hasRange(options)
  if (isRange === (options.all === true)) throw new UsageError('give a range of keys, or --all, and not both')
  const schema = await readSchema(directory)
  const range = parseRange(schema, options)
  const { dryRun = false, wait } = options
  const records = await interruptible(async signal => {
    const opening = dryRun ? { readOnly: true } : { createIfMissing: false, lockTimeoutMs: wait }
    const table = await FlashTable.open(directory, { ...readableEncodings(schema), ...opening, signal })
    return closing(table, async table => {
      const records = await countRecords(table, schema, { ...range, signal })
      if (!dryRun && records > 0) await (isRange ? table.clear({ ...range, sync: true }) : table.clear())
      return records
    })
  })
  report(options.json, { directory, records, dryRun }, () => deletedText(records, dryRun))
}
