/**
 * Reads data pages in place: finds a key, reads single values, decodes whole pages. The picture of a page is in
 * data-page-encoder.ts.
 *
 * One reader serves all pages of a layout in turn (`open`); it allocates nothing, so that a lookup in a
 * cached page costs no garbage. A lookup bisects the restarts and then adds up at most 31 deltas. Hot.
 * docs/file-format.md, Data page.
 */
import { assert } from '../base/assert.js'
import { KIND_COUNT, PUT, type OperationBuffer } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { readBits, unpackLane } from './bits.js'
import { WORDS_PER_LINE } from './cache-line.js'
import {
  DATA_PAGE,
  GROUP_DELTAS,
  KIND_AND_ROWS_WORD,
  PAGE_ROWS_MAX,
  RESTART_INTERVAL,
  dataPageLayout,
  deltaIndex,
  kindIn,
  restartCount,
  rowCountIn,
  type DataPageLayout,
} from './page-layout.js'

const TWO_32 = 2 ** 32
const TWO_53 = 2 ** 53

/** How `settle` searches on: not at all, as the key is before the page; in plain numbers; lane by lane. */
const BEFORE_PAGE = 0
const BY_NUMBER = 1
const BY_LANES = 2
type SearchPath = typeof BEFORE_PAGE | typeof BY_NUMBER | typeof BY_LANES

export class DataPageReader {
  readonly #page: DataPageLayout
  #words: Uint32Array = new Uint32Array(0)
  /** First word of the page within `#words`. */
  #base = 0
  #rows = 0
  /** Bit positions, counted from the first word of the page, and widths. */
  readonly #restartAt: Int32Array
  readonly #restartWidth: Uint8Array
  readonly #deltaAt: Int32Array
  readonly #deltaWidth: Uint8Array
  readonly #laneAt: Int32Array
  readonly #laneWidth: Uint8Array
  readonly #laneBase: Uint32Array
  /** Key minus first key of the page. */
  readonly #target: Uint32Array
  readonly #offset: Uint32Array
  #deltaScratch: Uint32Array[] = []
  /** The result of `seek`: how to search on, the group of rows, the distance from its restart to the key. */
  #path: SearchPath = BEFORE_PAGE
  #group = 0
  #distance = 0
  /** The distance from the restart to the row that `#walkToDistance` found. */
  #walkedDistance = 0

  /** Rows [from, to) found by the last `find`. */
  from = 0
  to = 0

  constructor(layout: RecordLayout, pageBytes: number) {
    this.#page = dataPageLayout(layout, pageBytes)
    const { keyLaneCount, packedLaneCount } = this.#page
    this.#restartAt = new Int32Array(keyLaneCount)
    this.#restartWidth = new Uint8Array(keyLaneCount)
    this.#deltaAt = new Int32Array(keyLaneCount)
    this.#deltaWidth = new Uint8Array(keyLaneCount)
    this.#laneAt = new Int32Array(packedLaneCount)
    this.#laneWidth = new Uint8Array(packedLaneCount)
    this.#laneBase = new Uint32Array(packedLaneCount)
    this.#target = new Uint32Array(keyLaneCount)
    this.#offset = new Uint32Array(keyLaneCount)
  }

  /** Rows of the open page. */
  get rows(): number {
    return this.#rows
  }

  /** Opens the page whose first word is `words[base]`. Requires: its checksum has been checked. */
  open(words: Uint32Array, base: number): void {
    const page = this.#page
    this.#words = words
    this.#base = base
    const rows = rowCountIn(words[base + KIND_AND_ROWS_WORD]!)
    this.#rows = rows
    const restartRows = restartCount(rows) - 1
    const deltaRows = rows - restartRows - 1
    const widths = base + page.widthsWord
    let byte = 0
    let position = page.streamWord * 32
    for (let lane = 0; lane < page.keyLaneCount; lane++, byte++) {
      const width = (words[widths + (byte >> 2)]! >>> ((byte & 3) * 8)) & 0xff
      this.#restartAt[lane] = position
      this.#restartWidth[lane] = width
      position += restartRows * width
    }
    for (let lane = 0; lane < page.keyLaneCount; lane++, byte++) {
      const width = (words[widths + (byte >> 2)]! >>> ((byte & 3) * 8)) & 0xff
      this.#deltaAt[lane] = position
      this.#deltaWidth[lane] = width
      position += deltaRows * width
    }
    for (let lane = 0; lane < page.packedLaneCount; lane++, byte++) {
      const width = (words[widths + (byte >> 2)]! >>> ((byte & 3) * 8)) & 0xff
      this.#laneAt[lane] = position
      this.#laneWidth[lane] = width
      this.#laneBase[lane] = words[base + page.basesWord + lane]!
      position += rows * width
    }
  }

  /** Why the open page cannot be a data page of this layout, or `undefined`. To be asked once, when it comes in. */
  defect(): string | undefined {
    const page = this.#page
    const kind = kindIn(this.#words[this.#base + KIND_AND_ROWS_WORD]!)
    if (kind !== DATA_PAGE) return `page kind ${kind}`
    if (this.#rows < 1 || this.#rows > PAGE_ROWS_MAX) return `${this.#rows} rows`
    for (const widths of [this.#restartWidth, this.#deltaWidth, this.#laneWidth]) {
      for (const width of widths) if (width > 32) return `a column of ${width} bits`
    }
    const last = page.packedLaneCount - 1
    // Read into columns of bytes, a greater number would pass for a known kind.
    if (this.#laneWidth[last]! > 2 || this.#laneBase[last]! >= KIND_COUNT) return 'unknown operation kinds'
    const end = this.#laneAt[last]! + this.#rows * this.#laneWidth[last]! - page.streamWord * 32
    return end > page.streamBits ? `${end} bits of columns in ${page.streamBits}` : undefined
  }

  /** Finds the rows of `key` in the open page: `from` and `to`; true where there is one. */
  find(key: Uint32Array): boolean {
    this.seek(key)
    return this.settle(key)
  }

  /** The first half of `find`: finds the group of rows where the key is, if it is in the page. */
  seek(key: Uint32Array): void {
    this.#path = this.#page.keyLaneCount > 2 ? BY_LANES : this.#seekNumber(key)
  }

  /** The second half of `find`. Requires: `seek` with this key came before it. */
  settle(key: Uint32Array): boolean {
    this.from = this.to = 0
    if (this.#path === BY_NUMBER) this.#settleNumber()
    else if (this.#path === BY_LANES) this.#findKey(key)
    return this.to > this.from
  }

  /**
   * Writes to `into`, from `at` on, the indices of the words that `settle` and `value` will read next, as far as they are
   * known, so that the caller can prefetch them; returns the index after the last. Requires: room for `wordsAheadMax`.
   */
  wordsAhead(into: Int32Array, at: number): number {
    if (this.#path !== BY_NUMBER) return at
    const base = this.#base
    const delta = this.#group * GROUP_DELTAS
    const row = this.#group * RESTART_INTERVAL + RESTART_INTERVAL / 2
    for (let lane = 0; lane < this.#deltaAt.length; lane++) {
      const width = this.#deltaWidth[lane]!
      if (width === 0) continue
      const word = base + ((this.#deltaAt[lane]! + delta * width) >>> 5)
      into[at++] = word
      // The 32 rows of a group take `width` words, up to two lines.
      if (width > WORDS_PER_LINE) into[at++] = word + WORDS_PER_LINE
    }
    for (let lane = 0; lane < this.#laneAt.length - 1; lane++) {
      const width = this.#laneWidth[lane]!
      if (width > 0) into[at++] = base + ((this.#laneAt[lane]! + row * width) >>> 5)
    }
    return at
  }

  /** The most indices that one `wordsAhead` writes. */
  get wordsAheadMax(): number {
    return 2 * this.#deltaAt.length + this.#laneAt.length
  }

  /** Value lane `lane` (counted after the key lanes) of row `row`. */
  value(lane: number, row: number): number {
    const width = this.#laneWidth[lane]!
    if (width === 0) return this.#laneBase[lane]!
    const offset = readBits(this.#words, this.#base, this.#laneAt[lane]! + row * width, width)
    return (this.#laneBase[lane]! + offset) >>> 0
  }

  /** Operation kind of row `row`. */
  kind(row: number): number {
    return this.value(this.#page.packedLaneCount - 1, row)
  }

  /** Whether every row of the page is a put. */
  get allPuts(): boolean {
    const lane = this.#page.packedLaneCount - 1
    return this.#laneWidth[lane] === 0 && this.#laneBase[lane] === PUT
  }

  /** Appends all rows of the open page to `into`. */
  decode(into: OperationBuffer): void {
    const { keyLaneCount, packedLaneCount } = this.#page
    const rows = this.#rows
    const at = into.count
    assert(rows > 0 && rows <= PAGE_ROWS_MAX, 'a page is decoded after it was found to have no defect')
    into.reserve(rows)
    this.#decodeKeys(into.lanes, at)
    for (let lane = 0; lane < packedLaneCount - 1; lane++) {
      const out = into.lanes[keyLaneCount + lane]!
      const width = this.#laneWidth[lane]!
      unpackLane(this.#words, this.#base, this.#laneAt[lane]!, width, this.#laneBase[lane]!, rows, out, at)
    }
    if (!this.allPuts) {
      const kinds = into.ensureKinds()
      for (let row = 0; row < rows; row++) kinds[at + row] = this.kind(row)
    } else if (into.kinds !== undefined) {
      into.kinds.fill(PUT, at, at + rows)
    }
    into.count += rows
  }

  #decodeKeys(lanes: Uint32Array[], at: number): void {
    const { keyLaneCount, firstKeyWord } = this.#page
    const rows = this.#rows
    if (this.#deltaScratch[0] === undefined || this.#deltaScratch[0].length < rows) {
      this.#deltaScratch = Array.from({ length: keyLaneCount }, () => new Uint32Array(rows * 2))
    }
    const deltas = this.#deltaScratch
    const deltaRows = rows - restartCount(rows)
    for (let lane = 0; lane < keyLaneCount; lane++) {
      const width = this.#deltaWidth[lane]!
      unpackLane(this.#words, this.#base, this.#deltaAt[lane]!, width, 0, deltaRows, deltas[lane]!, 0)
    }
    let delta = 0
    for (let row = 0; row < rows; row += RESTART_INTERVAL) {
      this.#readRestart(row / RESTART_INTERVAL)
      let carry = 0
      for (let lane = keyLaneCount - 1; lane >= 0; lane--) {
        const sum = this.#words[this.#base + firstKeyWord + lane]! + this.#offset[lane]! + carry
        carry = sum >= TWO_32 ? 1 : 0
        lanes[lane]![at + row] = sum
      }
      const end = Math.min(rows, row + RESTART_INTERVAL)
      if (keyLaneCount === 2) addDeltas2(lanes, deltas, at + row + 1, at + end, delta)
      else addDeltas(lanes, deltas, keyLaneCount, at + row + 1, at + end, delta)
      delta += end - row - 1
    }
  }

  /** Puts restart `restart` (0: the first row), as key minus first key, into `#offset`. */
  #readRestart(restart: number): void {
    for (let lane = 0; lane < this.#offset.length; lane++) {
      const width = this.#restartWidth[lane]!
      this.#offset[lane] =
        restart === 0
          ? 0
          : readBits(this.#words, this.#base, this.#restartAt[lane]! + (restart - 1) * width, width)
    }
  }

  /**
   * `seek` for keys of one or two lanes, in plain numbers: a key of one lane is one of two whose high lane is 0.
   */
  #seekNumber(key: Uint32Array): SearchPath {
    const words = this.#words
    const base = this.#base
    const low = this.#page.keyLaneCount - 1
    const first = base + this.#page.firstKeyWord
    let targetHigh = low === 1 ? key[0]! - words[first]! : 0
    let targetLow = key[low]! - words[first + low]!
    if (targetLow < 0) {
      targetLow += TWO_32
      targetHigh--
    }
    if (targetHigh < 0) return BEFORE_PAGE
    const highWidth = low === 1 ? this.#restartWidth[0]! : 0
    const lowWidth = this.#restartWidth[low]!
    const highAt = this.#restartAt[0]! - highWidth
    const lowAt = this.#restartAt[low]! - lowWidth
    // The last restart that is before the key; restart 0 is never after it.
    let group = 0
    let above = restartCount(this.#rows)
    while (above - group > 1) {
      const middle = (group + above) >>> 1
      const high = readBits(words, base, highAt + middle * highWidth, highWidth)
      const before =
        high < targetHigh ||
        (high === targetHigh && readBits(words, base, lowAt + middle * lowWidth, lowWidth) < targetLow)
      if (before) group = middle
      else above = middle
    }
    const offsetHigh = group === 0 ? 0 : readBits(words, base, highAt + group * highWidth, highWidth)
    const offsetLow = group === 0 ? 0 : readBits(words, base, lowAt + group * lowWidth, lowWidth)
    this.#group = group
    this.#distance = (targetHigh - offsetHigh) * TWO_32 + (targetLow - offsetLow)
    if (low === 1) this.#target[0] = targetHigh
    this.#target[low] = targetLow
    // Up to here doubles are exact; sums beyond may be rounded, but not to less.
    return this.#distance < TWO_53 ? BY_NUMBER : BY_LANES
  }

  #settleNumber(): void {
    const row = this.#walkToDistance()
    this.from = this.to = row
    if (row === this.#rows) return
    if (row === (this.#group + 1) * RESTART_INTERVAL) {
      // The restart after the group is the key or greater.
      this.#readRestart(this.#group + 1)
      if (this.#compareOffset() === 0) this.#extendEqual(row)
    } else if (this.#walkedDistance === this.#distance) this.#extendEqual(row)
  }

  /**
   * The first row of the group that is at least `#distance` above its restart, or else the row after the group. Its
   * distance from the restart goes to `#walkedDistance`. Hot.
   */
  #walkToDistance(): number {
    const group = this.#group
    const distance = this.#distance
    const words = this.#words
    const base = this.#base
    const low = this.#page.keyLaneCount - 1
    const highWidth = low === 1 ? this.#deltaWidth[0]! : 0
    const lowWidth = this.#deltaWidth[low]!
    const delta = group * GROUP_DELTAS
    let highAt = this.#deltaAt[0]! + delta * highWidth
    let lowAt = this.#deltaAt[low]! + delta * lowWidth
    let row = group * RESTART_INTERVAL
    const end = Math.min(this.#rows, row + RESTART_INTERVAL)
    let walked = 0
    while (walked < distance) {
      row++
      if (row === end) break
      walked += readBits(words, base, highAt, highWidth) * TWO_32 + readBits(words, base, lowAt, lowWidth)
      highAt += highWidth
      lowAt += lowWidth
    }
    this.#walkedDistance = walked
    return row
  }

  /** `find` for keys of any number of lanes. */
  #findKey(key: Uint32Array): void {
    const target = this.#target
    const first = this.#base + this.#page.firstKeyWord
    this.from = this.to = 0
    let borrow = 0
    for (let lane = target.length - 1; lane >= 0; lane--) {
      const difference = key[lane]! - this.#words[first + lane]! - borrow
      borrow = difference < 0 ? 1 : 0
      target[lane] = difference
    }
    if (borrow === 1) return
    let group = 0
    let above = restartCount(this.#rows)
    while (above - group > 1) {
      const middle = (group + above) >>> 1
      this.#readRestart(middle)
      if (this.#compareOffset() < 0) group = middle
      else above = middle
    }
    this.#readRestart(group)
    let row = group * RESTART_INTERVAL
    let order = this.#compareOffset()
    while (order < 0) {
      row++
      if (row === this.#rows) {
        this.from = this.to = row
        return
      }
      if (row % RESTART_INTERVAL === 0) this.#readRestart(row / RESTART_INTERVAL)
      else this.#addDelta(row)
      order = this.#compareOffset()
    }
    this.from = this.to = row
    if (order === 0) this.#extendEqual(row)
  }

  #addDelta(row: number): void {
    const delta = deltaIndex(row)
    let carry = 0
    for (let lane = this.#offset.length - 1; lane >= 0; lane--) {
      const width = this.#deltaWidth[lane]!
      const bits = readBits(this.#words, this.#base, this.#deltaAt[lane]! + delta * width, width)
      const sum = this.#offset[lane]! + bits + carry
      carry = sum >= TWO_32 ? 1 : 0
      this.#offset[lane] = sum
    }
  }

  #compareOffset(): number {
    for (let lane = 0; lane < this.#offset.length; lane++) {
      const difference = this.#offset[lane]! - this.#target[lane]!
      if (difference !== 0) return difference
    }
    return 0
  }

  /** Moves `to` past the last row with the key of row `from`. Requires: `#target` is that key. */
  #extendEqual(from: number): void {
    let row = from + 1
    while (row < this.#rows && this.#equalsTarget(row)) row++
    this.to = row
  }

  #equalsTarget(row: number): boolean {
    if (row % RESTART_INTERVAL === 0) {
      this.#readRestart(row / RESTART_INTERVAL)
      return this.#compareOffset() === 0
    }
    const delta = deltaIndex(row)
    for (let lane = 0; lane < this.#offset.length; lane++) {
      const width = this.#deltaWidth[lane]!
      if (width > 0 && readBits(this.#words, this.#base, this.#deltaAt[lane]! + delta * width, width) !== 0) {
        return false
      }
    }
    return true
  }
}

/** Running sum over keys of any number of lanes. */
function addDeltas(
  lanes: Uint32Array[],
  deltas: Uint32Array[],
  keyLaneCount: number,
  from: number,
  to: number,
  delta: number,
): void {
  for (let row = from; row < to; row++, delta++) {
    let carry = 0
    for (let lane = keyLaneCount - 1; lane >= 0; lane--) {
      const sum = lanes[lane]![row - 1]! + deltas[lane]![delta]! + carry
      carry = sum >= TWO_32 ? 1 : 0
      lanes[lane]![row] = sum
    }
  }
}

/** The same for two lanes. */
function addDeltas2(
  lanes: Uint32Array[],
  deltas: Uint32Array[],
  from: number,
  to: number,
  delta: number,
): void {
  if (from >= to) return
  const [highs, lows] = [lanes[0]!, lanes[1]!]
  const [deltasHigh, deltasLow] = [deltas[0]!, deltas[1]!]
  let high = highs[from - 1]!
  let low = lows[from - 1]!
  for (let row = from; row < to; row++, delta++) {
    low += deltasLow[delta]!
    high += deltasHigh[delta]!
    if (low >= TWO_32) {
      low -= TWO_32
      high++
    }
    highs[row] = high
    lows[row] = low
  }
}
