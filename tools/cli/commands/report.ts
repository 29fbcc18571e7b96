/** `flashtable report DIR -o FILE`: a page that tells the owner of a table what it did, how it is, and what to do. */
import { stat } from 'node:fs/promises'
import { Option, type Command } from 'commander'
import { jsonOption, parseFile, single } from '../arguments.js'
import { interruptible } from '../interrupt.js'
import { EXIT, formatBytes, report, textList } from '../output.js'
import { withOutput } from '../output-file.js'
import { advise, headLine, type Advice } from '../report/advice.js'
import { gatherFacts, type FactOptions } from '../report/facts.js'
import { figuresOf } from '../report/figures.js'
import { pageOf } from '../report/page.js'
import { Plot } from '../report/plot.js'
import { parseTable } from '../store.js'
import { UsageError } from '../usage.js'
import { packageVersion } from '../version.js'

const DETAILS = `
The page says in words what to do now. It shows what was written by cause, files over the range of keys, bits a record by
column, records a key, what verify says, and what the table is. It is one HTML file without scripts, which loads nothing,
for light and dark screens and for phones. It needs the packages @observablehq/plot and linkedom.

The table may be open in a program. Of a damaged one the page tells what can be read, and the exit code is 1. All files
are read once to verify them. Keys are counted up to a million records; of larger tables a sample is read.

Examples:
  flashtable report fingerprints.table -o report.html
  flashtable report fingerprints.table --no-verify -o - | ssh host 'cat > /var/www/report.html'`

export function defineReport(program: Command): void {
  program
    .command('report')
    .summary('make a page that says how a table is and what to do')
    .description(
      'Writes an HTML page about the table in DIR: what it wrote to the disk, whether it is healthy, and what to do ' +
        'now. Changes nothing in DIR.',
    )
    .argument('<dir>', 'directory of the table', parseTable)
    .addOption(
      single(
        new Option('-o, --output <file>', 'file to write, - for standard output').argParser(parseFile),
      ).makeOptionMandatory(),
    )
    .addOption(new Option('--no-verify', 'do not read all files to check them'))
    .addOption(new Option('--force', 'replace FILE if it is there'))
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runReport)
}

interface Options {
  readonly output: string
  readonly verify: boolean
  readonly force?: true
  readonly json?: true
}

async function runReport(directory: string, options: Options): Promise<void> {
  const { output: file, force, json } = options
  if (file === '-' && json === true)
    throw new UsageError('standard output has the page: --json has no place there')
  const plot = await Plot.load()
  const made = await interruptible(signal =>
    withOutput({ path: file, force, signal }, async output => {
      const made = await makeReport(plot, directory, { verify: options.verify, signal })
      await output.write(made.page)
      return made
    }),
  )
  if (made === undefined) return
  const { advice, verdict, isBroken } = made
  if (isBroken) process.exitCode = EXIT.failed
  if (file === '-') return
  const bytes = (await stat(file)).size
  report(json, { directory, file, bytes, verdict, advice }, () =>
    [`${file}: ${formatBytes(bytes)}`, verdict, ...commandsText(advice)].join('\n'),
  )
}

/** A page, and what is said beside it. */
export interface Made {
  readonly page: string
  readonly verdict: string
  readonly advice: readonly Advice[]
  /** There is damage, or the table cannot be opened. */
  readonly isBroken: boolean
}

/** Rejects with `FLASHTABLE_NOT_FOUND` if there is no table, or with the reason of the signal. */
export async function makeReport(plot: Plot, directory: string, options: FactOptions): Promise<Made> {
  const facts = await gatherFacts(directory, options)
  const figures = figuresOf(facts)
  const advice = advise(figures)
  return {
    page: pageOf(plot, { facts, figures, advice, version: packageVersion() }),
    verdict: headLine(advice, figures),
    advice,
    isBroken: figures.problems > 0 || figures.openFailure !== undefined,
  }
}

function commandsText(advice: readonly Advice[]): string[] {
  const commands = advice.flatMap(({ urgency, title, command }) =>
    command === undefined || urgency === 'know' ? [] : [[title, command] as const],
  )
  return commands.length === 0 ? [] : ['', textList(commands)]
}
