/**
 * Finds rows of keys of one or two lanes in a data page, in one step from the head of the page to the row.
 *
 * It does what `DataPageReader` does, which is its twin in tests, without keeping anything: half of the time of a lookup in
 * memory is the keeping. Hot. docs/internals.md, Lookup.
 */
import { readBits } from './bits.js'
import { hasPutsOnly, rowsBit, shiftOf } from './data-page-row.js'
import { BUCKET_ROWS, findBucket } from './elias-fano.js'
import { KIND_WORD, lowBitsIn, rowCountIn, type DataPageLayout } from './page-layout.js'

const TWO_32 = 2 ** 32
/** Of more rows in one bucket the reader drops halves. */
const WALKED_ROWS = 8

/** The page has no row of the key. */
export const NOT_THERE = -1
/** Only a reader can tell: other operations than puts, even keys, keys that end with zeros, many rows in a bucket. */
export const ASK_READER = -2

/** Of the key that was placed last: its bucket, and its low bits, those above the 32nd first. */
const placed = { bucket: 0, high: 0, low: 0 }

/** Whether a page is one for which these functions have an answer. */
export function isPlain(page: DataPageLayout, words: Uint32Array, base: number): boolean {
  const buckets = words[base + page.bucketsWord]! & 0xffff
  return buckets !== 0 && shiftOf(page, words, base) === 0 && hasPutsOnly(page, words, base)
}

/** Puts into `placed` where the key is in the page; false where it is before the first key or after the last bucket. */
function place(page: DataPageLayout, words: Uint32Array, base: number, high: number, low: number): boolean {
  low -= words[base + page.bucketsWord - 1]!
  if (page.keyLaneCount === 2) high -= words[base + page.firstKeyWord]!
  if (low < 0) {
    low += TWO_32
    high--
  }
  if (high < 0) return false
  const lowBits = lowBitsIn(words[base + KIND_WORD]!)
  let bucket = 0
  if (lowBits < 32) {
    bucket = Math.floor((high * TWO_32 + low) / 2 ** lowBits)
    low &= (1 << lowBits) - 1
    high = 0
  } else if (lowBits < 64) {
    bucket = high >>> (lowBits - 32)
    high &= (1 << (lowBits - 32)) - 1
  }
  placed.bucket = bucket
  placed.high = high
  placed.low = low
  return bucket < (words[base + page.bucketsWord]! & 0xffff)
}

/** The bit of `words` where the newest row of the key begins, {@link NOT_THERE} or {@link ASK_READER}. `high`: 0 of one lane. */
export function findNewestOfPair(
  page: DataPageLayout,
  words: Uint32Array,
  base: number,
  high: number,
  low: number,
): number {
  if (!isPlain(page, words, base)) return ASK_READER
  if (!place(page, words, base, high, low)) return NOT_THERE
  const head = words[base + KIND_WORD]!
  const shape = words[base + page.bucketsWord]!
  const rows = rowCountIn(head)
  const found = findBucket(words, base, page.directoryWord * 32, rows, shape & 0xffff, placed.bucket)
  const end = found >>> 16
  const count = found & (BUCKET_ROWS - 1)
  // Samples of a damaged page may point anywhere.
  if (count > WALKED_ROWS || count > end || end > rows) return ASK_READER
  const lowBits = lowBitsIn(head)
  const rowBits = shape >>> 16
  const lowWidth = lowBits < 32 ? lowBits : 32
  const low32 = placed.low
  let bit = 32 * base + rowsBit(page, words, base) + end * rowBits
  // From the newest row of the bucket back.
  for (let row = 0; row < count; row++) {
    bit -= rowBits
    if (readBits(words, 0, bit, lowWidth) !== low32) continue
    if (lowBits <= 32 || readBits(words, 0, bit + 32, lowBits - 32) === placed.high) return bit
  }
  return NOT_THERE
}

/** Reads a word where the rows of the bucket of the key begin, so that they are on their way. Requires: the page is plain. */
export function touchRows(
  page: DataPageLayout,
  words: Uint32Array,
  base: number,
  high: number,
  low: number,
): number {
  if (!place(page, words, base, high, low)) return 0
  const shape = words[base + page.bucketsWord]!
  const rows = rowCountIn(words[base + KIND_WORD]!)
  const found = findBucket(words, base, page.directoryWord * 32, rows, shape & 0xffff, placed.bucket)
  const row = (found >>> 16) - (found & (BUCKET_ROWS - 1))
  return words[(32 * base + rowsBit(page, words, base) + row * (shape >>> 16)) >>> 5]!
}

/**
 * The first row whose key is at least the given one, or with `above` greater; or {@link ASK_READER}. Requires: the page is
 * plain, and a key that is before its first one is not meant for a page before.
 */
export function firstRowOf(
  page: DataPageLayout,
  words: Uint32Array,
  base: number,
  high: number,
  low: number,
  above: boolean,
): number {
  const head = words[base + KIND_WORD]!
  const shape = words[base + page.bucketsWord]!
  const rows = rowCountIn(head)
  if (isBefore(page, words, base, high, low)) return 0
  if (!place(page, words, base, high, low)) return rows
  const found = findBucket(words, base, page.directoryWord * 32, rows, shape & 0xffff, placed.bucket)
  const end = found >>> 16
  const count = found & (BUCKET_ROWS - 1)
  if (count > WALKED_ROWS || count > end || end > rows) return ASK_READER
  const lowBits = lowBitsIn(head)
  const rowBits = shape >>> 16
  let row = end - count
  let bit = 32 * base + rowsBit(page, words, base) + row * rowBits
  for (; row < end; row++, bit += rowBits) {
    let order = lowBits > 32 ? readBits(words, 0, bit + 32, lowBits - 32) - placed.high : 0
    if (order === 0) order = readBits(words, 0, bit, lowBits < 32 ? lowBits : 32) - placed.low
    if (order > 0 || (order === 0 && !above)) break
  }
  return row
}

/** Whether the key is before the first one of the page. */
function isBefore(
  page: DataPageLayout,
  words: Uint32Array,
  base: number,
  high: number,
  low: number,
): boolean {
  const firstHigh = page.keyLaneCount === 2 ? words[base + page.firstKeyWord]! : 0
  return high < firstHigh || (high === firstHigh && low < words[base + page.bucketsWord - 1]!)
}

/**
 * How far the key of a row is after a given one, if that is less than 2^32 and than 2 to the low bits of the page. The low bits
 * of both say it. Requires: the page is plain.
 */
export function distanceTo(
  page: DataPageLayout,
  words: Uint32Array,
  base: number,
  low: number,
  rowAt: number,
): number {
  const lowBits = lowBitsIn(words[base + KIND_WORD]!)
  const width = lowBits < 32 ? lowBits : 32
  const offset = low - words[base + page.bucketsWord - 1]!
  const difference = readBits(words, 0, rowAt, width) - offset
  return width === 32 ? difference >>> 0 : difference & ((1 << width) - 1)
}
