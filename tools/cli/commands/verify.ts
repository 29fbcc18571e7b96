/**
 * `flashtable verify DIR`: reads every page and every frame, checks all of them, and changes nothing.
 *
 * README.md, Command line.
 */
import type { Command } from 'commander'
import { verifyTable, type Verification } from '../../../src/offline/verify.js'
import { jsonOption, parseDirectory } from '../arguments.js'
import { interruptible } from '../interrupt.js'
import { EXIT, formatCount, report } from '../output.js'
import { withProgress } from '../progress.js'

const EXAMPLES = `
Examples:
  flashtable verify fingerprints.table
  flashtable verify fingerprints.table --json | jq .problems`

export function defineVerify(program: Command): void {
  program
    .command('verify')
    .summary('read and check everything')
    .description(
      'Reads every page and frame of the table in DIR and compares them with everything that manifest and footers ' +
        'say. Prints each problem with its file and offset, and exits with 1 if there is one. Changes nothing.',
    )
    .argument('<dir>', 'directory of the table', parseDirectory)
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action(runVerify)
}

async function runVerify(directory: string, options: { readonly json?: true }): Promise<void> {
  const result = await interruptible(signal =>
    withProgress('verifying', update =>
      verifyTable(directory, { signal, onProgress: ({ done, total }) => update(done, total) }),
    ),
  )
  const problems = result.problems.map(problem => ({ ...problem, offset: problem.offset ?? null }))
  report(options.json, { directory, ...result, problems, tornAt: result.tornAt ?? null }, () =>
    resultText(result),
  )
  if (result.problems.length > 0) process.exitCode = EXIT.failed
}

/** One line for each problem, as compilers print them, and a summary. */
function resultText({ problems, files, pages, frames, records, tornAt, orphans }: Verification): string {
  const lines = problems.map(
    ({ file, offset, message }) => `${file}:${offset === undefined ? '' : `${offset}:`} ${message}`,
  )
  if (tornAt !== undefined) {
    lines.push(`${tornAt.path}:${tornAt.offset}: the log ends here, as it may after a crash: no problem`)
  }
  for (const path of orphans)
    lines.push(`${path}: not part of the table, the next writer removes it: no problem`)
  const read =
    `${formatCount(files)} files, ${formatCount(pages)} pages, ${formatCount(frames)} frames, ` +
    `${formatCount(records)} records`
  lines.push(`${read}: ${problems.length === 0 ? 'no problem' : `problems: ${formatCount(problems.length)}`}`)
  return lines.join('\n')
}
