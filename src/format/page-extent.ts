/**
 * What the encoder knows of the first rows of a page: bounds of their values, and how regular their keys are. It decides
 * whether more rows fit. Hot: the loops are plain and work on many rows at once.
 */
import { DELETE_KEY, PUT, type WideOperations } from '../records/operations.js'
import { bitWidth } from './bits.js'
import { EXACT_MAX, trailingZeros } from './key-offset.js'
import type { DataPageLayout } from './page-layout.js'
import type { RowOffsets } from './row-offsets.js'

/** The zeros at the end of keys are counted in a byte. */
const SHIFT_MAX = 254
/** Fewer zeros are not left out: that would cost more time than it saves bits. */
const SHIFT_MIN = 16
/** All keys so far are equal to the first one. */
const NO_OTHER_KEY = 255

export class PageExtent {
  rows = 0
  /** Bounds of each packed lane; of no values min > max. */
  readonly min: Uint32Array
  readonly max: Uint32Array
  /** Whether keys are even so far: row r, and no other, from r * distance up to (r + 1) * distance after the first key. */
  even = true
  /** The greatest distance for which that is true. */
  distance = EXACT_MAX
  /** How far a key is above r * distance at most. */
  greatestLow = 0
  /** The least distance for which the keys are even. */
  #leastDistance = 1
  /** All keys minus the first one, or-ed together. */
  readonly #bits: Uint32Array
  #shift = NO_OTHER_KEY
  readonly #keyLaneCount: number
  readonly #kindLane: number

  constructor({ keyLaneCount, packedLaneCount }: DataPageLayout) {
    this.#keyLaneCount = keyLaneCount
    this.#kindLane = packedLaneCount - 1
    this.min = new Uint32Array(packedLaneCount)
    this.max = new Uint32Array(packedLaneCount)
    this.#bits = new Uint32Array(keyLaneCount)
  }

  /** Zeros at the end of all keys, counted from the first one, that are left out. */
  get shift(): number {
    return this.#shift === NO_OTHER_KEY ? 0 : this.#shift
  }

  /** Bits that a packed lane takes in a row. */
  width(packed: number): number {
    const min = this.min[packed]!
    const max = this.max[packed]!
    return max > min ? bitWidth(max - min) : 0
  }

  /** Bits that all packed lanes take in a row. */
  get valueBits(): number {
    let bits = 0
    for (let packed = 0; packed <= this.#kindLane; packed++) bits += this.width(packed)
    return bits
  }

  reset(): void {
    this.rows = 0
    this.min.fill(0xffffffff)
    this.max.fill(0)
    this.#bits.fill(0)
    this.#shift = NO_OTHER_KEY
    this.#beginEven()
  }

  copyFrom(other: PageExtent): void {
    this.rows = other.rows
    this.min.set(other.min)
    this.max.set(other.max)
    this.#bits.set(other.#bits)
    this.#shift = other.#shift
    this.even = other.even
    this.distance = other.distance
    this.#leastDistance = other.#leastDistance
    this.greatestLow = other.greatestLow
  }

  /** Takes in `count` more rows of the page, which begins with row `from` of `rows`. */
  extend(rows: WideOperations, from: number, count: number, offsets: RowOffsets): void {
    const begin = this.rows
    const end = begin + count
    this.rows = end
    if (this.#shift > 0) this.#extendShift(offsets, begin, end)
    if (this.even) this.#extendEven(offsets, begin, end)
    const { kinds } = rows
    for (let packed = 0; packed < this.#kindLane; packed++) {
      const values = rows.lanes[this.#keyLaneCount + packed]!
      if (kinds === undefined) this.#widen(packed, values, from + begin, from + end)
      else this.#widenLive(packed, values, kinds, from + begin, from + end)
    }
    if (kinds === undefined) this.min[this.#kindLane] = PUT
    else this.#widen(this.#kindLane, kinds, from + begin, from + end)
  }

  #beginEven(): void {
    this.even = true
    this.distance = EXACT_MAX
    this.#leastDistance = 1
    this.greatestLow = 0
  }

  /** Zeros at the end of all keys. For keys at random the first few rows say that there are none. */
  #extendShift(offsets: RowOffsets, begin: number, end: number): void {
    const before = this.#shift
    const bits = this.#bits
    const last = bits.length - 1
    for (let row = begin; row < end; row++) {
      offsets.subtract(row, 0)
      for (let lane = 0; lane <= last; lane++) bits[lane]! |= offsets.offset[lane]!
      if ((bits[last]! & (2 ** SHIFT_MIN - 1)) === 0) continue
      this.#shift = 0
      break
    }
    if (this.#shift > 0 && bits.some(lane => lane !== 0))
      this.#shift = Math.min(SHIFT_MAX, trailingZeros(bits))
    if (this.#shift === before || !this.even || begin === 0) return
    // Distances are in other units now: all rows are looked at again.
    this.#beginEven()
    this.#extendEven(offsets, 0, begin)
  }

  /** Whether the keys are still even. For keys at random the first few rows say that they are not. */
  #extendEven(offsets: RowOffsets, begin: number, end: number): void {
    const { shift } = this
    const before = this.distance
    for (let row = Math.max(1, begin); row < end; row++) {
      const offset = offsets.numberOf(row, shift)
      if (offset >= (row + 1) * this.#leastDistance) this.#leastDistance = Math.floor(offset / (row + 1)) + 1
      if (offset < row * this.distance) this.distance = Math.floor(offset / row)
      if (this.#leastDistance > this.distance || offset >= EXACT_MAX) {
        this.even = false
        return
      }
    }
    // Another distance changes how far above it all keys are.
    const first = this.distance === before ? begin : 0
    if (first === 0) this.greatestLow = 0
    for (let row = first; row < end; row++) {
      const above = row === 0 ? 0 : offsets.numberOf(row, shift) - row * this.distance
      if (above > this.greatestLow) this.greatestLow = above
    }
  }

  /** Takes values [from, to) into the bounds of a packed lane. */
  #widen(packed: number, values: Uint32Array | Uint8Array, from: number, to: number): void {
    let min = this.min[packed]!
    let max = this.max[packed]!
    for (let row = from; row < to; row++) {
      const value = values[row]!
      if (value < min) min = value
      if (value > max) max = value
    }
    this.min[packed] = min
    this.max[packed] = max
  }

  /** The same where keys are deleted: those rows have no values. */
  #widenLive(packed: number, values: Uint32Array, kinds: Uint8Array, from: number, to: number): void {
    let min = this.min[packed]!
    let max = this.max[packed]!
    for (let row = from; row < to; row++) {
      if (kinds[row] === DELETE_KEY) continue
      const value = values[row]!
      if (value < min) min = value
      if (value > max) max = value
    }
    this.min[packed] = min
    this.max[packed] = max
  }
}
