/**
 * `flashtable compact DIR`: merges everything into one bucket file, offline.
 *
 * It takes the lock of the table, and the merged file counts only once the manifest names it: interrupted at any
 * moment, the table is as it was. README.md, Command line.
 */
import type { Command } from 'commander'
import { FlashTable } from '../../src/index.js'
import { closing } from '../command-line/closing.js'
import { interruptible } from '../command-line/interrupt.js'
import { formatCount, report, textTable } from '../command-line/output.js'
import { progressBar } from '../command-line/progress.js'
import { filesOf, type FileTotals } from '../command-line/table-stats.js'

export function defineCompact(program: Command): void {
  program
    .command('compact')
    .summary('merge everything into one file')
    .description('Merges all files of the table in DIR into one. Interrupted, it leaves the table as it was.')
    .argument('<dir>', 'directory of the table')
    .option('--json', 'print the result as JSON')
    .action(runCompact)
}

/** Compacts; returns the files and bytes before and after. */
async function compactTable(
  directory: string,
  signal: AbortSignal,
): Promise<{ before: FileTotals; after: FileTotals }> {
  const table = await FlashTable.open(directory, { createIfMissing: false, signal })
  return closing(table, async table => {
    const before = filesOf(await table.stats())
    const progress = progressBar('compacting')
    try {
      await table.compact({ signal, onProgress: ({ done, total }) => progress.update(done, total) })
    } finally {
      progress.stop()
    }
    return { before, after: filesOf(await table.stats()) }
  })
}

async function runCompact(directory: string, options: { readonly json?: true }): Promise<void> {
  const { before, after } = await interruptible(signal => compactTable(directory, signal))
  report(options.json, { directory, before, after }, () =>
    textTable(
      ['', 'bucket files', 'bytes in them', 'bytes of log and manifest'],
      [totalsRow('before', before), totalsRow('after', after)],
    ),
  )
}

function totalsRow(label: string, { bucketFiles, bucketBytes, otherBytes }: FileTotals): string[] {
  return [label, ...[bucketFiles, bucketBytes, otherBytes].map(formatCount)]
}
