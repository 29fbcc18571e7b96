/**
 * Finds a key in a data page as it lies in memory, and reads single values. The picture of a page is in
 * data-page-encoder.ts; data-page-decoder.ts reads whole pages.
 *
 * One reader serves all pages of a layout in turn (`open`); it allocates nothing, so that a lookup in a cached page costs no
 * garbage. Hot. docs/file-format.md, Data page.
 */
import { KIND_COUNT } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { readBits } from './bits.js'
import { hasPutsOnly, laneWidth, readRowValues, rowsBit, shiftOf } from './data-page-row.js'
import { BUCKET_ROWS, countOnes, findBucket, sampleBits, sampleCount } from './elias-fano.js'
import { EXACT_MAX, bucketOf, offsetNumber, shiftOut, subtractKey } from './key-offset.js'
import {
  DATA_PAGE,
  KIND_WORD,
  PAGE_ROWS_MAX,
  dataPageLayout,
  directoryWords,
  kindIn,
  lowBitsIn,
  rowCountIn,
  type DataPageLayout,
} from './page-layout.js'

const TWO_32 = 2 ** 32
/** Heads of wide records have more lines than are worth touching. */
const TOUCHED_HEAD_MAX = 64
/** Of more rows than this in one bucket, halves are dropped; the rest is walked. */
const WALKED_ROWS = 8

export class DataPageReader {
  readonly #page: DataPageLayout
  #words: Uint32Array = new Uint32Array(0)
  /** First word of the page within `#words`. */
  #base = 0
  #rows = 0
  #lowBits = 0
  #buckets = 0
  #rowBits = 0
  #shift = 0
  /** Where the rows begin, in bits from the start of the page. */
  #rowsBit = 0
  /** Key minus first key, of the key that is looked for; of one or two lanes its low bits. */
  readonly #offset: Uint32Array
  #low = 0
  #high = 0
  /** Kept, so that touching is not optimised away. */
  readonly #touched = new Uint32Array(1)

  /** Rows [from, to) found by the last `find`. */
  from = 0
  to = 0

  constructor(layout: RecordLayout, pageBytes: number) {
    this.#page = dataPageLayout(layout, pageBytes)
    this.#offset = new Uint32Array(layout.keyLaneCount)
  }

  /** Rows of the open page. */
  get rows(): number {
    return this.#rows
  }

  /** Opens the page whose first word is `words[base]`. Requires: its checksum has been checked. */
  open(words: Uint32Array, base: number): void {
    this.#words = words
    this.#base = base
    const head = words[base + KIND_WORD]!
    this.#lowBits = lowBitsIn(head)
    this.#rows = rowCountIn(head)
    const buckets = words[base + this.#page.bucketsWord]!
    this.#buckets = buckets & 0xffff
    this.#rowBits = buckets >>> 16
    this.#shift = shiftOf(this.#page, words, base)
    this.#rowsBit = rowsBit(this.#page, words, base)
  }

  /** Why the open page cannot be a data page of this layout, or `undefined`. To be asked once, when it comes in. */
  defect(): string | undefined {
    const page = this.#page
    const kind = kindIn(this.#words[this.#base + KIND_WORD]!)
    if (kind !== DATA_PAGE) return `page kind ${kind}`
    if (this.#rows < 1 || this.#rows > PAGE_ROWS_MAX) return `${this.#rows} rows`
    if (this.#lowBits > (this.#buckets === 0 ? 52 : 32 * page.keyLaneCount))
      return `${this.#lowBits} low bits of a key`
    if (this.#shift > 32 * page.keyLaneCount) return `${this.#shift} zeros at the end of each key`
    let rowBits = this.#lowBits
    for (let lane = 0; lane < page.packedLaneCount; lane++) {
      const width = this.#width(lane)
      if (width > 32) return `a lane of ${width} bits`
      rowBits += width
    }
    if (rowBits !== this.#rowBits) return `rows of ${this.#rowBits} bits that take ${rowBits}`
    const last = page.packedLaneCount - 1
    // Read into columns of bytes, a greater number would pass for a known kind.
    if (this.#width(last) > 2 || this.#words[this.#base + page.basesWord + last]! >= KIND_COUNT)
      return 'unknown operation kinds'
    const bits = 32 * directoryWords(this.#rows, this.#buckets) + this.#rows * rowBits
    if (bits > page.freeBits) return `${bits} bits of rows in ${page.freeBits}`
    return this.#buckets === 0 ? this.#evenDefect() : this.#directoryDefect()
  }

  #evenDefect(): string | undefined {
    const distance = this.#distance()
    return distance < 1 || distance >= EXACT_MAX ? `keys ${distance} apart` : undefined
  }

  #directoryDefect(): string | undefined {
    const bits = this.#rows + this.#buckets
    const unary =
      this.#page.directoryWord * 32 + sampleCount(this.#buckets) * sampleBits(this.#rows, this.#buckets)
    const ones = countOnes(this.#words, this.#base, unary, bits)
    if (ones !== this.#rows) return `a directory of ${ones} rows in a page of ${this.#rows}`
    return readBits(this.#words, this.#base, unary + bits - 1, 1) === 0
      ? undefined
      : 'a directory that does not end'
  }

  /** Whether the samples of the directory fit the rest of it. Requires: no `defect`. Cost: walks the page. */
  samplesFit(): boolean {
    let row = 0
    for (let bucket = 0; bucket < this.#buckets; bucket++) {
      const found = this.#findBucket(bucket)
      row += found % BUCKET_ROWS
      if (Math.floor(found / BUCKET_ROWS) !== row) return false
    }
    return true
  }

  /** Finds the rows of `key` in the open page: `from` and `to`; true where there is one. */
  find(key: Uint32Array): boolean {
    this.from = this.to = 0
    if (this.#buckets === 0) return this.#findEven(key)
    return this.#offset.length <= 2 && this.#shift === 0 ? this.#findPair(key) : this.#findLanes(key)
  }

  /** For keys of one or two lanes: a key of one lane is one of two whose high lane is 0. Hot. */
  #findPair(key: Uint32Array): boolean {
    const words = this.#words
    const first = this.#base + this.#page.firstKeyWord
    const last = this.#offset.length - 1
    let low = key[last]! - words[first + last]!
    let high = last === 1 ? key[0]! - words[first]! : 0
    if (low < 0) {
      low += TWO_32
      high--
    }
    if (high < 0) return false
    const lowBits = this.#lowBits
    let bucket: number
    if (lowBits < 32) {
      bucket = Math.floor((high * TWO_32 + low) / 2 ** lowBits)
      low &= (1 << lowBits) - 1
      high = 0
    } else if (lowBits < 64) {
      bucket = high >>> (lowBits - 32)
      high &= (1 << (lowBits - 32)) - 1
    } else bucket = 0
    if (bucket >= this.#buckets) return false
    this.#low = low
    this.#high = high
    return this.#findInBucket(bucket)
  }

  /** For keys of any number of lanes. */
  #findLanes(key: Uint32Array): boolean {
    if (!this.#subtract(key)) return false
    const offset = this.#offset
    const bucket = bucketOf(offset, this.#lowBits)
    if (bucket >= this.#buckets) return false
    if (offset.length <= 2) {
      const lowBits = this.#lowBits
      this.#low = lowBits < 32 ? offset.at(-1)! & ((1 << lowBits) - 1) : offset.at(-1)!
      const high = offset.length === 2 ? offset[0]! : 0
      this.#high = lowBits <= 32 ? 0 : lowBits < 64 ? high & ((1 << (lowBits - 32)) - 1) : high
    }
    return this.#findInBucket(bucket)
  }

  /** `#offset` = key - first key, without the zeros at its end; false if it has others there, or is before the page. */
  #subtract(key: Uint32Array): boolean {
    const offset = this.#offset
    if (!subtractKey(key, this.#words, this.#base + this.#page.firstKeyWord, offset)) return false
    return this.#shift === 0 || shiftOut(offset, this.#shift)
  }

  #findEven(key: Uint32Array): boolean {
    if (!this.#subtract(key)) return false
    const offset = offsetNumber(this.#offset)
    const distance = this.#distance()
    const row = Math.floor(offset / distance)
    if (offset >= EXACT_MAX || row >= this.#rows) return false
    const low = offset - row * distance
    this.#low = low % TWO_32
    this.#high = Math.floor(low / TWO_32)
    // More bits than those of a row has none of them.
    if (low >= 2 ** this.#lowBits || this.#comparePair(row) !== 0) return false
    this.from = row
    this.to = row + 1
    return true
  }

  /** Finds the rows of the bucket that have the low bits of the key; they ascend. */
  #findInBucket(bucket: number): boolean {
    const found = this.#findBucket(bucket)
    const end = found >>> 16
    let from = end - (found & (BUCKET_ROWS - 1))
    // Samples of a damaged page may point anywhere.
    if (from < 0 || end > this.#rows) return false
    for (let above = end; above - from > WALKED_ROWS;) {
      const middle = (from + above) >>> 1
      if (this.#compare(middle) < 0) from = middle + 1
      else above = middle
    }
    let order = -1
    while (from < end && (order = this.#compare(from)) < 0) from++
    if (order !== 0) return false
    this.from = from
    let to = from + 1
    if (end - to > WALKED_ROWS) {
      for (let above = end; to < above;) {
        const middle = (to + above) >>> 1
        if (this.#compare(middle) > 0) above = middle
        else to = middle + 1
      }
    } else while (to < end && this.#compare(to) === 0) to++
    this.to = to
    return true
  }

  #findBucket(bucket: number): number {
    const directory = this.#page.directoryWord * 32
    return findBucket(this.#words, this.#base, directory, this.#rows, this.#buckets, bucket)
  }

  /** Less than 0 where the low bits of the row are below those of the key that is looked for, 0 where they are equal. */
  #compare(row: number): number {
    return this.#offset.length <= 2 ? this.#comparePair(row) : this.#compareLanes(row)
  }

  #comparePair(row: number): number {
    const lowBits = this.#lowBits
    const at = this.#rowAt(row)
    if (lowBits <= 32) return readBits(this.#words, this.#base, at, lowBits) - (this.#low >>> 0)
    const difference = readBits(this.#words, this.#base, at + 32, lowBits - 32) - (this.#high >>> 0)
    return difference === 0 ? readBits(this.#words, this.#base, at, 32) - (this.#low >>> 0) : difference
  }

  #compareLanes(row: number): number {
    const offset = this.#offset
    const at = this.#rowAt(row)
    for (let below = (this.#lowBits - 1) & ~31; below >= 0; below -= 32) {
      const width = Math.min(32, this.#lowBits - below)
      const lane = offset[offset.length - 1 - (below >>> 5)]!
      const difference =
        readBits(this.#words, this.#base, at + below, width) -
        (width === 32 ? lane : lane & ((1 << width) - 1))
      if (difference !== 0) return difference
    }
    return 0
  }

  /** Value lane `lane` (counted after the key lanes) of row `row`. */
  value(lane: number, row: number): number {
    let at = this.#rowAt(row) + this.#lowBits
    for (let before = 0; before < lane; before++) at += this.#width(before)
    const offset = readBits(this.#words, this.#base, at, this.#width(lane))
    return (this.#words[this.#base + this.#page.basesWord + lane]! + offset) >>> 0
  }

  /** Operation kind of row `row`. */
  kind(row: number): number {
    return this.value(this.#page.packedLaneCount - 1, row)
  }

  /** Whether every row of the page is a put. */
  get allPuts(): boolean {
    return hasPutsOnly(this.#page, this.#words, this.#base)
  }

  /** Puts the value lanes of row `row` into row 0 of `lanes`, which begin with the key lanes. */
  readValues(row: number, lanes: readonly Uint32Array[]): void {
    readRowValues(this.#page, this.#words, this.#base, 32 * this.#base + this.#rowAt(row), lanes, 0)
  }

  /**
   * Reads a word of each line that a key is likely to need, so that all are on their way from memory before the first is
   * used. `share`: where the key lies between the first keys of its page and the next page, 0 to 1.
   */
  touch(words: Uint32Array, base: number, share: number): void {
    const { freeBits, directoryWord } = this.#page
    const free = freeBits >>> 5
    const head = Math.min(directoryWord, TOUCHED_HEAD_MAX)
    // About a tenth of a page is directory; rows fill the rest to the end.
    const unary = base + head + Math.floor(free * (0.007 + 0.025 * share))
    const row = base + head + Math.floor(free * 0.033) + Math.floor(share * free * 0.967)
    const last = base + head + free - 1
    this.#touched[0]! ^=
      words[base]! ^
      words[unary]! ^
      words[Math.max(base, row - 24)]! ^
      words[Math.max(base, row - 8)]! ^
      words[Math.min(last, row + 8)]! ^
      words[Math.min(last, row + 24)]!
  }

  #width(lane: number): number {
    return laneWidth(this.#page, this.#words, this.#base, lane)
  }

  /** Where the row begins, in bits from the start of the page. */
  #rowAt(row: number): number {
    return this.#rowsBit + row * this.#rowBits
  }

  /** Of a page with even keys. */
  #distance(): number {
    const at = this.#base + this.#page.directoryWord
    return this.#words[at]! + this.#words[at + 1]! * TWO_32
  }
}
