/** What `flashtable bench` measures of writes: columns with syncs, single puts, a bulk load. */
import { FlashTable } from '../../../src/index.js'
import { closing } from '../closing.js'
import { hitKeys, randomNumbers, RECORD_BYTES, randomRecords } from './records.js'
import {
  BATCH_RECORDS,
  check,
  checkHits,
  ENCODINGS,
  median,
  openTable,
  settled,
  StopWatch,
  type Bench,
  type BenchTable,
} from './table.js'

/** A figure is the median of this many rounds, where one is short. */
const ROUNDS = 3
/** A round of single puts ends after this time, ... */
const ROUND_SECONDS = 1
/** ... and of few records after this many puts: all of them, but of synced ones a thousandth. */
const SYNCED_SHARE = 1000
/** How many puts are made before they are awaited together. */
const TOGETHER = 1000
/** Synced puts between two looks at the clock. */
const SYNCED_PUTS = 10
/** Records that are looked up in the end. */
const CHECKED = 100_000

/** All records by `putColumns`, 1 MiB at a time, each on the device before the next. Records a second. */
export async function loadColumns({ directory, records, signal, onProgress }: Bench): Promise<number> {
  const watch = new StopWatch()
  await closing(await openTable(directory), async table => {
    for (let at = 0; at < records; at += BATCH_RECORDS) {
      signal.throwIfAborted()
      const columns = randomRecords(at, Math.min(at + BATCH_RECORDS, records))
      await watch.time(() => table.putColumns(columns, { sync: true }))
      onProgress(at, records)
    }
    const stats = await settled(table, signal)
    check(
      stats.records === records && stats.recordBytesPut === records * RECORD_BYTES,
      () => `${stats.records} of ${records} records were loaded`,
    )
  })
  return records / watch.seconds
}

/** All records by a bulk load, until it is open. Records a second. */
export async function bulkLoad({ directory, records, signal, onProgress }: Bench): Promise<number> {
  let makingMs = 0
  function* source() {
    for (let at = 0; at < records; at += BATCH_RECORDS) {
      const startMs = performance.now()
      const columns = randomRecords(at, Math.min(at + BATCH_RECORDS, records))
      makingMs += performance.now() - startMs
      yield columns
      onProgress(at, 2 * records)
    }
  }
  const options = {
    ...ENCODINGS,
    signal,
    onProgress: ({ done, total }: { done: number; total: number }) => onProgress(total + done, 2 * total),
  }
  const startMs = performance.now()
  const table = await FlashTable.bulkLoad(directory, options, source())
  const seconds = (performance.now() - startMs - makingMs) / 1000
  await closing(table, async table => {
    const stats = await table.stats()
    check(stats.records === records, () => `${stats.records} of ${records} records were loaded`)
  })
  return records / seconds
}

/** Single puts a second. */
export interface PutRates {
  readonly put: number
  readonly putTogether: number
  readonly putSynced: number
}

export async function singlePuts({ directory, records, signal, onProgress }: Bench): Promise<PutRates> {
  return closing(await openTable(directory), async table => {
    const puts = new Puts(table, signal)
    const rates: { [name in keyof PutRates]: number[] } = { put: [], putTogether: [], putSynced: [] }
    for (let round = 0; round < ROUNDS; round++) {
      onProgress(3 * round, 3 * ROUNDS)
      rates.put.push(await puts.round(records, TOGETHER, eachAwaited))
      onProgress(3 * round + 1, 3 * ROUNDS)
      rates.putTogether.push(await puts.round(records, TOGETHER, together))
      onProgress(3 * round + 2, 3 * ROUNDS)
      rates.putSynced.push(await puts.round(Math.ceil(records / SYNCED_SHARE), SYNCED_PUTS, eachSynced))
    }
    await puts.check()
    return {
      put: median(rates.put),
      putTogether: median(rates.putTogether),
      putSynced: median(rates.putSynced),
    }
  })
}

type Entry = readonly [key: bigint, value: { time: number; flags: number; id: number }]
type PutAll = (table: BenchTable, entries: readonly Entry[]) => Promise<void>

async function eachAwaited(table: BenchTable, entries: readonly Entry[]): Promise<void> {
  for (const [key, value] of entries) await table.put(key, value)
}

async function together(table: BenchTable, entries: readonly Entry[]): Promise<void> {
  await Promise.all(entries.map(([key, value]) => table.put(key, value)))
}

async function eachSynced(table: BenchTable, entries: readonly Entry[]): Promise<void> {
  for (const [key, value] of entries) await table.put(key, value, { sync: true })
}

/** Puts records one by one, each another one. */
class Puts {
  readonly #table: BenchTable
  readonly #signal: AbortSignal
  #count = 0

  constructor(table: BenchTable, signal: AbortSignal) {
    this.#table = table
    this.#signal = signal
  }

  /** Puts up to `most` records, `atOnce` between two looks at the clock. Puts a second. */
  async round(most: number, atOnce: number, put: PutAll): Promise<number> {
    const watch = new StopWatch()
    const first = this.#count
    while (this.#count - first < most && watch.seconds < ROUND_SECONDS) {
      this.#signal.throwIfAborted()
      const entries = entriesOf(this.#count, Math.min(this.#count + atOnce, first + most))
      await watch.time(() => put(this.#table, entries))
      this.#count += entries.length
    }
    return (this.#count - first) / watch.seconds
  }

  /** Looks up some of what was put. */
  async check(): Promise<void> {
    const { records } = await this.#table.stats()
    check(records === this.#count, () => `${records} of ${this.#count} records were put`)
    const numbers = randomNumbers(Math.min(CHECKED, this.#count), this.#count)
    checkHits(await this.#table.getColumns(hitKeys(numbers)), numbers)
  }
}

function entriesOf(from: number, to: number): Entry[] {
  const { key, time, id } = randomRecords(from, to)
  return Array.from(key, (key, row) => [key, { time: time[row]!, flags: 0, id: id[row]! }])
}
