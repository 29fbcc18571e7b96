/**
 * Finds the newest row of a key of one or two lanes in a data page, in one step from the head of the page to the row.
 *
 * It does what `DataPageReader.find` does, which is its twin in tests, without keeping anything: half of the time of a lookup
 * in memory is the keeping. Hot. docs/internals.md, Lookup.
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

/** The bit of `words` where the newest row of the key begins, {@link NOT_THERE} or {@link ASK_READER}. `high`: 0 of one lane. */
export function findNewestOfPair(
  page: DataPageLayout,
  words: Uint32Array,
  base: number,
  high: number,
  low: number,
): number {
  const rowShape = words[base + page.bucketsWord]!
  const buckets = rowShape & 0xffff
  if (buckets === 0 || shiftOf(page, words, base) !== 0 || !hasPutsOnly(page, words, base)) return ASK_READER
  low -= words[base + page.bucketsWord - 1]!
  if (page.keyLaneCount === 2) high -= words[base + page.firstKeyWord]!
  if (low < 0) {
    low += TWO_32
    high--
  }
  if (high < 0) return NOT_THERE
  const head = words[base + KIND_WORD]!
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
  if (bucket >= buckets) return NOT_THERE
  const rows = rowCountIn(head)
  const found = findBucket(words, base, page.directoryWord * 32, rows, buckets, bucket)
  const end = found >>> 16
  const count = found & (BUCKET_ROWS - 1)
  // Samples of a damaged page may point anywhere.
  if (count > WALKED_ROWS || count > end || end > rows) return ASK_READER
  const rowBits = rowShape >>> 16
  const lowWidth = lowBits < 32 ? lowBits : 32
  let bit = 32 * base + rowsBit(page, words, base) + end * rowBits
  // From the newest row of the bucket back.
  for (let row = 0; row < count; row++) {
    bit -= rowBits
    if (readBits(words, 0, bit, lowWidth) !== low) continue
    if (lowBits <= 32 || readBits(words, 0, bit + 32, lowBits - 32) === high) return bit
  }
  return NOT_THERE
}
