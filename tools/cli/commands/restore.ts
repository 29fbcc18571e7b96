/** `flashtable restore URL NEW`: a table of a published version. */
import { existsSync } from 'node:fs'
import { Option, type Command } from 'commander'
import { FlashTable } from '../../../src/index.js'
import { findPublished } from '../../../src/table/published.js'
import { jsonOption, parseCount, parseDirectory, single } from '../arguments.js'
import { closing } from '../closing.js'
import { interruptible } from '../interrupt.js'
import { formatBytes, formatCount, report } from '../output.js'
import { withProgress } from '../progress.js'
import { addStoreOptions, openStore, parseUrl, URL_DETAILS, type StoreTexts } from '../store.js'
import { UsageError } from '../usage.js'

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
  addStoreOptions(command)
    .addOption(
      single(new Option('--at <time>', 'as it was then, such as 2026-11-28T18:00:00Z').argParser(parseTime)),
    )
    .addOption(single(new Option('--version <number>', 'this version').argParser(parseCount)))
    .addOption(single(new Option('--name <text>', 'the version of this name')))
    .addOption(new Option('--verify', 'read every page and check it'))
    .addOption(new Option('--dry-run', 'tell what would be restored, and do nothing'))
    .addOption(single(new Option('--if-exists <what>', 'what to do if NEW is there').choices(['skip'])))
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runRestore)
}

interface Options extends StoreTexts {
  readonly at?: Date
  readonly version?: number
  readonly name?: string
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
  if ([at, version, name].filter(choice => choice !== undefined).length > 1)
    throw new UsageError('give one of --at, --version and --name')
  const store = await openStore(from, options)
  const { url } = store
  await interruptible(signal =>
    closing(store, async () => {
      if (options.dryRun === true) {
        const choice = { ...(at && { at: at.getTime() }), ...(version && { version }), ...(name && { name }) }
        const found = await findPublished(store, choice, signal)
        report(json, { url, directory, dryRun: true, ...found }, () => {
          const { files, bytes, records } = found
          const content = `${formatCount(files)} files, ${formatBytes(bytes)}, ${formatCount(records)} records`
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

function parseTime(text: string): Date {
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? new Date(text) : undefined
  if (time === undefined || Number.isNaN(time.getTime()))
    throw new UsageError('It must be a time such as 2026-11-28T18:00:00Z, or 2026-11-28T18:00 here.')
  return time
}
