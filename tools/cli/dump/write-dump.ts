/** Writes a table as a dump; see header.ts for what is in it. */
import { crc32 } from 'node:zlib'
import type { StoredSchema } from '../../../src/encoding/stored-schema.js'
import type { Output } from '../output-file.js'
import type { ReadTable } from '../read-table.js'
import { countRecords, rowsOf, scan } from '../records.js'
import { RowWriter } from '../rows/row-writer.js'
import { dumpFormat, endLine, headerLine } from './header.js'

/** Returns the number of records. Requires: the table is opened only for reading, so that it stays as it is. */
export async function writeDump(
  table: ReadTable,
  schema: StoredSchema,
  output: Output,
  { signal, onProgress }: { signal: AbortSignal; onProgress: (done: number, total: number) => void },
): Promise<number> {
  let crc = 0
  const checked: Output = {
    async write(chunk) {
      crc = crc32(chunk, crc)
      await output.write(chunk)
    },
  }
  const total = await countRecords(table, schema, { signal })
  await checked.write(headerLine(await table.describe(), schema, total))
  const writer = new RowWriter(checked, dumpFormat(schema))
  for await (const columns of scan(table, { signal })) {
    await writer.add(columns, 0, rowsOf(columns, schema.key))
    onProgress(writer.records, total)
  }
  await output.write(endLine(writer.records, crc))
  return writer.records
}
