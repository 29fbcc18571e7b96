/** A short scan while much is in memory. */
import { randomRecords } from '../records.js'
import { BATCH_RECORDS, openTable, type Table } from '../table.js'
import { seconds } from '../timing.js'
import { check, type Workload } from '../workload.js'

const SCANNED = 10

export const smallScan: Workload = {
  name: 'small-scan',
  sentence:
    'The first 10 records are scanned while the memtable is full, then again, then after 1,000 more puts.',
  stores: ['flashtable'],
  records: 2_000_000,
  figures: {
    firstMs: { unit: 'ms, the first scan', better: 'less' },
    secondMs: { unit: 'ms, the second scan', better: 'less', target: 1 },
    afterPutsMs: { unit: 'ms, after 1,000 more puts', better: 'less' },
  },
  async run({ directory, records }) {
    const table = await openTable(directory, { bufferBytes: 512 * 2 ** 20 })
    for (let from = 0; from < records; from += BATCH_RECORDS) {
      await table.putColumns(randomRecords(from, Math.min(from + BATCH_RECORDS, records)))
    }
    check((await table.stats()).runs.count === 0, () => 'the memtable was sealed')
    const firstMs = 1000 * (await seconds(() => scan(table)))
    const secondMs = 1000 * (await seconds(() => scan(table)))
    await table.putColumns(randomRecords(records, records + 1000))
    const afterPutsMs = 1000 * (await seconds(() => scan(table)))
    await table.close()
    return { firstMs, secondMs, afterPutsMs }
  },
}

async function scan(table: Table): Promise<void> {
  let last = -1n
  let count = 0
  for await (const key of table.keys({ limit: SCANNED })) {
    check(key > last, () => 'keys out of order')
    last = key
    count++
  }
  check(count === SCANNED, () => `${count} keys`)
}
