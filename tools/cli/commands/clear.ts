/** `flashtable clear DIR`: all records of a range of keys, or all of the table. */
import type { Command } from 'commander'
import { Option } from 'commander'
import type { StoredSchema } from '../../../src/encoding/stored-schema.js'
import { FlashTable } from '../../../src/index.js'
import { dryRunOption, jsonOption, parseDirectory, single, waitOption } from '../arguments.js'
import { closing } from '../closing.js'
import { readableEncodings } from '../encodings.js'
import { interruptible } from '../interrupt.js'
import { parseBytes, parseKey } from '../key.js'
import { report } from '../output.js'
import { readSchema } from '../table-schema.js'
import { UsageError } from '../usage.js'
import { deletedText } from './delete.js'

const BOUNDS = ['gt', 'gte', 'lt', 'lte'] as const

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
    .argument('<dir>', 'directory of the table', parseDirectory)
  const names = { gt: 'above', gte: 'from', lt: 'below', lte: 'up to' }
  for (const bound of BOUNDS)
    command.addOption(single(new Option(`--${bound} <key>`, `keys ${names[bound]} this one`)))
  command
    .addOption(single(new Option('--prefix <hex>', 'keys whose bytes begin so')))
    .addOption(new Option('--all', 'all records'))
    .addOption(dryRunOption())
    .addOption(waitOption())
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runClear)
}

interface Options {
  readonly gt?: string
  readonly gte?: string
  readonly lt?: string
  readonly lte?: string
  readonly prefix?: string
  readonly all?: true
  readonly dryRun?: true
  readonly wait?: number
  readonly json?: true
}

async function runClear(directory: string, options: Options): Promise<void> {
  const isRange = [...BOUNDS.map(bound => options[bound]), options.prefix].some(text => text !== undefined)
  if (isRange === (options.all === true)) throw new UsageError('give a range of keys, or --all, and not both')
  const schema = await readSchema(directory)
  const range = rangeOf(schema, options)
  const { dryRun = false, wait } = options
  const records = await interruptible(async signal => {
    const opening = dryRun ? { readOnly: true } : { createIfMissing: false, lockTimeoutMs: wait }
    const table = await FlashTable.open(directory, { ...readableEncodings(schema), ...opening, signal })
    return closing(table, async table => {
      const records = await (isRange ? table.count(range) : table.count())
      if (!dryRun && records > 0) await (isRange ? table.clear({ ...range, sync: true }) : table.clear())
      return records
    })
  })
  report(options.json, { directory, records, dryRun }, () => deletedText(records, dryRun))
}

function rangeOf({ key }: StoredSchema, options: Options): Record<string, unknown> {
  for (const [open, closed] of [
    ['gt', 'gte'],
    ['lt', 'lte'],
  ] as const) {
    if (options[open] !== undefined && options[closed] !== undefined)
      throw new UsageError(`give --${open} or --${closed}, not both`)
  }
  const range: Record<string, unknown> = {}
  for (const bound of BOUNDS) {
    const text = options[bound]
    if (text !== undefined) range[bound] = parseKey(text, key)
  }
  if (options.prefix === undefined) return range
  if (!('bytes' in key)) throw new UsageError(`--prefix is for keys of bytes, the keys are ${key.type}`)
  return { ...range, prefix: parseBytes(options.prefix, key.bytes, 'the prefix', true) }
}
