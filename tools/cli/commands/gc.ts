/** `flashtable gc URL`: removes what nobody needs from an object store. */
import { Option, type Command } from 'commander'
import { collectGarbage } from '../../../src/index.js'
import { jsonOption, single } from '../arguments.js'
import { closing } from '../closing.js'
import { interruptible } from '../interrupt.js'
import { formatBytes, report } from '../output.js'
import { parseSpan } from '../span.js'
import { addStoreOptions, openStore, parseUrl, URL_DETAILS, type StoreTexts } from '../store.js'
import { countText } from '../words.js'

const DETAILS = `${URL_DETAILS}

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
  const { retention, forget, dryRun = false } = options
  const store = await openStore(from, options)
  const garbage = await interruptible(signal =>
    closing(store, () => collectGarbage(store, { retention, forget, dryRun, signal })),
  )
  const { versions, files, bytes } = garbage
  report(options.json, { url: store.url, dryRun, ...garbage }, () => {
    const what = `${countText(versions.length, 'version')}, ${countText(files, 'object')}, ${formatBytes(bytes)}`
    return dryRun ? `${what} would be removed` : `${what} removed`
  })
}
