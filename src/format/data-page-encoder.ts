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
import { DELETE_KEY, PUT, type Operations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { bitWidth, packStrided } from './bits.js'
import { BUCKETS_MAX, SAMPLE_INTERVAL, sampleBits, sampleCount } from './elias-fano.js'
import { EXACT_MAX, bucketOf, offsetNumber, shiftOut, subtractKey, trailingZeros } from './key-offset.js'
import { viewOf, wordsOf } from './little-endian.js'
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

/** Rows for which there is room at first. */
const FIRST_ROWS = 512
/** Rows that are tried together after the first guess; then twice as many, and so on. */
const STEP_ROWS = 8
const TWO_32 = 2 ** 32
/** Low bits are counted in a byte. */
const LOW_BITS_MAX = 255
/** So are the zeros at the end of keys. */
const SHIFT_MAX = 254
/** Fewer zeros are not left out: that would cost more time than it saves bits. */
const SHIFT_MIN = 16
/** All keys so far are the first one. */
const NO_OTHER_KEY = 255

/** What is known of the first rows of a page; it decides whether more fit. */
interface Extent {
  rows: number
  min: Uint32Array
  max: Uint32Array
  /** All keys minus the first one, or-ed together; and the zeros at the end of that. */
  bits: Uint32Array
  shift: number
  /** Whether keys are even so far: row r, and no other, from r * distance up to (r + 1) * distance after the first key. */
  even: boolean
  /** The greatest distance for which that is so, the least one, and how far a key is above r * distance at most. */
  distance: number
  leastDistance: number
  greatestLow: number
}

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
  /** A key minus the first key. */
  readonly #offset: Uint32Array
  readonly #firstKey: Uint32Array
  readonly #key: Uint32Array
  #accepted: Extent
  #tried: Extent
  /** That of the accepted rows, and that of those just tried. */
  #code: KeyCode = { bits: 0, lowBits: 0, buckets: 0 }
  /** The rows of the last `fit` and the first of them, for `write`; whether they have been written, for `bounds`. */
  #fitRows: Operations | undefined
  #fitFrom = 0
  #written = false

  constructor(layout: RecordLayout, pageBytes: number) {
    this.#layout = layout
    this.#page = dataPageLayout(layout, pageBytes)
    this.#reserve(FIRST_ROWS)
    this.#offset = new Uint32Array(layout.keyLaneCount)
    this.#firstKey = new Uint32Array(layout.keyLaneCount)
    this.#key = new Uint32Array(layout.keyLaneCount)
    this.#accepted = this.#newExtent()
    this.#tried = this.#newExtent()
  }

  /**
   * How many of the sorted rows [from, to) go into one page; at least one. Where it returns all of them, more might
   * have fitted. Prepares `write` for just these rows.
   */
  fit(rows: Operations, from: number, to: number): number {
    assert(from < to, 'a page has a row at least')
    this.#fitRows = rows
    this.#fitFrom = from
    this.#written = false
    for (let lane = 0; lane < this.#firstKey.length; lane++) this.#firstKey[lane] = rows.lanes[lane]![from]!
    // Pages resemble each other, so nearly all rows of a page go in at once; other steps are powers of two.
    let step = Math.max(1, this.#accepted.rows - STEP_ROWS)
    let nextStep = STEP_ROWS
    this.#reset(this.#accepted)
    const end = Math.min(to, from + PAGE_ROWS_MAX)
    let full = false
    // Bits only ever grow with the rows: once a step does not fit, halves of it find the last row that does.
    while (step > 0 && from + this.#accepted.rows < end) {
      const begin = this.#accepted.rows
      const rowsToTry = Math.min(step, end - from - begin)
      this.#copy(this.#accepted, this.#tried)
      this.#extend(this.#tried, rows, from, begin, begin + rowsToTry)
      const code = this.#keyCode(this.#tried, rows, from)
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
    return this.#accepted.rows
  }

  /** Writes the rows that `fit` has counted into the zeroed page `bytes`; the checksum is the caller's. */
  write(rows: Operations, from: number, bytes: Uint8Array): void {
    assert(this.#fitRows === rows && this.#fitFrom === from, '`fit` has counted the rows that `write` gets')
    const page = this.#page
    const extent = this.#accepted
    const { lowBits, buckets } = this.#code
    const words = wordsOf(bytes)
    this.#reserve(extent.rows)
    bytes[PAGE_KIND_AT] = DATA_PAGE
    bytes[LOW_BITS_AT] = lowBits
    viewOf(bytes).setUint16(ROW_COUNT_AT, extent.rows, true)
    words.set(this.#firstKey, page.firstKeyWord)
    const rowsWord = page.directoryWord + directoryWords(extent.rows, buckets)
    if (buckets === 0) this.#writeEvenKeys(rows, from, words)
    else if (this.#firstKey.length <= 2 && extent.shift === 0) this.#writeDirectory2(rows, from, words)
    else this.#writeDirectory(rows, from, words)
    let rowBits = lowBits
    for (let packed = 0; packed < page.packedLaneCount; packed++) rowBits += packedWidth(extent, packed)
    words[page.bucketsWord] = buckets | (rowBits << 16)
    bytes[page.widthsWord * 4] = extent.shift === NO_OTHER_KEY ? 0 : extent.shift
    let position = rowsWord * 32
    for (let low = 0, left = lowBits; left > 0; low++, left -= 32) {
      packStrided(words, position, rowBits, this.#lows[low]!, 0, extent.rows, 0, Math.min(32, left))
      position += Math.min(32, left)
    }
    for (let packed = 0; packed < page.packedLaneCount; packed++) {
      const base = extent.min[packed]! <= extent.max[packed]! ? extent.min[packed]! : 0
      const width = packedWidth(extent, packed)
      words[page.basesWord + packed] = base
      bytes[page.widthsWord * 4 + 1 + packed] = width
      if (width === 0) continue
      const { values, from: first } = this.#packedColumn(rows, packed, from, extent.rows, base)
      packStrided(words, position, rowBits, values, first, first + extent.rows, base, width)
      position += width
    }
    assert(rowsWord * 32 + extent.rows * rowBits <= words.length * 32, 'the rows of a page end within it')
    this.#fitRows = undefined
    this.#written = true
  }

  /** The least and greatest value of value lane `lane` in the page just written; min > max where it has none. */
  bounds(valueLane: number): { min: number; max: number } {
    assert(this.#written, '`bounds` are those of a page that was written')
    return { min: this.#accepted.min[valueLane]!, max: this.#accepted.max[valueLane]! }
  }

  /** The distance of even keys; low bits go to `#lows`. */
  #writeEvenKeys(rows: Operations, from: number, words: Uint32Array): void {
    const { distance, rows: count, shift } = this.#accepted
    words[this.#page.directoryWord] = distance % TWO_32
    words[this.#page.directoryWord + 1] = Math.floor(distance / TWO_32)
    const [low, high] = this.#lows
    for (let row = 0; row < count; row++) {
      const above = this.#offsetNumberOf(rows, from + row, shift) - row * distance
      low![row] = above % TWO_32
      if (high !== undefined) high[row] = Math.floor(above / TWO_32)
    }
  }

  /** Samples and unary part; low bits go to `#lows`. Any number of key lanes. */
  #writeDirectory(rows: Operations, from: number, words: Uint32Array): void {
    const { lowBits, buckets } = this.#code
    const { rows: count, shift } = this.#accepted
    const offset = this.#offset
    const writer = new DirectoryWriter(words, this.#page.directoryWord * 32, count, buckets)
    for (let row = 0; row < count; row++) {
      this.#subtract(rows, from + row, shift)
      writer.add(row, bucketOf(offset, lowBits))
      for (let low = 0, left = lowBits; left > 0; low++, left -= 32) {
        const lane = offset[offset.length - 1 - low]!
        this.#lows[low]![row] = left < 32 ? lane & ((1 << left) - 1) : lane
      }
    }
  }

  /** The same for keys of one or two lanes, where most of the time goes otherwise: of one the high lane is 0. */
  #writeDirectory2(rows: Operations, from: number, words: Uint32Array): void {
    const { lowBits, buckets } = this.#code
    const { rows: count } = this.#accepted
    const writer = new DirectoryWriter(words, this.#page.directoryWord * 32, count, buckets)
    const last = this.#firstKey.length - 1
    const lows = rows.lanes[last]!
    const highs = last === 1 ? rows.lanes[0]! : undefined
    const outLow = this.#lows[0]!
    const outHigh = this.#lows[1]
    const firstLow = this.#firstKey[last]!
    const firstHigh = last === 1 ? this.#firstKey[0]! : 0
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
  #packedColumn(rows: Operations, packed: number, from: number, count: number, base: number) {
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

  #newExtent(): Extent {
    return {
      rows: 0,
      min: new Uint32Array(this.#page.packedLaneCount),
      max: new Uint32Array(this.#page.packedLaneCount),
      bits: new Uint32Array(this.#layout.keyLaneCount),
      shift: 0,
      even: true,
      distance: EXACT_MAX,
      leastDistance: 1,
      greatestLow: 0,
    }
  }

  #reset(extent: Extent): void {
    extent.rows = 0
    extent.min.fill(0xffffffff)
    extent.max.fill(0)
    extent.bits.fill(0)
    extent.shift = NO_OTHER_KEY
    extent.even = true
    extent.distance = EXACT_MAX
    extent.leastDistance = 1
    extent.greatestLow = 0
  }

  #copy(from: Extent, to: Extent): void {
    to.rows = from.rows
    to.min.set(from.min)
    to.max.set(from.max)
    to.bits.set(from.bits)
    to.shift = from.shift
    to.even = from.even
    to.distance = from.distance
    to.leastDistance = from.leastDistance
    to.greatestLow = from.greatestLow
  }

  /** Takes rows `begin` to `end` of the page (which starts at row `from`) into `extent`. */
  #extend(extent: Extent, rows: Operations, from: number, begin: number, end: number): void {
    extent.rows = end
    if (extent.shift > 0) this.#extendShift(extent, rows, from, begin, end)
    if (extent.even) this.#extendEven(extent, rows, from, begin, end)
    const { keyLaneCount } = this.#layout
    const { kinds } = rows
    const kindLane = this.#page.packedLaneCount - 1
    for (let packed = 0; packed < kindLane; packed++) {
      const values = rows.lanes[keyLaneCount + packed]!
      if (kinds === undefined) widen(extent, packed, values, from + begin, from + end)
      else widenLive(extent, packed, values, kinds, from + begin, from + end)
    }
    let minKind = extent.min[kindLane]!
    let maxKind = extent.max[kindLane]!
    if (kinds === undefined) minKind = PUT
    else {
      for (let row = from + begin; row < from + end; row++) {
        const kind = kinds[row]!
        if (kind < minKind) minKind = kind
        if (kind > maxKind) maxKind = kind
      }
    }
    extent.min[kindLane] = minKind
    extent.max[kindLane] = maxKind
  }

  /** Zeros at the end of all keys. For keys at random the first few rows say that there are none. */
  #extendShift(extent: Extent, rows: Operations, from: number, begin: number, end: number): void {
    const before = extent.shift
    const { bits } = extent
    const last = bits.length - 1
    for (let row = begin; row < end; row++) {
      this.#subtract(rows, from + row, 0)
      for (let lane = 0; lane <= last; lane++) bits[lane]! |= this.#offset[lane]!
      if ((bits[last]! & (2 ** SHIFT_MIN - 1)) === 0) continue
      extent.shift = 0
      break
    }
    if (extent.shift > 0 && bits.some(lane => lane !== 0))
      extent.shift = Math.min(SHIFT_MAX, trailingZeros(bits))
    if (extent.shift === before || !extent.even || begin === 0) return
    // Counted in other units, all rows are looked at again.
    extent.distance = EXACT_MAX
    extent.leastDistance = 1
    this.#extendEven(extent, rows, from, 0, begin)
  }

  /** Whether the keys are still even. For keys at random the first few rows say that they are not. */
  #extendEven(extent: Extent, rows: Operations, from: number, begin: number, end: number): void {
    const before = extent.distance
    for (let row = Math.max(1, begin); row < end; row++) {
      const offset = this.#offsetNumberOf(rows, from + row, extent.shift)
      if (offset >= (row + 1) * extent.leastDistance)
        extent.leastDistance = Math.floor(offset / (row + 1)) + 1
      if (offset < row * extent.distance) extent.distance = Math.floor(offset / row)
      if (extent.leastDistance > extent.distance || offset >= EXACT_MAX) {
        extent.even = false
        return
      }
    }
    // Another distance changes how far above it all keys are.
    const first = extent.distance === before ? begin : 0
    if (first === 0) extent.greatestLow = 0
    for (let row = first; row < end; row++) {
      const above =
        row === 0 ? 0 : this.#offsetNumberOf(rows, from + row, extent.shift) - row * extent.distance
      if (above > extent.greatestLow) extent.greatestLow = above
    }
  }

  /** The shortest way to write the keys of the extent. */
  #keyCode(extent: Extent, rows: Operations, from: number): KeyCode {
    let valueBits = 0
    for (let packed = 0; packed < this.#page.packedLaneCount; packed++)
      valueBits += packedWidth(extent, packed)
    const code = this.#bucketCode(extent, rows, from)
    code.bits += extent.rows * valueBits
    if (!extent.even || extent.rows < 2) return code
    const lowBits = bitsOf(extent.greatestLow)
    const bits = 32 * EVEN_DIRECTORY_WORDS + extent.rows * (lowBits + valueBits)
    return bits < code.bits ? { bits, lowBits, buckets: 0 } : code
  }

  /** Low bits and buckets of the keys: those that take the fewest bits, values apart. */
  #bucketCode({ rows: count, shift }: Extent, rows: Operations, from: number): KeyCode {
    this.#subtract(rows, from + count - 1, shift)
    const span = this.#offset
    const code = { bits: Infinity, lowBits: 0, buckets: 0 }
    // The best is close to where there are as many buckets as rows.
    const about = Math.floor(Math.log2((offsetNumber(span) + 1) / count))
    const last = Math.min(LOW_BITS_MAX, about + 1)
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

  /** `#offset` = key of the row - first key, without the zeros at its end. */
  #subtract(rows: Operations, row: number, shift: number): void {
    for (let lane = 0; lane < this.#key.length; lane++) this.#key[lane] = rows.lanes[lane]![row]!
    subtractKey(this.#key, this.#firstKey, 0, this.#offset)
    if (shift > 0) shiftOut(this.#offset, shift)
  }

  /** The same as one number; `EXACT_MAX` or more where that is not exact. */
  #offsetNumberOf(rows: Operations, row: number, shift: number): number {
    const first = this.#firstKey
    if (first.length === 1 && shift === 0) return rows.lanes[0]![row]! - first[0]!
    if (first.length === 2 && shift === 0)
      return (rows.lanes[0]![row]! - first[0]!) * TWO_32 + (rows.lanes[1]![row]! - first[1]!)
    this.#subtract(rows, row, shift)
    return offsetNumber(this.#offset)
  }
}

/** Writes the directory of a page, row by row. */
class DirectoryWriter {
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

function packedWidth(extent: Extent, packed: number): number {
  const min = extent.min[packed]!
  const max = extent.max[packed]!
  return max > min ? bitWidth(max - min) : 0
}

/** Bits of a number below 2^53. */
function bitsOf(number: number): number {
  return number < TWO_32 ? bitWidth(number) : 32 + bitWidth(Math.floor(number / TWO_32))
}

/** Takes values [from, to) into the bounds of a packed lane. */
function widen(extent: Extent, packed: number, values: Uint32Array, from: number, to: number): void {
  let min = extent.min[packed]!
  let max = extent.max[packed]!
  for (let row = from; row < to; row++) {
    const value = values[row]!
    if (value < min) min = value
    if (value > max) max = value
  }
  extent.min[packed] = min
  extent.max[packed] = max
}

/** The same where keys are deleted: those rows have no values. */
function widenLive(
  extent: Extent,
  packed: number,
  values: Uint32Array,
  kinds: Uint8Array,
  from: number,
  to: number,
): void {
  let min = extent.min[packed]!
  let max = extent.max[packed]!
  for (let row = from; row < to; row++) {
    if (kinds[row] === DELETE_KEY) continue
    const value = values[row]!
    if (value < min) min = value
    if (value > max) max = value
  }
  extent.min[packed] = min
  extent.max[packed] = max
}
