/** `flashtable repair DIR --into NEW`: saves every record whose page or frame is intact, and changes nothing in DIR. */
import { Option, type Command } from 'commander'
import { repairTable, type Loss, type RepairResult } from '../../src/repair/repair.js'
import { jsonOption, parseDirectory, single } from '../command-line/arguments.js'
import { interruptible } from '../command-line/interrupt.js'
import { EXIT, formatCount, report } from '../command-line/output.js'
import { withProgress } from '../command-line/progress.js'
import { formatKey } from '../command-line/key.js'
import { encodingsOf } from '../command-line/encodings.js'
import { parseSchema, type RecordSchema } from '../command-line/schema.js'

export function defineRepair(program: Command): void {
  program
    .command('repair')
    .summary('save what is intact into a new table')
    .description(
      'Saves every record of the table in DIR whose page or frame is intact into a new table, and prints what was ' +
        'lost. Changes nothing in DIR. Exits with 1 where something was lost.',
    )
    .argument('<dir>', 'directory of the damaged table', parseDirectory)
    .addOption(
      single(
        new Option('--into <new>', 'directory of the new table')
          .argParser(parseDirectory)
          .makeOptionMandatory(),
      ),
    )
    .addOption(
      single(
        new Option(
          '--schema <fields>',
          'where the manifest is lost: fields of a record, name:type, separated by commas',
        ).argParser(parseSchema),
      ),
    )
    .option('--replace', "where the manifest is lost: the table has duplicates: 'replace'")
    .addOption(jsonOption())
    .action(runRepair)
}

interface Options {
  readonly into: string
  readonly schema?: RecordSchema
  readonly replace?: true
  readonly json?: true
}

async function runRepair(directory: string, options: Options): Promise<void> {
  const encodings = options.schema === undefined ? {} : encodingsOf(options.schema)
  const duplicates = options.replace === true ? 'replace' : undefined
  const result = await interruptible(signal =>
    withProgress('repairing', update =>
      repairTable(directory, options.into, {
        ...encodings,
        duplicates,
        signal,
        onProgress: ({ done, total }) => update(done, total),
      }),
    ),
  )
  const losses = result.losses.map(loss => ({
    ...loss,
    after: keyText(loss.after),
    before: keyText(loss.before),
  }))
  report(options.json, { directory, into: options.into, ...result, losses }, () =>
    resultText(options.into, result),
  )
  if (result.losses.length > 0) process.exitCode = EXIT.failed
}

function resultText(into: string, { records, losses }: RepairResult): string {
  const lines = losses.map(lossText)
  const lost = losses.length === 0 ? 'nothing lost' : `losses: ${formatCount(losses.length)}`
  return [...lines, `${formatCount(records)} records saved in ${into}: ${lost}`].join('\n')
}

function lossText({ file, offset, reason, after, before, operations }: Loss): string {
  const count = operations === undefined ? '' : `: ${formatCount(operations)} missing`
  const [from, to] = [keyText(after), keyText(before)]
  const keys = from === null && to === null ? '' : `, keys from ${from ?? 'the first'} to ${to ?? 'the last'}`
  return `${file}:${offset}: lost: ${reason}${count}${keys}`
}

function keyText(key: unknown): string | null {
  if (key === undefined) return null
  return formatKey(key)
}
