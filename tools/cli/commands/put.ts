/** `flashtable put DIR KEY field=value...`: puts one record. */
import { Option, type Command } from 'commander'
import { FlashTable } from '../../../src/index.js'
import { jsonOption, waitOption } from '../arguments.js'
import { closing } from '../closing.js'
import { readableEncodings } from '../encodings.js'
import { interruptible } from '../interrupt.js'
import { parseKey } from '../key.js'
import { EXIT, report } from '../output.js'
import { parseValue } from '../record-text.js'
import { parseTable } from '../store.js'
import { readSchema } from '../table-schema.js'

const DETAILS = `
KEY is written as for get. All fields of the table are needed, each once: integers as 17 or 0x11, bytes as hexadecimal
digits. A table whose values are not structs has the field "value"; a set has none. The record is on the device when the
command ends. To mend a record, delete it as it is, and put it as it should be.

Examples:
  flashtable put fingerprints.table 0x1234 time=17 flags=1 id=-2
  flashtable put fingerprints.table 0x1234 time=17 flags=1 id=-2 --if-absent`

export function definePut(program: Command): void {
  program
    .command('put')
    .summary('put a record')
    .description(
      'Puts one record into the table in DIR. With --if-absent it exits with 1 if the key had a record.',
    )
    .argument('<dir>', 'directory of the table', parseTable)
    .argument('<key>', 'key of the record')
    .argument('[fields...]', 'its fields, as name=value')
    .addOption(new Option('--if-absent', 'only if the key has no record'))
    .addOption(waitOption())
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runPut)
}

interface Options {
  readonly ifAbsent?: true
  readonly wait?: number
  readonly json?: true
}

async function runPut(
  directory: string,
  keyText: string,
  fields: readonly string[],
  { ifAbsent, wait, json }: Options,
): Promise<void> {
  const schema = await readSchema(directory)
  const [key, value] = [parseKey(keyText, schema.key), parseValue(schema, fields)]
  const isPut = await interruptible(async signal => {
    const opening = { createIfMissing: false, lockTimeoutMs: wait, signal }
    const table = await FlashTable.open(directory, { ...readableEncodings(schema), ...opening })
    return closing(table, async table => {
      if (ifAbsent === true) return table.putIfAbsent(key, value, { sync: true })
      await table.put(key, value, { sync: true })
      return true
    })
  })
  if (!isPut) process.exitCode = EXIT.failed
  report(json, { directory, key: keyText, put: isPut }, () =>
    isPut ? '1 record put' : 'nothing was put: the key has a record',
  )
}
