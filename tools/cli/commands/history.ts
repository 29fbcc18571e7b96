/** `flashtable history URL`: the versions that can be restored. */
import type { Command } from 'commander'
import { publishedTable } from '../../../src/index.js'
import { jsonOption } from '../arguments.js'
import { closing } from '../closing.js'
import { interruptible } from '../interrupt.js'
import { formatCount, inLine, report, textTable } from '../output.js'
import { addStoreOptions, openStore, parseUrl, URL_DETAILS, type StoreTexts } from '../store.js'

const DETAILS = `${URL_DETAILS}

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
  const store = await openStore(from, options)
  const { url, versions } = await interruptible(signal =>
    closing(store, () => publishedTable(store, { signal })),
  )
  report(options.json, { url, versions }, () =>
    textTable(
      ['version', 'published', 'records', 'files', 'bytes', 'names'],
      versions.map(({ version, at, records, files, bytes, names }) => [
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
      ]),
    ),
  )
}
