/**
 * Bloom filters, one block for each data page, checked before the page is read.
 *
 * A block is a number of *lines* of 64 bytes, as many as the different keys of its page need; all bits of a key are in one
 * line, so that a check waits for memory once (Putze, Sanders & Singler 2007). Blocked by page, a filter is built in the
 * same sequential pass as its pages. docs/file-format.md, Filter.
 */
import { WORDS_PER_LINE } from './cache-line.js'

const BITS_PER_LINE = 32 * WORDS_PER_LINE
const TWO_32 = 2 ** 32

/** Probes that make the fewest false positives: bits a key times ln 2. */
export function probeCount(bitsPerRecord: number): number {
  return Math.max(1, Math.min(16, Math.round(bitsPerRecord * Math.LN2)))
}

/** Lines of the block for `keys` different keys. */
export function filterLines(keys: number, bitsPerRecord: number): number {
  return Math.ceil((keys * bitsPerRecord) / BITS_PER_LINE)
}

/** The line that has the bits of a key, by its hash; the block has the lines [from, to). */
export function lineOf(from: number, to: number, hash: number): number {
  return from + Math.floor((hash * (to - from)) / TWO_32)
}

/** The place of the first bit of a key in its line: the upper bits of another hash. */
function secondHash(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 16), 0x7feb352d)
  h ^= h >>> 15
  return Math.imul(h, 0x846ca68b)
}

/** The first step from bit to bit. */
function stepOf(second: number): number {
  return Math.imul(second, 0x9e3779b1)
}

/**
 * Each step is longer by this: with equal steps keys of one line would share several bits too often, and a third more keys
 * would pass (enhanced double hashing, Dillinger & Manolios 2004).
 */
const STEP_GROWTH = 0x9e3779b9

/** Adds keys, by the first `count` of their hashes, to the block of the lines [from, to). Hot. */
export function addToFilter(
  words: Uint32Array,
  from: number,
  to: number,
  probes: number,
  hashes: Uint32Array,
  count: number,
): void {
  for (let key = 0; key < count; key++) {
    const hash = hashes[key]!
    const line = lineOf(from, to, hash) * WORDS_PER_LINE
    let bit = secondHash(hash)
    let step = stepOf(bit)
    for (let probe = 0; probe < probes; probe++) {
      words[line + (bit >>> 28)]! |= 1 << ((bit >>> 23) & 31)
      bit = (bit + step) | 0
      step = (step + STEP_GROWTH) | 0
    }
  }
}

/** Whether the line that begins at `words[line]` may have the key; never false for one that was added. Hot. */
export function mayContain(words: Uint32Array, line: number, probes: number, hash: number): boolean {
  let bit = secondHash(hash)
  let step = stepOf(bit)
  for (let probe = 0; probe < probes; probe++) {
    if (((words[line + (bit >>> 28)]! >>> ((bit >>> 23) & 31)) & 1) === 0) return false
    bit = (bit + step) | 0
    step = (step + STEP_GROWTH) | 0
  }
  return true
}
