/** `flashtable checkpoint DIR NEW`: a copy that can be opened, by hard links where the file system has them. */
import type { Command } from 'commander'
import { FlashTable } from '../../src/index.js'
import { closing } from '../command-line/closing.js'
import { formatBytes, formatCount, report } from '../command-line/output.js'
import { readStats } from '../command-line/table-stats.js'

export function defineCheckpoint(program: Command): void {
  program
    .command('checkpoint')
    .summary('make a copy that can be opened')
    .description(
      'Makes a copy of the table in DIR in the new directory NEW: hard links, or copies on another file system.',
    )
    .argument('<dir>', 'directory of the table')
    .argument('<new>', 'directory of the copy')
    .option('--json', 'print the result as JSON')
    .action(runCheckpoint)
}

async function runCheckpoint(
  directory: string,
  copy: string,
  options: { readonly json?: true },
): Promise<void> {
  const table = await FlashTable.open(directory, { createIfMissing: false })
  await closing(table, table => table.checkpoint(copy))
  const { records, bytesOnDisk } = await readStats(copy)
  report(
    options.json,
    { directory, copy, records, bytesOnDisk },
    () => `${formatCount(records)} records, ${formatBytes(bytesOnDisk)}, in ${copy}`,
  )
}
