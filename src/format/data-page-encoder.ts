/**
 * Packs sorted operations into data pages: as many rows a page as fit.
 *
 * The key is stored as deltas of fixed width with a restart every 32 rows, every value lane and the operation kinds as
 * base and fixed width. Hot: the loops are plain and work on many rows at once. docs/file-format.md, Data page.
 *
 *     page header     checksum, kind, row count
 *     first key       a word for each key lane
 *     bases           a word for each value lane, one for the kinds
 *     restart widths  a byte for each key lane
 *     delta widths    a byte for each key lane
 *     packed widths   a byte for each value lane, one for the kinds
 *     padding         to a whole word
 *     columns         one bit stream: restarts, deltas, value lanes, kinds; then zeros
 */
import { assert } from '../base/assert.js'
import { DELETE_KEY, PUT, type Operations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { bitWidth, packLane } from './bits.js'
import { viewOf, wordsOf } from './little-endian.js'
import {
  DATA_PAGE,
  PAGE_KIND_AT,
  PAGE_ROWS_MAX,
  RESTART_INTERVAL,
  ROW_COUNT_AT,
  dataPageLayout,
  deltaIndex,
  restartCount,
  type DataPageLayout,
} from './page-layout.js'

/** Rows for which there is room at first. */
const FIRST_ROWS = 512

/** The widths so far; they decide whether more rows fit. */
interface Extent {
  rows: number
  /** All deltas or-ed together, a lane each. */
  deltaBits: Uint32Array
  /** Last restart minus first key, a lane each, or-ed together. */
  restartBits: Uint32Array
  min: Uint32Array
  max: Uint32Array
}

export class DataPageEncoder {
  readonly #layout: RecordLayout
  readonly #page: DataPageLayout
  /** Columns of one page, grown to the rows that pages turn out to have. */
  #deltas: Uint32Array[] = []
  #restarts: Uint32Array[] = []
  #scratch: Uint32Array = new Uint32Array(0)
  readonly #difference: Uint32Array
  #accepted: Extent
  #tried: Extent
  /** The rows of the last `fit` and the first of them, for `write`; whether they have been written, for `bounds`. */
  #fitRows: Operations | undefined
  #fitFrom = 0
  #written = false

  constructor(layout: RecordLayout, pageBytes: number) {
    this.#layout = layout
    this.#page = dataPageLayout(layout, pageBytes)
    this.#reserve(FIRST_ROWS)
    this.#difference = new Uint32Array(layout.keyLaneCount)
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
    // Pages resemble each other, so most rows of a page go in at once. Steps are powers of two.
    let step = Math.max(RESTART_INTERVAL, 2 ** (bitWidth(this.#accepted.rows) - 1))
    this.#reset(this.#accepted)
    const end = Math.min(to, from + PAGE_ROWS_MAX)
    let full = false
    // Bits only ever grow with the rows: once a step does not fit, halves of it find the last row that does.
    while (step > 0 && from + this.#accepted.rows < end) {
      const begin = this.#accepted.rows
      const rowsToTry = Math.min(step, end - from - begin)
      this.#reserve(begin + rowsToTry)
      this.#copy(this.#accepted, this.#tried)
      this.#extend(this.#tried, rows, from, begin, begin + rowsToTry)
      if (this.#bits(this.#tried) <= this.#page.streamBits) {
        ;[this.#accepted, this.#tried] = [this.#tried, this.#accepted]
        if (!full) step = RESTART_INTERVAL
      } else full = true
      if (full) step >>>= 1
    }
    return this.#accepted.rows
  }

  /** Writes the rows that `fit` has counted into the zeroed page `bytes`; the checksum is the caller's. */
  write(rows: Operations, from: number, bytes: Uint8Array): void {
    assert(this.#fitRows === rows && this.#fitFrom === from, '`fit` has counted the rows that `write` gets')
    const { keyLaneCount } = this.#layout
    const page = this.#page
    const extent = this.#accepted
    const words = wordsOf(bytes)
    bytes[PAGE_KIND_AT] = DATA_PAGE
    viewOf(bytes).setUint16(ROW_COUNT_AT, extent.rows, true)
    for (let lane = 0; lane < keyLaneCount; lane++) words[page.firstKeyWord + lane] = rows.lanes[lane]![from]!
    let widthByte = page.widthsWord * 4
    let position = page.streamWord * 32
    const restartRows = restartCount(extent.rows) - 1
    for (let lane = 0; lane < keyLaneCount; lane++) {
      const width = bitWidth(extent.restartBits[lane]!)
      bytes[widthByte++] = width
      position = packLane(words, position, this.#restarts[lane]!, 0, restartRows, 0, width)
    }
    const deltaRows = extent.rows - restartRows - 1
    for (let lane = 0; lane < keyLaneCount; lane++) {
      const width = bitWidth(extent.deltaBits[lane]!)
      bytes[widthByte++] = width
      position = packLane(words, position, this.#deltas[lane]!, 0, deltaRows, 0, width)
    }
    for (let packed = 0; packed < page.packedLaneCount; packed++) {
      const base = extent.min[packed]! <= extent.max[packed]! ? extent.min[packed]! : 0
      const width = this.#packedWidth(extent, packed)
      words[page.basesWord + packed] = base
      bytes[widthByte++] = width
      if (width === 0) continue
      const column = this.#packedColumn(rows, packed, from, extent.rows, base)
      position = packLane(words, position, column.values, column.from, column.from + extent.rows, base, width)
    }
    assert(position <= words.length * 32, 'the columns of a page end within it')
    this.#fitRows = undefined
    this.#written = true
  }

  /** The least and greatest value of value lane `lane` in the page just written; min > max where it has none. */
  bounds(valueLane: number): { min: number; max: number } {
    assert(this.#written, '`bounds` are those of a page that was written')
    return { min: this.#accepted.min[valueLane]!, max: this.#accepted.max[valueLane]! }
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
    const grow = (column: Uint32Array = new Uint32Array(0)): Uint32Array => {
      const grown = new Uint32Array(capacity)
      grown.set(column)
      return grown
    }
    this.#deltas = Array.from({ length: this.#layout.keyLaneCount }, (_, lane) => grow(this.#deltas[lane]))
    this.#restarts = Array.from({ length: this.#layout.keyLaneCount }, (_, lane) =>
      grow(this.#restarts[lane]),
    )
    this.#scratch = grow(this.#scratch)
  }

  #newExtent(): Extent {
    const { keyLaneCount } = this.#layout
    return {
      rows: 0,
      deltaBits: new Uint32Array(keyLaneCount),
      restartBits: new Uint32Array(keyLaneCount),
      min: new Uint32Array(this.#page.packedLaneCount),
      max: new Uint32Array(this.#page.packedLaneCount),
    }
  }

  #reset(extent: Extent): void {
    extent.rows = 0
    extent.deltaBits.fill(0)
    extent.restartBits.fill(0)
    extent.min.fill(0xffffffff)
    extent.max.fill(0)
  }

  #copy(from: Extent, to: Extent): void {
    to.rows = from.rows
    to.deltaBits.set(from.deltaBits)
    to.restartBits.set(from.restartBits)
    to.min.set(from.min)
    to.max.set(from.max)
  }

  /** Takes rows `begin` to `end` of the page (which starts at row `from`) into `extent`. */
  #extend(extent: Extent, rows: Operations, from: number, begin: number, end: number): void {
    extent.rows = end
    if (this.#layout.keyLaneCount === 2) this.#extendKey2(extent, rows, from, begin, end)
    else this.#extendKey(extent, rows, from, begin, end)
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

  /** Deltas and restarts of the key, any number of lanes. */
  #extendKey(extent: Extent, rows: Operations, from: number, begin: number, end: number): void {
    const difference = this.#difference
    for (let row = begin; row < end; row++) {
      if (row % RESTART_INTERVAL === 0) {
        if (row === 0) continue
        this.#subtract(rows, from + row, from)
        const restart = row / RESTART_INTERVAL - 1
        for (let lane = 0; lane < difference.length; lane++) {
          this.#restarts[lane]![restart] = difference[lane]!
          extent.restartBits[lane]! |= difference[lane]!
        }
      } else {
        this.#subtract(rows, from + row, from + row - 1)
        const delta = deltaIndex(row)
        for (let lane = 0; lane < difference.length; lane++) {
          this.#deltas[lane]![delta] = difference[lane]!
          extent.deltaBits[lane]! |= difference[lane]!
        }
      }
    }
  }

  /** The same for keys of two lanes (u64), where most of the time goes otherwise. */
  #extendKey2(extent: Extent, rows: Operations, from: number, begin: number, end: number): void {
    const high = rows.lanes[0]!
    const low = rows.lanes[1]!
    const deltasHigh = this.#deltas[0]!
    const deltasLow = this.#deltas[1]!
    let bitsHigh = extent.deltaBits[0]!
    let bitsLow = extent.deltaBits[1]!
    for (let row = begin; row < end; row++) {
      const other = row % RESTART_INTERVAL === 0 ? from : from + row - 1
      const lowHere = low[from + row]!
      const lowThere = low[other]!
      const differenceLow = (lowHere - lowThere) | 0
      const differenceHigh = (high[from + row]! - high[other]! - (lowHere < lowThere ? 1 : 0)) | 0
      if (other !== from || row === 1) {
        const delta = deltaIndex(row)
        deltasHigh[delta] = differenceHigh
        deltasLow[delta] = differenceLow
        bitsHigh |= differenceHigh
        bitsLow |= differenceLow
      } else if (row !== 0) {
        const restart = row / RESTART_INTERVAL - 1
        this.#restarts[0]![restart] = differenceHigh
        this.#restarts[1]![restart] = differenceLow
        extent.restartBits[0]! |= differenceHigh
        extent.restartBits[1]! |= differenceLow
      }
    }
    extent.deltaBits[0] = bitsHigh
    extent.deltaBits[1] = bitsLow
  }

  /** `difference` = key of row `a` - key of row `b`. Requires: a is not before b. */
  #subtract(rows: Operations, a: number, b: number): void {
    let borrow = 0
    for (let lane = this.#difference.length - 1; lane >= 0; lane--) {
      const difference = rows.lanes[lane]![a]! - rows.lanes[lane]![b]! - borrow
      borrow = difference < 0 ? 1 : 0
      this.#difference[lane] = difference
    }
  }

  #packedWidth(extent: Extent, packed: number): number {
    const min = extent.min[packed]!
    const max = extent.max[packed]!
    return max > min ? bitWidth(max - min) : 0
  }

  /** Bits that the packed columns of the extent take. */
  #bits(extent: Extent): number {
    const restarts = restartCount(extent.rows) - 1
    const deltas = extent.rows - restarts - 1
    let bits = 0
    for (let lane = 0; lane < this.#layout.keyLaneCount; lane++) {
      bits += restarts * bitWidth(extent.restartBits[lane]!) + deltas * bitWidth(extent.deltaBits[lane]!)
    }
    for (let packed = 0; packed < this.#page.packedLaneCount; packed++) {
      bits += extent.rows * this.#packedWidth(extent, packed)
    }
    return bits
  }
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
