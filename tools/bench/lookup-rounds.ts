/**
 * Rounds of lookups in a table of random records, all answers checked.
 *
 * Keys are made, and garbage is collected, before the clock starts. Wrong answers are counted in the timed loop and
 * reported after it. What a lookup itself allocates - the object it returns - is collected while the clock runs.
 */
import { hitKeys, missKeys, randomNumbers } from './records.js'
import type { Found } from './stores/store.js'
import type { Table } from './table.js'
import { collectGarbage, median, seconds } from './timing.js'
import { check } from './workload.js'

const KEYS_PER_CALL = 10_000
/** A figure is the median of this many rounds, each with other keys. */
const ROUNDS = 3

export type GetNow = (key: bigint) => Found | undefined

/** The median of the rounds, after one that fills caches and warms up. `round` gets the number of its keys. */
export async function medianOfRounds(round: (seed: number) => number | Promise<number>): Promise<number> {
  await round(0)
  const rates: number[] = []
  for (let seed = 1; seed <= ROUNDS; seed++) rates.push(await round(seed))
  return median(rates)
}

/** Hits a second, one by one. */
export function hitRate(get: GetNow, records: number, count: number, seed: number): number {
  const numbers = randomNumbers(count, records, seed)
  const keys = hitKeys(numbers)
  collectGarbage()
  return count / secondsOfHits(get, keys, numbers)
}

/** Misses a second, one by one. */
export function missRate(get: GetNow, count: number, seed: number): number {
  const keys = missKeys(count, seed * count)
  collectGarbage()
  return count / secondsOfMisses(get, keys)
}

/** Misses a second right after as many hits. */
export function missRateAfterHits(get: GetNow, records: number, count: number, seed: number): number {
  const numbers = randomNumbers(count, records, seed)
  const hits = hitKeys(numbers)
  const misses = missKeys(count, seed * count)
  collectGarbage()
  secondsOfHits(get, hits, numbers)
  return count / secondsOfMisses(get, misses)
}

function secondsOfHits(get: GetNow, keys: BigUint64Array, numbers: Uint32Array): number {
  let wrong = 0
  const start = performance.now()
  for (let row = 0; row < keys.length; row++) {
    const found = get(keys[row]!)
    const number = numbers[row]!
    if (found === undefined || found.id !== number || found.time !== (number & 0xffff)) wrong++
  }
  const spent = (performance.now() - start) / 1000
  check(wrong === 0, () => `${wrong} of ${keys.length} hits`)
  return spent
}

function secondsOfMisses(get: GetNow, keys: BigUint64Array): number {
  let wrong = 0
  const start = performance.now()
  for (let row = 0; row < keys.length; row++) if (get(keys[row]!) !== undefined) wrong++
  const spent = (performance.now() - start) / 1000
  check(wrong === 0, () => `${wrong} of ${keys.length} keys that are not there were found`)
  return spent
}

/** Keys a second by `getColumns` of 10,000. */
export async function columnsRate(
  table: Table,
  records: number,
  count: number,
  seed: number,
): Promise<number> {
  const numbers = randomNumbers(count, records, seed)
  const keys = hitKeys(numbers)
  collectGarbage()
  const spent = await seconds(async () => {
    for (let from = 0; from < count; from += KEYS_PER_CALL) {
      const asked = keys.subarray(from, from + KEYS_PER_CALL)
      checkHits(await table.getColumns(asked), asked, numbers, from)
    }
  })
  return count / spent
}

/** The same within 2, of keys that are 2 below one that is there. */
export async function nearRate(table: Table, records: number, count: number, seed: number): Promise<number> {
  const numbers = randomNumbers(count, records, seed)
  const there = hitKeys(numbers)
  const keys = there.map(key => (key > 1n ? key - 2n : key))
  collectGarbage()
  const spent = await seconds(async () => {
    for (let from = 0; from < count; from += KEYS_PER_CALL) {
      const asked = keys.subarray(from, from + KEYS_PER_CALL)
      checkHits(await table.getColumns(asked, { within: 2 }), asked, numbers, from)
    }
  })
  return count / spent
}

/** Each key of the call has its one record: rows are in the order of the keys. */
export function checkHits(
  { query, time, id }: { query: Uint32Array; time: Uint16Array; id: Int32Array },
  asked: BigUint64Array,
  numbers: Uint32Array,
  from: number,
): void {
  check(query.length === asked.length, () => `${query.length} hits for ${asked.length} keys`)
  let wrong = 0
  for (let row = 0; row < id.length; row++) {
    const number = numbers[from + row]!
    if (query[row] !== row || id[row] !== number || time[row] !== (number & 0xffff)) wrong++
  }
  check(wrong === 0, () => `${wrong} of ${asked.length} hits of a call`)
}
