/**
 * Looks keys up: active memtable, sealed memtables from the newest on, bucket files from the newest on.
 *
 * Hits come newest first; the first delete of the key, or the limit, ends the search. One `Lookup` serves all lookups
 * of a table in turn: it allocates nothing for a key that is in memory. Hot. docs/internals.md, Lookup.
 */
import type { BucketFile } from '../bucket-file/reader.js'
import { DataPageReader } from '../format/data-page-reader.js'
import type { Memtable } from '../memtable/memtable.js'
import { NEVER_CLEARED } from '../records/cleared-keys.js'
import { hashKeyLanes } from '../records/hash.js'
import { DELETE_KEY, DELETE_RECORD, OperationBuffer, PUT } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { RecordSet } from '../records/record-set.js'
import type { View } from '../state/table-state.js'
import type { PageSource } from './page-source.js'

/** How far a key has been followed. */
const GO_ON = 0
const SETTLED = 1
const PAGE_MISSING = 2
type Progress = typeof GO_ON | typeof SETTLED | typeof PAGE_MISSING

export class Lookup {
  readonly #layout: RecordLayout
  readonly #replace: boolean
  readonly #page: DataPageReader
  /** State of the key at hand. */
  #view!: View
  #key!: Uint32Array
  #limit = 0
  #found = 0
  /** The key was cleared by an operation with this sequence number: what is older is not looked at. */
  #clearedAt = NEVER_CLEARED
  #keepRows = true
  #hits!: OperationBuffer
  #deleted: RecordSet | undefined

  constructor(layout: RecordLayout, pageBytes: number, replace: boolean) {
    this.#layout = layout
    this.#replace = replace
    this.#page = new DataPageReader(layout, pageBytes)
  }

  /**
   * Appends the records of `key`, newest first and `limit` at most, to `hits`; returns how many there are, or -1 where
   * a page is missing: then `hits` is as before and `pages.missing` tells which. With `keepRows` false it only counts.
   */
  collect(
    view: View,
    key: Uint32Array,
    limit: number,
    hits: OperationBuffer,
    pages: PageSource,
    keepRows = true,
  ): number {
    this.#view = view
    this.#key = key
    this.#limit = limit
    this.#found = 0
    this.#hits = hits
    this.#keepRows = keepRows
    this.#deleted = undefined
    const before = hits.count
    const progress = this.#search(pages)
    if (progress !== PAGE_MISSING) return this.#found
    hits.count = before
    return -1
  }

  #search(pages: PageSource): Progress {
    const { version, active, length, deletes, sequence } = this.#view
    this.#clearedAt =
      deletes.cleared.size === 0 ? NEVER_CLEARED : deletes.cleared.newestOf(this.#key, sequence)
    let progress = this.#searchMemtable(active.memtable, length)
    for (let i = version.sealed.length - 1; i >= 0 && progress === GO_ON; i--) {
      const { memtable } = version.sealed[i]!
      progress = this.#searchMemtable(memtable, memtable.count)
    }
    if (progress !== GO_ON) return progress
    const hash = hashKeyLanes(this.#key)
    for (let i = version.files.length - 1; i >= 0 && progress === GO_ON; i--) {
      const file = version.files[i]!
      if (file.entry.endSequence <= this.#clearedAt) break
      const page = file.lastPageFor(this.#key)
      if (page >= 0) progress = this.#searchFile(file, page, hash, pages)
    }
    return progress
  }

  #searchMemtable(memtable: Memtable, length: number): Progress {
    if (length === 0) return GO_ON
    const { lanes, kinds } = memtable
    let row = memtable.findNewest(this.#key, length)
    while (row >= 0) {
      const sequence = this.#view.deletes.size === 0 ? 0 : memtable.sequenceOf(row)
      if (sequence < this.#clearedAt) return SETTLED
      const hits = this.#hits
      hits.reserve(1)
      for (let lane = 0; lane < lanes.length; lane++) hits.lanes[lane]![hits.count] = lanes[lane]![row]!
      const kind = kinds === undefined ? PUT : kinds[row]!
      if (this.#take(kind, sequence) === SETTLED) return SETTLED
      row = memtable.findOlder(row, this.#key)
    }
    return GO_ON
  }

  /** Searches the pages from `last` back that may hold the key: those before only where a page starts with it. */
  #searchFile(file: BucketFile, last: number, hash: number, pages: PageSource): Progress {
    const sequence = file.entry.endSequence - 1
    for (let page = last; page >= 0; page--) {
      const may = pages.mayContain(file, page, hash)
      if (may === undefined) return PAGE_MISSING
      let found = false
      if (may) {
        if (!pages.find(file, page)) {
          pages.missing.push({ file, from: this.#firstPage(file, page), to: page + 1 })
          return PAGE_MISSING
        }
        this.#page.open(pages.words, pages.base)
        found = this.#page.find(this.#key)
      }
      if (page === last) file.noteLookups(1, found ? 1 : 0)
      if (found && this.#takeRows(this.#page, sequence) === SETTLED) return SETTLED
      if (!may || !file.startsWith(page, this.#key)) break
    }
    return GO_ON
  }

  /** The first page that this lookup will want before `page`, `page` included. */
  #firstPage(file: BucketFile, page: number): number {
    if (this.#limit === 1) return page
    let first = page
    while (first > 0 && file.startsWith(first, this.#key)) first--
    return first
  }

  /** Takes the rows that the reader found, from the newest on. */
  #takeRows(page: DataPageReader, sequence: number): Progress {
    const { keyLaneCount, laneCount } = this.#layout
    const { allPuts } = page
    for (let row = page.to - 1; row >= page.from; row--) {
      const hits = this.#hits
      hits.reserve(1)
      for (let lane = 0; lane < keyLaneCount; lane++) hits.lanes[lane]![hits.count] = this.#key[lane]!
      for (let lane = keyLaneCount; lane < laneCount; lane++) {
        hits.lanes[lane]![hits.count] = page.value(lane - keyLaneCount, row)
      }
      if (this.#take(allPuts ? PUT : page.kind(row), sequence) === SETTLED) return SETTLED
    }
    return GO_ON
  }

  /** Judges the operation after the last hit: it becomes a hit, or is dropped. */
  #take(kind: number, sequence: number): Progress {
    const hits = this.#hits
    const row = hits.count
    if (kind === DELETE_KEY) return SETTLED
    if (kind === DELETE_RECORD) {
      this.#deleted ??= new RecordSet(this.#layout)
      this.#deleted.add(hits.lanes, row)
      return GO_ON
    }
    const { deletes } = this.#view
    const hidden =
      this.#deleted?.has(hits.lanes, row) === true ||
      (deletes.matchers > 0 && deletes.matches(hits.lanes, row, sequence, this.#view.sequence))
    if (!hidden) {
      this.#found++
      if (this.#keepRows) hits.count++
    }
    // What the newest put replaced stays replaced, even where that put is hidden.
    return this.#replace || this.#found === this.#limit ? SETTLED : GO_ON
  }
}
