/** `flashtable publish DIR URL`: the table as a new version in an object store. */
import { Option, type Command } from 'commander'
import { FlashTable } from '../../../src/index.js'
import { jsonOption, single, waitOption } from '../arguments.js'
import { closing } from '../closing.js'
import { interruptible } from '../interrupt.js'
import { formatBytes, report } from '../output.js'
import { withProgress } from '../progress.js'
import { parseEnd } from '../span.js'
import { addPublishOptions, type PublishTexts } from '../publish-options.js'
import { addStoreOptions, openStore, parseTable, parseUrl, URL_DETAILS, type StoreTexts } from '../store.js'
import { countText } from '../words.js'

const DETAILS = `${URL_DETAILS}

Only files that are not there yet are uploaded. A program that has the table open publishes it itself, by
table.publish(). Times are a number with s, m, h, d or w; --expires also takes one such as 2026-11-28T18:00:00Z.

Examples:
  flashtable publish fingerprints.table /mnt/nas/fingerprints --retention 1d --keep daily=7,weekly=4
  flashtable publish fingerprints.table s3://backups/fingerprints --name "$(date +%F)" --expires 30d`

export function definePublish(program: Command): void {
  const command = program
    .command('publish')
    .summary('put the table into an object store, as a new version')
    .description(
      'Publishes the table in DIR to URL, as a new version: uploads the files that are not there yet, then replaces ' +
        'one object. restore makes a table of it, on any machine.',
    )
    .argument('<dir>', 'directory of the table', parseTable)
    .argument('<url>', 'where it is published', parseUrl)
  addStoreOptions(command)
    .addOption(single(new Option('--name <text>', 'a name for the version, which keeps it')))
    .addOption(
      single(
        new Option('--expires <time>', 'when the name may be forgotten, such as 30d').argParser(parseEnd),
      ),
    )
  addPublishOptions(command)
    .addOption(waitOption())
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runPublish)
}

interface Options extends StoreTexts, PublishTexts {
  readonly name?: string
  readonly expires?: string | Date
  readonly wait?: number
  readonly json?: true
}

async function runPublish(directory: string, to: string, options: Options): Promise<void> {
  const { name, expires, retention, keep, takeOver, wait } = options
  const store = await openStore(to, options)
  const result = await interruptible(signal =>
    closing(store, async () => {
      const opening = FlashTable.open(directory, { createIfMissing: false, lockTimeoutMs: wait, signal })
      return closing(await opening, table =>
        withProgress('publishing', update =>
          table.publish(store, {
            name,
            expires,
            retention,
            keep,
            takeOver,
            signal,
            onProgress: ({ done, total }) => update(done, total),
          }),
        ),
      )
    }),
  )
  const { version, uploadedFiles, uploadedBytes } = result
  report(options.json, { directory, url: store.url, ...result }, () => {
    const uploaded = `${countText(uploadedFiles, 'file')}, ${formatBytes(uploadedBytes)} uploaded`
    return `version ${version} in ${store.url}: ${uploadedFiles === 0 ? 'nothing had to be uploaded' : uploaded}`
  })
}
