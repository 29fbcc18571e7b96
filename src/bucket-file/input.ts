/**
 * A bucket file as the input of a merge or a scan: its pages in key order.
 *
 * The first read is one page, each further one twice as many up to 256 KiB: a short scan reads little, a long one
 * sequentially. Pages of cleared keys are passed over. The first few pages of a scan go through the page cache, so that
 * short ranges that are asked again and again read nothing; all else goes past it and pushes nothing out of it.
 */
import { corruption, type FlashTableError } from '../base/errors.js'
import { DataPageDecoder } from '../format/data-page-decoder.js'
import { hasPutsOnly } from '../format/data-page-row.js'
import { PageKeys } from '../format/page-keys.js'
import { dataPageLayout, KIND_WORD, rowCountIn, type DataPageLayout } from '../format/page-layout.js'
import { giveBackColumn, newBytes } from '../kernels/kernels.js'
import type { SortedInput } from '../merge/sorted-input.js'
import { compareKeyToRow, compareRows } from '../records/compare.js'
import { hideRows, type Hiding } from '../records/hide-rows.js'
import { rangeOverlaps, type KeyRange } from '../records/key-range.js'
import type { OperationBuffer, WhereTerms, WideOperations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { leavesOutPage } from './filtered-pages.js'
import { HiddenPages } from './hidden-pages.js'
import type { BucketFile } from './reader.js'

/** Reads of up to this many pages go through the cache: seven pages in all. */
const CACHED_READ_PAGES = 4
/** Rows that a scan takes of its first page at first: it may want no more. */
const FIRST_ROWS = 64
/** Bytes of the longest read: of a disk, and of a store, where a request takes long, however little it asks for. */
const READ_BYTES = 2 ** 18
const REMOTE_READ_BYTES = 2 ** 21
/** Of what a merge has read, it gets about this many rows at a time: all of them would not fit the caches. */
const STEP_ROWS = 512
/** And a scan no more than this: a page may have 32,767 rows of one key and value. */
const SCAN_ROWS = 2 ** 15

export interface BucketInputOptions {
  readonly layout: RecordLayout
  readonly pageBytes: number
  readonly range: KeyRange
  readonly reverse: boolean
  readonly hiding: Hiding
  /** Only rows that match are wanted: pages without one are left out where that is simple. Others may be handed out. */
  readonly where?: WhereTerms | undefined
  /** Shared with other inputs of one reader; without them the input has its own. */
  readonly decoder?: DataPageDecoder
  readonly keys?: PageKeys
  /** Pages of the first read; a merge begins with the longest. */
  readonly firstReadPages?: number
}

/** Neighbouring pages that are being read. */
interface Stretch {
  readonly first: number
  readonly count: number
  readonly words: Promise<Uint32Array>
}

export class BucketInput implements SortedInput {
  readonly #file: BucketFile
  readonly #options: BucketInputOptions
  readonly #decoder: DataPageDecoder
  readonly #keys: PageKeys
  readonly #hidden: HiddenPages
  readonly #pageLayout: DataPageLayout
  /** What pages are tested for. */
  readonly #where: WhereTerms | undefined
  readonly #readPagesMax: number
  #readPages: number
  /** Of a scan: its first page is still to come; and rows [from, to) of that page that are. */
  #isFirst: boolean
  #rest: { readonly page: number; readonly from: number; readonly to: number } | undefined
  /** What the reads of a merge go into. */
  #memory: Uint8Array | undefined
  /** Pages [next, end) that are read and not decoded. */
  #read: { readonly words: Uint32Array; readonly first: number; next: number; end: number } | undefined
  /** Of a file in a store: the pages that come after `#read`, on their way. */
  #ahead: Stretch | undefined
  /** The key that was decoded last, if the next page is one that was read with it. */
  #lastKey: Uint32Array | undefined
  /** Where the batch begins that is being appended. */
  #batch = 0
  /** Pages [from, to) are still to be read. */
  #from: number
  #to: number
  /** How many of the next records of the range nobody asks for: they are left out, page by page, as long as that is simple. */
  skip = 0

  constructor(file: BucketFile, options: BucketInputOptions) {
    const { range, layout, pageBytes, hiding } = options
    const { footer } = file
    this.#file = file
    this.#options = options
    this.#decoder = options.decoder ?? new DataPageDecoder(layout, pageBytes)
    this.#keys = options.keys ?? new PageKeys(layout, pageBytes)
    this.#hidden = new HiddenPages(file, hiding.deletes.cleared, hiding.before)
    this.#pageLayout = dataPageLayout(layout, pageBytes)
    // A delete of a key hides what matches, whatever its value is; so does a put that replaces, and another becomes part of it.
    const isAlone = footer.deleteKeys === 0 && !hiding.replace && layout.combine === undefined
    this.#where = isAlone ? options.where : undefined
    this.#isFirst = options.firstReadPages === undefined && file.hasCache
    this.#readPagesMax = Math.max(1, Math.floor((file.isRemote ? REMOTE_READ_BYTES : READ_BYTES) / pageBytes))
    this.#readPages = Math.min(this.#readPagesMax, options.firstReadPages ?? 1)
    const overlaps = footer.dataPages > 0 && rangeOverlaps(range, footer.firstKey, footer.lastKey)
    this.#from = overlaps ? firstPage(file, range) : 0
    this.#to = overlaps ? lastPage(file, range) + 1 : 0
    this.#passHidden()
  }

  get hasDeletes(): boolean {
    const { deleteKeys, deleteRecords } = this.#file.footer
    return deleteKeys + deleteRecords > 0
  }

  ofKey(key: Uint32Array): BucketInput {
    return new BucketInput(this.#file, {
      ...this.#options,
      range: { lower: key, upper: key },
      reverse: false,
      decoder: this.#decoder,
      keys: this.#keys,
    })
  }

  async next(into: OperationBuffer): Promise<boolean> {
    this.#batch = into.count
    if (this.#rest !== undefined) await this.#decodeCached(this.#rest.page, this.#rest.page + 1, into)
    else if (this.#read !== undefined) this.#decodeRead(into)
    else if (this.#ahead !== undefined || this.#from < this.#to) await this.#readOn(into)
    else return false
    hideRows(into, this.#batch, this.#file.entry.endSequence - 1, this.#options.hiding)
    if (this.#options.reverse) into.reverseFrom(this.#batch)
    return true
  }

  /** Appends the rows of the next pages. */
  async #readOn(into: OperationBuffer): Promise<void> {
    const isCached = this.#ahead === undefined && this.#readPages <= CACHED_READ_PAGES && this.#file.hasCache
    if (isCached) {
      const { first, count } = this.#nextPages(this.#goesByPage ? 1 : this.#readPages)
      await this.#decodeCached(first, first + count, into)
    } else {
      const { first, count, words } = this.#ahead ?? this.#readPast()
      this.#ahead = undefined
      const read = await words
      if (this.#file.isRemote && this.#from < this.#to) this.#ahead = this.#readPast()
      this.#read = { words: read, first, next: first, end: first + count }
      this.#decodeRead(into)
    }
    if (!this.#isFirst) this.#readPages = Math.min(this.#readPagesMax, this.#readPages * 2)
  }

  /** Begins to read the next pages, past the cache. */
  #readPast(): Stretch {
    const { first, count } = this.#nextPages(this.#readPages)
    const words = this.#file.readPages(first, first + count, this.#reused(count))
    // If nobody asks for it any more, nobody is told that it failed.
    words.catch(() => {})
    return { first, count, words }
  }

  /** Takes the next pages, `most` at most, from those that are still to be read. */
  #nextPages(most: number): { readonly first: number; readonly count: number } {
    const { reverse } = this.#options
    const count = this.#visiblePages(Math.min(most, this.#to - this.#from))
    const first = reverse ? this.#to - count : this.#from
    if (reverse) this.#to -= count
    else this.#from += count
    this.#passHidden()
    return { first, count }
  }

  /** Passes over pages of cleared keys, so that the next page may have others. */
  #passHidden(): void {
    if (this.#from >= this.#to) return
    if (this.#options.reverse) this.#to = this.#hidden.lastVisible(this.#to - 1) + 1
    else this.#from = this.#hidden.firstVisible(this.#from)
  }

  /** How many of the next pages, `most` at most, come before one of cleared keys. Requires: the next one is visible. */
  #visiblePages(most: number): number {
    const { reverse } = this.#options
    let count = 1
    while (
      count < most &&
      (reverse
        ? this.#hidden.lastVisible(this.#to - 1 - count) === this.#to - 1 - count
        : this.#hidden.firstVisible(this.#from + count) === this.#from + count)
    )
      count++
    return count
  }

  /** Decodes as much of what was read as is used at once. */
  #decodeRead(into: OperationBuffer): void {
    const read = this.#read!
    const { firstReadPages, pageBytes, reverse, layout } = this.#options
    const wordAt = (page: number): number => ((page - read.first) * pageBytes) / 4
    const rowsMax = firstReadPages === undefined ? SCAN_ROWS : STEP_ROWS
    let [from, to] = reverse ? [read.end, read.end] : [read.next, read.next]
    let rows = 0
    do rows += rowCountIn(read.words[wordAt(reverse ? --from : to++) + KIND_WORD]!)
    while (rows < rowsMax && to - from < read.end - read.next && !this.#goesByPage)
    for (let page = from; page < to; page++) this.#decode(page, read.words, wordAt(page), into)
    if (reverse) read.end = from
    else read.next = to
    if (read.next === read.end) this.#read = undefined
    if (into.count > this.#batch) {
      if (reverse) this.#checkFollows(from, into, into.count - 1)
      const last = reverse ? this.#batch : into.count - 1
      const keyLanes = into.lanes.slice(0, layout.keyLaneCount)
      this.#lastKey = Uint32Array.from(keyLanes, lane => lane[last]!)
    }
    if (this.#read === undefined) this.#lastKey = undefined
  }

  /** The memory for this many pages of a merge: what was read before is decoded. */
  #reused(pages: number): Uint8Array | undefined {
    if (this.#options.firstReadPages === undefined) return undefined
    const bytes = pages * this.#options.pageBytes + 4
    if (this.#memory === undefined || this.#memory.byteLength < bytes) this.#memory = newBytes(bytes)
    return this.#memory
  }

  /** Decodes the pages [from, to), out of the cache as far as they are there; reads of others block while that is fast. */
  async #decodeCached(from: number, to: number, into: OperationBuffer): Promise<void> {
    const file = this.#file
    for (let page = from; page < to; page++) {
      let slot = file.cachedPage(page)
      if (slot < 0 && file.loadPageIfFast(page)) slot = file.cachedPage(page)
      if (slot >= 0) {
        this.#decode(page, file.cache.wordsOf(slot), file.cache.baseOf(slot), into)
        continue
      }
      let end = page + 1
      while (end < to && file.cachedPage(end) < 0) end++
      for (const { words, base } of await file.loadPages(page, end)) this.#decode(page++, words, base, into)
      page--
    }
  }

  /** Appends the rows of the page that are in the range; of the first page a few, and then the rest. */
  #decode(page: number, words: Uint32Array, base: number, into: OperationBuffer): void {
    const { reverse } = this.#options
    let { from, to } = this.#rest ?? this.#rowsOf(words, base)
    this.#rest = undefined
    if (this.#isFirst && to - from > FIRST_ROWS) {
      const middle = reverse ? to - FIRST_ROWS : from + FIRST_ROWS
      this.#rest = reverse ? { page, from, to: middle } : { page, from: middle, to }
      if (reverse) from = middle
      else to = middle
    }
    // The page before may have been read for a bound alone.
    if (to > from) this.#isFirst = false
    // Behind rows that are handed out nothing is left out: they are the next ones.
    if (into.count === this.#batch && this.#leavesOut(words, base, to - from)) return
    const { layout } = this.#options
    if (this.#where !== undefined && leavesOutPage(this.#pageLayout, layout, this.#where, words, base)) return
    const before = into.count
    this.#decoder.decode(words, base, into, from, to)
    this.#checkOrder(page, before, into)
  }

  /** The pages of a batch are decoded in ascending order, but a reverse scan leaves out the last ones first. */
  get #goesByPage(): boolean {
    return this.#options.reverse && this.skip > 0
  }

  /** Whether these rows of the page are all left out: records that nothing hides. */
  #leavesOut(words: Uint32Array, base: number, rows: number): boolean {
    const { deletes } = this.#options.hiding
    if (rows > this.skip || deletes.mayHide(this.#file.entry.endSequence - 1)) return false
    if (!hasPutsOnly(this.#pageLayout, words, base)) return false
    this.skip -= rows
    return true
  }

  /** The rows [from, to) of a page that are in the range. */
  #rowsOf(words: Uint32Array, base: number): { from: number; to: number } {
    const { lower, lowerExclusive, upper, upperExclusive } = this.#options.range
    const keys = this.#keys
    keys.open(words, base)
    const from = lower === undefined ? 0 : keys.placeOf(lower, lowerExclusive === true)
    const to = upper === undefined ? keys.rows : keys.placeOf(upper, upperExclusive !== true)
    // In a page that is out of order the end may come first.
    return { from: Math.min(from, to), to }
  }

  /** Checks the ends of a page, whose rows begin at `from`. A checksum does not say that the writer has sorted them. */
  #checkOrder(page: number, from: number, rows: WideOperations): void {
    const { lanes, count } = rows
    if (count === from) return
    const { keyLaneCount } = this.#options.layout
    const isSorted = (a: number, b: number) => compareRows(lanes, a, lanes, b, keyLaneCount) <= 0
    if (!isSorted(Math.max(this.#batch, from - 1), from) || !isSorted(from, count - 1))
      throw this.#disorder(page)
    if (from === this.#batch && !this.#options.reverse) this.#checkFollows(page, rows, from)
  }

  /** Checks that row `row` follows the key that was decoded last. */
  #checkFollows(page: number, { lanes }: WideOperations, row: number): void {
    if (this.#lastKey === undefined) return
    const order = compareKeyToRow(this.#lastKey, lanes, row)
    if (this.#options.reverse ? order < 0 : order > 0) throw this.#disorder(page)
  }

  #disorder(page: number): FlashTableError {
    const { pageBytes } = this.#options
    return corruption(
      this.#file.path,
      page * pageBytes,
      'keys in ascending order',
      'a key that is out of order',
    )
  }

  /** The file itself stays open: it belongs to the version that the reader holds. */
  async close(): Promise<void> {
    this.#from = this.#to
    this.#rest = undefined
    this.#ahead = undefined
    this.#read = undefined
    if (this.#memory !== undefined) giveBackColumn(this.#memory)
    this.#memory = undefined
  }
}

/** The first page that may have rows in the range. */
function firstPage(file: BucketFile, { lower, lowerExclusive }: KeyRange): number {
  if (lower === undefined) return 0
  return lowerExclusive === true ? Math.max(0, file.lastPageFor(lower)) : file.firstPageFor(lower)
}

/** The last page that may have rows in the range. A page that begins with a bound that is outside has none. */
function lastPage(file: BucketFile, { upper, upperExclusive }: KeyRange): number {
  if (upper === undefined) return file.footer.dataPages - 1
  return upperExclusive === true ? file.firstPageFor(upper) : file.lastPageFor(upper)
}
