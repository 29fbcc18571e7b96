/**
 * A bucket file as the input of a merge or a scan: its pages in key order, read past the page cache.
 *
 * The first read is one page, each further one twice as many up to 256 KiB: a short scan reads little, a long one
 * sequentially.
 */
import { corruption } from '../base/errors.js'
import { DataPageDecoder } from '../format/data-page-decoder.js'
import type { SortedInput } from '../merge/sorted-input.js'
import { compareRows } from '../records/compare.js'
import { hideRows, type Hiding } from '../records/hide-rows.js'
import { rangeEnd, rangeOverlaps, rangeStart, type KeyRange } from '../records/key-range.js'
import { OperationBuffer } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import type { BucketFile } from './reader.js'

/** Bytes of the longest read. */
const READ_BYTES = 2 ** 18

export interface BucketInputOptions {
  readonly layout: RecordLayout
  readonly pageBytes: number
  readonly range: KeyRange
  readonly reverse: boolean
  readonly hiding: Hiding
  /** Pages of the first read; a merge begins with the longest. */
  readonly firstReadPages?: number
}

export class BucketInput implements SortedInput {
  readonly #file: BucketFile
  readonly #options: BucketInputOptions
  readonly #decoder: DataPageDecoder
  readonly #decoded: OperationBuffer
  readonly #readPagesMax: number
  #readPages: number
  /** Pages [from, to) are still to be read. */
  #from: number
  #to: number

  constructor(file: BucketFile, options: BucketInputOptions) {
    const { range, layout, pageBytes } = options
    const { footer } = file
    this.#file = file
    this.#options = options
    this.#decoder = new DataPageDecoder(layout, pageBytes)
    this.#decoded = new OperationBuffer(layout, 256)
    this.#readPagesMax = Math.max(1, Math.floor(READ_BYTES / pageBytes))
    this.#readPages = Math.min(this.#readPagesMax, options.firstReadPages ?? 1)
    const overlaps = footer.dataPages > 0 && rangeOverlaps(range, footer.firstKey, footer.lastKey)
    this.#from = !overlaps || range.lower === undefined ? 0 : file.firstPageFor(range.lower)
    this.#to = !overlaps
      ? 0
      : range.upper === undefined
        ? footer.dataPages
        : file.lastPageFor(range.upper) + 1
  }

  async next(into: OperationBuffer): Promise<boolean> {
    const { reverse, pageBytes, hiding, range } = this.#options
    if (this.#from >= this.#to) return false
    const count = Math.min(this.#readPages, this.#to - this.#from)
    const first = reverse ? this.#to - count : this.#from
    const words = await this.#file.readDataPages(first, first + count)
    if (reverse) this.#to -= count
    else this.#from += count
    this.#readPages = Math.min(this.#readPagesMax, this.#readPages * 2)
    const decoded = this.#decoded
    decoded.clear()
    for (let page = 0; page < count; page++) {
      const before = decoded.count
      this.#decoder.decode(words, (page * pageBytes) / 4, decoded)
      this.#checkOrder(first + page, before)
    }
    const end = rangeEnd(range, decoded.lanes, 0, decoded.count)
    const start = rangeStart(range, decoded.lanes, 0, end)
    decoded.count = end
    decoded.dropFirst(start)
    hideRows(decoded, 0, this.#file.entry.endSequence - 1, hiding)
    if (reverse) into.appendReversed(decoded)
    else into.append(decoded, 0, decoded.count)
    return true
  }

  /** Checks the ends of a page, whose rows begin at `from`. A checksum does not say that the writer has sorted them. */
  #checkOrder(page: number, from: number): void {
    const { lanes, count } = this.#decoded
    if (count === from) return
    const { layout, pageBytes } = this.#options
    const isSorted = (a: number, b: number) => compareRows(lanes, a, lanes, b, layout.keyLaneCount) <= 0
    if (isSorted(Math.max(0, from - 1), from) && isSorted(from, count - 1)) return
    throw corruption(
      this.#file.path,
      page * pageBytes,
      'keys in ascending order',
      'a key that is out of order',
    )
  }

  /** The file itself stays open: it belongs to the version that the reader holds. */
  async close(): Promise<void> {
    this.#from = this.#to
  }
}
