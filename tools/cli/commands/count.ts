/** `flashtable count DIR`: how many records there are, in a range of keys, or of those that match. */
import type { Command } from 'commander'
import { jsonOption } from '../arguments.js'
import {
  addReadingOptions,
  cacheOption,
  reading,
  READING_DETAILS,
  type ReadingTexts,
} from '../open-for-reading.js'
import { report } from '../output.js'
import { addRangeOptions, parseRange, type RangeTexts } from '../range.js'
import { countRecords } from '../records.js'
import { parseReadable } from '../store.js'
import { parseWhere, whereOption } from '../where.js'

const DETAILS = `
Keys are written as for get. Unlike the number that stats tells, this one is exact: nothing that is deleted is counted.
${READING_DETAILS}

Examples:
  flashtable count fingerprints.table
  flashtable count fingerprints.table --gte 0x1000 --lt 0x2000 --where 'time<1700000'
  flashtable count s3://backups/fingerprints --name before-cleanup`

export function defineCount(program: Command): void {
  const command = program
    .command('count')
    .summary('count the records, or those that match')
    .description(
      'Prints how many records the table in DIR has, in a range of keys, or of those that match. Changes nothing.',
    )
    .argument('<dir>', 'directory of the table, or where it is published', parseReadable)
  addReadingOptions(addRangeOptions(command))
    .addOption(cacheOption())
    .addOption(whereOption())
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runCount)
}

interface Options extends RangeTexts, ReadingTexts {
  readonly where?: readonly string[]
  readonly json?: true
}

async function runCount(directory: string, options: Options): Promise<void> {
  const result = await reading(directory, options, async ({ place, schema, signal, open }) => {
    const where = options.where === undefined ? undefined : parseWhere(options.where, schema)
    const range = { ...parseRange(schema, options), where, signal }
    return { ...place, records: await open(table => countRecords(table, schema, range)) }
  })
  report(options.json, result, () => String(result.records))
}
