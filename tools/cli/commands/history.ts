/** `flashtable history URL`: the versions that can be restored. */
import type { Command } from 'commander'
import { publishedTable, type PublishedVersion } from '../../../src/index.js'
import { jsonOption } from '../arguments.js'
import { formatCount, inLine, report, textTable } from '../output.js'
import { atUrl, ofEach, reportPartitions, sumOf } from '../partitions.js'
import { addStoreOptions, parseUrl, PARTITIONS_DETAILS, URL_DETAILS, type StoreTexts } from '../store.js'
import { countText } from '../words.js'

/** Partitions that are asked at once. */
const AT_ONCE = 8

const HEAD = ['version', 'published', 'records', 'files', 'bytes', 'names']

const DETAILS = `${URL_DETAILS}
${PARTITIONS_DETAILS}

Examples:
  flashtable history /mnt/nas/fingerprints
  flashtable history s3://backups/fingerprints --json | jq '.versions[].at'`

export function defineHistory(program: Command): void {
  const command = program
    .command('history')
    .summary('list the published versions')
    .description('Lists the versions that are published at URL and can be restored, the newest last.')
    .argument('<url>', 'where it is published', parseUrl)
  addStoreOptions(command).addOption(jsonOption()).addHelpText('after', DETAILS).action(runHistory)
}

async function runHistory(from: string, options: StoreTexts & { readonly json?: true }): Promise<void> {
  const found = await atUrl(from, options, {
    one: (store, signal) => publishedTable(store, { signal }),
    many: (partitions, signal) =>
      ofEach(partitions, signal, AT_ONCE, ({ store }) => publishedTable(store, { signal })),
  })
  const { url } = found
  if ('one' in found) {
    const { versions } = found.one
    report(options.json, { url, versions }, () => textTable(HEAD, versions.map(cellsOf)))
    return
  }
  const versions = sumOf(found.many, ({ versions }) => versions.length)
  reportPartitions(options.json, url, found.many, {
    json: ({ versions }) => ({ versions }),
    total: { versions },
    // The time first, in the place of which one that is not published says so.
    head: ['published', 'version', ...HEAD.slice(2)],
    rows: ({ versions }) =>
      versions.map(cellsOf).map(([version, published, ...cells]) => [published!, version!, ...cells]),
    sums: countText(versions, 'version'),
  })
}

function cellsOf({ version, at, records, files, bytes, names }: PublishedVersion): string[] {
  return [
    formatCount(version),
    at.toISOString(),
    formatCount(records),
    formatCount(files),
    formatCount(bytes),
    names
      .map(({ name, expires }) =>
        expires === undefined ? inLine(name) : `${inLine(name)} (until ${expires.toISOString()})`,
      )
      .join(', '),
  ]
}
