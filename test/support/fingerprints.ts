/** Made-up fingerprints for tests: records of 16 bytes, each told from all others by its number. */
import { struct } from '../../src/index.js'

export const FINGERPRINT = {
  keyEncoding: 'u64',
  valueEncoding: struct({ time: 'u16', flags: 'u16', id: 'i32' }),
} as const

export interface Fingerprint {
  time: number
  flags: number
  id: number
}

export function fingerprint(number: number): Fingerprint {
  return { time: number % 65_536, flags: number % 7, id: 0 - number }
}

/** Columns of the fingerprints number `from` to `to`, with the keys that `keyOf` gives. */
export function fingerprintColumns(from: number, to: number, keyOf: (number: number) => bigint) {
  const count = to - from
  const columns = {
    key: new BigUint64Array(count),
    time: new Uint16Array(count),
    flags: new Uint16Array(count),
    id: new Int32Array(count),
  }
  for (let i = 0, number = from; i < count; i++, number++) {
    columns.key[i] = keyOf(number)
    columns.time[i] = number
    columns.flags[i] = number % 7
    columns.id[i] = 0 - number
  }
  return columns
}

/** Keys that are spread over all 64 bits, another one for each number. */
export function spreadKey(number: number): bigint {
  return (BigInt(number + 1) * 0x9e37_79b9_7f4a_7c15n) & 0xffff_ffff_ffff_ffffn
}
