/** `flashtable count DIR`: how many records there are, in a range of keys, or of those that match. */
import type { Command } from 'commander'
import { FlashTable } from '../../../src/index.js'
import { jsonOption, parseDirectory } from '../arguments.js'
import { closing } from '../closing.js'
import { readableEncodings } from '../encodings.js'
import { interruptible } from '../interrupt.js'
import { report } from '../output.js'
import { addRangeOptions, parseRange, type RangeTexts } from '../range.js'
import { countRecords } from '../records.js'
import { readSchema } from '../table-schema.js'
import { parseWhere, whereOption } from '../where.js'

const DETAILS = `
Keys are written as for get. Unlike the number that stats tells, this one is exact: nothing that is deleted is counted.

Examples:
  flashtable count fingerprints.table
  flashtable count fingerprints.table --gte 0x1000 --lt 0x2000 --where 'time<1700000'`

export function defineCount(program: Command): void {
  const command = program
    .command('count')
    .summary('count the records, or those that match')
    .description(
      'Prints how many records the table in DIR has, in a range of keys, or of those that match. Changes nothing.',
    )
    .argument('<dir>', 'directory of the table', parseDirectory)
  addRangeOptions(command)
    .addOption(whereOption())
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runCount)
}

interface Options extends RangeTexts {
  readonly where?: readonly string[]
  readonly json?: true
}

async function runCount(directory: string, options: Options): Promise<void> {
  const schema = await readSchema(directory)
  const where = options.where === undefined ? undefined : parseWhere(options.where, schema)
  const range = { ...parseRange(schema, options), where }
  const records = await interruptible(async signal => {
    const opening = FlashTable.open(directory, { ...readableEncodings(schema), readOnly: true, signal })
    return closing(await opening, table => countRecords(table, schema, { ...range, signal }))
  })
  report(options.json, { directory, records }, () => String(records))
}
