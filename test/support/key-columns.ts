/** Columns of keys that are hard on sorting and searching, for tests of everything that orders keys. */
import { Random } from './random.js'

/** Makes a column with this many values. */
type LaneMaker = (random: Random, rows: number) => Uint32Array

/** How the values of a lane may be spread. */
export const LANE_SPREADS: Readonly<Record<string, LaneMaker>> = {
  random: (random, rows) => column(rows, () => random.next()),
  constant: (random, rows) => new Uint32Array(rows).fill(random.next()),
  'few values': (random, rows) => column(rows, () => random.below(3)),
  small: (random, rows) => column(rows, () => random.below(1024)),
  ascending: (_, rows) => column(rows, row => row),
  descending: (_, rows) => column(rows, row => 0xffffffff - row),
  exponential: (random, rows) => column(rows, () => random.next() >>> random.below(32)),
  'a cluster and an outlier': (random, rows) =>
    column(rows, row => (row === rows >>> 1 ? 0xffffffff : row % 2 === 0 ? random.below(4) : random.next())),
  'low bits': (random, rows) => column(rows, () => (0x80000000 | random.below(8)) >>> 0),
  'high bits': (random, rows) => column(rows, () => (random.below(8) << 29) >>> 0),
}

/** Key columns of random spreads, a spread a lane. */
export function randomKeyColumns(random: Random, keyLaneCount: number, rows: number): Uint32Array[] {
  const spreads = Object.values(LANE_SPREADS)
  return Array.from({ length: keyLaneCount }, () => random.pick(spreads)(random, rows))
}

function column(rows: number, valueOf: (row: number) => number): Uint32Array {
  return Uint32Array.from({ length: rows }, (_, row) => valueOf(row))
}
