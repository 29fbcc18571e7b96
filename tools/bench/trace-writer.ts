/** The process that write-trace.ts traces: random records, synced every MiB, sealed and merged as they come. */
import { openTable, putRandom, settled } from './table.js'

const [directory, records] = process.argv.slice(2)
const table = await openTable(directory!)
await putRandom(table, 0, Number(records))
await settled(table)
await table.close()
