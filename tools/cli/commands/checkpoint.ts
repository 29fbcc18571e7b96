/** `flashtable checkpoint DIR NEW`: a copy that can be opened, by hard links where the file system has them. */
import { rm } from 'node:fs/promises'
import type { Command } from 'commander'
import { FlashTable } from '../../../src/index.js'
import { jsonOption, parseDirectory } from '../arguments.js'
import { closing } from '../closing.js'
import { interruptible } from '../interrupt.js'
import { formatBytes, formatCount, report } from '../output.js'
import { parseTable } from '../store.js'
import { readStats } from '../table-stats.js'

const EXAMPLES = `
Examples:
  flashtable checkpoint fingerprints.table backup.table
  flashtable checkpoint fingerprints.table "backup-$(date +%F).table"`

export function defineCheckpoint(program: Command): void {
  program
    .command('checkpoint')
    .summary('make a copy that can be opened')
    .description(
      'Makes a copy of the table in DIR in the new directory NEW: hard links, or copies on another file system. ' +
        'Works beside a program that writes the table, takes no lock, and changes nothing in DIR.',
    )
    .argument('<dir>', 'directory of the table', parseTable)
    .argument('<new>', 'directory of the copy', parseDirectory)
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action(runCheckpoint)
}

interface Options {
  readonly json?: true
}

async function runCheckpoint(directory: string, copy: string, options: Options): Promise<void> {
  await interruptible(async signal => {
    const table = await FlashTable.open(directory, { readOnly: true, signal })
    await closing(table, table => table.checkpoint(copy))
    if (!signal.aborted) return
    // This command has just made it, in a directory that was not there.
    await rm(copy, { recursive: true })
    signal.throwIfAborted()
  })
  const { records, bytesOnDisk } = await readStats(copy)
  report(
    options.json,
    { directory, copy, records, bytesOnDisk },
    () => `${formatCount(records)} records, ${formatBytes(bytesOnDisk)}, in ${copy}`,
  )
}
