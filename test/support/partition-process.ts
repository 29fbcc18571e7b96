/**
 * A process that writes the partitions `argv[4]` (numbers with commas) of the table in the directory `argv[2]`, in its own
 * directory `argv[3]`: those of the first `argv[5]` rows. It writes the versions of its publish to its output.
 */
import process from 'node:process'
import { PartitionedTable, directoryStore } from '../../src/index.js'

const [, , url, directory, numbers, count] = process.argv as [string, string, string, string, string, string]
const table = await PartitionedTable.open(directoryStore(url), {
  partitions: 8,
  write: numbers.split(',').map(Number),
  directory,
  keyEncoding: 'u32',
  valueEncoding: 'u32',
  bufferBytes: 65_536,
})
const rows = Uint32Array.from({ length: Number(count) }, (_, row) => row)
for (const { partition, columns } of table.splitColumns({
  key: rows.map(row => Math.imul(row, 0x9e37_79b1)),
  value: rows,
}))
  if (table.written.includes(partition)) await table.putColumns(columns)
const { versions } = await table.publish()
await table.close()
process.stdout.write(JSON.stringify(versions))
