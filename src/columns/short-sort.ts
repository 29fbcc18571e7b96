/**
 * Sorts up to 65,536 rows by key: the stretches of merges, the parts of seals.
 *
 * So few rows have numbers of 16 bits. With 16 leading bits of the key they make one word, and two counting passes over
 * words (a radix sort from the lowest digit, Knuth vol. 3, 5.2.5) put them in order, within the second-level cache.
 * Rows whose leading bits agree, few where keys are spread, are sorted by the rest of the key. Stable.
 * docs/architecture.md, Sorting.
 */
import { assert } from '../assert.js'
import { compareRows } from './compare.js'

const ROW_BITS = 16
const ROW_MASK = 2 ** ROW_BITS - 1
export const SHORT_ROWS_MAX = 2 ** ROW_BITS
const PREFIX_BITS = 32 - ROW_BITS
const DIGIT_BITS = PREFIX_BITS / 2
const DIGIT_MASK = 2 ** DIGIT_BITS - 1
/** So few rows, or rows with the same leading bits, are sorted by insertion. */
const INSERTION_ROWS = 24

/** Of the sort at hand: a thread runs one at a time. Signed, as V8 handles those faster. */
const words = new Int32Array(SHORT_ROWS_MAX)
const spare = new Int32Array(SHORT_ROWS_MAX)
const counters = new Int32Array(DIGIT_MASK + 1)

/** What large groups of rows with the same leading bits are left to. */
type SortRows = (lanes: readonly Uint32Array[], keyLaneCount: number, rows: Uint32Array) => void

/**
 * Sorts row numbers by the keys of their rows, in place; rows of one key stay in the order in which they came.
 *
 * Requires: 65,536 rows at most.
 */
export function sortShort(
  lanes: readonly Uint32Array[],
  keyLaneCount: number,
  rows: Uint32Array,
  sortLong: SortRows,
): void {
  assert(rows.length <= SHORT_ROWS_MAX, 'a short sort has few rows')
  if (rows.length <= INSERTION_ROWS) return insertByKey(lanes, keyLaneCount, rows, 0, rows.length)
  let lane = 0
  let bounds = boundsOf(lanes[0]!, rows)
  while (bounds.min === bounds.max && lane + 1 < keyLaneCount) bounds = boundsOf(lanes[++lane]!, rows)
  if (bounds.min === bounds.max) return
  const shift = Math.max(0, 32 - Math.clz32(bounds.max - bounds.min) - PREFIX_BITS)
  fill(lanes[lane]!, rows, bounds.min, shift)
  pass(words, spare, rows.length, ROW_BITS)
  pass(spare, words, rows.length, ROW_BITS + DIGIT_BITS)
  const sorted = rows.slice()
  const isWhole = shift === 0 && lane + 1 === keyLaneCount
  for (let from = 0; from < rows.length;) {
    const prefix = words[from]! >>> ROW_BITS
    let to = from
    do {
      sorted[to] = rows[words[to]! & ROW_MASK]!
      to++
    } while (to < rows.length && words[to]! >>> ROW_BITS === prefix)
    if (!isWhole && to - from > 1) {
      if (to - from <= INSERTION_ROWS) insertByKey(lanes, keyLaneCount, sorted, from, to)
      else sortLong(lanes, keyLaneCount, sorted.subarray(from, to))
    }
    from = to
  }
  rows.set(sorted)
}

function boundsOf(column: Uint32Array, rows: Uint32Array): { min: number; max: number } {
  let min = 0xffffffff
  let max = 0
  for (let i = 0; i < rows.length; i++) {
    const value = column[rows[i]!]!
    if (value < min) min = value
    if (value > max) max = value
  }
  return { min, max }
}

function fill(column: Uint32Array, rows: Uint32Array, min: number, shift: number): void {
  for (let i = 0; i < rows.length; i++) {
    words[i] = (((column[rows[i]!]! - min) >>> shift) << ROW_BITS) | i
  }
}

/** Moves the words over in the order of one digit. */
function pass(source: Int32Array, target: Int32Array, count: number, shift: number): void {
  counters.fill(0)
  for (let i = 0; i < count; i++) counters[(source[i]! >>> shift) & DIGIT_MASK]!++
  let place = 0
  for (let digit = 0; digit <= DIGIT_MASK; digit++) {
    const rows = counters[digit]!
    counters[digit] = place
    place += rows
  }
  for (let i = 0; i < count; i++) {
    const word = source[i]!
    const digit = (word >>> shift) & DIGIT_MASK
    target[counters[digit]!++] = word
  }
}

/** Insertion sort of rows [from, to). */
function insertByKey(
  lanes: readonly Uint32Array[],
  keyLaneCount: number,
  rows: Uint32Array,
  from: number,
  to: number,
): void {
  for (let i = from + 1; i < to; i++) {
    const row = rows[i]!
    let place = i
    while (place > from && compareRows(lanes, rows[place - 1]!, lanes, row, keyLaneCount) > 0) {
      rows[place] = rows[place - 1]!
      place--
    }
    rows[place] = row
  }
}
