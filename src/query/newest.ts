/**
 * Looks up the newest record of one key where that is simple: a put in a memtable or a page that is not hidden. All else
 * goes the general way (lookup.ts), which gives the same answer. Hot: most of a lookup is waiting for memory, so it reads no
 * filter that it can do without, and touches lines before it needs them. docs/internals.md, Lookup.
 */
import { NO_LINE } from '../bucket-file/filter-lines.js'
import type { BucketFile } from '../bucket-file/reader.js'
import { DataPageReader } from '../format/data-page-reader.js'
import { readRowValues } from '../format/data-page-row.js'
import { ASK_READER, NOT_THERE, findNewestOfPair } from '../format/find-pair.js'
import { dataPageLayout, type DataPageLayout } from '../format/page-layout.js'
import type { Memtable } from '../memtable/memtable.js'
import { NEVER_CLEARED } from '../records/cleared-keys.js'
import { hashKeyLanes } from '../records/hash.js'
import { DELETE_KEY, PUT } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import type { View } from '../state/table-state.js'
import type { LookupClock } from './lookup-clock.js'
import { loadPage } from './page-source.js'

/** What {@link NewestRecord.find} says. */
export const NONE = 0
export const FOUND = 1
/** Not simple, or a page is missing: ask `Lookup`. */
export const GENERAL = 2
type Finding = typeof NONE | typeof FOUND | typeof GENERAL
/** There is nothing of the key here: look further. */
const GO_ON = 3

export class NewestRecord {
  readonly #layout: RecordLayout
  readonly #pageLayout: DataPageLayout
  readonly #page: DataPageReader
  /** With `combine` the newest put of a key is not its record. */
  readonly #combines: boolean
  /** The key at hand was cleared by an operation with this sequence number. */
  #clearedAt = NEVER_CLEARED

  readonly #clock: LookupClock | undefined

  /** `clock`: of lookups that block. */
  constructor(layout: RecordLayout, pageBytes: number, clock?: LookupClock) {
    this.#layout = layout
    this.#clock = clock
    this.#combines = layout.combine !== undefined
    this.#pageLayout = dataPageLayout(layout, pageBytes)
    this.#page = new DataPageReader(layout, pageBytes)
  }

  /** Puts the lanes of the value into row 0 of `record`. Pages that are missing are read if it may block. */
  find(view: View, key: Uint32Array, record: readonly Uint32Array[], mayBlock: boolean): Finding {
    const { version, active, length, deletes, sequence } = view
    // In a file alone its puts are one.
    const isAlone = version.files.length === 1 && version.sealed.length === 0 && length === 0
    if (this.#combines && !isAlone) return GENERAL
    this.#clearedAt = deletes.cleared.size === 0 ? NEVER_CLEARED : deletes.cleared.newestOf(key, sequence)
    let answer = this.#findInMemtable(view, active.memtable, length, key, record)
    for (let i = version.sealed.length - 1; i >= 0 && answer === GO_ON; i--) {
      const { memtable } = version.sealed[i]!
      answer = this.#findInMemtable(view, memtable, memtable.count, key, record)
    }
    for (let i = version.files.length - 1; i >= 0 && answer === GO_ON; i--) {
      const file = version.files[i]!
      if (file.entry.endSequence <= this.#clearedAt) break
      answer = this.#findInFile(view, file, key, record, mayBlock)
    }
    return answer === GO_ON ? NONE : answer
  }

  #findInMemtable(
    view: View,
    memtable: Memtable,
    length: number,
    key: Uint32Array,
    record: readonly Uint32Array[],
  ): Finding | typeof GO_ON {
    if (length === 0) return GO_ON
    const row = memtable.findNewest(key, length)
    if (row < 0) return GO_ON
    if (this.#clearedAt >= 0 && memtable.sequenceOf(row) < this.#clearedAt) return NONE
    const { lanes, kinds } = memtable
    const kind = kinds === undefined ? PUT : kinds[row]!
    if (kind !== PUT) return kind === DELETE_KEY ? NONE : GENERAL
    for (let lane = this.#layout.keyLaneCount; lane < lanes.length; lane++)
      record[lane]![0] = lanes[lane]![row]!
    return view.deletes.matchers > 0 && isHidden(view, record, memtable.sequenceOf(row)) ? GENERAL : FOUND
  }

  /** Where the page starts with the key, pages before it may hold older records; the newest is here. */
  #findInFile(
    view: View,
    file: BucketFile,
    key: Uint32Array,
    record: readonly Uint32Array[],
    mayBlock: boolean,
  ): Finding | typeof GO_ON {
    const number = file.lastPageFor(key)
    if (number < 0) return GO_ON
    // Without the filter only if the page is in the cache.
    let slot = file.skipsFilter ? file.cachedPage(number) : -1
    if (slot < 0) {
      const says = askFilter(file, number, hashKeyLanes(key), mayBlock, this.#clock)
      if (says === NONE) {
        file.noteLookups(1, 0)
        return GO_ON
      }
      slot = file.cachedPage(number)
      if ((says === GENERAL || slot < 0) && !mayBlock) return GENERAL
      if (slot < 0) slot = loadPage(file, number, this.#clock)
    }
    const words = file.cache.wordsOf(slot)
    const base = file.cache.baseOf(slot)
    this.#page.touch(words, base, file.shareOf(number, key))
    const bit =
      key.length <= 2
        ? findNewestOfPair(
            this.#pageLayout,
            words,
            base,
            key.length === 2 ? key[0]! : 0,
            key[key.length - 1]!,
          )
        : ASK_READER
    if (bit === ASK_READER) return this.#findByReader(view, file, words, base, key, record)
    file.noteLookups(1, bit === NOT_THERE ? 0 : 1)
    if (bit === NOT_THERE) return GO_ON
    readRowValues(this.#pageLayout, words, base, bit, record, 0)
    return view.deletes.matchers > 0 && isHidden(view, record, file.entry.endSequence - 1) ? GENERAL : FOUND
  }

  /** In a page of any kind, for keys of any number of lanes. */
  #findByReader(
    view: View,
    file: BucketFile,
    words: Uint32Array,
    base: number,
    key: Uint32Array,
    record: readonly Uint32Array[],
  ): Finding | typeof GO_ON {
    const page = this.#page
    page.open(words, base)
    const found = page.find(key)
    file.noteLookups(1, found ? 1 : 0)
    if (!found) return GO_ON
    const row = page.to - 1
    const kind = page.allPuts ? PUT : page.kind(row)
    if (kind !== PUT) return kind === DELETE_KEY ? NONE : GENERAL
    page.readValues(row, record)
    return view.deletes.matchers > 0 && isHidden(view, record, file.entry.endSequence - 1) ? GENERAL : FOUND
  }
}

/**
 * What the filter says of a data page: the key is not there, or it may be. GENERAL: its page is not in the cache. If nearly all
 * keys are in the file, it is not worth reading a page of the filter.
 */
function askFilter(
  file: BucketFile,
  page: number,
  hash: number,
  mayBlock: boolean,
  clock: LookupClock | undefined,
): typeof NONE | typeof GO_ON | typeof GENERAL {
  const { filter, cache } = file
  const line = filter.lineFor(page, hash)
  if (line === NO_LINE) return GO_ON
  const filterPage = filter.pageOf(line)
  let slot = file.cachedPage(filterPage)
  if (slot < 0) {
    if (file.skipsFilter) return GO_ON
    if (!mayBlock) return GENERAL
    slot = loadPage(file, filterPage, clock)
  }
  return filter.mayContain(cache.wordsOf(slot), cache.baseOf(slot), line, hash) ? GO_ON : NONE
}

/** Whether a delete by value hides the record in row 0. What is older may not be hidden: that is for `Lookup`. */
function isHidden({ deletes, sequence }: View, record: readonly Uint32Array[], putAt: number): boolean {
  return deletes.matches(record, 0, putAt, sequence)
}
