/** `flashtable repair DIR --into NEW`: saves every record whose page or frame is intact, and changes nothing in DIR. */
import type { Command } from 'commander'
import { repairTable, type Loss, type RepairResult } from '../../src/repair/repair.js'
import { interruptible } from '../command-line/interrupt.js'
import { EXIT, formatCount, report } from '../command-line/output.js'
import { progressBar } from '../command-line/progress.js'
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
    .argument('<dir>', 'directory of the damaged table')
    .requiredOption('--into <new>', 'directory of the new table')
    .option(
      '--schema <fields>',
      'where the manifest is lost: fields of a record, name:type, separated by commas',
      parseSchema,
    )
    .option('--replace', "where the manifest is lost: the table has duplicates: 'replace'")
    .option('--json', 'print the result as JSON')
    .action(runRepair)
}

interface Options {
  readonly into: string
  readonly schema?: RecordSchema
  readonly replace?: true
  readonly json?: true
}

async function runRepair(directory: string, options: Options): Promise<void> {
  const progress = progressBar('repairing')
  const encodings = options.schema === undefined ? {} : encodingsOf(options.schema)
  const duplicates = options.replace === true ? 'replace' : undefined
  const result = await interruptible(async signal => {
    try {
      return await repairTable(directory, options.into, {
        ...encodings,
        duplicates,
        signal,
        onProgress: ({ done, total }) => progress.update(done, total),
      })
    } finally {
      progress.stop()
    }
  })
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

/** As `get` takes it: integers in decimal, bytes in hex. */
function keyText(key: unknown): string | null {
  if (key === undefined) return null
  return key instanceof Uint8Array ? Buffer.from(key).toString('hex') : String(key)
}
