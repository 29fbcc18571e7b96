/**
 * Some records of a bucket file, kept in memory, to estimate the share of the file that newer files mask.
 *
 * They are read once, without the page cache, because a file never changes. So is what the filter of each newer file says of
 * them. docs/internals.md, Hidden data.
 */
import { NO_LINE } from '../bucket-file/filter-lines.js'
import type { BucketFile } from '../bucket-file/reader.js'
import { DataPageDecoder } from '../format/data-page-decoder.js'
import { hashKey } from '../records/hash.js'
import { OperationBuffer, PUT, type WideOperations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { mayMatch } from '../records/record-bounds.js'

/** The most pages that a sample reads, spread evenly over the file. */
const SAMPLE_PAGES = 16
/** About how many records a sample keeps: with 512, a share of one third is estimated as 0.33 +- 0.02. */
const SAMPLE_RECORDS = 512

export class FileSample {
  readonly file: BucketFile
  readonly #layout: RecordLayout
  readonly #pageBytes: number
  #records: WideOperations | undefined
  /** Newer files whose *delete where* entries cannot match any record of this file. */
  readonly #harmless = new WeakSet<BucketFile>()
  /** For each newer file that was tested: 1 for each record whose key it may have. */
  readonly #shared = new WeakMap<BucketFile, Uint8Array>()

  constructor(file: BucketFile, layout: RecordLayout, pageBytes: number) {
    this.file = file
    this.#layout = layout
    this.#pageBytes = pageBytes
  }

  /**
   * The puts of the sample. Empty if the file cannot be read: the lookup or merge that needs the page reports that.
   * Cost: `SAMPLE_PAGES` page reads, once.
   */
  async records(): Promise<WideOperations> {
    this.#records ??= await this.#read().catch(() => new OperationBuffer(this.#layout))
    return this.#records
  }

  /** Whether a *delete where* entry of the newer file can match a record of this one, by the least and greatest values. */
  mayMatch(newer: BucketFile): boolean {
    if (this.#harmless.has(newer)) return false
    if (newer.deletes.some(entry => mayMatch(this.#layout, entry, this.file.footer))) return true
    this.#harmless.add(newer)
    return false
  }

  /**
   * For each of the records, 1 if the filter of the newer file says that it may have the key. Cost: reads a few pages of
   * the filter for each page of the sample, once for each newer file.
   */
  async sharedKeys(records: WideOperations, newer: BucketFile): Promise<Uint8Array> {
    let shared = this.#shared.get(newer)
    if (shared === undefined) this.#shared.set(newer, (shared = await this.#probe(records, newer)))
    return shared
  }

  async #read(): Promise<WideOperations> {
    const { dataPages } = this.file.footer
    const decoder = new DataPageDecoder(this.#layout, this.#pageBytes)
    const decoded = new OperationBuffer(this.#layout, 256)
    const records = new OperationBuffer(this.#layout, SAMPLE_RECORDS)
    const pages = spread(dataPages, SAMPLE_PAGES)
    for (const page of pages) {
      decoded.clear()
      decoder.decode(await this.file.readPages(page, page + 1), 0, decoded)
      const puts = rowsOfPuts(decoded)
      records.gather(
        decoded,
        spread(puts.length, Math.ceil(SAMPLE_RECORDS / pages.length)).map(i => puts[i]!),
      )
    }
    return records
  }

  async #probe({ lanes, count }: WideOperations, newer: BucketFile): Promise<Uint8Array> {
    const { keyLaneCount } = this.#layout
    const { filter } = newer
    const shared = new Uint8Array(count)
    const key = new Uint32Array(keyLaneCount)
    // Records come in the order of their keys, so those that need the same page of the filter follow each other.
    let atHand = { page: -1, words: undefined as Uint32Array | undefined }
    for (let row = 0; row < count; row++) {
      for (let lane = 0; lane < keyLaneCount; lane++) key[lane] = lanes[lane]![row]!
      const page = newer.lastPageFor(key)
      if (page < 0) continue
      const hash = hashKey(lanes, row, keyLaneCount)
      const line = filter.lineFor(page, hash)
      shared[row] = 1
      if (newer.startsWith(page, key) || line === NO_LINE) continue
      const filterPage = filter.pageOf(line)
      // What cannot be read may have the key: the lookup that needs the page reports it.
      if (atHand.page !== filterPage)
        atHand = {
          page: filterPage,
          words: await newer.readPages(filterPage, filterPage + 1).catch(() => undefined),
        }
      if (atHand.words !== undefined && !filter.mayContain(atHand.words, 0, line, hash)) shared[row] = 0
    }
    return shared
  }
}

/** At most `most` of the numbers from 0 to `count` - 1, evenly spread. */
function spread(count: number, most: number): Uint32Array {
  const taken = Math.min(count, most)
  return Uint32Array.from({ length: taken }, (_, i) => Math.floor(((i + 0.5) * count) / taken))
}

function rowsOfPuts({ kinds, count }: WideOperations): Uint32Array {
  const rows = Uint32Array.from({ length: count }, (_, row) => row)
  return kinds === undefined ? rows : rows.filter(row => kinds[row] === PUT)
}
