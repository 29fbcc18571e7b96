/** `flashtable restore URL NEW`: a table of a published version. */
import { existsSync } from 'node:fs'
import { Option, type Command } from 'commander'
import { FlashTable } from '../../../src/index.js'
import { findPublished } from '../../../src/table/published.js'
import { jsonOption, parseDirectory, single } from '../arguments.js'
import { closing } from '../closing.js'
import { interruptible } from '../interrupt.js'
import { formatBytes, report } from '../output.js'
import { withProgress } from '../progress.js'
import { addVersionOptions, parseVersion, type VersionTexts } from '../published-version.js'
import { addStoreOptions, openStore, parseUrl, URL_DETAILS, type StoreTexts } from '../store.js'
import { countText } from '../words.js'

const DETAILS = `${URL_DETAILS}

Examples:
  flashtable restore /mnt/nas/fingerprints fingerprints.table --verify
  flashtable restore s3://backups/fingerprints yesterday.table --at 2026-11-28T18:00:00Z`

export function defineRestore(program: Command): void {
  const command = program
    .command('restore')
    .summary('make a table of what was published')
    .description(
      'Makes a table in the new directory NEW of what is published at URL: the newest version, or one by its time, ' +
        'number or name. All or nothing.',
    )
    .argument('<url>', 'where it is published', parseUrl)
    .argument('<new>', 'directory of the new table', parseDirectory)
  addVersionOptions(addStoreOptions(command))
    .addOption(new Option('--verify', 'read every page and check it'))
    .addOption(new Option('--dry-run', 'tell what would be restored, and do nothing'))
    .addOption(single(new Option('--if-exists <what>', 'what to do if NEW is there').choices(['skip'])))
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runRestore)
}

interface Options extends StoreTexts, VersionTexts {
  readonly verify?: true
  readonly dryRun?: true
  readonly ifExists?: 'skip'
  readonly json?: true
}

async function runRestore(from: string, directory: string, options: Options): Promise<void> {
  const { at, version, name, verify, json } = options
  if (options.ifExists === 'skip' && existsSync(directory)) {
    report(json, { directory, skipped: true }, () => `${directory} is there: nothing to do`)
    return
  }
  const choice = parseVersion(options)
  const store = await openStore(from, options)
  const { url } = store
  await interruptible(signal =>
    closing(store, async () => {
      if (options.dryRun === true) {
        const found = await findPublished(store, choice, signal)
        report(json, { url, directory, dryRun: true, ...found }, () => {
          const { files, bytes, records } = found
          const content = `${countText(files, 'file')}, ${formatBytes(bytes)}, ${countText(records, 'record')}`
          return `version ${found.version} of ${found.at.toISOString()} would be restored: ${content}`
        })
        return
      }
      const result = await withProgress('restoring', update =>
        FlashTable.restore(store, directory, {
          at,
          version,
          name,
          verify,
          signal,
          onProgress: ({ done, total }) => update(done, total),
        }),
      )
      report(
        json,
        { url, directory, ...result },
        () =>
          `version ${result.version} of ${result.at.toISOString()}, ${formatBytes(result.fetchedBytes)}, in ${directory}`,
      )
    }),
  )
}
