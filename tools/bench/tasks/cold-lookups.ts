/**
 * Lookups in a table of which no data page is in memory: neither in its own cache nor in the page cache of the system.
 *
 * What is asked is compiled before, on another, small table. Filters and fences are in memory. No two keys are on the
 * same page, so each hit is a read. If the device counts its reads, that is checked.
 */
import { openSync, read, closeSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { dropCaches, SECTOR_BYTES } from '../device.js'
import { checkHits, hitRate } from '../lookup-rounds.js'
import { hitKeys, missKeys, mix, randomNumbers } from '../records.js'
import { bulkLoadRandom, openTable, tableDirectory, type Table } from '../table.js'
import { collectGarbage, median, seconds } from '../timing.js'
import { check, type Figures } from '../workload.js'

const PAGE_BYTES = 4096
const READS_IN_FLIGHT = 16
/** Keys that are drawn for a round: after those that share a page are left out, most remain. */
const DRAWN = 10_000
/** The most keys of a round as a share of all pages. */
const PAGES_SHARE = 1 / 4
/** One at a time takes longer. */
const SYNC_LOOKUPS = 2000
const WARM_UP_RECORDS = 200_000
const ROUNDS = 3
/** Field of /sys/block/X/stat: sectors read. */
const SECTORS_READ = 2
/** Of the pages that the table has read, those that the device must have read for its cache to have been cold. */
const COLD_SHARE = 0.9

interface ColdSettings {
  readonly directory: string
  readonly device: string | undefined
  readonly records: number
}

/** One by one by `getSync`. */
export async function coldHits(settings: ColdSettings): Promise<Figures> {
  const lookUp = (table: Table, keys: BigUint64Array, numbers: Uint32Array) => {
    let wrong = 0
    for (let row = 0; row < keys.length; row++) if (table.getSync(keys[row]!)?.id !== numbers[row]) wrong++
    check(wrong === 0, () => `${wrong} of ${keys.length} cold hits`)
  }
  const { hits, rate, pageReads } = await coldRounds(settings, SYNC_LOOKUPS, lookUp)
  return { coldHitPageReads: pageReads / hits, coldHitsPerSecond: rate }
}

/** All keys of a round in one `getColumns`, which reads their pages. */
export async function coldColumns(settings: ColdSettings): Promise<Figures> {
  const lookUp = async (table: Table, keys: BigUint64Array, numbers: Uint32Array) =>
    checkHits(await table.getColumns(keys), keys, numbers, 0)
  const { rate } = await coldRounds(settings, DRAWN, lookUp)
  return { coldColumnKeysPerSecond: rate }
}

type LookUp = (table: Table, keys: BigUint64Array, numbers: Uint32Array) => void | Promise<void>

/** Rounds with other keys, each on a table just opened. */
async function coldRounds(settings: ColdSettings, most: number, lookUp: LookUp) {
  const { directory, device, records } = settings
  await warmUp(directory, lookUp)
  const rates: number[] = []
  let hits = 0
  let pageReads = 0
  for (let round = 1; round <= ROUNDS; round++) {
    const table = await openTable(directory)
    const numbers = onePageEach(records, (await table.stats()).dataBytesOnDisk / PAGE_BYTES, round).slice(
      0,
      most,
    )
    const keys = hitKeys(numbers)
    // Loads the filter, should the open have left that for later.
    check(table.getSync(missKeys(1)[0]!) === undefined, () => 'a miss')
    const before = (await table.stats()).pageReads
    dropOrThrow()
    collectGarbage()
    const sectorsBefore = sectorsRead(device)
    const spent = await seconds(() => lookUp(table, keys, numbers))
    const read = (await table.stats()).pageReads - before
    checkCold(sectorsRead(device) - sectorsBefore, device, read)
    rates.push(keys.length / spent)
    hits += keys.length
    pageReads += read
    await table.close()
  }
  return { rate: median(rates), hits, pageReads }
}

/** Has the machine code made that the rounds run, on another table. */
async function warmUp(directory: string, lookUp: LookUp): Promise<void> {
  const small = join(directory, 'warm-up')
  const table = await bulkLoadRandom(small, WARM_UP_RECORDS)
  await table.close()
  for (let round = 0; round < 10; round++) {
    const again = await openTable(small)
    const numbers = randomNumbers(DRAWN, WARM_UP_RECORDS, round)
    await lookUp(again, hitKeys(numbers), numbers)
    hitRate(key => again.getSync(key), WARM_UP_RECORDS, DRAWN, round)
    await again.close()
  }
  rmSync(small, { recursive: true })
}

/**
 * Random record numbers, in random order, whose keys are further apart than a page is wide: keys are spread evenly, so
 * pages are about equally wide.
 */
function onePageEach(records: number, pages: number, seed: number): Uint32Array {
  const drawn = randomNumbers(Math.min(DRAWN, Math.ceil(pages * PAGES_SHARE)), records, seed)
  const keys = hitKeys(drawn)
  const apart = (2n ** 64n * 3n) / (2n * BigInt(Math.ceil(pages)))
  const chosen = new Set<bigint>()
  let last = -apart
  for (const key of keys.toSorted()) {
    if (key - last < apart) continue
    chosen.add(key)
    last = key
  }
  return drawn.filter((_, row) => chosen.has(keys[row]!))
}

/** What the disk gives: as many random pages of the same file, 16 reads in flight, by plain `fs.read`. */
export async function diskReads({ directory, device, records }: ColdSettings): Promise<Figures> {
  const table = await openTable(directory)
  const { files } = await table.stats()
  await table.close()
  const path = join(tableDirectory(directory), files[0]!.name)
  const pages = Math.floor(statSync(path).size / PAGE_BYTES)
  const count = Math.min(DRAWN, Math.ceil(pages * PAGES_SHARE), records)
  const rates: number[] = []
  const file = openSync(path, 'r')
  // The first round warms up, as it does for lookups.
  for (let round = 0; round <= ROUNDS; round++) {
    const chosen = new Set<number>()
    for (let at = 0; chosen.size < count; at++) chosen.add(mix(at + round * 0x9e37_79b9) % pages)
    dropOrThrow()
    collectGarbage()
    const sectorsBefore = sectorsRead(device)
    const spent = await seconds(() => readPages(file, [...chosen]))
    checkCold(sectorsRead(device) - sectorsBefore, device, count)
    if (round > 0) rates.push(count / spent)
  }
  closeSync(file)
  return { diskReadsPerSecond: median(rates) }
}

async function readPages(file: number, pages: readonly number[]): Promise<void> {
  let next = 0
  const reader = () =>
    new Promise<void>((resolve, reject) => {
      const buffer = new Uint8Array(PAGE_BYTES)
      const step = () => {
        const page = pages[next++]
        if (page === undefined) return resolve()
        read(file, buffer, 0, PAGE_BYTES, page * PAGE_BYTES, (error, bytes) => {
          if (error === null && bytes === PAGE_BYTES) step()
          else reject(error ?? new Error(`${bytes} bytes of page ${page}`))
        })
      }
      step()
    })
  await Promise.all(Array.from({ length: READS_IN_FLIGHT }, reader))
}

function dropOrThrow(): void {
  if (!dropCaches()) throw new Error('the page cache of the system could not be dropped')
}

function sectorsRead(device: string | undefined): number {
  if (device === undefined) return 0
  return Number(readFileSync(`/sys/block/${device}/stat`, 'utf8').trim().split(/\s+/)[SECTORS_READ])
}

/** The device has read the pages, so they were in no cache. */
function checkCold(sectors: number, device: string | undefined, pages: number): void {
  const readPages = (sectors * SECTOR_BYTES) / PAGE_BYTES
  check(
    device === undefined || readPages >= COLD_SHARE * pages,
    () => `the device read ${readPages} of ${pages} pages`,
  )
}
