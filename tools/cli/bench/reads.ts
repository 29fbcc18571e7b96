/**
 * What `flashtable bench` measures of reads, in a table of one bucket file: lookups of keys in random order, warm and from
 * the disk, keys that are not there, and a scan. Every answer is checked.
 */
import { closing } from '../closing.js'
import { dropCached, type Device } from './device.js'
import { hitKeys, missKeys, randomNumbers } from './records.js'
import { check, checkHits, median, openTable, StopWatch, type Bench, type BenchTable } from './table.js'

/** A figure is the median of this many rounds, each with other keys. */
const ROUNDS = 3
/** Keys of a round in memory, and of a call of `getColumns`. */
const WARM_KEYS = 200_000
const KEYS_PER_CALL = 10_000
/** Keys of a round on the disk: few for the pages, so that few keys share one. */
const COLD_KEYS = 10_000
const PAGES_PER_COLD_KEY = 8
const PAGE_BYTES = 4096
/** Of the pages that the table has read, those that the device must have read for them to have been in no cache. */
const COLD_SHARE = 0.9

/** Keys a second. */
export interface WarmRates {
  readonly getColumns: number
  readonly getSync: number
  readonly hasMissing: number
}

export async function warmLookups(bench: Bench): Promise<WarmRates> {
  const count = Math.min(bench.records, WARM_KEYS)
  return closing(await openTable(bench.directory), async table => ({
    getColumns: await medianOfRounds(bench, 0, seed => columnsRate(table, bench, count, seed)),
    getSync: await medianOfRounds(bench, 1, seed => oneByOneRate(table, bench, count, seed)),
    hasMissing: await medianOfRounds(bench, 2, seed => missingRate(table, bench, count, seed)),
  }))
}

/** After a round that fills caches and warms up. `part`: how many of the three parts are done. */
async function medianOfRounds(
  { signal, onProgress }: Bench,
  part: number,
  round: (seed: number) => Promise<number>,
): Promise<number> {
  const rates: number[] = []
  for (let seed = 0; seed <= ROUNDS; seed++) {
    signal.throwIfAborted()
    onProgress(part * (ROUNDS + 1) + seed, 3 * (ROUNDS + 1))
    rates.push(await round(seed))
  }
  return median(rates.slice(1))
}

async function columnsRate(table: BenchTable, { records }: Bench, count: number, seed: number) {
  const watch = new StopWatch()
  const numbers = randomNumbers(count, records, seed)
  for (let from = 0; from < count; from += KEYS_PER_CALL) {
    const asked = numbers.subarray(from, from + KEYS_PER_CALL)
    const keys = hitKeys(asked)
    checkHits(await watch.time(() => table.getColumns(keys)), asked)
  }
  return count / watch.seconds
}

async function oneByOneRate(table: BenchTable, { records }: Bench, count: number, seed: number) {
  const watch = new StopWatch()
  const numbers = randomNumbers(count, records, seed)
  const keys = hitKeys(numbers)
  let wrong = 0
  await watch.time(async () => {
    for (let row = 0; row < count; row++) if (table.getSync(keys[row]!)?.id !== numbers[row]) wrong++
  })
  check(wrong === 0, () => `${wrong} of ${count} hits`)
  return count / watch.seconds
}

async function missingRate(table: BenchTable, _: Bench, count: number, seed: number) {
  const watch = new StopWatch()
  const keys = missKeys(count, seed * count)
  let wrong = 0
  await watch.time(async () => {
    for (const key of keys) if (await table.has(key)) wrong++
  })
  check(wrong === 0, () => `${wrong} of ${count} keys that are not there were found`)
  return count / watch.seconds
}

/**
 * Keys a second by `getColumns` while no data page is in memory: neither in the cache of the process nor in that of the
 * system. The device's own counters say whether that was so; if not, or if it cannot be told, the reason is returned.
 */
export async function coldLookups(bench: Bench, device: Device | string): Promise<number | string> {
  if (typeof device === 'string') return device
  const rates: number[] = []
  for (let seed = 1; seed <= ROUNDS; seed++) {
    bench.signal.throwIfAborted()
    bench.onProgress(seed - 1, ROUNDS)
    // A table that was just opened has none of its pages in the cache of the process.
    const rate = await closing(await openTable(bench.directory), table =>
      coldRate(table, bench, device, seed),
    )
    if (typeof rate === 'string') return rate
    rates.push(rate)
  }
  return median(rates)
}

async function coldRate(
  table: BenchTable,
  { directory, records }: Bench,
  device: Device,
  seed: number,
): Promise<number | string> {
  const { dataBytesOnDisk } = await table.stats()
  const most = Math.ceil(dataBytesOnDisk / PAGE_BYTES / PAGES_PER_COLD_KEY)
  const count = Math.min(COLD_KEYS, most, records)
  const numbers = randomNumbers(count, records, ROUNDS + seed)
  const keys = hitKeys(numbers)
  const pagesBefore = (await table.stats()).pageReads
  const refused = await dropCached(directory)
  if (refused !== undefined) return refused
  const before = await device.bytes()
  const watch = new StopWatch()
  checkHits(await watch.time(() => table.getColumns(keys)), numbers)
  const pages = (await table.stats()).pageReads - pagesBefore
  const read = ((await device.bytes()).read - before.read) / PAGE_BYTES
  if (pages === 0) return 'the table is so small that all of it is in memory'
  if (read < COLD_SHARE * pages)
    return `${device.name} has read ${Math.round(read)} of ${pages} pages: the others came from a cache`
  return count / watch.seconds
}

/** Records a second of a scan of everything. */
export async function scanAll({ directory, records, signal, onProgress }: Bench): Promise<number> {
  return closing(await openTable(directory), async table => {
    const rates: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      let count = 0
      let sum = 0
      const startMs = performance.now()
      for await (const { id } of table.scanColumns()) {
        signal.throwIfAborted()
        count += id.length
        for (let row = 0; row < id.length; row++) sum += id[row]!
        onProgress(round * records + count, ROUNDS * records)
      }
      rates.push(count / ((performance.now() - startMs) / 1000))
      check(
        count === records && sum === (records * (records - 1)) / 2,
        () => `a scan gave ${count} records of ${records}, or others`,
      )
    }
    return median(rates)
  })
}
