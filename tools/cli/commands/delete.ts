/** `flashtable delete DIR`: the records of a key, one of them, or those whose fields have or compare with values. */
import type { Command } from 'commander'
import type { StoredSchema } from '../../../src/encoding/stored-schema.js'
import { FlashTable } from '../../../src/index.js'
import { dryRunOption, jsonOption, waitOption } from '../arguments.js'
import { closing } from '../closing.js'
import { readableEncodings } from '../encodings.js'
import { interruptible } from '../interrupt.js'
import { parseKey } from '../key.js'
import { formatCount, report } from '../output.js'
import { parseValue } from '../record-text.js'
import { countRecords, type AnyTable } from '../records.js'
import { parseTable } from '../store.js'
import { readSchema } from '../table-schema.js'
import { UsageError } from '../usage.js'
import { parseWhere, whereOption } from '../where.js'

const DETAILS = `
Give a KEY, as for get, or one --where or more. A KEY with all fields deletes the records that equal this one. The
deletes are one entry of the log, on the device when the command ends; their space comes back with merges.

Examples:
  flashtable delete fingerprints.table 0x1234
  flashtable delete fingerprints.table 0x1234 time=17 flags=1 id=-2
  flashtable delete fingerprints.table --where 'time<1700000' --where id=42 --dry-run`

export function defineDelete(program: Command): void {
  program
    .command('delete')
    .summary('delete the records of a key, one record, or those that match')
    .description('Deletes the records of KEY, one record, or those that match, from the table in DIR.')
    .argument('<dir>', 'directory of the table', parseTable)
    .argument('[key]', 'key of the records')
    .argument('[fields...]', 'all fields of one record, as name=value')
    .addOption(whereOption())
    .addOption(dryRunOption())
    .addOption(waitOption())
    .addOption(jsonOption())
    .addHelpText('after', DETAILS)
    .action(runDelete)
}

interface Options {
  readonly where?: readonly string[]
  readonly dryRun?: true
  readonly wait?: number
  readonly json?: true
}

async function runDelete(
  directory: string,
  keyText: string | undefined,
  fields: readonly string[],
  options: Options,
): Promise<void> {
  if ((keyText === undefined) === (options.where === undefined))
    throw new UsageError('give a key, or --where, and not both')
  const schema = await readSchema(directory)
  const chosen = choose(schema, keyText, fields, options.where)
  const records = await interruptible(async signal => {
    const { dryRun = false, wait } = options
    const opening = dryRun ? { readOnly: true } : { createIfMissing: false, lockTimeoutMs: wait }
    const table = await FlashTable.open(directory, { ...readableEncodings(schema), ...opening, signal })
    return closing(table, async table => {
      const records = await chosen.count(table)
      if (!dryRun && records > 0) await chosen.delete(table)
      return records
    })
  })
  const result = { directory, records, dryRun: options.dryRun === true }
  report(options.json, result, () => deletedText(records, result.dryRun))
}

/** What a delete has done, or would do. */
export function deletedText(records: number, dryRun: boolean): string {
  const count = `${formatCount(records)} ${records === 1 ? 'record' : 'records'}`
  return dryRun ? `${count} would be deleted; nothing was changed` : `${count} deleted`
}

/** The records that are meant. */
function choose(
  schema: StoredSchema,
  keyText: string | undefined,
  fields: readonly string[],
  terms: readonly string[] | undefined,
) {
  if (keyText !== undefined) {
    const key = parseKey(keyText, schema.key)
    if (fields.length > 0) {
      const value = parseValue(schema, fields)
      const where = schema.value?.type === 'struct' ? (value as Record<string, unknown>) : { value }
      return {
        count: (table: AnyTable) => countRecords(table, schema, { gte: key, lte: key, where }),
        delete: (table: AnyTable) => table.delRecord(key, value, { sync: true }),
      }
    }
    return {
      count: (table: AnyTable) => table.count(key),
      delete: (table: AnyTable) => table.del(key, { sync: true }),
    }
  }
  const where = parseWhere(terms!, schema)
  return {
    count: (table: AnyTable) => countRecords(table, schema, { where }),
    delete: (table: AnyTable) => table.delWhere(where, { sync: true }),
  }
}
