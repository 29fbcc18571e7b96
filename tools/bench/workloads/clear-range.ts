/** Forgets a tenth of the keys by one range. */
import { directoryBytes } from '../files.js'
import { hitKeys, randomNumbers } from '../records.js'
import { bytesWritten, openTable, putRandom, settled, tableDirectory, type Table } from '../table.js'
import { seconds } from '../timing.js'
import { check, type Workload } from '../workload.js'

const LOOKUPS = 200_000
const LOWER = 2n ** 62n
const UPPER = LOWER + 2n ** 64n / 10n

export const clearRange: Workload = {
  name: 'clear-range',
  sentence:
    'Of random records a tenth of the keys is deleted by one `clear({ gte, lt })`; lookups of the others before and after, then a compaction.',
  stores: ['flashtable'],
  records: 30_000_000,
  figures: {
    clearMs: { unit: 'ms for the clear, synced', better: 'less' },
    bytesWritten: { unit: 'bytes written for it', better: 'less' },
    hitsBefore: { unit: 'getSync hits/s before', better: 'more' },
    hitsAfter: { unit: 'getSync hits/s after', better: 'more' },
    clearedAfter: { unit: 'getSync of cleared keys/s after', better: 'more' },
    scanShare: { unit: 'time of a scan of all after / before', better: 'less' },
    spaceAfter: { unit: 'bytes on disk, compacted / before', better: 'less' },
  },
  async run({ directory, records }) {
    const table = await openTable(directory)
    await putRandom(table, 0, records)
    await settled(table)
    const numbers = randomNumbers(LOOKUPS, records)
    const all = [...hitKeys(numbers)]
    const cleared = all.filter(key => key >= LOWER && key < UPPER)
    const others = all.filter(key => key < LOWER || key >= UPPER)
    lookUp(table, others, true)
    const hitsBefore = lookUp(table, others, true)
    const scanBefore = await scanSeconds(table)
    const before = bytesWritten(await table.stats())
    const spaceBefore = directoryBytes(tableDirectory(directory))
    const clearSeconds = await seconds(() => table.clear({ gte: LOWER, lt: UPPER, sync: true }))
    const written = bytesWritten(await table.stats()) - before
    const hitsAfter = lookUp(table, others, true)
    const clearedAfter = lookUp(table, cleared, false)
    const scanAfter = await scanSeconds(table)
    await table.compact()
    const spaceAfter = directoryBytes(tableDirectory(directory)) / spaceBefore
    await table.close()
    return {
      clearMs: 1000 * clearSeconds,
      bytesWritten: written,
      hitsBefore,
      hitsAfter,
      clearedAfter,
      scanShare: scanAfter / scanBefore,
      spaceAfter,
    }
  },
}

/** Lookups a second. */
function lookUp(table: Table, keys: readonly bigint[], isThere: boolean): number {
  const start = performance.now()
  for (const key of keys) check((table.getSync(key) !== undefined) === isThere, () => `the key ${key}`)
  return keys.length / ((performance.now() - start) / 1000)
}

function scanSeconds(table: Table): Promise<number> {
  return seconds(async () => {
    for await (const { key } of table.scanColumns()) check(key.length > 0, () => 'an empty batch')
  })
}
