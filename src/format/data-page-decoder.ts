/**
 * Reads whole data pages into columns: for scans and merges. Column by column, so that each loop is tight; and what is not
 * known of the rows before is not needed. docs/file-format.md, Data page.
 */
import { assert } from '../base/assert.js'
import { PUT, type OperationBuffer } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { unpackStrided } from './bits.js'
import { hasPutsOnly, laneWidth, shiftOf } from './data-page-row.js'
import { placeOfRow, sampleBits, sampleCount } from './elias-fano.js'
import { KernelPageDecoder } from './kernel-page-decoder.js'
import {
  KIND_WORD,
  PAGE_ROWS_MAX,
  dataPageLayout,
  directoryWords,
  lowBitsIn,
  rowCountIn,
  type DataPageLayout,
} from './page-layout.js'

const TWO_32 = 2 ** 32

export class DataPageDecoder {
  readonly #page: DataPageLayout
  readonly #kernel: KernelPageDecoder | undefined
  /** The buckets of the rows of a page; kinds. Grown to the rows that pages turn out to have. */
  #scratch = new Uint32Array(512)

  constructor(layout: RecordLayout, pageBytes: number) {
    this.#page = dataPageLayout(layout, pageBytes)
    this.#kernel = KernelPageDecoder.create(this.#page, pageBytes)
  }

  /**
   * Appends rows [from, to) of the page whose first word is `words[base]` to `into`, without bounds all. Requires: it has
   * no `defect`.
   */
  decode(
    words: Uint32Array,
    base: number,
    into: OperationBuffer,
    from = 0,
    to = rowCountIn(words[base + KIND_WORD]!),
  ): void {
    const page = this.#page
    const pageRows = rowCountIn(words[base + KIND_WORD]!)
    assert(
      pageRows > 0 && pageRows <= PAGE_ROWS_MAX,
      'a page is decoded after it was found to have no defect',
    )
    assert(from >= 0 && from <= to && to <= pageRows, 'only rows that a page has are decoded')
    const rows = to - from
    if (rows === 0) return
    into.reserve(rows)
    const kernel = rows === pageRows && this.#kernel?.takes(into.lanes) === true ? this.#kernel : undefined
    if (kernel !== undefined && hasPutsOnly(page, words, base)) {
      kernel.decode(words, base, into.lanes, into.count)
      into.kinds?.fill(PUT, into.count, into.count + rows)
      into.count += rows
    } else this.#decodeRows(words, base, into, from, rows, pageRows)
  }

  #decodeRows(
    words: Uint32Array,
    base: number,
    into: OperationBuffer,
    from: number,
    rows: number,
    pageRows: number,
  ): void {
    const page = this.#page
    const { keyLaneCount, packedLaneCount } = page
    const buckets = words[base + page.bucketsWord]! & 0xffff
    const rowBits = words[base + page.bucketsWord]! >>> 16
    const lowBits = lowBitsIn(words[base + KIND_WORD]!)
    const at = into.count
    if (this.#scratch.length < rows) this.#scratch = new Uint32Array(2 * rows)
    let position = (page.directoryWord + directoryWords(pageRows, buckets)) * 32 + from * rowBits
    for (let lane = keyLaneCount - 1, left = lowBits; lane >= 0; lane--, left -= 32) {
      const width = Math.max(0, Math.min(32, left))
      unpackStrided(words, base, position, rowBits, width, 0, rows, into.lanes[lane]!, at)
      position += width
    }
    const shift = shiftOf(page, words, base)
    const unary = page.directoryWord * 32 + sampleCount(buckets) * sampleBits(pageRows, buckets)
    if (buckets > 0 && keyLaneCount === 2 && shift === 0)
      this.#addBuckets2(words, base, unary, from, rows, lowBits, into.lanes, at)
    else {
      if (buckets === 0) this.#addEven(words, base, from, rows, into.lanes, at)
      else {
        this.#readBuckets(words, base, unary, from, rows)
        this.#addBuckets(lowBits, rows, into.lanes, at)
      }
      if (shift > 0) shiftLeft(into.lanes, keyLaneCount, shift, at, rows)
      addFirstKey(words, base + page.firstKeyWord, into.lanes, keyLaneCount, at, rows)
    }
    const width = (lane: number): number => laneWidth(page, words, base, lane)
    for (let lane = 0; lane < packedLaneCount - 1; lane++) {
      const out = into.lanes[keyLaneCount + lane]!
      unpackStrided(
        words,
        base,
        position,
        rowBits,
        width(lane),
        words[base + page.basesWord + lane]!,
        rows,
        out,
        at,
      )
      position += width(lane)
    }
    const kindLane = packedLaneCount - 1
    const kindBase = words[base + page.basesWord + kindLane]!
    if (width(kindLane) > 0 || kindBase !== PUT) {
      const kinds = into.ensureKinds()
      unpackStrided(words, base, position, rowBits, width(kindLane), kindBase, rows, this.#scratch, 0)
      for (let row = 0; row < rows; row++) kinds[at + row] = this.#scratch[row]!
    } else if (into.kinds !== undefined) {
      into.kinds.fill(PUT, at, at + rows)
    }
    into.count += rows
  }

  /** The buckets of rows from `first` on go to `#scratch`: the places of the 1s, without the zeros before them. */
  #readBuckets(words: Uint32Array, base: number, unary: number, first: number, rows: number): void {
    const out = this.#scratch
    const one = placeOfRow(words, base, unary, first)
    let at = base + ((unary + one) >>> 5)
    let word = words[at]! & (-1 << ((unary + one) & 31))
    /** Place of bit 0 of the word, from the start of the unary part, without the rows before. */
    let place = one - ((unary + one) & 31) - first
    for (let row = 0; row < rows; row++) {
      while (word === 0) {
        word = words[++at]!
        place += 32
      }
      out[row] = place + 31 - Math.clz32(word & -word) - row
      word &= word - 1
    }
  }

  /** Adds the buckets in `#scratch`, times 2^lowBits, to keys that hold their low bits. */
  #addBuckets(lowBits: number, rows: number, lanes: readonly Uint32Array[], at: number): void {
    const buckets = this.#scratch
    const shift = lowBits & 31
    const lane = this.#page.keyLaneCount - 1 - (lowBits >>> 5)
    // All bits of the key are low bits: there is one bucket.
    if (lane < 0) return
    const out = lanes[lane]!
    for (let row = 0; row < rows; row++) out[at + row]! |= buckets[row]! << shift
    if (shift <= 16 || lane === 0) return
    const above = lanes[lane - 1]!
    for (let row = 0; row < rows; row++) above[at + row]! |= buckets[row]! >>> (32 - shift)
  }

  /** For keys of two lanes (u64): reads the buckets, and adds them and the first key, in one pass. */
  #addBuckets2(
    words: Uint32Array,
    base: number,
    unary: number,
    first: number,
    rows: number,
    lowBits: number,
    lanes: readonly Uint32Array[],
    from: number,
  ): void {
    const [highs, lows] = [lanes[0]!, lanes[1]!]
    const { firstKeyWord } = this.#page
    const firstHigh = words[base + firstKeyWord]!
    const firstLow = words[base + firstKeyWord + 1]!
    const one = placeOfRow(words, base, unary, first)
    let at = base + ((unary + one) >>> 5)
    let word = words[at]! & (-1 << ((unary + one) & 31))
    /** Place of bit 0 of the word, from the start of the unary part, without the rows before. */
    let place = one - ((unary + one) & 31) - first
    const inHigh = lowBits >= 32
    const shift = lowBits & 31
    // With all 64 bits in the row there is one bucket, 0: whatever it is shifted by.
    for (let row = 0; row < rows; row++) {
      while (word === 0) {
        word = words[++at]!
        place += 32
      }
      const bucket = place + 31 - Math.clz32(word & -word) - row
      word &= word - 1
      let low = lows[from + row]!
      let high = firstHigh
      if (inHigh) high += highs[from + row]! + (bucket << shift)
      else {
        low = (low | (bucket << shift)) >>> 0
        if (shift > 16) high += bucket >>> (32 - shift)
      }
      low += firstLow
      lows[from + row] = low
      highs[from + row] = low >= TWO_32 ? high + 1 : high
    }
  }

  /** Adds row * distance to keys that hold what they are above it. Below 2^53. */
  #addEven(
    words: Uint32Array,
    base: number,
    first: number,
    rows: number,
    lanes: readonly Uint32Array[],
    at: number,
  ): void {
    const { keyLaneCount, directoryWord } = this.#page
    const distance = words[base + directoryWord]! + words[base + directoryWord + 1]! * TWO_32
    const low = lanes[keyLaneCount - 1]!
    if (keyLaneCount === 1) {
      for (let row = 0; row < rows; row++) low[at + row]! += (first + row) * distance
      return
    }
    const high = lanes[keyLaneCount - 2]!
    for (let row = 0; row < rows; row++) {
      const offset = (first + row) * distance + high[at + row]! * TWO_32 + low[at + row]!
      low[at + row] = offset % TWO_32
      high[at + row] = offset / TWO_32
    }
  }
}

/** Puts back the zeros at the end of keys. */
function shiftLeft(
  lanes: readonly Uint32Array[],
  keyLaneCount: number,
  shift: number,
  at: number,
  rows: number,
): void {
  const skipped = shift >>> 5
  const bits = shift & 31
  for (let lane = 0; lane < keyLaneCount; lane++) {
    const out = lanes[lane]!
    const source = lanes[lane + skipped]
    const next = lanes[lane + skipped + 1]
    const isKey = (other: number): boolean => other < keyLaneCount
    for (let row = at; row < at + rows; row++) {
      const high = isKey(lane + skipped) ? source![row]! << bits : 0
      const low = bits > 0 && isKey(lane + skipped + 1) ? next![row]! >>> (32 - bits) : 0
      out[row] = high | low
    }
  }
}

/** Adds the first key of the page to keys that were counted from it. */
function addFirstKey(
  words: Uint32Array,
  firstWord: number,
  lanes: readonly Uint32Array[],
  keyLaneCount: number,
  at: number,
  rows: number,
): void {
  if (keyLaneCount === 1) {
    const [low, first] = [lanes[0]!, words[firstWord]!]
    for (let row = at; row < at + rows; row++) low[row]! += first
  } else if (keyLaneCount === 2) {
    const [high, low] = [lanes[0]!, lanes[1]!]
    const [firstHigh, firstLow] = [words[firstWord]!, words[firstWord + 1]!]
    for (let row = at; row < at + rows; row++) {
      const sum = low[row]! + firstLow
      low[row] = sum
      high[row]! += firstHigh + (sum >= TWO_32 ? 1 : 0)
    }
  } else {
    for (let row = at; row < at + rows; row++) {
      let carry = 0
      for (let lane = keyLaneCount - 1; lane >= 0; lane--) {
        const sum = lanes[lane]![row]! + words[firstWord + lane]! + carry
        lanes[lane]![row] = sum
        carry = sum >= TWO_32 ? 1 : 0
      }
    }
  }
}
