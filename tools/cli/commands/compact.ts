/**
 * `flashtable compact DIR`: merges everything into one bucket file, offline.
 *
 * It takes the lock of the table, and the merged file counts only once the manifest names it: if it is interrupted at
 * any moment, the table is as it was. README.md, Command line.
 */
import type { Command } from 'commander'
import { FlashTable, type TableStats } from '../../../src/index.js'
import { jsonOption, waitOption } from '../arguments.js'
import { closing } from '../closing.js'
import { interruptible } from '../interrupt.js'
import { formatCount, report, textTable } from '../output.js'
import { withProgress } from '../progress.js'
import { parseTable } from '../store.js'
import { filesOf, type FileTotals } from '../table-stats.js'

const EXAMPLES = `
Examples:
  flashtable compact fingerprints.table
  flashtable compact fingerprints.table --wait 60 --json`

export function defineCompact(program: Command): void {
  program
    .command('compact')
    .summary('merge everything into one file')
    .description(
      'Merges all files of the table in DIR into one. If interrupted, it leaves the table as it was.',
    )
    .argument('<dir>', 'directory of the table', parseTable)
    .addOption(waitOption())
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action(runCompact)
}

/** Compacts; returns the files and bytes before and after. */
async function compactTable(
  directory: string,
  wait: number | undefined,
  signal: AbortSignal,
): Promise<{ before: FileTotals; after: FileTotals; changed: boolean }> {
  const table = await FlashTable.open(directory, { createIfMissing: false, lockTimeoutMs: wait, signal })
  return closing(table, async table => {
    const before = await table.stats()
    await withProgress('compacting', update =>
      table.compact({ signal, onProgress: ({ done, total }) => update(done, total) }),
    )
    const after = await table.stats()
    const changed = namesOf(before) !== namesOf(after)
    return { before: filesOf(before), after: filesOf(after), changed }
  })
}

interface Options {
  readonly wait?: number
  readonly json?: true
}

async function runCompact(directory: string, options: Options): Promise<void> {
  const { before, after, changed } = await interruptible(signal =>
    compactTable(directory, options.wait, signal),
  )
  report(options.json, { directory, before, after, changed }, () =>
    changed
      ? textTable(
          ['', 'bucket files', 'bytes in them', 'bytes of log and manifest'],
          [totalsRow('before', before), totalsRow('after', after)],
        )
      : `nothing to do: ${after.bucketFiles === 0 ? 'the table is empty' : 'everything is in one bucket file'}`,
  )
}

function namesOf({ files }: TableStats): string {
  return files.map(file => file.name).join()
}

function totalsRow(label: string, { bucketFiles, bucketBytes, otherBytes }: FileTotals): string[] {
  return [label, ...[bucketFiles, bucketBytes, otherBytes].map(formatCount)]
}
