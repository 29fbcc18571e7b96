/** The same records in every store: how fast they go in, what the device sees of that, how fast they come out. */
import { join } from 'node:path'
import { deviceBytes } from '../device.js'
import { directoryBytes } from '../files.js'
import { hitKeys, missKeys, randomNumbers, randomRecords, RECORD_BYTES } from '../records.js'
import { loadMemmap, memmapVersion } from '../stores/memmap.js'
import { openStore } from '../stores/open.js'
import type { Store } from '../stores/store.js'
import { SYNC_RECORDS } from '../table.js'
import { peakRssMiB, seconds } from '../timing.js'
import { check, STORES, type Figures, type RunSettings, type Workload } from '../workload.js'

/** How many lookups are timed; slow stores get fewer, by time. */
const LOOKUPS = 200_000
const LOOKUP_SECONDS = 5

export const load: Workload = {
  name: 'load',
  sentence:
    'Random records go in by batches of 65,536 (1 MiB), each on the device before the next; then some are looked up one by one, hits and misses, once the caches are warm, and all are scanned.',
  stores: STORES,
  records: 3_000_000,
  figures: {
    recordsPerSecond: { unit: 'records/s', better: 'more' },
    deviceAmplification: { unit: 'device bytes / record bytes', better: 'less', target: 1.3 },
    deviceBytesPerRecord: { unit: 'device bytes a record', better: 'less' },
    bytesOnDiskPerRecord: { unit: 'bytes on disk a record', better: 'less' },
    hitsPerSecond: { unit: 'hits/s', better: 'more' },
    missesPerSecond: { unit: 'misses/s', better: 'more' },
    scannedPerSecond: { unit: 'records/s scanned', better: 'more' },
    peakRssMiB: { unit: 'MiB RSS', better: 'less' },
  },
  run: settings => (settings.store === 'memmap' ? runMemmap(settings) : runStore(settings)),
}

async function runStore({ directory, device, store: name, records }: RunSettings): Promise<Figures> {
  const before = device === undefined ? 0 : deviceBytes(device, directory)
  const store = await openStore(name, directory)
  const spent = await seconds(async () => {
    for (let from = 0; from < records; from += SYNC_RECORDS) {
      await store.load(randomRecords(from, Math.min(from + SYNC_RECORDS, records)))
    }
  })
  const rss = peakRssMiB()
  const lookups = await readAll(store, records)
  await store.close()
  return {
    recordsPerSecond: records / spent,
    ...deviceFigures(device, directory, before, records),
    bytesOnDiskPerRecord: directoryBytes(directory) / records,
    ...lookups,
    peakRssMiB: rss,
  }
}

async function runMemmap({ directory, device, records }: RunSettings): Promise<Figures> {
  memmapVersion()
  const before = device === undefined ? 0 : deviceBytes(device, directory)
  const file = join(directory, 'records.memmap')
  const load = { file, count: records, batch: SYNC_RECORDS, records: randomRecords, flush: true }
  const result = await loadMemmap(load)
  check(result.dropped < records / 1000, () => `${result.dropped} records were dropped`)
  return {
    recordsPerSecond: records / result.seconds,
    ...deviceFigures(device, directory, before, records),
    bytesOnDiskPerRecord: directoryBytes(directory) / records,
  }
}

function deviceFigures(
  device: string | undefined,
  directory: string,
  before: number,
  records: number,
): Figures {
  if (device === undefined) return {}
  const bytes = deviceBytes(device, directory) - before
  return { deviceAmplification: bytes / records / RECORD_BYTES, deviceBytesPerRecord: bytes / records }
}

async function readAll(store: Store, records: number): Promise<Figures> {
  const numbers = randomNumbers(LOOKUPS, records)
  const hits = hitKeys(numbers)
  const misses = missKeys(LOOKUPS)
  const lookUp = async (row: number) => {
    const answer = store.get(hits[row]!)
    const found = answer instanceof Promise ? await answer : answer
    check(found?.id === numbers[row], () => `key ${hits[row]} gave ${JSON.stringify(found)}`)
  }
  // The first round fills caches and warms up; the second one counts.
  await rate(lookUp)
  const hitsPerSecond = await rate(lookUp)
  const missesPerSecond = await rate(async row => {
    const answer = store.get(misses[row]!)
    const found = answer instanceof Promise ? await answer : answer
    check(found === undefined, () => `a key that is not there gave ${JSON.stringify(found)}`)
  })
  let scanned = 0
  const scanSeconds = await seconds(async () => {
    scanned = await store.scan()
  })
  check(scanned === records, () => `a scan gave ${scanned} records of ${records}`)
  return { hitsPerSecond, missesPerSecond, scannedPerSecond: records / scanSeconds }
}

/** Lookups a second, one after another. */
async function rate(lookup: (row: number) => Promise<void>): Promise<number> {
  const end = performance.now() + LOOKUP_SECONDS * 1000
  const start = performance.now()
  let row = 0
  while (row < LOOKUPS && performance.now() < end) {
    for (const until = Math.min(row + 1000, LOOKUPS); row < until; row++) await lookup(row)
  }
  return row / ((performance.now() - start) / 1000)
}
