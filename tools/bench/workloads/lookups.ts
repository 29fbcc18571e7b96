/** Lookups on a compacted table, warm and cold; and the space that a record takes there. */
import { dropCaches } from '../device.js'
import { hitKeys, missKeys, randomNumbers } from '../records.js'
import { bulkLoadRandom, openTable, type Table } from '../table.js'
import { rssMiB, seconds } from '../timing.js'
import { check, type Figures, type Workload } from '../workload.js'

const LOOKUPS = 1_000_000
const COLD_LOOKUPS = 2000
const NEAR_LOOKUPS = 100_000
const KEYS_PER_CALL = 10_000

export const lookups: Workload = {
  name: 'lookups',
  sentence:
    'A table of random records, one bucket file, is asked one by one (`getSync`), 10,000 keys a call (`getColumns`), within 2, warm and cold, and scanned.',
  stores: ['flashtable'],
  records: 16_000_000,
  figures: {
    bulkLoadedPerSecond: { unit: 'records/s bulk loaded', better: 'more' },
    dataBytesPerRecord: { unit: 'bytes of data pages a record', better: 'less', target: 11 },
    bytesPerRecord: { unit: 'bytes a record with filter and fences', better: 'less', target: 12.3 },
    coldHitPageReads: { unit: 'page reads a cold hit', better: 'less', target: 1.05 },
    coldHitsPerSecond: { unit: 'cold getSync hits/s', better: 'more' },
    hitsPerSecond: { unit: 'getSync hits/s, cacheBytes 256 MiB', better: 'more', target: 1_500_000 },
    missesPerSecond: { unit: 'getSync misses/s, cacheBytes 256 MiB', better: 'more', target: 3_000_000 },
    pageReadsPerMiss: { unit: 'page reads a miss', better: 'less', target: 0.03 },
    columnKeysPerSecond: { unit: 'getColumns keys/s, cacheBytes 256 MiB', better: 'more', target: 3_000_000 },
    nearKeysPerSecond: { unit: 'getColumns keys/s within 2', better: 'more' },
    scannedPerSecond: { unit: 'records/s by scanColumns', better: 'more' },
    defaultHitsPerSecond: { unit: 'getSync hits/s, default cache', better: 'more' },
    defaultColumnKeysPerSecond: { unit: 'getColumns keys/s, default cache', better: 'more' },
    rssMiB: { unit: 'MiB RSS after all, cacheBytes 256 MiB', better: 'less' },
  },
  async run({ directory, records }) {
    const loadSeconds = await seconds(async () => (await bulkLoadRandom(directory, records)).close())
    const coldFigures = await cold(directory, records)
    let table = await openTable(directory, { cacheBytes: 256 * 2 ** 20 })
    const { dataBytesOnDisk, files } = await table.stats()
    const figures: Figures = {
      bulkLoadedPerSecond: records / loadSeconds,
      dataBytesPerRecord: dataBytesOnDisk / records,
      bytesPerRecord: files.reduce((bytes, file) => bytes + file.bytes, 0) / records,
      ...coldFigures,
    }
    // The first round fills the cache and warms up; the second one counts.
    await readHits(table, records, LOOKUPS, 1)
    figures['hitsPerSecond'] = LOOKUPS / (await readHits(table, records, LOOKUPS, 2))
    readMisses(table)
    const { pageReads: before } = await table.stats()
    figures['missesPerSecond'] = LOOKUPS / readMisses(table)
    figures['pageReadsPerMiss'] = ((await table.stats()).pageReads - before) / LOOKUPS
    await readColumns(table, records, 1)
    figures['columnKeysPerSecond'] = LOOKUPS / (await readColumns(table, records, 2))
    figures['nearKeysPerSecond'] = NEAR_LOOKUPS / (await readNear(table, records))
    figures['rssMiB'] = rssMiB()
    figures['scannedPerSecond'] = records / (await scan(table, records))
    await table.close()
    table = await openTable(directory)
    await readHits(table, records, LOOKUPS, 3)
    figures['defaultHitsPerSecond'] = LOOKUPS / (await readHits(table, records, LOOKUPS, 4))
    figures['defaultColumnKeysPerSecond'] = LOOKUPS / (await readColumns(table, records, 5))
    await table.close()
    return figures
  },
}

async function cold(directory: string, records: number): Promise<Figures> {
  const dropped = dropCaches()
  const table = await openTable(directory)
  const spent = await readHits(table, records, COLD_LOOKUPS, 9)
  const { pageReads } = await table.stats()
  await table.close()
  // Hits on a page that an earlier one has read are warm: they are few in a large table.
  const figures = { coldHitPageReads: pageReads / COLD_LOOKUPS }
  return dropped ? { ...figures, coldHitsPerSecond: COLD_LOOKUPS / spent } : figures
}

/** Seconds of only the lookups, answers checked. */
async function readHits(table: Table, records: number, count: number, seed: number): Promise<number> {
  const numbers = randomNumbers(count, records, seed)
  const keys = hitKeys(numbers)
  return seconds(() => {
    for (let row = 0; row < count; row++) {
      check(table.getSync(keys[row]!)?.id === numbers[row], () => `key ${keys[row]} has another record`)
    }
  })
}

function readMisses(table: Table): number {
  const keys = missKeys(LOOKUPS)
  const start = performance.now()
  for (const key of keys) check(table.getSync(key) === undefined, () => `key ${key} is not there`)
  return (performance.now() - start) / 1000
}

async function readColumns(table: Table, records: number, seed: number): Promise<number> {
  const numbers = randomNumbers(LOOKUPS, records, seed)
  const keys = hitKeys(numbers)
  return seconds(async () => {
    for (let from = 0; from < LOOKUPS; from += KEYS_PER_CALL) {
      const { query, id } = await table.getColumns(keys.subarray(from, from + KEYS_PER_CALL))
      check(query.length === KEYS_PER_CALL, () => `${query.length} hits for ${KEYS_PER_CALL} keys`)
      for (let row = 0; row < id.length; row++) {
        check(id[row] === numbers[from + query[row]!], () => `hit ${row} of a call`)
      }
    }
  })
}

/** Keys that are 2 away from one that is there. */
async function readNear(table: Table, records: number): Promise<number> {
  const numbers = randomNumbers(NEAR_LOOKUPS, records, 6)
  const keys = hitKeys(numbers).map(key => (key > 1n ? key - 2n : key))
  return seconds(async () => {
    for (let from = 0; from < NEAR_LOOKUPS; from += KEYS_PER_CALL) {
      const { query, id } = await table.getColumns(keys.subarray(from, from + KEYS_PER_CALL), { within: 2 })
      check(query.length === KEYS_PER_CALL, () => `${query.length} hits for ${KEYS_PER_CALL} keys`)
      check(id[7] === numbers[from + 7], () => 'a near hit')
    }
  })
}

async function scan(table: Table, records: number): Promise<number> {
  return seconds(async () => {
    let count = 0
    let last = -1n
    for await (const { key } of table.scanColumns()) {
      check(key[0]! >= last, () => 'keys out of order')
      last = key.at(-1)!
      count += key.length
    }
    check(count === records, () => `a scan gave ${count} records of ${records}`)
  })
}
