/** `flashtable report DIR -o FILE`: a page that tells the owner of a table what it did, how it is, and what to do. */
import { stat } from 'node:fs/promises'
import { Option, type Command } from 'commander'
import { jsonOption, parseDirectory, parseFile, single } from '../arguments.js'
import { interruptible } from '../interrupt.js'
import { EXIT, formatBytes, report, textList } from '../output.js'
import { withOutput } from '../output-file.js'
import { advise, headLine, type Advice } from '../report/advice.js'
import { gatherFacts } from '../report/facts.js'
import { figuresOf } from '../report/figures.js'
import { pageOf } from '../report/page.js'
import { Plot } from '../report/plot.js'
import { UsageError } from '../usage.js'
import { packageVersion } from '../version.js'

const DETAILS = `
The page says in words what to do now. It shows what was written by cause, files over the range of keys, bits a record by
column, records a key, what verify says, and what the table is. It is one HTML file without scripts, which loads nothing,
for light and dark screens and for phones. It needs the packages @observablehq/plot and linkedom.

The table may be open in a program, or be damaged: then the page tells what can be read, and the exit code is 1. All
files are read once to verify them. Keys are counted up to a million records; of larger tables a sample is read.

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
    .argument('<dir>', 'directory of the table', parseDirectory)
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
  const { output: file, verify, force, json } = options
  if (file === '-' && json === true)
    throw new UsageError('standard output has the page: --json has no place there')
  const plot = await Plot.load()
  const told = await interruptible(signal =>
    withOutput({ path: file, force, signal }, async output => {
      const facts = await gatherFacts(directory, { verify, signal })
      const figures = figuresOf(facts)
      const advice = advise(figures)
      await output.write(pageOf(plot, { facts, figures, advice, version: packageVersion() }))
      const isBroken = figures.problems > 0 || figures.openFailure !== undefined
      return { headLine: headLine(advice, figures), advice, isBroken }
    }),
  )
  if (told === undefined) return
  if (told.isBroken) process.exitCode = EXIT.failed
  if (file === '-') return
  const bytes = (await stat(file)).size
  const { headLine: verdict, advice } = told
  report(json, { directory, file, bytes, headLine: verdict, advice }, () =>
    [`${file}: ${formatBytes(bytes)}`, verdict, ...adviceText(advice)].join('\n'),
  )
}

function adviceText(advice: readonly Advice[]): string[] {
  const commands = advice.flatMap(({ title, command }) =>
    command === undefined ? [] : [[title, command] as const],
  )
  return commands.length === 0 ? [] : ['', textList(commands)]
}
