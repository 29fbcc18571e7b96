/** `flashtable probe URL`: whether a store can hold a table. */
import type { Command } from 'commander'
import { probeStore } from '../../../src/index.js'
import { jsonOption } from '../arguments.js'
import { closing } from '../closing.js'
import { interruptible } from '../interrupt.js'
import { report } from '../output.js'
import { addStoreOptions, openStore, parseUrl, URL_DETAILS, type StoreTexts } from '../store.js'

const DETAILS = `${URL_DETAILS}

Some stores take the conditions of a request and ignore them: then two writers would overwrite each other. The first
publish to a store tries this, too.

Examples:
  flashtable probe /mnt/nas/fingerprints
  flashtable probe s3://backups/fingerprints --endpoint http://storage.example:9000`

export function defineProbe(program: Command): void {
  const command = program
    .command('probe')
    .summary('try whether a table can be published to a store')
    .description(
      'Tries on an object of its own, which it removes, whether of all who create or replace an object at URL one ' +
        'wins. Exits with 1 if not.',
    )
    .argument('<url>', 'where a table is to be published', parseUrl)
  addStoreOptions(command).addOption(jsonOption()).addHelpText('after', DETAILS).action(runProbe)
}

async function runProbe(at: string, options: StoreTexts & { readonly json?: true }): Promise<void> {
  const store = await openStore(at, options)
  await interruptible(signal => closing(store, () => probeStore(store, { signal })))
  report(
    options.json,
    { url: store.url, supported: true },
    () => `a table can be published to ${store.url}: of all who replace an object, one wins`,
  )
}
