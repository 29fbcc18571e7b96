/**
 * The keys of a data page as it lies in memory: the key of a row, and where a key belongs among them. For ranges, whose
 * bounds are seldom keys of the page; data-page-reader.ts finds keys that are there. docs/file-format.md, Data page.
 */
import { compareKeys } from '../records/compare.js'
import type { RecordLayout } from '../records/record-layout.js'
import { readBits } from './bits.js'
import { rowsBit, shiftOf } from './data-page-row.js'
import { BUCKET_ROWS, findBucket, placeOfRow, sampleBits, sampleCount } from './elias-fano.js'
import { bucketOf, offsetNumber, shiftLeft, shiftRight, subtractKey } from './key-offset.js'
import { dataPageLayout, KIND_WORD, lowBitsIn, rowCountIn, type DataPageLayout } from './page-layout.js'

const TWO_32 = 2 ** 32

export class PageKeys {
  readonly #page: DataPageLayout
  readonly #offset: Uint32Array
  readonly #key: Uint32Array
  #words: Uint32Array = new Uint32Array(0)
  #base = 0
  #lowBits = 0
  #buckets = 0
  #shift = 0
  /** Rows of the open page. */
  rows = 0

  constructor(layout: RecordLayout, pageBytes: number) {
    this.#page = dataPageLayout(layout, pageBytes)
    this.#offset = new Uint32Array(layout.keyLaneCount)
    this.#key = new Uint32Array(layout.keyLaneCount)
  }

  /** Opens the page whose first word is `words[base]`. Requires: it has no `defect`. */
  open(words: Uint32Array, base: number): void {
    this.#words = words
    this.#base = base
    const head = words[base + KIND_WORD]!
    this.rows = rowCountIn(head)
    this.#lowBits = lowBitsIn(head)
    this.#buckets = words[base + this.#page.bucketsWord]! & 0xffff
    this.#shift = shiftOf(this.#page, words, base)
  }

  /** The first row whose key is not below `key`, with `above` whose key is above it; `rows` where there is none. */
  placeOf(key: Uint32Array, above: boolean): number {
    const offset = this.#offset
    const { firstKeyWord, directoryWord } = this.#page
    if (!subtractKey(key, this.#words, this.#base + firstKeyWord, offset)) return 0
    shiftRight(offset, this.#shift)
    if (this.#buckets === 0) {
      // Row r lies between r and r + 1 times the distance.
      const row = Math.floor(offsetNumber(offset) / this.#distance())
      return row < this.rows ? this.#placeIn(0, row, row + 1, key, above) : this.rows
    }
    const bucket = bucketOf(offset, this.#lowBits)
    if (bucket >= this.#buckets) return this.rows
    const found = findBucket(this.#words, this.#base, directoryWord * 32, this.rows, this.#buckets, bucket)
    // Samples of a damaged page may point anywhere.
    const end = Math.min(this.rows, Math.floor(found / BUCKET_ROWS))
    return this.#placeIn(bucket, Math.max(0, end - (found % BUCKET_ROWS)), end, key, above)
  }

  /** Puts the key of row `row` into `key`. */
  read(row: number, key: Uint32Array): void {
    this.#readIn(this.#buckets === 0 ? 0 : this.#bucketOf(row), row, key)
  }

  /** As {@link read}, of a row in a bucket that is known. */
  #readIn(bucket: number, row: number, key: Uint32Array): void {
    const { firstKeyWord, bucketsWord } = this.#page
    const words = this.#words
    const base = this.#base
    const lowBits = this.#lowBits
    const last = key.length - 1
    let at = rowsBit(this.#page, words, base) + row * (words[base + bucketsWord]! >>> 16)
    for (let lane = last, left = lowBits; lane >= 0; lane--, left -= 32) {
      const width = Math.max(0, Math.min(32, left))
      key[lane] = readBits(words, base, at, width)
      at += width
    }
    if (this.#buckets === 0) this.#addDistance(row, key)
    else this.#addBucket(bucket, key)
    if (this.#shift > 0) shiftLeft(key, this.#shift)
    let carry = 0
    for (let lane = last; lane >= 0; lane--) {
      const sum = key[lane]! + words[base + firstKeyWord + lane]! + carry
      key[lane] = sum
      carry = sum >= TWO_32 ? 1 : 0
    }
  }

  /** The place among rows [from, to), which are those of a bucket. */
  #placeIn(bucket: number, from: number, to: number, key: Uint32Array, above: boolean): number {
    let low = from
    let high = to
    while (low < high) {
      const middle = (low + high) >>> 1
      this.#readIn(bucket, middle, this.#key)
      const order = compareKeys(key, this.#key)
      if (order > 0 || (above && order === 0)) low = middle + 1
      else high = middle
    }
    return low
  }

  #bucketOf(row: number): number {
    const buckets = this.#buckets
    const unary = this.#page.directoryWord * 32 + sampleCount(buckets) * sampleBits(this.rows, buckets)
    return placeOfRow(this.#words, this.#base, unary, row) - row
  }

  #addBucket(bucket: number, key: Uint32Array): void {
    const lane = key.length - 1 - (this.#lowBits >>> 5)
    const shift = this.#lowBits & 31
    // All bits of the key are low bits: there is one bucket.
    if (lane < 0) return
    key[lane]! |= bucket << shift
    if (shift > 16 && lane > 0) key[lane - 1]! |= bucket >>> (32 - shift)
  }

  /** Adds row * distance: below 2^52. */
  #addDistance(row: number, key: Uint32Array): void {
    const last = key.length - 1
    const high = last > 0 ? key[last - 1]! : 0
    const offset = row * this.#distance() + high * TWO_32 + key[last]!
    key[last] = offset % TWO_32
    if (last > 0) key[last - 1] = Math.floor(offset / TWO_32)
  }

  /** Of a page with even keys. */
  #distance(): number {
    const at = this.#base + this.#page.directoryWord
    return this.#words[at]! + this.#words[at + 1]! * TWO_32
  }
}
