/**
 * Queries for near keys that are answered together: all keys in reach of a query lie side by side, so that one visit of
 * one page finds them. Steps as in key-block.ts, so that queries wait for memory together. It answers queries for keys of
 * one lane, or two of 32 bits, whose reach lies in one cached page of one file; others go the general way, which gives the
 * same answer. Hot. docs/internals.md, Lookup.
 */
import type { BucketFile } from '../bucket-file/reader.js'
import { WORDS_PER_LINE } from '../format/cache-line.js'
import { readRowValues, rowBit } from '../format/data-page-row.js'
import { ASK_READER, distanceTo, firstRowOf, isPlain, touchRows } from '../format/find-pair.js'
import { dataPageLayout, KIND_WORD, lowBitsIn, type DataPageLayout } from '../format/page-layout.js'
import type { Memtable } from '../memtable/memtable.js'
import type { OperationBuffer } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import type { View } from '../state/table-state.js'

export const QUERIES_PER_BLOCK = 128
const TWO_32 = 2 ** 32

export class NearBlock {
  readonly #layout: RecordLayout
  readonly #page: DataPageLayout
  /** The greatest number of the last lane, and of the one before; -1: such keys go the general way. */
  readonly #lowMax: number
  readonly #highMax: number
  #count = 0
  /** First and last key in reach of each query. */
  readonly #firstHigh = new Uint32Array(QUERIES_PER_BLOCK)
  readonly #firstLow = new Uint32Array(QUERIES_PER_BLOCK)
  readonly #lastHigh = new Uint32Array(QUERIES_PER_BLOCK)
  readonly #lastLow = new Uint32Array(QUERIES_PER_BLOCK)
  readonly #lastKeys: readonly Uint32Array[]
  readonly #key: Uint32Array
  readonly #general = new Uint8Array(QUERIES_PER_BLOCK)
  /** The page of each query in the file at hand, or -1. */
  readonly #pages = new Int32Array(QUERIES_PER_BLOCK)
  readonly #pageWords: Uint32Array[] = []
  readonly #pageBases = new Int32Array(QUERIES_PER_BLOCK)
  /** The rows [from, to) that were found for each query, and the page and the file that they are in. */
  readonly #words: Uint32Array[] = []
  readonly #bases = new Int32Array(QUERIES_PER_BLOCK)
  readonly #from = new Int32Array(QUERIES_PER_BLOCK)
  readonly #to = new Int32Array(QUERIES_PER_BLOCK)
  readonly #endSequences = new Float64Array(QUERIES_PER_BLOCK)
  /** Kept, so that touching is not optimised away. */
  readonly #touched = new Int32Array(1)

  constructor(layout: RecordLayout, pageBytes: number) {
    const { keyLaneCount, laneBytes } = layout
    this.#layout = layout
    this.#page = dataPageLayout(layout, pageBytes)
    const isPair = keyLaneCount === 2 && laneBytes[0] === 4 && laneBytes[1] === 4
    this.#lowMax = keyLaneCount === 1 || isPair ? 2 ** (8 * laneBytes[keyLaneCount - 1]!) - 1 : -1
    this.#highMax = isPair ? TWO_32 - 1 : 0
    this.#lastKeys = keyLaneCount === 1 ? [this.#lastLow] : [this.#lastHigh, this.#lastLow]
    this.#key = new Uint32Array(keyLaneCount)
  }

  /** Looks up what is in reach of the keys [from, to) of `keys`, a column a lane. */
  prepare(view: View, keys: readonly Uint32Array[], from: number, to: number, within: number): void {
    const count = to - from
    this.#count = count
    this.#general.fill(this.#lowMax < 0 ? 1 : 0, 0, count)
    this.#from.fill(0, 0, count)
    this.#to.fill(0, 0, count)
    if (this.#lowMax < 0) return
    this.#setReaches(keys, from, within)
    for (const { memtable } of view.version.sealed) this.#askMemtable(memtable, memtable.count, within)
    this.#askMemtable(view.active.memtable, view.length, within)
    for (const file of view.version.files) this.#search(file, within)
  }

  /** Appends the records in reach of the query in this place; false if it must go the general way, then nothing was appended. */
  take(view: View, place: number, into: OperationBuffer): boolean {
    if (this.#general[place] === 1) return false
    const { deletes, sequence } = view
    const words = this.#words[place]!
    const base = this.#bases[place]!
    for (let row = this.#from[place]!; row < this.#to[place]!; row++) {
      into.reserve(1)
      this.#appendRow(place, words, base, row, into)
      if (
        deletes.size > 0 &&
        deletes.hides(into.lanes, into.count - 1, this.#endSequences[place]! - 1, sequence)
      )
        into.count--
    }
    return true
  }

  #appendRow(place: number, words: Uint32Array, base: number, row: number, into: OperationBuffer): void {
    const at = into.count
    const bit = rowBit(this.#page, words, base, row)
    const low = this.#firstLow[place]! + distanceTo(this.#page, words, base, this.#firstLow[place]!, bit)
    into.lanes[this.#layout.keyLaneCount - 1]![at] = low
    if (this.#layout.keyLaneCount === 2)
      into.lanes[0]![at] = this.#firstHigh[place]! + (low >= TWO_32 ? 1 : 0)
    readRowValues(this.#page, words, base, bit, into.lanes, at)
    into.count = at + 1
  }

  #setReaches(keys: readonly Uint32Array[], from: number, within: number): void {
    const lows = keys.at(-1)!
    const highs = keys[0]!
    const twoLanes = keys.length === 2
    for (let place = 0; place < this.#count; place++) {
      const low = lows[from + place]!
      const high = twoLanes ? highs[from + place]! : 0
      const first = low - within
      if (first >= 0 || high > 0) {
        this.#firstLow[place] = first
        this.#firstHigh[place] = first < 0 ? high - 1 : high
      } else this.#firstLow[place] = this.#firstHigh[place] = 0
      const last = low + within
      if (last <= this.#lowMax || high < this.#highMax) {
        this.#lastLow[place] = last
        this.#lastHigh[place] = last >= TWO_32 ? high + 1 : high
      } else {
        this.#lastLow[place] = this.#lowMax
        this.#lastHigh[place] = this.#highMax
      }
    }
  }

  /** Queries with keys in a memtable go the general way. */
  #askMemtable(memtable: Memtable, length: number, within: number): void {
    if (length === 0) return
    const key = this.#key
    for (let place = 0; place < this.#count; place++) {
      let low = this.#firstLow[place]!
      let high = this.#firstHigh[place]!
      for (let i = 0; i <= 2 * within; i++, low++) {
        if (low > this.#lowMax) {
          low = 0
          high++
        }
        if (high > this.#lastHigh[place]! || (high === this.#lastHigh[place] && low > this.#lastLow[place]!))
          break
        key[key.length - 1] = low
        if (key.length === 2) key[0] = high
        if (memtable.findNewest(key, length) < 0) continue
        this.#general[place] = 1
        break
      }
    }
  }

  #search(file: BucketFile, within: number): void {
    const { cache } = file
    const pages = this.#pages
    const bases = this.#pageBases
    file.lastPagesFor(this.#lastKeys, this.#count, pages)
    for (let place = 0; place < this.#count; place++) {
      const page = pages[place]!
      bases[place] = -1
      if (page < 0 || this.#general[place] === 1) continue
      // Otherwise there may be keys in reach in the page before.
      const slot = page === 0 || this.#beginsBefore(file, page, place) ? cache.find(file, page) : -1
      if (slot < 0) {
        this.#general[place] = 1
        continue
      }
      this.#pageWords[place] = cache.wordsOf(slot)
      bases[place] = cache.baseOf(slot)
    }
    this.#touch()
    for (let place = 0; place < this.#count; place++) {
      if (bases[place]! >= 0) this.#findRows(place, file.entry.endSequence, within)
    }
  }

  #beginsBefore(file: BucketFile, page: number, place: number): boolean {
    const key = this.#key
    key[key.length - 1] = this.#firstLow[place]!
    if (key.length === 2) key[0] = this.#firstHigh[place]!
    return file.compareFirstKey(page, key) < 0
  }

  /** Heads and directories of the pages, then the rows: each a loop of its own. */
  #touch(): void {
    const page = this.#page
    const bases = this.#pageBases
    let touched = 0
    for (let place = 0; place < this.#count; place++) {
      const base = bases[place]!
      if (base < 0) continue
      const words = this.#pageWords[place]!
      touched ^= words[base]! ^ words[base + WORDS_PER_LINE]! ^ words[base + 2 * WORDS_PER_LINE]!
    }
    for (let place = 0; place < this.#count; place++) {
      const base = bases[place]!
      if (base < 0) continue
      const words = this.#pageWords[place]!
      if (isPlain(page, words, base))
        touched ^= touchRows(page, words, base, this.#firstHigh[place]!, this.#firstLow[place]!)
    }
    this.#touched[0]! ^= touched
  }

  #findRows(place: number, endSequence: number, within: number): void {
    const page = this.#page
    const words = this.#pageWords[place]!
    const base = this.#pageBases[place]!
    let from = ASK_READER
    let to = ASK_READER
    // With fewer low bits they do not tell all keys in reach apart.
    if (isPlain(page, words, base) && 2 ** lowBitsIn(words[base + KIND_WORD]!) > 2 * within) {
      from = firstRowOf(page, words, base, this.#firstHigh[place]!, this.#firstLow[place]!, false)
      to = firstRowOf(page, words, base, this.#lastHigh[place]!, this.#lastLow[place]!, true)
    }
    if (from === ASK_READER || to === ASK_READER) this.#general[place] = 1
    else if (from < to) {
      // Rows of two files have to be put in order.
      if (this.#from[place]! < this.#to[place]!) this.#general[place] = 1
      this.#words[place] = words
      this.#bases[place] = base
      this.#from[place] = from
      this.#to[place] = to
      this.#endSequences[place] = endSequence
    }
  }
}
