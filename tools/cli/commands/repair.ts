/** `flashtable repair DIR --into NEW`: saves every record whose page or frame is intact, and changes nothing in DIR. */
import { Option, type Command } from 'commander'
import { repairTable, type Loss, type RepairResult } from '../../../src/offline/repair/repair.js'
import { MAX_PAGE_BYTES, MIN_PAGE_BYTES } from '../../../src/options/options.js'
import { jsonOption, parseDirectory, single } from '../arguments.js'
import { encodingsOf } from '../../../src/exchange/target-encodings.js'
import { interruptible } from '../interrupt.js'
import { formatKey } from '../key.js'
import { EXIT, formatCount, report } from '../output.js'
import { withProgress } from '../progress.js'
import { parseSchema, type RecordSchema } from '../schema.js'
import { parseTable } from '../store.js'
import { UsageError } from '../usage.js'

const EXAMPLES = `
Examples:
  flashtable repair fingerprints.table --into repaired.table
  flashtable repair broken.table --into repaired.table --schema key:u64,time:u16,flags:u16,id:i32`

export function defineRepair(program: Command): void {
  program
    .command('repair')
    .summary('save what is intact into a new table')
    .description(
      'Saves every record of the table in DIR whose page or frame is intact into a new table, and prints what was ' +
        'lost, deletes too. Changes nothing in DIR. NEW is a table once all is in it and on the device. Exits with 0 ' +
        'if nothing was lost, and with 1 if something was: then NEW has the rest.',
    )
    .argument('<dir>', 'directory of the damaged table', parseTable)
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
          'if the manifest is lost: fields of a record, name:type, separated by commas',
        ).argParser(parseSchema),
      ),
    )
    .option('--replace', "if the manifest is lost: the table has duplicates: 'replace'")
    .addOption(
      single(
        new Option(
          '--page-bytes <number>',
          'if the manifest is lost: bytes of a page of the new table, if no bucket file tells',
        ).argParser(parsePageBytes),
      ),
    )
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action(runRepair)
}

interface Options {
  readonly into: string
  readonly schema?: RecordSchema
  readonly replace?: true
  readonly pageBytes?: number
  readonly json?: true
}

async function runRepair(directory: string, options: Options): Promise<void> {
  const encodings = options.schema === undefined ? {} : encodingsOf(options.schema.fields)
  const duplicates = options.replace === true ? 'replace' : undefined
  const result = await interruptible(signal =>
    withProgress('repairing', update =>
      repairTable(directory, options.into, {
        ...encodings,
        duplicates,
        pageBytes: options.pageBytes,
        signal,
        onProgress: ({ done, total }) => update(done, total),
      }),
    ),
  )
  const losses = result.losses.map(loss => ({
    ...loss,
    after: keyText(loss.after),
    before: keyText(loss.before),
    operations: loss.operations ?? null,
  }))
  report(options.json, { directory, into: options.into, ...result, losses }, () =>
    resultText(options.into, result),
  )
  if (result.losses.length > 0) process.exitCode = EXIT.failed
}

function parsePageBytes(text: string): number {
  const bytes = Number(text)
  if (bytes >= MIN_PAGE_BYTES && bytes <= MAX_PAGE_BYTES && Number.isInteger(Math.log2(bytes))) return bytes
  throw new UsageError(`expected a power of two from ${MIN_PAGE_BYTES} to ${MAX_PAGE_BYTES}, found ${text}`)
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
