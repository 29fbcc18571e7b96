/**
 * The records of the benchmarks: the same for every table, on every machine, in any order and without memory.
 *
 * Keys are u64, a hash of the number of the record, so that any of them can be asked for again and the answer be checked.
 */

export const RECORD_BYTES = 16

/** Records as columns, as `putColumns` takes them. */
export interface Records {
  readonly key: BigUint64Array<ArrayBuffer>
  readonly time: Uint16Array<ArrayBuffer>
  readonly flags: Uint16Array<ArrayBuffer>
  readonly id: Int32Array<ArrayBuffer>
}

/** Numbers from here on are those of keys that are in no table. */
const MISSES_FROM = 0x8000_0000
const SEED_HIGH = 0x2545_f491
const SEED_LOW = 0x6c07_8965

/** Records [from, to): `{ time: i % 65536, flags: 0, id: i }`. */
export function randomRecords(from: number, to: number): Records {
  const count = to - from
  const time = new Uint16Array(count)
  const id = new Int32Array(count)
  for (let row = 0; row < count; row++) {
    time[row] = from + row
    id[row] = from + row
  }
  return { key: keysOf(count, row => from + row), time, flags: new Uint16Array(count), id }
}

/** The keys of these record numbers. */
export function hitKeys(numbers: Uint32Array): BigUint64Array<ArrayBuffer> {
  return keysOf(numbers.length, row => numbers[row]!)
}

/** Keys of no record. */
export function missKeys(count: number, from = 0): BigUint64Array<ArrayBuffer> {
  return keysOf(count, row => MISSES_FROM + from + row)
}

/** Record numbers below `bound` in random order. */
export function randomNumbers(count: number, bound: number, seed = 1): Uint32Array {
  return Uint32Array.from({ length: count }, (_, row) => mix(row + seed * 0x9e37_79b9) % bound)
}

function keysOf(count: number, numberOf: (row: number) => number): BigUint64Array<ArrayBuffer> {
  const key = new BigUint64Array(count)
  // Host order: this runs on little-endian machines, as flashtable does.
  const halves = new Uint32Array(key.buffer)
  for (let row = 0; row < count; row++) {
    const number = numberOf(row)
    halves[2 * row] = mix(number ^ SEED_LOW)
    halves[2 * row + 1] = mix(mix(number ^ SEED_HIGH) + number)
  }
  return key
}

/** The finalizer of MurmurHash3: every bit of the result depends on every bit of the number. */
export function mix(number: number): number {
  let mixed = number | 0
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
