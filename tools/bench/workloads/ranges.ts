/** Short ranges, and the newest record of a range, where many series share a table. */
import {
  randomNumbers,
  SENSOR_KEYS,
  SENSOR_SECONDS,
  SENSOR_TIMES,
  sensorKey,
  sensorRecords,
} from '../records.js'
import { openStore } from '../stores/open.js'
import type { NewestWay, RangeTaker, RangeWay, Store } from '../stores/store.js'
import { SYNC_RECORDS } from '../table.js'
import { collectGarbage, median, seconds } from '../timing.js'
import { check, type Workload } from '../workload.js'

/** In a round. */
const RANGES = 1000
/** Of a range: an hour of one sensor. */
const ROWS = 360
const ROUNDS = 7

/** A figure for each way to read a range, and for each way to find the newest record. */
const RANGE_FIGURES: Readonly<Record<string, RangeWay>> = {
  entriesSeconds: 'entries',
  columnsSeconds: 'columns',
}
const NEWEST_FIGURES: Readonly<Record<string, NewestWay>> = {
  newestByEntriesMs: 'entries',
  newestByLastMs: 'last',
  newestByLastSyncMs: 'lastSync',
}

export const ranges: Workload = {
  name: 'ranges',
  sentence:
    'Sensors are read every 10 s, 5,000 times each, all of them at each time; a key is sensor * 2^32 + time. ' +
    'The table is compacted where the store can do that; then 1,000 ranges of 360 rows are read, and 1,000 ' +
    'times the newest record of a sensor. A figure is the median of seven rounds of other ranges, after one ' +
    'that warms up.',
  stores: ['flashtable', 'lmdb'],
  records: 5_000_000,
  figures: {
    entriesSeconds: { unit: 's for 1,000 ranges by entries', better: 'less', target: 0.1 },
    columnsSeconds: { unit: 's for 1,000 ranges by scanColumns', better: 'less', target: 0.1 },
    newestByEntriesMs: {
      unit: 'ms for the newest record of 1,000 sensors by entries, reverse, limit 1',
      better: 'less',
      peerTarget: 1,
    },
    newestByLastMs: { unit: 'ms for the same by last', better: 'less', peerTarget: 1 },
    newestByLastSyncMs: { unit: 'ms for the same by lastSync', better: 'less', peerTarget: 1 },
  },
  async run({ directory, store: name, records }) {
    const sensors = Math.ceil(records / SENSOR_TIMES)
    const count = sensors * SENSOR_TIMES
    const store = await openStore(name, directory)
    for (let from = 0; from < count; from += SYNC_RECORDS) {
      await store.load(sensorRecords(from, Math.min(from + SYNC_RECORDS, count), sensors))
    }
    await store.compact?.()
    const figures: Record<string, number> = {}
    for (const [figure, way] of Object.entries(RANGE_FIGURES)) {
      figures[figure] = await medianSeconds(seed => readRanges(store, way, sensors, seed))
    }
    for (const [figure, way] of Object.entries(NEWEST_FIGURES)) {
      figures[figure] = 1000 * (await medianSeconds(seed => readNewest(store, way, sensors, seed)))
    }
    await store.close()
    return figures
  },
}

/** The median of the rounds after the first one. */
async function medianSeconds(round: (seed: number) => Promise<void>): Promise<number> {
  const spent: number[] = []
  for (let seed = 0; seed <= ROUNDS; seed++) {
    collectGarbage()
    spent.push(await seconds(() => round(seed)))
  }
  return median(spent.slice(1))
}

async function readRanges(store: Store, way: RangeWay, sensors: number, seed: number): Promise<void> {
  const chosen = randomNumbers(RANGES, sensors, 2 * seed)
  const starts = randomNumbers(RANGES, SENSOR_TIMES - ROWS, 2 * seed + 1)
  for (let range = 0; range < RANGES; range++) {
    const from = sensorKey(chosen[range]!, starts[range]!)
    const taker = new RangeCheck(chosen[range]!, starts[range]!, sensors)
    await store.range!(way, from, from + BigInt(ROWS * SENSOR_SECONDS), taker)
    taker.end()
  }
}

/** Checks each row of a range of one sensor. */
class RangeCheck implements RangeTaker {
  readonly #sensor: number
  readonly #sensors: number
  /** Of the sensor, the time of the next row. */
  #time: number
  #rows = 0
  #wrong = 0

  constructor(sensor: number, start: number, sensors: number) {
    this.#sensor = sensor
    this.#sensors = sensors
    this.#time = start
  }

  row(key: bigint, id: number): void {
    if (Number(key) !== this.#sensor * SENSOR_KEYS + this.#time * SENSOR_SECONDS) this.#wrong++
    this.#next(id)
  }

  columns(key: BigUint64Array, id: Int32Array): void {
    // Halves of the keys: as bigints each would be an object.
    const halves = new Uint32Array(key.buffer, key.byteOffset, 2 * key.length)
    for (let at = 0; at < id.length; at++) {
      if (halves[2 * at] !== this.#time * SENSOR_SECONDS || halves[2 * at + 1] !== this.#sensor) this.#wrong++
      this.#next(id[at]!)
    }
  }

  #next(id: number): void {
    if (id !== this.#time * this.#sensors + this.#sensor) this.#wrong++
    this.#time++
    this.#rows++
  }

  end(): void {
    check(
      this.#rows === ROWS && this.#wrong === 0,
      () => `${this.#rows} rows of a range, ${this.#wrong} of them wrong`,
    )
  }
}

async function readNewest(store: Store, way: NewestWay, sensors: number, seed: number): Promise<void> {
  const chosen = randomNumbers(RANGES, sensors, seed)
  for (const sensor of chosen) {
    const from = sensorKey(sensor, 0)
    const answer = store.newest!(way, from, from + BigInt(SENSOR_KEYS))
    const found = answer instanceof Promise ? await answer : answer
    check(found?.id === (SENSOR_TIMES - 1) * sensors + sensor, () => `the newest record of sensor ${sensor}`)
  }
}
