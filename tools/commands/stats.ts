/** `flashtable stats DIR`: what a table holds and what it has written; it is opened for reading alone. */
import type { Command } from 'commander'
import { formatBytes, formatCount, report, textList } from '../command-line/output.js'
import { readStats, writtenText } from '../command-line/table-stats.js'

export function defineStats(program: Command): void {
  program
    .command('stats')
    .summary('tell what a table holds and has written')
    .description('Tells what the table in DIR holds and what it has written in its life. Changes nothing.')
    .argument('<dir>', 'directory of the table')
    .option('--json', 'print the result as JSON')
    .action(runStats)
}

async function runStats(directory: string, options: { readonly json?: true }): Promise<void> {
  const stats = await readStats(directory)
  report(options.json, { directory, ...stats }, () =>
    textList([
      [
        'records',
        `${formatCount(stats.records)}${stats.recordsAreExact ? '' : ', deleted ones still among them'}`,
      ],
      ['put', `${formatCount(stats.recordsPut)} records, ${formatBytes(stats.recordBytesPut)}`],
      ...writtenText(stats),
      ['bucket files', `${formatCount(stats.files.length)}${levelsText(stats.levels)}`],
    ]),
  )
}

/** How many files each level has that has any. */
function levelsText(levels: readonly number[]): string {
  const counts = levels.flatMap((count, level) =>
    count === 0 ? [] : [`${formatCount(count)} of level ${level}`],
  )
  return counts.length === 0 ? '' : `: ${counts.join(', ')}`
}
