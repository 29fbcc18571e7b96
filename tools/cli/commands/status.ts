/** `flashtable status URL`: what is published there, and by whom. */
import type { Command } from 'commander'
import { publishedTable } from '../../../src/index.js'
import { jsonOption } from '../arguments.js'
import { closing } from '../closing.js'
import { interruptible } from '../interrupt.js'
import { formatBytes, formatCount, inLine, report, textList } from '../output.js'
import { spanText } from '../span.js'
import { addStoreOptions, openStore, parseUrl, URL_DETAILS, type StoreTexts } from '../store.js'
import { countText } from '../words.js'

const DETAILS = `${URL_DETAILS}

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
  const store = await openStore(from, options)
  const table = await interruptible(signal => closing(store, () => publishedTable(store, { signal })))
  const { versions, ...others } = table
  const newest = versions.at(-1)!
  report(options.json, { ...others, versions: versions.length, newest }, () =>
    textList([
      ['published at', table.url],
      ['newest version', `${newest.version} of ${newest.at.toISOString()}`],
      ['records', formatCount(newest.records)],
      ['bucket files', `${formatCount(newest.files)}, ${formatBytes(newest.bytes)}`],
      ['writer', `${inLine(table.writer)}, epoch ${table.epoch}`],
      ['versions', `${versions.length}; older ones are kept for ${spanText(table.retentionMs)}`],
      ['stored in all', `${countText(table.files, 'object')}, ${formatBytes(table.bytes)}`],
    ]),
  )
}
