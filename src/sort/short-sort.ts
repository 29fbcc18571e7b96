/**
 * Sorts up to 65,536 rows by key: the batches of merges and bulk loads, the parts of seals.
 *
 * Their row numbers have 16 bits or less. With leading bits of the key they make one word, and two counting passes over
 * words (a radix sort from the lowest digit, Knuth vol. 3, 5.2.5) put them in order, within the second-level cache.
 * Rows whose leading bits agree (few, if keys are spread) are sorted by the rest of the key. Stable. docs/internals.md,
 * Sorting.
 */
import { assert } from '../base/assert.js'
import { compareRows } from '../records/compare.js'

export const SHORT_ROWS_MAX = 2 ** 16
/** How many more leading key bits than row number bits, if the word has room: then one row in eight meets another. */
const EXTRA_PREFIX_BITS = 3
/** Half of the most leading bits, 17 beside 15 or 14 of a row: the counters stay in the first-level cache. */
const DIGIT_BITS_MAX = 9
/** Up to this many rows, or rows with the same leading bits, are sorted by insertion. */
const INSERTION_ROWS = 24

/** For the current sort: a thread runs one at a time. Signed, because V8 handles that faster. */
const words = new Int32Array(SHORT_ROWS_MAX)
const spare = new Int32Array(SHORT_ROWS_MAX)
const lowDigits = new Int32Array(2 ** DIGIT_BITS_MAX)
const highDigits = new Int32Array(2 ** DIGIT_BITS_MAX)

/** Sorts large groups of rows with the same leading bits. */
type SortRows = (lanes: readonly Uint32Array[], keyLaneCount: number, rows: Uint32Array) => void

/**
 * Sorts row numbers by the keys of their rows, in place; rows of one key stay in the order in which they came.
 *
 * Requires: at most 65,536 rows.
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
  const rowBits = 32 - Math.clz32(rows.length - 1)
  const width = 32 - Math.clz32(bounds.max - bounds.min)
  const prefixBits = Math.min(width, 32 - rowBits, rowBits + EXTRA_PREFIX_BITS)
  const lowBits = prefixBits >>> 1
  const highShift = rowBits + lowBits
  lowDigits.fill(0, 0, 2 ** lowBits)
  highDigits.fill(0, 0, 2 ** (prefixBits - lowBits))
  fill(lanes[lane]!, rows, bounds.min, width - prefixBits, rowBits, lowBits)
  placeDigits(lowDigits, 2 ** lowBits)
  placeDigits(highDigits, 2 ** (prefixBits - lowBits))
  moveByDigit(words, spare, rows.length, rowBits, 2 ** lowBits - 1, lowDigits)
  moveByDigit(spare, words, rows.length, highShift, -1 >>> highShift, highDigits)
  const sorted = rows.slice()
  takeRows(rows, sorted, 2 ** rowBits - 1)
  if (prefixBits < width || lane + 1 < keyLaneCount) {
    sortTies(lanes, keyLaneCount, lane, sorted, findTies(rows.length, rowBits), sortLong)
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

/** Makes the words, and counts both of their digits. */
function fill(
  column: Uint32Array,
  rows: Uint32Array,
  min: number,
  shift: number,
  rowBits: number,
  lowBits: number,
): void {
  const lowMask = 2 ** lowBits - 1
  for (let i = 0; i < rows.length; i++) {
    const prefix = (column[rows[i]!]! - min) >>> shift
    words[i] = (prefix << rowBits) | i
    lowDigits[prefix & lowMask]!++
    highDigits[prefix >>> lowBits]!++
  }
}

/** Turns counts into the places where the first word of each digit goes. */
function placeDigits(digits: Int32Array, count: number): void {
  let place = 0
  for (let digit = 0; digit < count; digit++) {
    const rows = digits[digit]!
    digits[digit] = place
    place += rows
  }
}

/** Moves the words over in the order of one digit. */
function moveByDigit(
  source: Int32Array,
  target: Int32Array,
  count: number,
  shift: number,
  mask: number,
  places: Int32Array,
): void {
  for (let i = 0; i < count; i++) {
    const word = source[i]!
    const digit = (word >>> shift) & mask
    const place = places[digit]!
    places[digit] = place + 1
    target[place] = word
  }
}

function takeRows(rows: Uint32Array, sorted: Uint32Array, rowMask: number): void {
  for (let i = 0; i < sorted.length; i++) sorted[i] = rows[words[i]! & rowMask]!
}

/**
 * Puts the places of words with the same leading bits as the one before into `spare`; returns how many there are.
 *
 * Without a branch: the processor would mispredict it for one word in ten.
 */
function findTies(count: number, rowBits: number): number {
  let ties = 0
  for (let i = 1; i < count; i++) {
    spare[ties] = i
    // Only 0 becomes negative: a word has at least one row bit.
    ties += (((words[i]! ^ words[i - 1]!) >>> rowBits) - 1) >>> 31
  }
  return ties
}

/** Sorts each group of rows with the same leading bits; the lanes before `lane` agree. */
function sortTies(
  lanes: readonly Uint32Array[],
  keyLaneCount: number,
  lane: number,
  rows: Uint32Array,
  ties: number,
  sortLong: SortRows,
): void {
  const column = lanes[lane]!
  for (let tie = 0; tie < ties;) {
    const from = spare[tie]! - 1
    let to = from + 2
    while (++tie < ties && spare[tie] === to) to++
    if (to - from === 2) {
      const first = rows[from]!
      const second = rows[from + 1]!
      const difference = column[first]! - column[second]!
      if (
        difference > 0 ||
        (difference === 0 && compareRows(lanes, first, lanes, second, keyLaneCount) > 0)
      ) {
        rows[from] = second
        rows[from + 1] = first
      }
    } else if (to - from <= INSERTION_ROWS) insertByKey(lanes, keyLaneCount, rows, from, to)
    else sortLong(lanes, keyLaneCount, rows.subarray(from, to))
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
