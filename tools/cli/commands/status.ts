/** `flashtable status URL`: what is published there, and by whom. */
import type { Command } from 'commander'
import { publishedTable, type PublishedTable } from '../../../src/index.js'
import { jsonOption } from '../arguments.js'
import { formatBytes, formatCount, inLine, report, textList } from '../output.js'
import { atUrl, ofEach, reportPartitions, sumOf } from '../partitions.js'
import { spanText } from '../span.js'
import { addStoreOptions, parseUrl, PARTITIONS_DETAILS, URL_DETAILS, type StoreTexts } from '../store.js'
import { countText } from '../words.js'

/** Partitions that are asked at once. */
const AT_ONCE = 8

const DETAILS = `${URL_DETAILS}
${PARTITIONS_DETAILS}

Examples:
  flashtable status /mnt/nas/fingerprints
  flashtable status s3://backups/fingerprints --endpoint http://storage.example:9000 --json`

export function defineStatus(program: Command): void {
  const command = program
    .command('status')
    .summary('tell what is published, and by whom')
    .description('Tells what is published at URL: the newest version, its writer, and what is stored in all.')
    .argument('<url>', 'where it is published', parseUrl)
  addStoreOptions(command).addOption(jsonOption()).addHelpText('after', DETAILS).action(runStatus)
}

async function runStatus(from: string, options: StoreTexts & { readonly json?: true }): Promise<void> {
  const found = await atUrl(from, options, {
    one: (store, signal) => publishedTable(store, { signal }),
    many: (partitions, signal) =>
      ofEach(partitions, signal, AT_ONCE, ({ store }) => publishedTable(store, { signal })),
  })
  if ('one' in found) {
    const { one } = found
    const newest = newestOf(one)
    report(options.json, statusOf(one), () =>
      textList([
        ['published at', one.url],
        ['newest version', `${newest.version} of ${newest.at.toISOString()}`],
        ['records', formatCount(newest.records)],
        ['bucket files', `${formatCount(newest.files)}, ${formatBytes(newest.bytes)}`],
        ['writer', writerText(one)],
        ['versions', `${one.versions.length}; older ones are kept for ${spanText(one.retentionMs)}`],
        ['stored in all', `${countText(one.files, 'object')}, ${formatBytes(one.bytes)}`],
      ]),
    )
    return
  }
  const sum = (value: (table: PublishedTable) => number): number => sumOf(found.many, value)
  const records = sum(table => newestOf(table).records)
  const [files, bytes] = [sum(({ files }) => files), sum(({ bytes }) => bytes)]
  reportPartitions(options.json, found.url, found.many, {
    json: statusOf,
    total: { records, files, bytes },
    head: ['published', 'version', 'records', 'files', 'bytes', 'versions', 'writer'],
    rows: table => {
      const { at, version, records, files, bytes } = newestOf(table)
      const counts = [version, records, files, bytes, table.versions.length]
      return [[at.toISOString(), ...counts.map(formatCount), writerText(table)]]
    },
    sums: `${countText(records, 'record')}; stored in all: ${countText(files, 'object')}, ${formatBytes(bytes)}`,
  })
}

function statusOf(table: PublishedTable): object {
  return { ...table, versions: table.versions.length, newest: newestOf(table) }
}

function newestOf({ versions }: PublishedTable): PublishedTable['versions'][number] {
  return versions.at(-1)!
}

function writerText({ writer, epoch }: PublishedTable): string {
  return `${inLine(writer)}, epoch ${epoch}`
}
