/**
 * The records of all benchmarks: the same for every store, on every machine.
 *
 * "Random" records are those of `flashtable bench`. "Music" are the fingerprints of test/fixtures. docs/benchmarks.md.
 */
import { readFileSync } from 'node:fs'
import { brotliDecompressSync } from 'node:zlib'
import { decodeRecords, type Fingerprints } from '../demo/fixtures.js'
import { randomRecords, type Records } from '../cli/bench/records.js'
import { ROOT } from './paths.js'

export {
  hitKeys,
  missKeys,
  mix,
  randomNumbers,
  randomRecords,
  RECORD_BYTES,
  type Records,
} from '../cli/bench/records.js'

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
