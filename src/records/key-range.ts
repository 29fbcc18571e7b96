/**
 * The range of keys that a scan covers, and the tests that its inputs make with it.
 *
 * It is made in query/ from `gt`, `gte`, `lt` and `lte`; memtable runs and bucket files start and stop by it.
 * docs/api.md, Ranges.
 */
import { compareKeys, compareKeyToRow } from './compare.js'
import { compareLanes, neighbour } from './lane-ranges.js'
import type { RecordLayout } from './record-layout.js'

export interface KeyRange {
  /** All lanes of a key; `undefined`: from the smallest key on. */
  readonly lower?: Uint32Array | undefined
  /** Whether `lower` itself is outside. */
  readonly lowerExclusive?: boolean | undefined
  /** All lanes of a key; `undefined`: to the greatest key. */
  readonly upper?: Uint32Array | undefined
  /** Whether `upper` itself is outside. */
  readonly upperExclusive?: boolean | undefined
}

/** The range of all keys. */
export const ALL_KEYS: KeyRange = {}

/** Whether no key at all can be in the range. */
export function rangeIsEmpty(range: KeyRange): boolean {
  if (range.lower === undefined || range.upper === undefined) return false
  const order = compareKeys(range.lower, range.upper)
  if (order !== 0) return order > 0
  return range.lowerExclusive === true || range.upperExclusive === true
}

/** The first and the last key of the range, or `undefined` if no key can be in it. */
export function inclusiveBounds(
  { keyLaneCount, laneBytes }: RecordLayout,
  range: KeyRange,
): { readonly lower: number[]; readonly upper: number[] } | undefined {
  const greatest = laneBytes.slice(0, keyLaneCount).map(bytes => 2 ** (8 * bytes) - 1)
  const least = greatest.map(() => 0)
  const lower =
    range.lowerExclusive === true
      ? neighbour(range.lower!, greatest, 1)
      : Array.from<number>(range.lower ?? least)
  const upper =
    range.upperExclusive === true
      ? neighbour(range.upper!, greatest, -1)
      : Array.from<number>(range.upper ?? greatest)
  if (lower === undefined || upper === undefined || compareLanes(lower, upper) > 0) return undefined
  return { lower, upper }
}

/** Whether some key from `first` to `last`, both included, may be in the range. */
export function rangeOverlaps(range: KeyRange, first: Uint32Array, last: Uint32Array): boolean {
  return !keyIsBelow(range, last) && !keyIsAbove(range, first)
}

/** Whether the key of row `row` is in the range. */
export function keyIsIn(range: KeyRange, lanes: readonly Uint32Array[], row: number): boolean {
  const { lower, lowerExclusive, upper, upperExclusive } = range
  if (lower !== undefined) {
    const order = compareKeyToRow(lower, lanes, row)
    if (lowerExclusive === true ? order >= 0 : order > 0) return false
  }
  if (upper === undefined) return true
  const order = compareKeyToRow(upper, lanes, row)
  return upperExclusive === true ? order > 0 : order >= 0
}

/** Whether the key is in the range. */
export function holdsKey(range: KeyRange, key: Uint32Array): boolean {
  return !keyIsBelow(range, key) && !keyIsAbove(range, key)
}

/** Whether `key` lies before the range. */
function keyIsBelow(range: KeyRange, key: Uint32Array): boolean {
  if (range.lower === undefined) return false
  const order = compareKeys(range.lower, key)
  return range.lowerExclusive === true ? order >= 0 : order > 0
}

/** Whether `key` is above the range. */
function keyIsAbove(range: KeyRange, key: Uint32Array): boolean {
  if (range.upper === undefined) return false
  const order = compareKeys(range.upper, key)
  return range.upperExclusive === true ? order <= 0 : order < 0
}
