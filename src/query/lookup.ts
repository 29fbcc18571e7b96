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
import { Combiner } from '../records/combine.js'
import { hashKeyLanes } from '../records/hash.js'
import { DELETE_KEY, DELETE_RECORD, OperationBuffer, PUT } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { RecordSet } from '../records/record-set.js'
import type { View } from '../state/table-state.js'
import type { PageSource, PageSpan } from './page-source.js'

/** A page is missing. */
export const MISSING = -1
/** The key has more rows than may be looked through at once. */
export const TOO_MANY = -2

/** How far a key has been followed. */
const GO_ON = 0
const SETTLED = 1
type Progress = typeof GO_ON | typeof SETTLED | typeof MISSING | typeof TOO_MANY

/** The effort for a page is that for a row of each 256 of its bytes. */
const BYTES_PER_EFFORT = 256
/** Bytes of pages that are asked for together. */
const MISSING_BYTES_MAX = 2 ** 21

/** Which of the records of a key are wanted: all but the first `offset` ones, `limit` at most. */
export interface Wanted {
  readonly limit: number
  readonly offset: number
  /** From the newest on; else from the oldest on. */
  readonly reverse: boolean
}

/** What else {@link Lookup.collect} may be told. */
export interface CollectOptions {
  /** Newest records that are passed over. Default: none. */
  readonly offset?: number
  /** Default: true. */
  readonly keepRows?: boolean
  /** Rows that it may look through, and some for each page. Default: no limit. */
  readonly effort?: number
}

export class Lookup {
  readonly #layout: RecordLayout
  readonly #replace: boolean
  readonly #page: DataPageReader
  readonly #pageEffort: number
  readonly #missingPagesMax: number
  /** State of the key at hand. */
  #view!: View
  #key!: Uint32Array
  #limit = 0
  /** Records that are still to be passed over. */
  #offset = 0
  #effort = 0
  #found = 0
  /** The key was cleared by an operation with this sequence number: what is older is not looked at. */
  #clearedAt = NEVER_CLEARED
  #keepRows = true
  #hits!: OperationBuffer
  #deleted: RecordSet | undefined
  /** With `combine`: a key has one record, the last hit so far, into which older ones go. */
  readonly #combiner: Combiner | undefined

  constructor(layout: RecordLayout, pageBytes: number, replace: boolean) {
    this.#layout = layout
    this.#replace = replace
    this.#combiner = Combiner.of(layout)
    this.#page = new DataPageReader(layout, pageBytes)
    this.#pageEffort = pageBytes / BYTES_PER_EFFORT
    this.#missingPagesMax = MISSING_BYTES_MAX / pageBytes
  }

  /**
   * Appends the records of `key`, newest first and `limit` at most, to `hits`; returns how many there are, or
   * {@link MISSING} where a page is missing, as `pages.missing` tells, or {@link TOO_MANY}: then `hits` is as before.
   * With `keepRows` false it only counts.
   */
  collect(
    view: View,
    key: Uint32Array,
    limit: number,
    hits: OperationBuffer,
    pages: PageSource,
    { offset = 0, keepRows = true, effort = Infinity }: CollectOptions = {},
  ): number {
    this.#view = view
    this.#key = key
    // All puts of a key make one record; whether there is one, the newest tells.
    const combines = this.#combiner !== undefined && keepRows
    this.#limit = combines ? Infinity : limit
    this.#offset = offset
    this.#effort = effort
    this.#found = 0
    this.#hits = hits
    this.#keepRows = keepRows
    this.#deleted = undefined
    const before = hits.count
    const isWanted = limit > 0 && (this.#combiner === undefined || offset === 0)
    const progress = isWanted ? this.#search(pages) : SETTLED
    if (progress >= GO_ON) return this.#found
    hits.count = before
    return progress
  }

  /**
   * As {@link collect}, of the wanted records in their order. Those from the oldest on are the last of the newest, so the
   * records are counted first.
   */
  find(
    view: View,
    key: Uint32Array,
    { limit, offset, reverse }: Wanted,
    hits: OperationBuffer,
    pages: PageSource,
    effort = Infinity,
  ): number {
    if (reverse) return this.collect(view, key, limit, hits, pages, { offset, effort })
    const before = hits.count
    let found: number
    if ((limit === Infinity && offset === 0) || this.#combiner !== undefined)
      found = this.collect(view, key, limit, hits, pages, { offset, effort })
    else {
      const count = this.collect(view, key, Infinity, hits, pages, { keepRows: false, effort })
      if (count < 0) return count
      const newer = Math.max(0, count - offset - limit)
      found = this.collect(view, key, count - offset - newer, hits, pages, { offset: newer, effort })
    }
    if (found > 0) hits.reverseFrom(before)
    return found
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
      if (page < 0) continue
      progress = this.#searchFile(file, page, hash, pages)
      if (progress === MISSING) this.#missAlso(i, hash, pages)
    }
    return progress
  }

  /**
   * A page of file `newest` is missing: takes note of those that this lookup lacks in older files, so that they are read
   * together. A lookup of all records needs them anyway. One that may end before asks files that are far away, where a wait
   * costs more than a read: as many of the newest as have half of the records that are left.
   */
  #missAlso(newest: number, hash: number, pages: PageSource): void {
    const { files } = this.#view.version
    const wantsAll = this.#limit === Infinity && !this.#replace
    if (!wantsAll && !files[newest]!.isRemote) return
    let left = 0
    for (let i = newest; i >= 0; i--) left += files[i]!.footer.records
    let asked = files[newest]!.footer.records
    for (let i = newest - 1; i >= 0; i--) {
      if (!wantsAll && asked >= left / 2) return
      const file = files[i]!
      if (file.entry.endSequence <= this.#clearedAt) return
      asked += file.footer.records
      const page = file.lastPageFor(this.#key)
      if (page < 0 || pages.mayContain(file, page, hash) !== true) continue
      if (!pages.find(file, page)) pages.missing.push(this.#spanFrom(file, page))
    }
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
      const progress = this.#take(kind, sequence)
      if (progress !== GO_ON) return progress
      row = memtable.findOlder(row, this.#key)
    }
    return GO_ON
  }

  /** Searches the pages from `last` back that may hold the key: those before only where a page starts with it. */
  #searchFile(file: BucketFile, last: number, hash: number, pages: PageSource): Progress {
    const sequence = file.entry.endSequence - 1
    for (let page = last; page >= 0; page--) {
      const may = pages.mayContain(file, page, hash)
      if (may === undefined) return MISSING
      let found = false
      if (may) {
        if (!pages.find(file, page)) {
          pages.missing.push(this.#spanFrom(file, page))
          return MISSING
        }
        this.#page.open(pages.words, pages.base)
        found = this.#page.find(this.#key)
      }
      if (page === last) file.noteLookups(1, found ? 1 : 0)
      const progress = found ? this.#takeRows(this.#page, sequence) : GO_ON
      if (progress !== GO_ON) return progress
      if (!may || !file.startsWith(page, this.#key)) break
      this.#effort -= this.#pageEffort
      if (this.#effort < 0) return TOO_MANY
    }
    return GO_ON
  }

  /** Page `page`, and those before it that this lookup is likely to want. */
  #spanFrom(file: BucketFile, page: number): PageSpan {
    const { records, deleteKeys, deleteRecords, dataPages } = file.footer
    const left = this.#offset + this.#limit - this.#found
    const wanted = Math.ceil((left * dataPages) / (records + deleteKeys + deleteRecords))
    const least = Math.max(0, page + 1 - Math.min(wanted, this.#missingPagesMax))
    let first = page
    while (first > least && file.startsWith(first, this.#key)) first--
    return { file, from: first, to: page + 1 }
  }

  /** Takes the rows that the reader found, from the newest on. */
  #takeRows(page: DataPageReader, sequence: number): Progress {
    const { keyLaneCount, laneCount } = this.#layout
    const { allPuts } = page
    const left = page.to - page.from - (allPuts ? this.#passOver(page.to - page.from, sequence) : 0)
    if (this.#found === this.#limit) return SETTLED
    for (let row = page.from + left - 1; row >= page.from; row--) {
      const hits = this.#hits
      hits.reserve(1)
      for (let lane = 0; lane < keyLaneCount; lane++) hits.lanes[lane]![hits.count] = this.#key[lane]!
      for (let lane = keyLaneCount; lane < laneCount; lane++) {
        hits.lanes[lane]![hits.count] = page.value(lane - keyLaneCount, row)
      }
      const progress = this.#take(allPuts ? PUT : page.kind(row), sequence)
      if (progress !== GO_ON) return progress
    }
    return GO_ON
  }

  /** Passes over as many of the next puts, `rows` in all, as are not wanted or only counted, if nothing can hide them. */
  #passOver(rows: number, sequence: number): number {
    if (this.#offset === 0 && this.#keepRows) return 0
    if (
      this.#replace ||
      this.#combiner !== undefined ||
      this.#deleted !== undefined ||
      this.#view.deletes.mayHide(sequence)
    )
      return 0
    const passed = Math.min(rows, this.#offset)
    this.#offset -= passed
    if (this.#keepRows) return passed
    const counted = Math.min(rows - passed, this.#limit - this.#found)
    this.#found += counted
    return passed + counted
  }

  /** Judges the operation after the last hit: it becomes a hit, or is dropped. */
  #take(kind: number, sequence: number): Progress {
    const hits = this.#hits
    const row = hits.count
    if (kind === DELETE_KEY) return SETTLED
    if (--this.#effort < 0) return TOO_MANY
    if (kind === DELETE_RECORD) {
      if (this.#combiner !== undefined) return GO_ON
      this.#deleted ??= new RecordSet(this.#layout)
      this.#deleted.add(hits.lanes, row)
      return GO_ON
    }
    if (this.#combiner !== undefined) return this.#combine(this.#combiner)
    const { deletes } = this.#view
    const hidden =
      this.#deleted?.has(hits.lanes, row) === true ||
      (deletes.matchers > 0 && deletes.matches(hits.lanes, row, sequence, this.#view.sequence))
    if (!hidden) {
      if (this.#offset > 0) this.#offset--
      else {
        this.#found++
        if (this.#keepRows) hits.count++
      }
    }
    // What the newest put replaced stays replaced, even where that put is hidden.
    return this.#replace || this.#found === this.#limit ? SETTLED : GO_ON
  }
  /** Takes a put of a key whose puts become one record. */
  #combine(combiner: Combiner): Progress {
    const { lanes, count } = this.#hits
    if (this.#found++ === 0) {
      if (!this.#keepRows) return SETTLED
      this.#hits.count++
      return GO_ON
    }
    this.#found = 1
    combiner.combine(lanes, count, lanes, count - 1, lanes, count - 1)
    return GO_ON
  }
}
