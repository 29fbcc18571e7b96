/**
 * The records of all benchmarks: the same for every store, on every machine, in any order and without memory.
 *
 * "Random" records have u64 keys that are a hash of their number, so that a workload can ask for any of them again and
 * check the answer. "Music" are the fingerprints of test/fixtures. docs/benchmarks.md.
 */
import { readFileSync } from 'node:fs'
import { brotliDecompressSync } from 'node:zlib'
import { decodeRecords, type Fingerprints } from '../demo/fixtures.js'
import { ROOT } from './paths.js'

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

/** How many times a sensor is read: more records are more sensors. */
export const SENSOR_TIMES = 5000
/** Between two times of a sensor. */
export const SENSOR_SECONDS = 10
/** Keys of a sensor: its number is the upper half, the time the lower one. Exact as a number up to 2^21 sensors. */
export const SENSOR_KEYS = 2 ** 32

export function sensorKey(sensor: number, time: number): bigint {
  return BigInt(sensor * SENSOR_KEYS + time * SENSOR_SECONDS)
}

/** Records [from, to) of sensors that are all read at each time, one after another. */
export function sensorRecords(from: number, to: number, sensors: number): Records {
  const { time, flags, id } = randomRecords(from, to)
  const key = BigUint64Array.from(id, number => sensorKey(number % sensors, Math.floor(number / sensors)))
  return { key, time, flags, id }
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

/** The real fingerprints, `times` times, each time with other tracks. */
export function* musicRecords(times: number, batch: number): Generator<Records> {
  const music = readMusic()
  for (let round = 0; round < times; round++) {
    for (let from = 0; from < music.count; from += batch) {
      const to = Math.min(from + batch, music.count)
      yield {
        key: new BigUint64Array(music.key.slice(from, to)),
        time: new Uint16Array(music.time.slice(from, to)),
        flags: new Uint16Array(music.flags.slice(from, to)),
        id: Int32Array.from(music.id.subarray(from, to), id => id + 41 * round),
      }
    }
  }
}

export function readMusic(): Fingerprints {
  const file = readFileSync(new URL('test/fixtures/music-fingerprints.bin.br', ROOT))
  return decodeRecords(brotliDecompressSync(file))
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
