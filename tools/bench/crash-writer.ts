/**
 * The process that `workloads/crash-open.ts` kills: one memtable filled by small batches, whose seal has just begun,
 * and a second one after it. It says how much it has put, and waits.
 */
import { randomRecords } from './records.js'
import { openTable } from './table.js'

/** Small, so that the log holds much for its records. */
const SMALL_BATCH = 8

const [directory] = process.argv.slice(2)
const table = await openTable(directory!)
const { capacity } = (await table.stats()).memtable
let put = 0
for (const end = capacity - (capacity % SMALL_BATCH); put < end; put += SMALL_BATCH) {
  await table.putColumns(randomRecords(put, put + SMALL_BATCH))
}
// It no longer fits, so the seal of the first begins; this one takes a moment, the seal takes longer.
const rest = randomRecords(put, put + Math.floor(capacity * 0.95))
await table.putColumns(rest)
process.stdout.write(`${put + rest.key.length}\n`)
setInterval(() => {}, 1000)
