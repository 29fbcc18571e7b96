/**
 * The process that `workloads/crash-open.ts` kills with its log as full as it gets: as much as is flushed together, by small
 * batches, and then, while that is being flushed, what there is room for in memory besides. It says how much it has put,
 * and waits.
 */
import { subscribe } from 'node:diagnostics_channel'
import { randomRecords } from './records.js'
import { openTable } from './table.js'

/** Small, so that the log holds much for its records. */
const SMALL_BATCH = 8

const [directory] = process.argv.slice(2)
const table = await openTable(directory!)
const flushes: unknown[] = []
subscribe('flashtable:flush', flush => flushes.push(flush))
let put = 0
/** Until the runs of a flush are there. */
while ((await table.stats()).runs.count < 8) {
  for (const end = put + 65_536; put < end; put += SMALL_BATCH)
    await table.putColumns(randomRecords(put, put + SMALL_BATCH))
}
// The flush has begun; these fill two more memtables before it ends.
for (let i = 0; i < 20 && flushes.length === 0; i++) {
  const records = randomRecords(put, put + 100_000)
  await table.putColumns(records)
  put += records.key.length
}
process.stdout.write(`${put} ${flushes.length > 0}\n`)
setInterval(() => {}, 1000)
