/**
 * Writes one bucket file: sorted operations in, full pages out, each once and in order.
 *
 * `add` ... `finish` or `abandon`. Pages go out in calls of 1 MiB and are synced every 16 MiB, so that the last sync
 * of a large file does not stall the log. The file counts for nothing until a manifest names it.
 * docs/file-format.md, Bucket file.
 */
import type { BucketFileEntry } from '../columns/bucket-file-entry.js'
import { compareRows } from '../columns/compare.js'
import { GrowingWords } from '../columns/growing-words.js'
import { hashKey } from '../columns/hash.js'
import {
  DELETE_KEY,
  DELETE_RECORD,
  OperationBuffer,
  type DeleteWhere,
  type Operations,
} from '../columns/operations.js'
import type { RecordLayout } from '../columns/record-layout.js'
import { assert } from '../assert.js'
import { fileSeed } from '../format/checksum.js'
import { DataPageEncoder } from '../format/data-page-encoder.js'
import { addToFilter, filterBlockWords, probeCount } from '../format/filter.js'
import { writeFooter } from '../format/footer.js'
import { wordsOf } from '../format/little-endian.js'
import { DELETE_WHERE_PAGE, FENCE_PAGE, FILTER_PAGE } from '../format/page-layout.js'
import {
  deleteWhereBytes,
  sectionPages,
  setPageChecksum,
  writeDeleteWheres,
  writeSectionPage,
} from '../format/section.js'
import { bucketName } from '../io/file-names.js'
import type { FileHandle, FileSystem } from '../io/file-system.js'
import { writeFully } from '../io/transfer.js'

/** Bytes of one write call. */
const WRITE_BYTES = 2 ** 20
/** Bytes of pages for which there is room at first. */
const FIRST_CHUNK_BYTES = 2 ** 16
/** Bytes between two syncs. */
const SYNC_BYTES = 2 ** 24

export interface BucketFileTarget {
  readonly fileSystem: FileSystem
  readonly directory: string
  readonly number: number
  readonly tableId: Uint8Array
  readonly epoch: number
  readonly level: number
  readonly layout: RecordLayout
  readonly pageBytes: number
  readonly filterBitsPerRecord: number
  readonly firstSequence: number
  readonly endSequence: number
  /** Entries that hide records of older files; stored with the file. */
  readonly deletes: readonly DeleteWhere[]
}

/** Counts that the footer keeps. */
export interface BucketFileCounts {
  records: number
  deleteKeys: number
  deleteRecords: number
  distinctKeys: number
}

export class BucketFileWriter {
  readonly #target: BucketFileTarget
  readonly #file: FileHandle
  readonly #seed: number
  readonly #encoder: DataPageEncoder
  readonly #probes: number
  /** Rows that did not fill a page yet. */
  readonly #rows: OperationBuffer
  /** Pages on their way to the file; grown to the size of a write call by large files alone. */
  #chunk: Uint8Array
  #chunkBytes = 0
  #writtenBytes = 0
  #syncedBytes = 0
  #pages = 0
  readonly #fences = new GrowingWords()
  readonly #filter = new GrowingWords()
  #hashes = new Uint32Array(0)
  readonly #counts: BucketFileCounts = { records: 0, deleteKeys: 0, deleteRecords: 0, distinctKeys: 0 }
  readonly #firstKey: Uint32Array
  readonly #lastKey: Uint32Array
  readonly #minValues: Uint32Array
  readonly #maxValues: Uint32Array

  private constructor(target: BucketFileTarget, file: FileHandle) {
    const { layout, pageBytes } = target
    const valueLaneCount = layout.laneCount - layout.keyLaneCount
    this.#target = target
    this.#file = file
    this.#seed = fileSeed(target.tableId, target.epoch, target.number)
    this.#encoder = new DataPageEncoder(layout, pageBytes)
    this.#probes = target.filterBitsPerRecord === 0 ? 0 : probeCount(target.filterBitsPerRecord)
    this.#rows = new OperationBuffer(layout, 256)
    this.#chunk = new Uint8Array(Math.max(FIRST_CHUNK_BYTES, pageBytes))
    this.#firstKey = new Uint32Array(layout.keyLaneCount)
    this.#lastKey = new Uint32Array(layout.keyLaneCount)
    this.#minValues = new Uint32Array(valueLaneCount).fill(0xffffffff)
    this.#maxValues = new Uint32Array(valueLaneCount)
  }

  static async create(target: BucketFileTarget): Promise<BucketFileWriter> {
    const path = `${target.directory}/${bucketName(target.number)}`
    return new BucketFileWriter(target, await target.fileSystem.open(path, 'create'))
  }

  /** Bytes handed to write calls so far. */
  get writtenBytes(): number {
    return this.#writtenBytes
  }

  /** Appends all rows. Requires: sorted by key, behind all that came before. */
  async add(rows: Operations): Promise<void> {
    this.#rows.append(rows, 0, rows.count)
    await this.#writePages(false)
  }

  /**
   * Writes what is left, the filter, the *delete where* entries, fences and footer, and syncs the file. Its directory
   * entry is not synced yet.
   */
  async finish(): Promise<BucketFileEntry> {
    await this.#writePages(true)
    const { pageBytes, deletes } = this.#target
    const dataPages = this.#pages
    const filterPages = await this.#writeSection(this.#filter, FILTER_PAGE)
    const deleteBytes = new Uint8Array(deleteWhereBytes(deletes))
    writeDeleteWheres(deletes, deleteBytes, 0)
    const deleteWords = new GrowingWords()
    deleteWords.append(wordsOf(deleteBytes))
    const deleteWherePages = await this.#writeSection(deleteWords, DELETE_WHERE_PAGE)
    const fencePages = await this.#writeSection(this.#fences, FENCE_PAGE)
    await this.#writePage(page =>
      writeFooter(
        {
          ...this.#target,
          ...this.#counts,
          fileNumber: this.#target.number,
          keyLaneCount: this.#target.layout.keyLaneCount,
          laneCount: this.#target.layout.laneCount,
          dataPages,
          filterPages,
          deleteWherePages,
          fencePages,
          deleteWhereCount: deletes.length,
          filterProbes: this.#probes,
          firstKey: this.#firstKey,
          lastKey: this.#lastKey,
          minValues: this.#minValues,
          maxValues: this.#maxValues,
        },
        page,
      ),
    )
    await this.#writeChunk()
    await this.#file.sync()
    await this.#file.close()
    assert(this.#writtenBytes === this.#pages * pageBytes, 'a bucket file is full pages')
    const { number, epoch, level, firstSequence, endSequence } = this.#target
    return {
      number,
      epoch,
      level,
      pages: this.#pages,
      records: this.#counts.records,
      firstSequence,
      endSequence,
    }
  }

  /** Removes the file. Best effort: what cannot be removed is an orphan, gone at the next open. */
  async abandon(): Promise<void> {
    await this.#file.close().catch(() => {})
    await this.#target.fileSystem.unlink(this.#file.path).catch(() => {})
  }

  async #writePages(last: boolean): Promise<void> {
    const rows = this.#rows
    let from = 0
    while (from < rows.count) {
      const count = this.#encoder.fit(rows, from, rows.count)
      if (from + count === rows.count && !last) break
      const begin = from
      await this.#writePage(page => this.#encoder.write(rows, begin, page))
      this.#account(begin, begin + count)
      from += count
    }
    rows.dropFirst(from)
  }

  /** Fence, filter block, counts and bounds of the page with rows [from, to). */
  #account(from: number, to: number): void {
    const { layout, filterBitsPerRecord } = this.#target
    const { keyLaneCount } = layout
    const { lanes, kinds } = this.#rows
    const counts = this.#counts
    for (let lane = 0; lane < keyLaneCount; lane++) this.#fences.push(lanes[lane]![from]!)
    if (counts.distinctKeys === 0)
      for (let lane = 0; lane < keyLaneCount; lane++) this.#firstKey[lane] = lanes[lane]![from]!
    if (this.#hashes.length < to - from) this.#hashes = new Uint32Array(2 * (to - from))
    // The first row of a page always goes into its filter; it is a new key only if the page before did not end in it.
    const keys = hashKeys(lanes, from, to, keyLaneCount, this.#hashes)
    const continued = counts.distinctKeys > 0 && this.#lastKey.every((lane, i) => lane === lanes[i]![from]!)
    counts.distinctKeys += continued ? keys - 1 : keys
    for (let lane = 0; lane < keyLaneCount; lane++) this.#lastKey[lane] = lanes[lane]![to - 1]!
    const block = new Uint32Array(filterBlockWords(keys, filterBitsPerRecord))
    for (let key = 0; key < keys && this.#probes > 0; key++) {
      addToFilter(block, 0, block.length, this.#probes, this.#hashes[key]!)
    }
    this.#filter.append(block)
    this.#fences.push(this.#filter.length)
    for (let lane = 0; lane < layout.laneCount - keyLaneCount; lane++) {
      const { min, max } = this.#encoder.bounds(lane)
      if (min < this.#minValues[lane]!) this.#minValues[lane] = min
      if (max > this.#maxValues[lane]!) this.#maxValues[lane] = max
    }
    if (kinds === undefined) counts.records += to - from
    else for (let row = from; row < to; row++) countKind(counts, kinds[row]!)
  }

  async #writeSection(section: GrowingWords, kind: number): Promise<number> {
    const pages = sectionPages(4 * section.length, this.#target.pageBytes)
    for (let piece = 0; piece < pages; piece++) {
      await this.#writePage(page => writeSectionPage(section, piece, kind, page))
    }
    return pages
  }

  async #writePage(fill: (page: Uint8Array) => void): Promise<void> {
    const { pageBytes } = this.#target
    if (this.#chunkBytes === this.#chunk.byteLength) {
      const grown = new Uint8Array(2 * this.#chunk.byteLength)
      grown.set(this.#chunk)
      this.#chunk = grown
    }
    const page = this.#chunk.subarray(this.#chunkBytes, this.#chunkBytes + pageBytes)
    page.fill(0)
    fill(page)
    setPageChecksum(page, this.#seed, this.#pages)
    this.#pages++
    this.#chunkBytes += pageBytes
    if (this.#chunkBytes === WRITE_BYTES) await this.#writeChunk()
  }

  async #writeChunk(): Promise<void> {
    await writeFully(this.#file, this.#chunk.subarray(0, this.#chunkBytes), this.#writtenBytes)
    this.#writtenBytes += this.#chunkBytes
    this.#chunkBytes = 0
    if (this.#writtenBytes - this.#syncedBytes < SYNC_BYTES) return
    await this.#file.sync()
    this.#syncedBytes = this.#writtenBytes
  }
}

/** Puts the hash of each different key of the sorted rows [from, to) into `hashes`; returns how many. Hot. */
function hashKeys(
  lanes: readonly Uint32Array[],
  from: number,
  to: number,
  keyLaneCount: number,
  hashes: Uint32Array,
): number {
  let keys = 0
  for (let row = from; row < to; row++) {
    if (row > from && compareRows(lanes, row, lanes, row - 1, keyLaneCount) === 0) continue
    hashes[keys++] = hashKey(lanes, row, keyLaneCount)
  }
  return keys
}

function countKind(counts: BucketFileCounts, kind: number): void {
  if (kind === DELETE_KEY) counts.deleteKeys++
  else if (kind === DELETE_RECORD) counts.deleteRecords++
  else counts.records++
}
