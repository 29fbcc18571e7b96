/**
 * The directory of a data page: which rows have which upper bits of the key. An Elias-Fano code (Elias 1974, Fano 1971).
 *
 * Keys are counted from the first key of the page. Their lowest `lowBits` bits stand in the rows; the rest is the *bucket*.
 * The directory is a string of bits: for each bucket a 1 for each of its rows, then a 0. Samples say where bucket 0, 16, 32,
 * ... begins in it, so that a lookup skips at most 15 zeros. Hot. docs/file-format.md, Data page.
 */

/** Buckets between two samples. */
export const SAMPLE_INTERVAL = 16

/** A page has no more buckets. */
export const BUCKETS_MAX = 65_535

/** Samples that this many buckets need. */
export function sampleCount(buckets: number): number {
  return (buckets + SAMPLE_INTERVAL - 1) >>> 4
}

/** Bits of one sample: it may be any position up to the end of the unary part. */
export function sampleBits(rows: number, buckets: number): number {
  return 32 - Math.clz32(rows + buckets)
}

/** Bits of samples and unary part. */
export function directoryBits(rows: number, buckets: number): number {
  return sampleBits(rows, buckets) * sampleCount(buckets) + rows + buckets
}

/** `SELECT[r << 8 | byte]`: which bit of the byte is its 1 number r, from 0 on. */
const SELECT = makeSelect()

function makeSelect(): Uint8Array {
  const select = new Uint8Array(2048)
  for (let byte = 0; byte < 256; byte++) {
    for (let bit = 0, rank = 0; bit < 8; bit++) if ((byte >>> bit) & 1) select[(rank++ << 8) | byte] = bit
  }
  return select
}

/** How many 1s each byte of the word has, summed up from the lowest byte on: the top byte has the sum of all. */
function onesUpTo(word: number): number {
  let sums = word - ((word >>> 1) & 0x55555555)
  sums = (sums & 0x33333333) + ((sums >>> 2) & 0x33333333)
  return Math.imul((sums + (sums >>> 4)) & 0x0f0f0f0f, 0x01010101)
}

/** The 1s in `count` bits from bit `from` on, counted from word `base`. */
export function countOnes(words: Uint32Array, base: number, from: number, count: number): number {
  let ones = 0
  for (let bit = from; bit < from + count; bit += 32) {
    const left = from + count - bit
    const word = wordAt(words, base, bit)
    ones += onesUpTo(left < 32 ? word & ((1 << left) - 1) : word) >>> 24
  }
  return ones
}

/** 32 bits from bit `position` on, counted from word `base`. May touch the word after them. */
function wordAt(words: Uint32Array, base: number, position: number): number {
  const word = base + (position >>> 5)
  const shift = position & 31
  // Two shifts, as one by 32 would be none at all.
  return (words[word]! >>> shift) | ((words[word + 1]! << 1) << (31 - shift))
}

/** Factor of {@link findBucket}: more rows than a page has. */
export const BUCKET_ROWS = 65_536

/**
 * How many rows there are up to the end of a bucket, and how many in it, as `end * BUCKET_ROWS + count`.
 *
 * `directory`: the bit where the samples begin, counted from word `base`. Requires: bucket < buckets. Of a damaged directory
 * the numbers may be any.
 */
export function findBucket(
  words: Uint32Array,
  base: number,
  directory: number,
  rows: number,
  buckets: number,
  bucket: number,
): number {
  const bits = sampleBits(rows, buckets)
  const unary = directory + sampleCount(buckets) * bits
  const sample = wordAt(words, base, directory + (bucket >>> 4) * bits) & ((1 << bits) - 1)
  let position = unary + sample
  // Zeros to skip before the zero that ends the bucket.
  let zeros = bucket & (SAMPLE_INTERVAL - 1)
  // The zero before, counted from `position`: the ones of the bucket begin after it.
  let before = -1
  let word = ~wordAt(words, base, position)
  let sums = onesUpTo(word)
  while (zeros >= sums >>> 24) {
    zeros -= sums >>> 24
    before = (word === 0 ? before : 31 - Math.clz32(word)) - 32
    position += 32
    word = ~wordAt(words, base, position)
    sums = onesUpTo(word)
  }
  // The byte with the zero: as many bytes as have sums not above `zeros` are passed. All four are compared at once.
  const passed = ((Math.imul(zeros, 0x01010101) | 0x80808080) - sums) & 0x80808080
  const byte = (Math.imul(passed >>> 7, 0x01010101) >>> 24) << 3
  const rank = zeros - (((sums << 8) >>> byte) & 0xff)
  const zero = byte + SELECT[(rank << 8) | ((word >>> byte) & 0xff)]!
  const lower = word & ((1 << zero) - 1)
  if (lower !== 0) before = 31 - Math.clz32(lower)
  return (position + zero - unary - bucket) * BUCKET_ROWS + (zero - before - 1)
}

/**
 * Where the 1 of a row stands, in bits from the start of the unary part, which is bit `unary` counted from word `base`.
 * Less the number of the row, it is the bucket. Requires: there is such a row. Cost: reads the unary part up to there.
 */
export function placeOfRow(words: Uint32Array, base: number, unary: number, row: number): number {
  let at = base + (unary >>> 5)
  let place = -(unary & 31)
  let word = words[at]! & (-1 << (unary & 31))
  let ones = onesUpTo(word) >>> 24
  let left = row
  while (left >= ones) {
    left -= ones
    word = words[++at]!
    place += 32
    ones = onesUpTo(word) >>> 24
  }
  for (; left > 0; left--) word &= word - 1
  return place + 31 - Math.clz32(word & -word)
}

/** Writes the directory of a page, row by row. */
export class DirectoryWriter {
  readonly #words: Uint32Array
  readonly #samples: number
  readonly #sampleBits: number
  readonly #unary: number
  /** The next bucket that has a sample. */
  #sampled = 0

  constructor(words: Uint32Array, directory: number, rows: number, buckets: number) {
    this.#words = words
    this.#samples = directory
    this.#sampleBits = sampleBits(rows, buckets)
    this.#unary = directory + sampleCount(buckets) * this.#sampleBits
  }

  /** Requires: rows come in order, so that buckets ascend. */
  add(row: number, bucket: number): void {
    const words = this.#words
    for (; this.#sampled <= bucket; this.#sampled += SAMPLE_INTERVAL) {
      const bits = this.#sampleBits
      const at = this.#samples + (this.#sampled / SAMPLE_INTERVAL) * bits
      const sample = row + this.#sampled
      words[at >>> 5]! |= sample << (at & 31)
      if ((at & 31) + bits > 32) words[(at >>> 5) + 1]! |= sample >>> (32 - (at & 31))
    }
    const one = this.#unary + row + bucket
    words[one >>> 5]! |= 1 << (one & 31)
  }
}
