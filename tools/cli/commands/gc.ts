/** `flashtable gc URL`: removes what nobody needs from an object store. */
import { Option, type Command } from 'commander'
import { FlashTableError } from '../../../src/base/errors.js'
import { collectGarbage, publishedTable, type CollectedGarbage } from '../../../src/index.js'
import { jsonOption, single } from '../arguments.js'
import { formatBytes, formatCount, report } from '../output.js'
import {
  atUrl,
  ofEach,
  reportPartitions,
  resultsOf,
  sumOf,
  type Outcome,
  type PartitionPlace,
} from '../partitions.js'
import { parseSpan } from '../span.js'
import { addStoreOptions, parseUrl, PARTITIONS_DETAILS, URL_DETAILS, type StoreTexts } from '../store.js'
import { countText } from '../words.js'

/** Partitions that are worked on at once. */
const AT_ONCE = 4

const DETAILS = `${URL_DETAILS}
${PARTITIONS_DETAILS} A name is forgotten in each
partition that has it.

Every publish does this, too: it is for tables that are published no more. It may run beside a writer.

Examples:
  flashtable gc /mnt/nas/fingerprints --dry-run
  flashtable gc s3://backups/fingerprints --retention 1d
  flashtable gc s3://backups/fingerprints --forget before-cleanup`

export function defineGarbage(program: Command): void {
  const command = program
    .command('gc')
    .summary('remove what nobody needs from a store')
    .description(
      'Forgets versions at URL of which the time is over and names that have expired, and removes objects that ' +
        'nobody needs. The newest version always stays.',
    )
    .argument('<url>', 'where it is published', parseUrl)
  addStoreOptions(command)
    .addOption(
      single(
        new Option('--retention <time>', 'how long older versions stay; default: as published').argParser(
          parseSpan,
        ),
      ),
    )
    .addOption(
      new Option(
        '--forget <name...>',
        'names that are not needed any more, with the versions that they keep',
      ),
    )
    .addOption(new Option('--dry-run', 'tell what would be removed, and remove nothing'))
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runGarbage)
}

interface Options extends StoreTexts {
  readonly retention?: string
  readonly forget?: readonly string[]
  readonly dryRun?: true
  readonly json?: true
}

async function runGarbage(from: string, options: Options): Promise<void> {
  const { retention, forget, dryRun = false, json } = options
  const found = await atUrl(from, options, {
    one: (store, signal) => collectGarbage(store, { retention, forget, dryRun, signal }),
    many: (partitions, signal) => collectAll(partitions, options, signal),
  })
  const { url } = found
  if ('one' in found) {
    report(json, { url, dryRun, ...found.one }, () => {
      const { versions, files, bytes } = found.one
      return removedText(versions.length, files, bytes, dryRun)
    })
    return
  }
  const versions = sumOf(found.many, ({ versions }) => versions.length)
  const [files, bytes] = [sumOf(found.many, ({ files }) => files), sumOf(found.many, ({ bytes }) => bytes)]
  reportPartitions(json, url, found.many, {
    json: garbage => ({ dryRun, ...garbage }),
    total: { versions, files, bytes },
    head: ['state', 'versions', 'objects', 'bytes'],
    rows: ({ versions, files, bytes }) => [['done', ...[versions.length, files, bytes].map(formatCount)]],
    sums: removedText(versions, files, bytes, dryRun),
  })
}

function removedText(versions: number, files: number, bytes: number, dryRun: boolean): string {
  const what = `${countText(versions, 'version')}, ${countText(files, 'object')}, ${formatBytes(bytes)}`
  return dryRun ? `${what} would be removed` : `${what} removed`
}

/** A partition may have been published after a name was given: it is forgotten where it is. Rejects if it is nowhere. */
async function collectAll(
  partitions: readonly PartitionPlace[],
  { retention, forget = [], dryRun }: Options,
  signal: AbortSignal,
): Promise<Outcome<CollectedGarbage>[]> {
  const named =
    forget.length === 0
      ? []
      : await ofEach(partitions, signal, AT_ONCE, async ({ store }) => {
          const { versions } = await publishedTable(store, { signal })
          return new Set(versions.flatMap(({ names }) => names.map(({ name }) => name)))
        })
  const unknown = forget.find(name => !resultsOf(named).some(names => names.has(name)))
  // Their names are not known, and may be those: they have failed, whatever a second look says.
  const unread = new Map(
    named.flatMap(({ partition, name, store, failure }) =>
      failure === undefined ? [] : [[partition, { partition, name, store, failure }] as const],
    ),
  )
  if (unknown !== undefined && unread.size === 0)
    throw new FlashTableError(
      'FLASHTABLE_NOT_FOUND',
      `no partition has a version named ${JSON.stringify(unknown)}; flashtable history shows the names`,
    )
  const readable = partitions.filter(({ partition }) => !unread.has(partition))
  const outcomes = await ofEach(readable, signal, AT_ONCE, ({ store, partition }) => {
    const own = forget.filter(name => named[partition]?.result?.has(name))
    return collectGarbage(store, { retention, forget: own, dryRun, signal })
  })
  const collected = new Map(outcomes.map(outcome => [outcome.partition, outcome]))
  return partitions.map(({ partition }) => collected.get(partition) ?? unread.get(partition)!)
}
