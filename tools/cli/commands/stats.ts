/** `flashtable stats DIR`: what a table holds and what it has written; it is opened only for reading. */
import { Option, type Command } from 'commander'
import { basename, resolve } from 'node:path'
import { metricsOfStats, toPrometheus } from '../../../src/metrics.js'
import { projectedLifeDays, type TableStats } from '../../../src/index.js'
import { parseEndurance, wearText, type Endurance } from '../endurance.js'
import { jsonOption, parseDirectory, single } from '../arguments.js'
import { formatKey } from '../key.js'
import { formatBytes, formatCount, report, textList } from '../output.js'
import { combineText } from '../../../src/encoding/combine.js'
import { schemaText } from '../schema.js'
import { printText } from '../streams.js'
import { readStats, writtenText } from '../table-stats.js'
import { UsageError } from '../usage.js'

interface Options {
  readonly format?: 'text' | 'prometheus'
  readonly tbw?: Endurance
  readonly json?: true
}

type Row = [label: string, value: string]

const EXAMPLES = `
Examples:
  flashtable stats fingerprints.table
  flashtable stats fingerprints.table --tbw 150TB
  flashtable stats fingerprints.table --json | jq .records
  flashtable stats fingerprints.table --format prometheus > /var/lib/node_exporter/fingerprints.prom`

export function defineStats(program: Command): void {
  program
    .command('stats')
    .summary('show what a table holds and has written')
    .description('Shows what the table in DIR holds and what it has written in its life. Changes nothing.')
    .argument('<dir>', 'directory of the table', parseDirectory)
    .addOption(
      new Option('--format <format>', 'prometheus: metrics, with the name of the directory as label').choices(
        ['text', 'prometheus'],
      ),
    )
    .addOption(
      single(
        new Option(
          '--tbw <bytes>',
          'what a device endures, such as 150TB: tells how long it lasts at this rate',
        ).argParser(parseEndurance),
      ),
    )
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action(runStats)
}

async function runStats(directory: string, options: Options): Promise<void> {
  if (options.json === true && options.format !== undefined)
    throw new UsageError('give --json or --format, not both')
  const { tbw } = options
  if (tbw !== undefined && options.format === 'prometheus')
    throw new UsageError('give --tbw or --format prometheus, not both')
  const stats = await readStats(directory)
  if (options.format === 'prometheus')
    return printText(toPrometheus(metricsOfStats(stats, { table: basename(resolve(directory)) })))
  report(
    options.json,
    { directory, ...stats, ...(tbw && { projectedLifeDays: projectedLifeDays(stats, tbw.bytes) }) },
    () =>
      textList([
        ...tableText(stats),
        [
          'records',
          `${formatCount(stats.records)}${stats.recordsAreExact ? '' : ', deleted ones still among them'}`,
        ],
        ...keysText(stats),
        ['put', `${formatCount(stats.recordsPut)} records, ${formatBytes(stats.recordBytesPut)}`],
        ...writtenText(stats),
        ...wearText(stats, tbw),
        ['bucket files', `${formatCount(stats.files.length)}${levelsText(stats.levels)}`],
        ['memory of an open', memoryText(stats)],
      ]),
  )
}

/** What the table was created with. */
function tableText({ schema, duplicates, combine, pageBytes }: TableStats): Row[] {
  return [
    ['schema', schemaText(schema)],
    combine === undefined ? ['duplicates', duplicates!] : ['combine', combineText(combine)],
    ['page', formatBytes(pageBytes)],
  ]
}

function keysText({ records, recordsAreExact, leastKey, greatestKey }: TableStats): Row[] {
  if (records === 0) return []
  const bound = recordsAreExact ? '' : ' (or nearer: deleted ones are still among them)'
  return [['keys', `${formatKey(leastKey)} to ${formatKey(greatestKey)}${bound}`]]
}

function memoryText({ memory }: TableStats): string {
  const { filters, fences, memtables } = memory
  return (
    `${formatBytes(filters + fences + memtables)} besides the cache: filters ${formatCount(filters)}, ` +
    `first keys of pages ${formatCount(fences)}, records of the log ${formatCount(memtables)}`
  )
}

/** How many files each level has, empty levels left out. */
function levelsText(levels: readonly number[]): string {
  const counts = levels.flatMap((count, level) =>
    count === 0 ? [] : [`${formatCount(count)} of level ${level}`],
  )
  return counts.length === 0 ? '' : `: ${counts.join(', ')}`
}
