/**
 * Packs sorted operations into data pages, and keeps what the file must say of them: filter, fences, counts, bounds.
 *
 * Pure: bytes in memory, nothing is written. A file writer has a builder of its own; or pages are built by other
 * threads, a range of keys each, and go to the writer as {@link BuiltPages}. docs/file-format.md, Bucket file.
 */
import { assert } from '../base/assert.js'
import { WORDS_PER_LINE } from '../format/cache-line.js'
import { DataPageEncoder } from '../format/data-page-encoder.js'
import { WordBuffer } from '../format/word-buffer.js'
import { compareKeys, compareKeyToRow, compareRows } from '../records/compare.js'
import { DELETE_KEY, DELETE_RECORD, OperationBuffer, type WideOperations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { PageFilter } from './page-filter.js'

/** Counts that the footer keeps. */
export interface BucketFileCounts {
  records: number
  deleteKeys: number
  deleteRecords: number
  distinctKeys: number
}

/** First and last key, least and greatest value of each value lane; what they are of no pages means nothing. */
export interface Bounds {
  readonly firstKey: Uint32Array
  readonly lastKey: Uint32Array
  readonly minValues: Uint32Array
  readonly maxValues: Uint32Array
}

/** Data pages that have been built apart, as plain data. */
export interface BuiltPages {
  readonly pages: number
  /** The pages, in chunks, without their checksums: these depend on the position in the file. */
  readonly chunks: readonly Uint8Array<ArrayBuffer>[]
  /** For each page its first key, a word a lane, and the lines of `filter` up to the end of its block. */
  readonly fences: Uint32Array<ArrayBuffer>
  readonly filter: Uint32Array<ArrayBuffer>
  readonly counts: BucketFileCounts
  readonly bounds: Bounds
}

export class PageBuilder {
  readonly #layout: RecordLayout
  readonly #encoder: DataPageEncoder
  /** Rows that are in no page yet: those from `#from` on. */
  readonly #rows: OperationBuffer
  #from = 0
  readonly #pageFilter: PageFilter
  pages = 0
  readonly fences = new WordBuffer()
  readonly filter = new WordBuffer()
  readonly counts: BucketFileCounts = { records: 0, deleteKeys: 0, deleteRecords: 0, distinctKeys: 0 }
  readonly bounds: Bounds

  constructor(layout: RecordLayout, pageBytes: number, filterBitsPerRecord: number) {
    const valueLaneCount = layout.laneCount - layout.keyLaneCount
    this.#layout = layout
    this.#encoder = new DataPageEncoder(layout, pageBytes)
    this.#rows = new OperationBuffer(layout, 256)
    this.#pageFilter = new PageFilter(layout.keyLaneCount, filterBitsPerRecord)
    this.bounds = {
      firstKey: new Uint32Array(layout.keyLaneCount),
      lastKey: new Uint32Array(layout.keyLaneCount),
      minValues: new Uint32Array(valueLaneCount).fill(0xffffffff),
      maxValues: new Uint32Array(valueLaneCount),
    }
  }

  /** Of the filter; 0: there is none. */
  get probes(): number {
    return this.#pageFilter.probes
  }

  /** Takes rows. Requires: they are sorted by key and follow all rows that came before. */
  add(rows: WideOperations): void {
    this.room().append(rows, 0, rows.count)
  }

  /** The rows that are in no page yet: others may be appended, as {@link add} would. */
  room(): OperationBuffer {
    this.#rows.dropFirst(this.#from)
    this.#from = 0
    return this.#rows
  }

  /**
   * Builds the next page into the zeroed `page`, but for its checksum. False where the rows do not fill one; with
   * `last` where there are none any more.
   */
  build(page: Uint8Array, last: boolean): boolean {
    const rows = this.#rows
    if (this.#from === rows.count) return false
    const count = this.#encoder.fit(rows, this.#from, rows.count)
    const to = this.#from + count
    if (to === rows.count && !last) return false
    this.#encoder.write(rows, this.#from, page)
    this.#account(this.#from, to)
    this.#from = to
    return true
  }

  /** What it has counted so far, as plain data; the pages are with the caller. */
  built(): Omit<BuiltPages, 'chunks'> {
    const { pages, counts, bounds } = this
    return { pages, fences: this.fences.toArray(), filter: this.filter.toArray(), counts, bounds }
  }

  /** Counts pages that were built elsewhere and follow its own. Requires: no key is less, and no row waits here. */
  appendBuilt({ pages, fences, filter, counts, bounds }: BuiltPages): void {
    if (pages === 0) return
    const { keyLaneCount } = this.#layout
    assert(this.#from === this.#rows.count, 'no row waits while built pages come')
    const order = this.pages === 0 ? -1 : compareKeys(this.bounds.lastKey, bounds.firstKey)
    assert(order <= 0, 'built pages come in the order of their keys')
    if (this.pages === 0) this.bounds.firstKey.set(bounds.firstKey)
    const linesBefore = this.filter.length / WORDS_PER_LINE
    for (let page = 0, at = 0; page < pages; page++) {
      for (let lane = 0; lane < keyLaneCount; lane++) this.fences.push(fences[at++]!)
      this.fences.push(linesBefore + fences[at++]!)
    }
    this.filter.append(filter)
    this.counts.records += counts.records
    this.counts.deleteKeys += counts.deleteKeys
    this.counts.deleteRecords += counts.deleteRecords
    this.counts.distinctKeys += counts.distinctKeys - (order === 0 ? 1 : 0)
    this.bounds.lastKey.set(bounds.lastKey)
    for (let lane = 0; lane < bounds.minValues.length; lane++) {
      this.#widen(lane, bounds.minValues[lane]!, bounds.maxValues[lane]!)
    }
    this.pages += pages
  }

  /** Fence, filter block, counts and bounds of the page with rows [from, to). */
  #account(from: number, to: number): void {
    const { keyLaneCount, laneCount } = this.#layout
    const { lanes, kinds } = this.#rows
    const { counts, bounds } = this
    for (let lane = 0; lane < keyLaneCount; lane++) this.fences.push(lanes[lane]![from]!)
    if (this.pages === 0)
      for (let lane = 0; lane < keyLaneCount; lane++) bounds.firstKey[lane] = lanes[lane]![from]!
    // The first row of a page always goes into its filter; it is a new key only if the page before did not end in it.
    const keys = this.#pageFilter.begin(this.#rows, from, to)
    const order = this.pages === 0 ? -1 : compareKeyToRow(bounds.lastKey, lanes, from)
    assert(
      order <= 0 && compareRows(lanes, from, lanes, to - 1, keyLaneCount) <= 0,
      'the rows of pages come in the order of their keys',
    )
    const continued = order === 0
    counts.distinctKeys += continued ? keys - 1 : keys
    for (let lane = 0; lane < keyLaneCount; lane++) bounds.lastKey[lane] = lanes[lane]![to - 1]!
    if (this.probes > 0) this.filter.append(this.#pageFilter.block())
    this.fences.push(this.filter.length / WORDS_PER_LINE)
    for (let lane = 0; lane < laneCount - keyLaneCount; lane++) {
      const { min, max } = this.#encoder.bounds(lane)
      this.#widen(lane, min, max)
    }
    if (kinds === undefined) counts.records += to - from
    else for (let row = from; row < to; row++) countKind(counts, kinds[row]!)
    this.pages++
  }

  #widen(lane: number, min: number, max: number): void {
    const { minValues, maxValues } = this.bounds
    if (min < minValues[lane]!) minValues[lane] = min
    if (max > maxValues[lane]!) maxValues[lane] = max
  }
}

function countKind(counts: BucketFileCounts, kind: number): void {
  if (kind === DELETE_KEY) counts.deleteKeys++
  else if (kind === DELETE_RECORD) counts.deleteRecords++
  else counts.records++
}
