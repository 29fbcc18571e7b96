/** How keys may be spread, for tests of code that adapts to that. */
import type { Random } from './random.js'

/** Keys of this many bits, made from a number of rows; they need not be sorted. */
export const KEYS: Readonly<Record<string, (random: Random, bits: bigint, rows: number) => bigint[]>> = {
  random: (random, bits, rows) => times(rows, () => bigOf(random, bits)),
  sequential: (random, bits, rows) => stepsFrom(bigOf(random, bits), 1n, rows),
  'each seventh': (random, bits, rows) => stepsFrom(bigOf(random, bits), 7n, rows),
  'far apart': (random, bits, rows) => stepsFrom(0n, bigOf(random, bits) / BigInt(rows), rows),
  'nearly even': (random, _, rows) => times(rows, row => BigInt(row) * 1000n + bigOf(random, 9n)),
  equal: (random, bits, rows) => stepsFrom(bigOf(random, bits), 0n, rows),
  'few different': (random, bits, rows) => {
    const some = times(5, () => bigOf(random, bits))
    return times(rows, () => some[random.below(5)]!)
  },
  'in clusters': (random, bits, rows) => {
    const centres = times(10, () => bigOf(random, bits))
    return times(rows, () => centres[random.below(10)]! + bigOf(random, 6n))
  },
  'with one far away': (random, bits, rows) =>
    times(rows, row => (row === 0 ? (1n << bits) - 1n : bigOf(random, 10n))),
  'with zeros at the end': (random, bits, rows) => {
    const zeros = BigInt(random.below(Number(bits)))
    return times(rows, () => bigOf(random, bits - zeros) << zeros)
  },
  'even, with zeros at the end': (random, bits, rows) =>
    stepsFrom(0n, 1n << (bits / 2n), rows).map(key => key + (bigOf(random, 3n) << (bits / 4n))),
  'far apart in two clusters': (random, bits, rows) =>
    times(rows, () => (random.chance(0.5) ? 1n << (bits - 1n) : 5n) + bigOf(random, 7n)),
  'of two values': (random, bits, rows) => times(rows, () => (random.chance(0.5) ? (1n << bits) - 1n : 5n)),
  'in sorted runs': (random, bits, rows) =>
    times(5, () => times(Math.ceil(rows / 5), () => bigOf(random, bits)).sort((a, b) => (a < b ? -1 : 1)))
      .flat()
      .slice(0, rows),
  'of many lengths': (random, bits, rows) =>
    times(rows, () => bigOf(random, bits) >> BigInt(random.below(Number(bits)))),
}

function times<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i))
}

function stepsFrom(first: bigint, step: bigint, rows: number): bigint[] {
  return times(rows, row => first + step * BigInt(row))
}

function bigOf(random: Random, bits: bigint): bigint {
  return ((BigInt(random.next()) << 32n) | BigInt(random.next())) & ((1n << bits) - 1n)
}
