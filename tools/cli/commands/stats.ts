/** `flashtable stats DIR`: what a table holds and what it has written; it is opened only for reading. */
import { Option, type Command } from 'commander'
import { basename, resolve } from 'node:path'
import { metricsOfStats, toPrometheus } from '../../../src/metrics.js'
import { projectedLifeDays, type PartitionedStats, type TableStats } from '../../../src/index.js'
import { parseEndurance, wearText, type Endurance } from '../endurance.js'
import { jsonOption, single } from '../arguments.js'
import { formatKey } from '../key.js'
import {
  addReadingOptions,
  reading,
  READING_DETAILS,
  type Readable,
  type ReadingTexts,
} from '../open-for-reading.js'
import { formatBytes, formatCount, report, textList, textTable } from '../output.js'
import { countsText } from '../partitions.js'
import { combineText } from '../../../src/encoding/combine.js'
import type { StoredSchema } from '../../../src/encoding/stored-schema.js'
import { schemaText } from '../schema.js'
import { parseReadable } from '../store.js'
import { printText } from '../streams.js'
import { writtenText } from '../table-stats.js'
import { UsageError } from '../usage.js'
import { countText } from '../words.js'

interface Options extends ReadingTexts {
  readonly format?: 'text' | 'prometheus'
  readonly tbw?: Endurance
  readonly json?: true
}

type Row = [label: string, value: string]

const DETAILS = `${READING_DETAILS}
Of a table with partitions it shows sums and each partition; metrics have the partition as a label.

Examples:
  flashtable stats fingerprints.table
  flashtable stats fingerprints.table --tbw 150TB
  flashtable stats s3://backups/fingerprints --endpoint http://storage.example:9000
  flashtable stats fingerprints.table --json | jq .records
  flashtable stats fingerprints.table --format prometheus > /var/lib/node_exporter/fingerprints.prom`

export function defineStats(program: Command): void {
  const command = program
    .command('stats')
    .summary('show what a table holds and has written')
    .description('Shows what the table in DIR holds and what it has written in its life. Changes nothing.')
    .argument('<dir>', 'directory of the table, or where it is published', parseReadable)
  addReadingOptions(command)
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
    .addHelpText('after', DETAILS)
    .action(runStats)
}

async function runStats(directory: string, options: Options): Promise<void> {
  if (options.json === true && options.format !== undefined)
    throw new UsageError('give --json or --format, not both')
  const { tbw } = options
  if (tbw !== undefined && options.format === 'prometheus')
    throw new UsageError('give --tbw or --format prometheus, not both')
  const { place, schema, stats } = await reading(directory, options, async ({ place, schema, open }) => ({
    place,
    schema,
    stats: await open(table => table.stats()),
  }))
  if ('partitions' in stats) return reportPartitioned(place, schema, stats, options)
  if (options.format === 'prometheus')
    return printText(toPrometheus(metricsOfStats(stats, { table: nameOf(place) })))
  report(
    options.json,
    { ...place, ...stats, ...(tbw && { projectedLifeDays: projectedLifeDays(stats, tbw.bytes) }) },
    () =>
      textList([
        ...versionText(stats),
        ...tableText(stats),
        ['records', recordsText(stats.records, stats.recordsAreExact)],
        ...keysText(stats),
        ['put', `${formatCount(stats.recordsPut)} records, ${formatBytes(stats.recordBytesPut)}`],
        ...writtenText(stats),
        ...wearText(stats, tbw),
        ['bucket files', `${formatCount(stats.files.length)}${levelsText(stats.levels)}`],
        ['memory of an open', memoryText(stats)],
        ...fetchedText(stats),
      ]),
  )
}

function reportPartitioned(
  place: Readable['place'],
  schema: StoredSchema,
  stats: PartitionedStats,
  { format, tbw, json }: Options,
): void {
  if (tbw !== undefined)
    throw new UsageError(
      '--tbw is for one table: give the URL of a partition, or the directory of its writer',
    )
  const partitions = stats.partitions.map(({ location, ...partition }) => ({
    ...partition,
    name: basename(location),
  }))
  const published = partitions.flatMap(({ name, table }) => (table === undefined ? [] : [{ name, table }]))
  if (format === 'prometheus')
    return printText(
      toPrometheus(
        published.flatMap(({ name, table }) =>
          metricsOfStats(table, { table: nameOf(place), partition: name }),
        ),
      ),
    )
  const { records, recordsAreExact, recordsPut, recordBytesPut, fileBytes, files } = stats
  report(json, { ...place, ...stats }, () =>
    [
      textList([
        ['partitions', countsText(partitions.length, published.length, 0)],
        ['schema', schemaText(schema)],
        ['records', recordsText(records, recordsAreExact)],
        ['put', `${formatCount(recordsPut)} records, ${formatBytes(recordBytesPut)}`],
        ['bucket files', `${formatCount(files)}, ${formatBytes(fileBytes)}`],
      ]),
      '',
      textTable(
        ['partition', 'published', 'version', 'records', 'files', 'bytes'],
        partitions.map(({ name, table }) => {
          if (table === undefined) return [name, 'not published', '', '', '', '']
          const { remote, records, files } = table
          const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
          const counts = [remote!.version, records, files.length, bytes]
          return [name, remote!.at.toISOString(), ...counts.map(formatCount)]
        }),
      ),
    ].join('\n'),
  )
}

function recordsText(records: number, areExact: boolean): string {
  return `${formatCount(records)}${areExact ? '' : ', deleted ones still among them'}`
}

/** The last name in its path or URL. */
function nameOf(place: Readable['place']): string {
  return basename('url' in place ? place.url : resolve(place.directory))
}

/** Of a published table: what was read. */
function versionText({ remote }: TableStats): Row[] {
  if (remote === undefined) return []
  return [
    ['published at', remote.url],
    ['version', `${remote.version} of ${remote.at.toISOString()}`],
  ]
}

/** Of a published table: what these figures have cost. */
function fetchedText({ remote }: TableStats): Row[] {
  if (remote === undefined) return []
  const { requests, fetchedBytes } = remote
  return [
    ['fetched', `${formatBytes(fetchedBytes)} by ${countText(requests, 'request')}, besides the manifest`],
  ]
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
