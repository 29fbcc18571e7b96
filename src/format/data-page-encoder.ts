/**
 * Packs sorted operations into data pages: as many rows a page as fit.
 *
 * A row has the low bits of its key and its values side by side, each with as many bits as the page needs for it. The upper
 * bits of the keys stand in a directory (`elias-fano.ts`). Where the keys are even enough that row r is the only one from
 * first key + r * distance on, up to the next such point, the page says that distance and has no directory. Hot: the loops
 * are plain and work on many rows at once. docs/file-format.md, Data page.
 *
 *     page header  checksum, kind, low bits of a key in its row, row count
 *     first key    a word for each key lane
 *     buckets      u16; 0: the keys are even
 *     row bits     u16
 *     shift        a byte: zeros at the end of all keys, counted from the first one, that are left out
 *     widths       a byte for each value lane, one for the kinds
 *     padding      to a whole word
 *     bases        a word for each value lane, one for the kinds
 *     directory    samples and unary part; or the distance of even keys
 *     rows         from the next word on: low bits of the key, then value lanes and kind minus their bases; then zeros
 */
import { assert } from '../base/assert.js'
import { DELETE_KEY, type WideOperations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { bitWidth, packStrided } from './bits.js'
import { BUCKETS_MAX, DirectoryWriter } from './elias-fano.js'
import { bucketOf, offsetNumber } from './key-offset.js'
import { KernelPageEncoder } from './kernel-page-encoder.js'
import { viewOf, wordsOf } from './little-endian.js'
import { PageExtent } from './page-extent.js'
import {
  DATA_PAGE,
  EVEN_DIRECTORY_WORDS,
  LOW_BITS_AT,
  PAGE_KIND_AT,
  PAGE_ROWS_MAX,
  ROW_COUNT_AT,
  dataPageLayout,
  directoryWords,
  type DataPageLayout,
} from './page-layout.js'
import { RowOffsets } from './row-offsets.js'

/** Rows for which there is room at first. */
const FIRST_ROWS = 512
/** Rows that are tried together after the first guess; then twice as many, and so on. */
const STEP_ROWS = 8
const TWO_32 = 2 ** 32
/** Low bits are counted in a byte. */
const LOW_BITS_MAX = 255
/** How the keys of a page are written. */
interface KeyCode {
  /** Bits of all rows and the directory. */
  bits: number
  lowBits: number
  /** 0: the keys are even. */
  buckets: number
}

export class DataPageEncoder {
  readonly #layout: RecordLayout
  readonly #page: DataPageLayout
  /** Columns of one page, grown to the rows that pages turn out to have: low bits of keys, lowest lane first; values. */
  #lows: Uint32Array[] = []
  #scratch: Uint32Array = new Uint32Array(0)
  readonly #offsets: RowOffsets
  /** The rows that fit so far, and those that are tried. */
  #accepted: PageExtent
  #tried: PageExtent
  /** How the keys of the accepted rows are written. */
  #code: KeyCode = { bits: 0, lowBits: 0, buckets: 0 }
  readonly #kernel: KernelPageEncoder | undefined
  /** Whether the kernel has counted the rows of the last `fit`. */
  #byKernel = false
  /** The rows of the last `fit` and the first of them, for `write`; whether they have been written, for `bounds`. */
  #fitRows: WideOperations | undefined
  #fitFrom = 0
  #written = false

  constructor(layout: RecordLayout, pageBytes: number) {
    this.#layout = layout
    this.#page = dataPageLayout(layout, pageBytes)
    this.#kernel = KernelPageEncoder.create(this.#page, pageBytes)
    this.#reserve(FIRST_ROWS)
    this.#offsets = new RowOffsets(layout.keyLaneCount)
    this.#accepted = new PageExtent(this.#page)
    this.#tried = new PageExtent(this.#page)
  }

  /**
   * How many of the sorted rows [from, to) go into one page; at least one. Where it returns all of them, more might
   * have fitted. Prepares `write` for just these rows.
   */
  fit(rows: WideOperations, from: number, to: number): number {
    assert(from < to, 'a page has a row at least')
    this.#fitRows = rows
    this.#fitFrom = from
    this.#written = false
    // Pages resemble each other, so nearly all rows of a page go in at once; other steps are powers of two.
    const firstStep = Math.max(1, this.#accepted.rows - STEP_ROWS)
    this.#byKernel = this.#kernel?.takes(rows) === true
    if (this.#byKernel) this.#accepted.rows = this.#kernel!.fit(rows, from, to, firstStep)
    else this.#extend(rows, from, to, firstStep)
    return this.#accepted.rows
  }

  #extend(rows: WideOperations, from: number, to: number, firstStep: number): void {
    this.#offsets.begin(rows, from)
    let step = firstStep
    let nextStep = STEP_ROWS
    this.#accepted.reset()
    const end = Math.min(to, from + PAGE_ROWS_MAX)
    let full = false
    // Bits only ever grow with the rows: once a step does not fit, halves of it find the last row that does.
    while (step > 0 && from + this.#accepted.rows < end) {
      const rowsToTry = Math.min(step, end - from - this.#accepted.rows)
      this.#tried.copyFrom(this.#accepted)
      this.#tried.extend(rows, from, rowsToTry, this.#offsets)
      const code = this.#keyCode(this.#tried)
      if (code.bits <= this.#page.freeBits) {
        ;[this.#accepted, this.#tried] = [this.#tried, this.#accepted]
        this.#code = code
        if (full) step >>>= 1
        else {
          step = nextStep
          nextStep *= 2
        }
      } else {
        step = full ? step >>> 1 : 2 ** (bitWidth(step) - 1)
        // The same rows once more would not fit either.
        if (!full && step === rowsToTry) step >>>= 1
        full = true
      }
    }
  }

  /** Writes the rows that `fit` has counted into the zeroed page `bytes`; the checksum is the caller's. */
  write(rows: WideOperations, from: number, bytes: Uint8Array): void {
    assert(this.#fitRows === rows && this.#fitFrom === from, '`fit` has counted the rows that `write` gets')
    if (this.#byKernel) {
      this.#kernel!.write(from, bytes)
      this.#kernel!.copyBounds(this.#accepted.min, this.#accepted.max)
    } else this.#writePage(rows, from, bytes)
    this.#fitRows = undefined
    this.#written = true
  }

  #writePage(rows: WideOperations, from: number, bytes: Uint8Array): void {
    const page = this.#page
    const extent = this.#accepted
    const { lowBits, buckets } = this.#code
    const words = wordsOf(bytes)
    this.#reserve(extent.rows)
    bytes[PAGE_KIND_AT] = DATA_PAGE
    bytes[LOW_BITS_AT] = lowBits
    viewOf(bytes).setUint16(ROW_COUNT_AT, extent.rows, true)
    words.set(this.#offsets.firstKey, page.firstKeyWord)
    const rowsWord = page.directoryWord + directoryWords(extent.rows, buckets)
    if (buckets === 0) this.#writeEvenKeys(words)
    else if (page.keyLaneCount <= 2 && extent.shift === 0) this.#writeDirectory2(rows, from, words)
    else this.#writeDirectory(words)
    const rowBits = lowBits + extent.valueBits
    words[page.bucketsWord] = buckets | (rowBits << 16)
    bytes[page.widthsWord * 4] = extent.shift
    let position = rowsWord * 32
    for (let low = 0, left = lowBits; left > 0; low++, left -= 32) {
      packStrided(words, position, rowBits, this.#lows[low]!, 0, extent.rows, 0, Math.min(32, left))
      position += Math.min(32, left)
    }
    for (let packed = 0; packed < page.packedLaneCount; packed++) {
      const base = extent.min[packed]! <= extent.max[packed]! ? extent.min[packed]! : 0
      const width = extent.width(packed)
      words[page.basesWord + packed] = base
      bytes[page.widthsWord * 4 + 1 + packed] = width
      if (width === 0) continue
      const { values, from: first } = this.#packedColumn(rows, packed, from, extent.rows, base)
      packStrided(words, position, rowBits, values, first, first + extent.rows, base, width)
      position += width
    }
    assert(rowsWord * 32 + extent.rows * rowBits <= words.length * 32, 'the rows of a page end within it')
  }

  /** The least and greatest value of value lane `lane` in the page just written; min > max where it has none. */
  bounds(valueLane: number): { min: number; max: number } {
    assert(this.#written, '`bounds` are those of a page that was written')
    return { min: this.#accepted.min[valueLane]!, max: this.#accepted.max[valueLane]! }
  }

  /** The distance of even keys; low bits go to `#lows`. */
  #writeEvenKeys(words: Uint32Array): void {
    const { distance, rows: count, shift } = this.#accepted
    words[this.#page.directoryWord] = distance % TWO_32
    words[this.#page.directoryWord + 1] = Math.floor(distance / TWO_32)
    const [low, high] = this.#lows
    for (let row = 0; row < count; row++) {
      const above = this.#offsets.numberOf(row, shift) - row * distance
      low![row] = above % TWO_32
      if (high !== undefined) high[row] = Math.floor(above / TWO_32)
    }
  }

  /** Samples and unary part; low bits go to `#lows`. Any number of key lanes. */
  #writeDirectory(words: Uint32Array): void {
    const { lowBits, buckets } = this.#code
    const { rows: count, shift } = this.#accepted
    const { offset } = this.#offsets
    const writer = new DirectoryWriter(words, this.#page.directoryWord * 32, count, buckets)
    for (let row = 0; row < count; row++) {
      this.#offsets.subtract(row, shift)
      writer.add(row, bucketOf(offset, lowBits))
      for (let low = 0, left = lowBits; left > 0; low++, left -= 32) {
        const lane = offset[offset.length - 1 - low]!
        this.#lows[low]![row] = left < 32 ? lane & ((1 << left) - 1) : lane
      }
    }
  }

  /** The same for keys of one or two lanes, where most of the time goes otherwise: of one the high lane is 0. */
  #writeDirectory2(rows: WideOperations, from: number, words: Uint32Array): void {
    const { lowBits, buckets } = this.#code
    const { rows: count } = this.#accepted
    const writer = new DirectoryWriter(words, this.#page.directoryWord * 32, count, buckets)
    const { firstKey } = this.#offsets
    const last = firstKey.length - 1
    const lows = rows.lanes[last]!
    const highs = last === 1 ? rows.lanes[0]! : undefined
    const outLow = this.#lows[0]!
    const outHigh = this.#lows[1]
    const firstLow = firstKey[last]!
    const firstHigh = last === 1 ? firstKey[0]! : 0
    const lowMask = lowBits < 32 ? (1 << lowBits) - 1 : -1
    const highMask = lowBits <= 32 ? 0 : lowBits < 64 ? (1 << (lowBits - 32)) - 1 : -1
    for (let row = 0; row < count; row++) {
      let low = lows[from + row]! - firstLow
      let high = highs === undefined ? 0 : highs[from + row]! - firstHigh
      if (low < 0) {
        low += TWO_32
        high--
      }
      outLow[row] = low & lowMask
      if (outHigh !== undefined) outHigh[row] = high & highMask
      // With less than 32 low bits there are less than 16 of the high lane: no more buckets are allowed.
      const bucket =
        lowBits < 32
          ? ((lowBits === 0 ? 0 : high << (32 - lowBits)) | (low >>> lowBits)) >>> 0
          : lowBits < 64
            ? high >>> (lowBits - 32)
            : 0
      writer.add(row, bucket)
    }
  }

  /** The column to pack; where deletes stand in it, a copy in which they hold `base`. */
  #packedColumn(rows: WideOperations, packed: number, from: number, count: number, base: number) {
    const scratch = this.#scratch
    const { kinds } = rows
    if (packed === this.#page.packedLaneCount - 1) {
      for (let row = 0; row < count; row++) scratch[row] = kinds![from + row]!
      return { values: scratch, from: 0 }
    }
    const values = rows.lanes[this.#layout.keyLaneCount + packed]!
    if (kinds === undefined) return { values, from }
    for (let row = 0; row < count; row++) {
      scratch[row] = kinds[from + row] === DELETE_KEY ? base : values[from + row]!
    }
    return { values: scratch, from: 0 }
  }

  #reserve(rows: number): void {
    if (rows <= this.#scratch.length) return
    const capacity = Math.min(PAGE_ROWS_MAX, Math.max(rows, 2 * this.#scratch.length))
    this.#lows = Array.from({ length: this.#layout.keyLaneCount }, () => new Uint32Array(capacity))
    this.#scratch = new Uint32Array(capacity)
  }

  /** The shortest way to write the keys of the extent. */
  #keyCode(extent: PageExtent): KeyCode {
    const { valueBits } = extent
    const code = this.#bucketCode(extent)
    code.bits += extent.rows * valueBits
    if (!extent.even || extent.rows < 2) return code
    const lowBits = bitsOf(extent.greatestLow)
    const bits = 32 * EVEN_DIRECTORY_WORDS + extent.rows * (lowBits + valueBits)
    return bits < code.bits ? { bits, lowBits, buckets: 0 } : code
  }

  /** Low bits and buckets of the keys: those that take the fewest bits, values apart. */
  #bucketCode({ rows: count, shift }: PageExtent): KeyCode {
    this.#offsets.subtract(count - 1, shift)
    const span = this.#offsets.offset
    const code = { bits: Infinity, lowBits: 0, buckets: 0 }
    // The best is close to where there are as many buckets as rows: one or two bits more than that, or one less.
    const about = floorLog2((offsetNumber(span) + 1) / count)
    const last = Math.min(LOW_BITS_MAX, about + 2)
    for (let lowBits = Math.max(0, about - 1); lowBits <= last || code.bits === Infinity; lowBits++) {
      const buckets = bucketOf(span, lowBits) + 1
      if (buckets > BUCKETS_MAX) continue
      const bits = 32 * directoryWords(count, buckets) + count * lowBits
      if (bits < code.bits) {
        code.bits = bits
        code.lowBits = lowBits
        code.buckets = buckets
      }
    }
    return code
  }
}

/** Bits of a number below 2^53. */
function bitsOf(number: number): number {
  return number < TWO_32 ? bitWidth(number) : 32 + bitWidth(Math.floor(number / TWO_32))
}

/** The greatest integer that is not above the logarithm, exactly; -1 for all numbers below 1. */
function floorLog2(number: number): number {
  let bits = 0
  for (; number >= TWO_32; number /= TWO_32) bits += 32
  return number < 1 ? -1 : bits + bitWidth(number) - 1
}
