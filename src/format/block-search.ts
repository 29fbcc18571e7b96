/**
 * Finds many keys in as many pages at once, so that they wait for memory together.
 *
 * Each step is a loop over all keys, and before it a loop that only touches what the step will read: loads that do nothing
 * else overlap far better than those between other instructions (Chen et al. 2004, group prefetching). Keys of more than
 * two lanes, and pages of even keys or of keys that end with zeros, are given to a `DataPageReader` one by one, after their
 * heads were touched. Pages with other operations than puts are left to the caller. Hot. docs/internals.md, Lookup.
 */
import type { RecordLayout } from '../records/record-layout.js'
import { readBits } from './bits.js'
import { WORDS_PER_LINE } from './cache-line.js'
import { DataPageReader } from './data-page-reader.js'
import { hasPutsOnly, readRowValues, rowBit, shiftOf } from './data-page-row.js'
import { BUCKET_ROWS, findBucket } from './elias-fano.js'
import { KIND_WORD, dataPageLayout, lowBitsIn, rowCountIn, type DataPageLayout } from './page-layout.js'

const TWO_32 = 2 ** 32

const NO_WORDS = new Uint32Array(0)

/** What is known of a key and its page. */
export const NOT_SOUGHT = 0
/** Its rows are [from, to), which may be none. */
export const SOUGHT = 1
/** On the way: the reader has to find it. */
const BY_READER = 2

export class BlockSearch {
  readonly #page: DataPageLayout
  /** First word of the page of each key in its `words`, -1 for none. */
  readonly bases: Int32Array
  /** The memory in which the page of each key lies. */
  readonly words: Uint32Array[]
  /** {@link NOT_SOUGHT} or {@link SOUGHT}, and then the rows of the key. */
  readonly states: Uint8Array
  readonly from: Int32Array
  readonly to: Int32Array
  /** Where row `from` of each key begins, in bits from the start of its `words`. */
  readonly #rowAt: Int32Array
  readonly #reader: DataPageReader
  readonly #key: Uint32Array
  /** Low bits of each key, counted from the first key of its page. */
  readonly #low: Uint32Array
  readonly #high: Uint32Array
  /** Kept, so that touching is not optimised away. */
  readonly #touched = new Uint32Array(1)

  constructor(layout: RecordLayout, pageBytes: number, keys: number) {
    this.#page = dataPageLayout(layout, pageBytes)
    this.#reader = new DataPageReader(layout, pageBytes)
    this.#key = new Uint32Array(layout.keyLaneCount)
    this.bases = new Int32Array(keys)
    this.words = Array.from({ length: keys }, () => NO_WORDS)
    this.states = new Uint8Array(keys)
    this.from = new Int32Array(keys)
    this.to = new Int32Array(keys)
    this.#rowAt = new Int32Array(keys)
    this.#low = new Uint32Array(keys)
    this.#high = new Uint32Array(keys)
  }

  /** Seeks the first `count` keys, a column a lane, in their pages. */
  seek(keys: readonly Uint32Array[], count: number): void {
    this.states.fill(NOT_SOUGHT, 0, count)
    this.from.fill(0, 0, count)
    this.to.fill(0, 0, count)
    this.#touchHeads(count)
    if (keys.length <= 2) {
      this.#findBuckets(keys[0]!, keys.at(-1)!, keys.length === 2, count)
      this.#touchRows(count)
      this.#findRows(count)
    } else this.#leaveToReader(count)
    this.#findByReader(keys, count)
  }

  /** Head and directory of a page are most often three lines. */
  #touchHeads(count: number): void {
    const { bases, words: all } = this
    let touched = 0
    for (let i = 0; i < count; i++) {
      const base = bases[i]!
      if (base < 0) continue
      const words = all[i]!
      touched ^= words[base]! ^ words[base + WORDS_PER_LINE]! ^ words[base + 2 * WORDS_PER_LINE]!
    }
    this.#touched[0]! ^= touched
  }

  #findBuckets(highs: Uint32Array, lows: Uint32Array, twoLanes: boolean, count: number): void {
    const { firstKeyWord, bucketsWord, directoryWord } = this.#page
    const { bases, words: all, states, from, to } = this
    const rowAt = this.#rowAt
    for (let i = 0; i < count; i++) {
      const base = bases[i]!
      if (base < 0) continue
      const words = all[i]!
      const head = words[base + KIND_WORD]!
      const buckets = words[base + bucketsWord]! & 0xffff
      if (!hasPutsOnly(this.#page, words, base)) continue
      if (buckets === 0 || shiftOf(this.#page, words, base) !== 0) {
        states[i] = BY_READER
        continue
      }
      states[i] = SOUGHT
      let low = lows[i]! - words[base + bucketsWord - 1]!
      let high = twoLanes ? highs[i]! - words[base + firstKeyWord]! : 0
      if (low < 0) {
        low += TWO_32
        high--
      }
      if (high < 0) continue
      const lowBits = lowBitsIn(head)
      let bucket = 0
      if (lowBits < 32) {
        bucket = Math.floor((high * TWO_32 + low) / 2 ** lowBits)
        low &= (1 << lowBits) - 1
        high = 0
      } else if (lowBits < 64) {
        bucket = high >>> (lowBits - 32)
        high &= (1 << (lowBits - 32)) - 1
      }
      if (bucket >= buckets) continue
      const found = findBucket(words, base, directoryWord * 32, rowCountIn(head), buckets, bucket)
      const end = found >>> 16
      const row = end - (found & (BUCKET_ROWS - 1))
      from[i] = row
      to[i] = end
      rowAt[i] = rowBit(this.#page, words, base, row)
      this.#low[i] = low
      this.#high[i] = high
    }
  }

  /** The line where the rows of the bucket begin, and the next one. */
  #touchRows(count: number): void {
    const { words: all, from, to } = this
    const rowAt = this.#rowAt
    let touched = 0
    for (let i = 0; i < count; i++) {
      if (from[i] === to[i]) continue
      const words = all[i]!
      const at = rowAt[i]! >>> 5
      touched ^= words[at]! ^ words[at + WORDS_PER_LINE / 2]!
    }
    this.#touched[0]! ^= touched
  }

  #findRows(count: number): void {
    const { bases, words: all, states, from, to } = this
    const rowAt = this.#rowAt
    const { bucketsWord } = this.#page
    for (let i = 0; i < count; i++) {
      const base = bases[i]!
      if (base < 0 || states[i] !== SOUGHT || from[i] === to[i]) continue
      const words = all[i]!
      const end = to[i]!
      let row = from[i]!
      const head = words[base + KIND_WORD]!
      // Samples of a damaged page may point anywhere; and of many rows the reader drops halves.
      if (row < 0 || end > rowCountIn(head) || end - row > WALKED_ROWS) {
        states[i] = BY_READER
        continue
      }
      const lowBits = lowBitsIn(head)
      const rowBits = words[base + bucketsWord]! >>> 16
      const lowWidth = lowBits < 32 ? lowBits : 32
      const low = this.#low[i]!
      const high = this.#high[i]!
      let bit = rowAt[i]!
      let found = -1
      for (; row < end; row++, bit += rowBits) {
        if (readBits(words, 0, bit, lowWidth) !== low) {
          if (found >= 0) break
        } else if (lowBits > 32 && readBits(words, 0, bit + 32, lowBits - 32) !== high) {
          if (found >= 0) break
        } else if (found < 0) {
          found = row
          rowAt[i] = bit
        }
      }
      from[i] = found < 0 ? row : found
      to[i] = row
    }
  }

  #leaveToReader(count: number): void {
    for (let i = 0; i < count; i++) {
      const base = this.bases[i]!
      if (base >= 0 && hasPutsOnly(this.#page, this.words[i]!, base)) this.states[i] = BY_READER
    }
  }

  #findByReader(keys: readonly Uint32Array[], count: number): void {
    const reader = this.#reader
    const key = this.#key
    for (let i = 0; i < count; i++) {
      if (this.states[i] !== BY_READER) continue
      for (let lane = 0; lane < key.length; lane++) key[lane] = keys[lane]![i]!
      reader.open(this.words[i]!, this.bases[i]!)
      reader.find(key)
      this.from[i] = reader.from
      this.to[i] = reader.to
      this.#rowAt[i] = rowBit(this.#page, this.words[i]!, this.bases[i]!, reader.from)
      this.states[i] = SOUGHT
    }
  }

  /** Writes the value lanes of a row of the page of key `i` to row `at` of `lanes`, which begin with the key lanes. */
  readValues(i: number, row: number, lanes: readonly Uint32Array[], at: number): void {
    const words = this.words[i]!
    const base = this.bases[i]!
    const rowBits = words[base + this.#page.bucketsWord]! >>> 16
    readRowValues(this.#page, words, base, this.#rowAt[i]! + (row - this.from[i]!) * rowBits, lanes, at)
  }
}

/** Of more rows in one bucket the reader drops halves. */
const WALKED_ROWS = 8
