/**
 * Keys that are looked up together, so that they wait for memory together: for fences, filters, heads of pages and rows in
 * turn, each time all at once. It answers keys whose records are puts in memtables and cached pages; others go the general
 * way, which gives the same answer. Hot. docs/internals.md, Lookup.
 */
import { NO_LINE } from '../bucket-file/filter-lines.js'
import type { BucketFile } from '../bucket-file/reader.js'
import { BlockSearch, SOUGHT } from '../format/block-search.js'
import { NEVER_CLEARED } from '../records/cleared-keys.js'
import { Combiner } from '../records/combine.js'
import { hashKey } from '../records/hash.js'
import type { OperationBuffer } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import type { View } from '../state/table-state.js'
import { MemtableRows } from './memtable-rows.js'

export const KEYS_PER_BLOCK = 128
/** The page of the filter is not in the cache. */
const NOT_CACHED = -2

export class KeyBlock {
  readonly #layout: RecordLayout
  readonly #pageBytes: number
  /** With `duplicates: 'replace'` only the newest record of a key counts. */
  readonly #replace: boolean
  /** The keys of the block, a column a lane. */
  readonly #keys: readonly Uint32Array[]
  /** With `combine`: all puts of a key make its record. */
  readonly #combiner: Combiner | undefined
  #count = 0
  readonly #hashes = new Uint32Array(KEYS_PER_BLOCK)
  /** Whether the hashes are those of the keys: only a filter needs them. */
  #hashed = false
  /** Whether the records of each key have been found, so that older files need not be searched. */
  readonly #settled = new Uint8Array(KEYS_PER_BLOCK)
  /** The sequence number of the newest clear of each key: what is older is not searched. */
  readonly #clearedAt = new Float64Array(KEYS_PER_BLOCK)
  /** Whether a memtable has each key. */
  readonly #inMemtable = new Uint8Array(KEYS_PER_BLOCK)
  readonly #memtables = new MemtableRows()
  readonly #key: Uint32Array
  /** Whether each key goes the general way. */
  readonly #general = new Uint8Array(KEYS_PER_BLOCK)
  /** The page of each key in the file at hand, or -1. */
  readonly #pages = new Int32Array(KEYS_PER_BLOCK)
  /** Where the line of the filter begins that each key needs, and the memory that it is in; or {@link NO_LINE}, {@link NOT_CACHED}. */
  readonly #lineAt = new Int32Array(KEYS_PER_BLOCK)
  readonly #lineWords: Uint32Array[] = []
  /** For each file what was found in its pages. */
  readonly #searches: BlockSearch[] = []
  /** Kept, so that touching is not optimised away. */
  readonly #touched = new Int32Array(1)

  constructor(layout: RecordLayout, pageBytes: number, replace: boolean) {
    this.#layout = layout
    this.#pageBytes = pageBytes
    this.#replace = replace
    this.#combiner = Combiner.of(layout)
    this.#key = new Uint32Array(layout.keyLaneCount)
    this.#keys = Array.from({ length: layout.keyLaneCount }, () => new Uint32Array(KEYS_PER_BLOCK))
  }

  /** Looks up the keys [from, to) of `keys`, a column a lane, for {@link take} with this limit. */
  prepare(view: View, keys: readonly Uint32Array[], from: number, to: number, limit: number): void {
    const { files } = view.version
    const count = to - from
    this.#count = count
    this.#general.fill(0, 0, count)
    this.#settled.fill(0, 0, count)
    this.#inMemtable.fill(0, 0, count)
    for (let lane = 0; lane < this.#keys.length; lane++) {
      const column = keys[lane]!
      const block = this.#keys[lane]!
      for (let place = 0; place < count; place++) block[place] = column[from + place]!
    }
    this.#hashed = false
    this.#findCleared(view)
    // Of a newest record that is hidden by its values the older ones may be wanted.
    const newestSettles =
      this.#combiner === undefined && (this.#replace || (limit === 1 && view.deletes.matchers === 0))
    this.#askMemtables(view, newestSettles)
    while (this.#searches.length < files.length)
      this.#searches.push(new BlockSearch(this.#layout, this.#pageBytes, KEYS_PER_BLOCK))
    for (let number = files.length - 1; number >= 0; number--)
      this.#search(files[number]!, this.#searches[number]!, newestSettles)
  }

  /**
   * Appends the records of the key in this place: all from old to new, or with a `limit` of 1 the newest. False if it must
   * go the general way; then nothing was appended. Requires: the view of {@link prepare}.
   */
  take(view: View, place: number, limit: number, into: OperationBuffer): boolean {
    if (this.#general[place] === 1) return false
    const wantsNewest = this.#combiner === undefined && (limit === 1 || this.#replace)
    const inMemtable = this.#inMemtable[place] === 1
    if (inMemtable && wantsNewest)
      return this.#memtables.appendNewest(view, this.#keyAt(place), this.#replace, into)
    const before = into.count
    this.#takeOfFiles(view, place, wantsNewest, into)
    if (!inMemtable || this.#memtables.appendAll(view, this.#keyAt(place), into)) {
      this.#combine(into, before)
      return true
    }
    into.count = before
    return false
  }

  /** Makes one of the rows from `from` on. */
  #combine(rows: OperationBuffer, from: number): void {
    const combiner = this.#combiner
    if (combiner === undefined || rows.count === from) return
    const { lanes } = rows
    for (let row = from + 1; row < rows.count; row++) combiner.combine(lanes, from, lanes, row, lanes, from)
    rows.count = from + 1
  }

  #takeOfFiles(view: View, place: number, wantsNewest: boolean, into: OperationBuffer): void {
    if (view.version.files.length === 1 && view.deletes.matchers === 0)
      this.#takeOfOnly(place, wantsNewest, into)
    else if (wantsNewest) this.#takeNewest(view, place, into)
    else
      for (let number = 0; number < view.version.files.length; number++) {
        const { from, to } = this.#searches[number]!
        for (let row = from[place]!; row < to[place]!; row++) this.#takeRow(view, number, place, row, into)
      }
  }

  /** Where there is one file, and nothing hides its rows. */
  #takeOfOnly(place: number, wantsNewest: boolean, into: OperationBuffer): void {
    const search = this.#searches[0]!
    const to = search.to[place]!
    const from = search.from[place]!
    if (from === to) return
    const first = wantsNewest ? to - 1 : from
    into.reserve(to - first)
    for (let row = first; row < to; row++) this.#appendRow(search, place, row, into)
  }

  #takeNewest(view: View, place: number, into: OperationBuffer): void {
    for (let number = view.version.files.length - 1; number >= 0; number--) {
      const { from, to } = this.#searches[number]!
      for (let row = to[place]! - 1; row >= from[place]!; row--) {
        // What the newest put replaced stays replaced, even if that put is hidden.
        if (this.#takeRow(view, number, place, row, into) || this.#replace) return
      }
    }
  }

  /** Appends a row, unless it is hidden by its values; whether it did. */
  #takeRow(view: View, number: number, place: number, row: number, into: OperationBuffer): boolean {
    into.reserve(1)
    this.#appendRow(this.#searches[number]!, place, row, into)
    const { deletes, sequence, version } = view
    if (deletes.matchers === 0) return true
    const { endSequence } = version.files[number]!.entry
    if (!deletes.matches(into.lanes, into.count - 1, endSequence - 1, sequence)) return true
    into.count--
    return false
  }

  #appendRow(search: BlockSearch, place: number, row: number, into: OperationBuffer): void {
    const at = into.count
    for (let lane = 0; lane < this.#keys.length; lane++) into.lanes[lane]![at] = this.#keys[lane]![place]!
    search.readValues(place, row, into.lanes, at)
    into.count = at + 1
  }

  #findCleared({ deletes, sequence }: View): void {
    const clearedAt = this.#clearedAt
    if (deletes.cleared.size === 0) clearedAt.fill(NEVER_CLEARED, 0, this.#count)
    else
      for (let place = 0; place < this.#count; place++)
        clearedAt[place] = deletes.cleared.newestOfRow(this.#keys, place, sequence)
  }

  #askMemtables({ version, active, length }: View, newestSettles: boolean): void {
    for (const { memtable } of version.sealed) this.#askMemtable(memtable, memtable.count)
    this.#askMemtable(active.memtable, length)
    const inMemtable = this.#inMemtable
    if (newestSettles)
      for (let place = 0; place < this.#count; place++) this.#settled[place] = inMemtable[place]!
  }

  #askMemtable(memtable: View['active']['memtable'], length: number): void {
    if (length === 0) return
    this.#hash()
    memtable.hasEach(this.#keys, this.#hashes, this.#count, length, this.#inMemtable)
  }

  #search(file: BucketFile, search: BlockSearch, newestSettles: boolean): void {
    const pages = this.#pages
    const { bases, states, from, to } = search
    const count = this.#count
    const settled = this.#settled
    file.lastPagesFor(this.#keys, count, pages)
    const { endSequence } = file.entry
    for (let place = 0; place < count; place++)
      if (settled[place] === 1 || this.#clearedAt[place]! >= endSequence) pages[place] = -1
    const denied = this.#findPages(file, search)
    search.seek(this.#keys, count)
    let found = 0
    let missed = denied
    for (let place = 0; place < count; place++) {
      if (bases[place]! < 0) continue
      if (states[place] !== SOUGHT) this.#general[place] = 1
      else if (from[place]! < to[place]!) {
        found++
        if (newestSettles) settled[place] = 1
        // The first key of a page may have older records in the page before.
        else if (from[place] === 0 && pages[place]! > 0) this.#general[place] = 1
      } else missed++
    }
    file.noteLookups(found + missed, found)
  }

  /**
   * Puts the cached page of each key into `search`; keys that the filter denies get none, and those whose page of data or of
   * the filter is not cached go the general way. Returns how many were denied.
   */
  #findPages(file: BucketFile, search: BlockSearch): number {
    const pages = this.#pages
    const { bases, words } = search
    const { cache } = file
    const denied = file.skipsFilter ? 0 : this.#askFilter(file)
    for (let place = 0; place < this.#count; place++) {
      const page = pages[place]!
      bases[place] = -1
      if (page < 0) continue
      const slot = cache.find(file, page)
      if (slot < 0) this.#general[place] = 1
      else {
        words[place] = cache.wordsOf(slot)
        bases[place] = cache.baseOf(slot)
      }
    }
    return denied
  }

  /** Takes the page from keys that the filter denies, and from those that go the general way; returns how many were denied. */
  #askFilter(file: BucketFile): number {
    const { filter } = file
    const pages = this.#pages
    const lineAt = this.#lineAt
    const hashes = this.#hashes
    this.#hash()
    this.#findLines(file)
    this.#touchLines()
    let denied = 0
    for (let place = 0; place < this.#count; place++) {
      const at = lineAt[place]!
      if (at === NO_LINE) continue
      if (at === NOT_CACHED) this.#general[place] = 1
      else if (filter.lineMayContain(this.#lineWords[place]!, at, hashes[place]!)) continue
      else denied++
      pages[place] = -1
    }
    return denied
  }

  #findLines(file: BucketFile): void {
    const { filter, cache } = file
    const pages = this.#pages
    const hashes = this.#hashes
    const lineAt = this.#lineAt
    for (let place = 0; place < this.#count; place++) {
      const page = pages[place]!
      const line = page < 0 ? NO_LINE : filter.lineFor(page, hashes[place]!)
      lineAt[place] = NO_LINE
      if (line === NO_LINE) continue
      const slot = cache.find(file, filter.pageOf(line))
      lineAt[place] = slot < 0 ? NOT_CACHED : cache.baseOf(slot) + filter.wordOf(line)
      if (slot >= 0) this.#lineWords[place] = cache.wordsOf(slot)
    }
  }

  /** Reads a word of each line, and does nothing else, so that all are on their way from memory at once. */
  #touchLines(): void {
    const lineAt = this.#lineAt
    const words = this.#lineWords
    let touched = 0
    for (let place = 0; place < this.#count; place++) {
      const at = lineAt[place]!
      if (at >= 0) touched ^= words[place]![at]!
    }
    this.#touched[0]! ^= touched
  }

  #keyAt(place: number): Uint32Array {
    const key = this.#key
    for (let lane = 0; lane < key.length; lane++) key[lane] = this.#keys[lane]![place]!
    return key
  }

  #hash(): void {
    if (this.#hashed) return
    this.#hashed = true
    for (let place = 0; place < this.#count; place++)
      this.#hashes[place] = hashKey(this.#keys, place, this.#keys.length)
  }
}
