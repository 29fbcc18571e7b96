/**
 * Sorts rows by key: the memtable for scans and for the seal, bulk loads chunk by chunk.
 *
 * A radix sort from the top that adapts to the keys at hand: the leading key bits that differ become a 32-bit prefix
 * of each row, counting passes split the rows by its digits until few are left together, insertion does the rest. Rows
 * whose whole prefixes agree are sorted by the following lanes. So no input costs more than three moves of a row for
 * 32 bits of key, however its keys are spread. Stable throughout. docs/internals.md, Sorting.
 */
import { assert } from '../base/assert.js'
import { SHORT_ROWS_MAX, sortShort } from './short-sort.js'

/** Ranges up to this long are sorted by insertion. */
const INSERTION_ROWS = 24
/** Bits of the largest digit: 2048 counters stay in the first-level cache. */
const DIGIT_BITS = 11

/**
 * A row under way is a pair of words, prefix and row number, moved as one 64-bit float. Row numbers carry a mark so
 * that no pair is a NaN or a denormal, whose bits a processor may change; the range left for them is far above any
 * count.
 */
const ROW_MARK = 0x40000000
const ROW_LIMIT = 0x20000000

/**
 * Loops over all rows are functions called block by block: V8 then compiles them as a whole after a few calls. A loop
 * of millions of rounds in one call is entered half-way (on-stack replacement) and falls back at its end, every time.
 */
const BLOCK_ROWS = 8192

/** The rows in [from, to) in ascending order of their keys; rows of one key stay in their order. */
export function sortedOrder(
  lanes: readonly Uint32Array[],
  keyLaneCount: number,
  from: number,
  to: number,
): Uint32Array {
  const rows = new Uint32Array(to - from)
  forBlocks(0, rows.length, (start, end) => {
    for (let i = start; i < end; i++) rows[i] = from + i
  })
  sortRows(lanes, keyLaneCount, rows)
  return rows
}

/**
 * Sorts row numbers by the keys of their rows, in place; rows of one key stay in the order in which they came.
 *
 * Takes 16 bytes a row meanwhile. Requires: row numbers below 2^29.
 */
export function sortRows(lanes: readonly Uint32Array[], keyLaneCount: number, rows: Uint32Array): void {
  if (isSorted(lanes, keyLaneCount, rows)) return
  if (rows.length <= SHORT_ROWS_MAX) {
    sortShort(lanes, keyLaneCount, rows, sortLong)
  } else {
    sortLong(lanes, keyLaneCount, rows)
  }
}

function sortLong(lanes: readonly Uint32Array[], keyLaneCount: number, rows: Uint32Array): void {
  const sort = new RadixSort(lanes, keyLaneCount, rows)
  sort.sortByLanesFrom(0, 0, rows.length)
  sort.copyRowsTo(rows)
}

/** Whether the rows are in order; stops at the first that is not, so it costs nothing for random keys. */
function isSorted(lanes: readonly Uint32Array[], keyLaneCount: number, rows: Uint32Array): boolean {
  for (let start = 1; start < rows.length; start += BLOCK_ROWS) {
    const end = Math.min(start + BLOCK_ROWS, rows.length)
    if (!isBlockSorted(lanes, keyLaneCount, rows, start, end)) return false
  }
  return true
}

function isBlockSorted(
  lanes: readonly Uint32Array[],
  keyLaneCount: number,
  rows: Uint32Array,
  from: number,
  to: number,
): boolean {
  for (let i = from; i < to; i++) {
    if (compareFrom(lanes, 0, keyLaneCount, rows[i - 1]!, rows[i]!) > 0) return false
  }
  return true
}

/** The order of two rows by the lanes from `firstLane` on. */
function compareFrom(
  lanes: readonly Uint32Array[],
  firstLane: number,
  keyLaneCount: number,
  rowA: number,
  rowB: number,
): number {
  for (let lane = firstLane; lane < keyLaneCount; lane++) {
    const column = lanes[lane]!
    const difference = column[rowA]! - column[rowB]!
    if (difference !== 0) return difference
  }
  return 0
}

function forBlocks(from: number, to: number, work: (start: number, end: number) => void): void {
  for (let start = from; start < to; start += BLOCK_ROWS) work(start, Math.min(start + BLOCK_ROWS, to))
}

/** One sort under way. Ranges of `#pairs` are split into the same range of `#spare` and back. */
class RadixSort {
  readonly #lanes: readonly Uint32Array[]
  readonly #keyLaneCount: number
  /** Pairs as floats, to move them, and as words: prefix at 2 * i, marked row number at 2 * i + 1. */
  readonly #pairs: Float64Array
  readonly #words: Uint32Array
  readonly #spare: Float64Array
  readonly #spareWords: Uint32Array
  readonly #counters = new Int32Array(1 << DIGIT_BITS)
  /** The smallest and the greatest value of the lane that is being measured. */
  readonly #extremes = new Uint32Array(2)

  constructor(lanes: readonly Uint32Array[], keyLaneCount: number, rows: Uint32Array) {
    this.#lanes = lanes
    this.#keyLaneCount = keyLaneCount
    this.#pairs = new Float64Array(rows.length)
    this.#words = new Uint32Array(this.#pairs.buffer)
    this.#spare = new Float64Array(rows.length)
    this.#spareWords = new Uint32Array(this.#spare.buffer)
    forBlocks(0, rows.length, (start, end) => markRows(rows, this.#words, start, end))
  }

  copyRowsTo(rows: Uint32Array): void {
    const words = this.#words
    forBlocks(0, rows.length, (start, end) => {
      for (let i = start; i < end; i++) rows[i] = words[2 * i + 1]! ^ ROW_MARK
    })
  }

  /** Sorts pairs[from, to), whose keys agree in all lanes before `firstLane`. */
  sortByLanesFrom(firstLane: number, from: number, to: number): void {
    const parts: PrefixPart[] = []
    let bits = 0
    let lane = firstLane
    for (; lane < this.#keyLaneCount && bits < 32; lane++) {
      const part = this.#measureLane(lane, from, to, parts.length === 0)
      if (part.width === 0) continue
      parts.push(part)
      bits += part.width
    }
    if (bits === 0) return
    this.#fillPrefixes(parts, Math.min(bits, 32), from, to)
    // If low bits of the last lane do not fit, it counts as not covered.
    this.#sortByPrefix(from, to, Math.min(bits, 32), bits > 32 ? lane - 1 : lane, false)
  }

  /** Measures a lane; with `keep` its values become the prefixes. */
  #measureLane(lane: number, from: number, to: number, keep: boolean): PrefixPart {
    const column = this.#lanes[lane]!
    const words = this.#words
    const extremes = this.#extremes
    extremes[0] = extremes[1] = column[words[2 * from + 1]! ^ ROW_MARK]!
    if (keep) forBlocks(from, to, (start, end) => loadLane(column, words, extremes, start, end))
    else forBlocks(from, to, (start, end) => widenExtremes(column, words, extremes, start, end))
    return { column, min: extremes[0], width: 32 - Math.clz32(extremes[1] - extremes[0]) }
  }

  /**
   * The prefix: the differences of the lanes to their minima, concatenated, up to `bits` bits.
   *
   * Requires: the prefixes are the values of the first lane.
   */
  #fillPrefixes(parts: readonly PrefixPart[], bits: number, from: number, to: number): void {
    const words = this.#words
    let shift = bits
    for (const [index, part] of parts.entries()) {
      shift -= part.width
      const partShift = shift
      if (index === 0)
        forBlocks(from, to, (start, end) => startPrefixes(words, part.min, partShift, start, end))
      else forBlocks(from, to, (start, end) => addPart(part, partShift, words, start, end))
    }
  }

  /**
   * Sorts the range by the low `bits` prefix bits, the only ones in which the prefixes differ, and by the lanes from
   * `nextLane` on, which the prefix does not cover. The range is in `#spare` if `inSpare` is true, and ends in
   * `#pairs`.
   */
  #sortByPrefix(from: number, to: number, bits: number, nextLane: number, inSpare: boolean): void {
    if (to - from <= INSERTION_ROWS) {
      this.#insert(from, to, nextLane, inSpare)
      return
    }
    if (bits === 0) {
      if (inSpare) this.#pairs.set(this.#spare.subarray(from, to), from)
      if (nextLane < this.#keyLaneCount) this.sortByLanesFrom(nextLane, from, to)
      return
    }
    const digitBits = Math.min(bits, digitBitsFor(to - from))
    const restBits = bits - digitBits
    const longestRun = this.#split(from, to, restBits, digitBits, inSpare)
    if (longestRun === to - from) {
      this.#sortByPrefix(from, to, restBits, nextLane, inSpare)
      return
    }
    if (longestRun <= INSERTION_ROWS) {
      this.#insert(from, to, nextLane, !inSpare)
      return
    }
    const words = inSpare ? this.#words : this.#spareWords
    let start = from
    while (start < to) {
      const end = runEnd(words, start, to, restBits)
      this.#sortByPrefix(start, end, restBits, nextLane, !inSpare)
      start = end
    }
  }

  /**
   * Moves the range over, in the order of one digit; returns how many rows share the commonest digit. If all do,
   * nothing is moved.
   */
  #split(from: number, to: number, shift: number, digitBits: number, inSpare: boolean): number {
    const source = inSpare ? this.#spare : this.#pairs
    const target = inSpare ? this.#pairs : this.#spare
    const words = inSpare ? this.#spareWords : this.#words
    const mask = (1 << digitBits) - 1
    const next = this.#counters
    next.fill(0, 0, mask + 1)
    forBlocks(from, to, (start, end) => countDigits(words, shift, mask, next, start, end))
    const longestRun = sumUp(next, from, mask)
    if (longestRun === to - from) return longestRun
    forBlocks(from, to, (start, end) => scatter(words, source, target, shift, mask, next, start, end))
    return longestRun
  }

  /** Insertion sort by prefix, then by the lanes that it does not cover; ends in `#pairs` wherever it starts. */
  #insert(from: number, to: number, nextLane: number, inSpare: boolean): void {
    const source = inSpare ? this.#spareWords : this.#words
    const words = this.#words
    for (let i = from; i < to; i++) {
      const prefix = source[2 * i]!
      const markedRow = source[2 * i + 1]!
      let place = i
      while (place > from) {
        const before = words[2 * place - 2]!
        if (before < prefix) break
        const markedBefore = words[2 * place - 1]!
        if (before === prefix && !this.#isBehind(markedBefore, markedRow, nextLane)) break
        words[2 * place] = before
        words[2 * place + 1] = markedBefore
        place--
      }
      words[2 * place] = prefix
      words[2 * place + 1] = markedRow
    }
  }

  #isBehind(markedA: number, markedB: number, nextLane: number): boolean {
    const rowA = markedA ^ ROW_MARK
    const rowB = markedB ^ ROW_MARK
    return compareFrom(this.#lanes, nextLane, this.#keyLaneCount, rowA, rowB) > 0
  }
}

/** A lane that takes part in the prefix, with its smallest value and the bits of the difference to its greatest. */
interface PrefixPart {
  readonly column: Uint32Array
  readonly min: number
  readonly width: number
}

/** About two places a row in all, so that few rows share one, in digits of about the same size. */
function digitBitsFor(rows: number): number {
  const bits = 33 - Math.clz32(rows)
  return Math.ceil(bits / Math.ceil(bits / DIGIT_BITS))
}

function markRows(rows: Uint32Array, words: Uint32Array, from: number, to: number): void {
  let allBits = 0
  for (let i = from; i < to; i++) {
    const row = rows[i]!
    words[2 * i + 1] = row | ROW_MARK
    allBits |= row
  }
  assert(allBits >>> 0 < ROW_LIMIT, 'row numbers are below 2^29')
}

/** Hot when rows are gathered from all over the columns: each value is fetched once, and kept. */
function loadLane(
  column: Uint32Array,
  words: Uint32Array,
  extremes: Uint32Array,
  from: number,
  to: number,
): void {
  let min = extremes[0]!
  let max = extremes[1]!
  for (let i = from; i < to; i++) {
    const value = column[words[2 * i + 1]! ^ ROW_MARK]!
    words[2 * i] = value
    if (value < min) min = value
    if (value > max) max = value
  }
  extremes[0] = min
  extremes[1] = max
}

function widenExtremes(
  column: Uint32Array,
  words: Uint32Array,
  extremes: Uint32Array,
  from: number,
  to: number,
): void {
  let min = extremes[0]!
  let max = extremes[1]!
  for (let i = from; i < to; i++) {
    const value = column[words[2 * i + 1]! ^ ROW_MARK]!
    if (value < min) min = value
    if (value > max) max = value
  }
  extremes[0] = min
  extremes[1] = max
}

function startPrefixes(words: Uint32Array, min: number, shift: number, from: number, to: number): void {
  for (let i = from; i < to; i++) words[2 * i] = (words[2 * i]! - min) << shift
}

/** Adds a lane to the prefixes: moved up by `shift` bits, or down if that is negative. */
function addPart(
  { column, min }: PrefixPart,
  shift: number,
  words: Uint32Array,
  from: number,
  to: number,
): void {
  const up = Math.max(shift, 0)
  const down = Math.max(-shift, 0)
  for (let i = from; i < to; i++) {
    const difference = column[words[2 * i + 1]! ^ ROW_MARK]! - min
    words[2 * i]! |= (difference >>> down) << up
  }
}

function countDigits(
  words: Uint32Array,
  shift: number,
  mask: number,
  counters: Int32Array,
  from: number,
  to: number,
): void {
  for (let i = from; i < to; i++) counters[(words[2 * i]! >>> shift) & mask]!++
}

/** Turns counts into the places where the first row of each digit goes; returns the largest count. */
function sumUp(counters: Int32Array, from: number, mask: number): number {
  let place = from
  let largest = 0
  for (let digit = 0; digit <= mask; digit++) {
    const count = counters[digit]!
    counters[digit] = place
    place += count
    if (count > largest) largest = count
  }
  return largest
}

function scatter(
  words: Uint32Array,
  source: Float64Array,
  target: Float64Array,
  shift: number,
  mask: number,
  next: Int32Array,
  from: number,
  to: number,
): void {
  for (let i = from; i < to; i++) {
    const digit = (words[2 * i]! >>> shift) & mask
    const place = next[digit]!
    next[digit] = place + 1
    target[place] = source[i]!
  }
}

/** The end of the run from `start` on whose prefixes agree above the low `restBits` bits. */
function runEnd(words: Uint32Array, start: number, to: number, restBits: number): number {
  const digits = words[2 * start]! >>> restBits
  let end = start + 1
  while (end < to && words[2 * end]! >>> restBits === digits) end++
  return end
}
