/**
 * Writes one bucket file: sorted operations in, full pages out, each once and in order.
 *
 * `add` ... `finish` or `abandon`. Pages go out in calls of 256 KiB and are synced every 16 MiB, so that the last sync
 * of a large file does not stall the log. The file counts for nothing until a manifest names it.
 * docs/file-format.md, Bucket file.
 */
import { assert } from '../base/assert.js'
import { fileSeed } from '../format/checksum.js'
import { deleteWhereBytes, writeDeleteWheres } from '../format/delete-where.js'
import { writeFooter } from '../format/footer.js'
import { viewOf, wordsOf } from '../format/little-endian.js'
import { DELETE_WHERE_PAGE, FENCE_PAGE, FILTER_PAGE } from '../format/page-layout.js'
import { sectionPages, setPageChecksum, writeSectionPage } from '../format/section.js'
import { WordBuffer } from '../format/word-buffer.js'
import { discard } from '../io/discard.js'
import { bucketName } from '../io/file-names.js'
import type { FileHandle } from '../io/file-system.js'
import type { MemoryFile } from '../io/memory-file.js'
import { writeFully } from '../io/transfer.js'
import { newBytes } from '../kernels/kernels.js'
import type { BucketFileEntry } from '../manifest/bucket-file-entry.js'
import type { TableFiles } from '../manifest/table-files.js'
import type { DeleteWhere, WideOperations } from '../records/operations.js'
import { PageBuilder, type BuiltPages } from './page-builder.js'

/** Bytes of one write call, and of a chunk of pages that were built apart. Larger ones cost the kernel more: docs/decisions/bulk-load.md. */
export const WRITE_BYTES = 2 ** 18
/** Bytes of pages for which there is room at first. */
const FIRST_CHUNK_BYTES = 2 ** 16
/** Bytes between two syncs. */
const SYNC_BYTES = 2 ** 24

export interface BucketFileTarget extends TableFiles {
  readonly number: number
  readonly epoch: number
  readonly level: number
  readonly filterBitsPerRecord: number
  readonly firstSequence: number
  readonly endSequence: number
  /** Entries that hide records of older files; stored with the file. */
  readonly deletes: readonly DeleteWhere[]
}

export class BucketFileWriter {
  readonly #target: BucketFileTarget
  readonly #file: FileHandle
  readonly #seed: number
  readonly #builder: PageBuilder
  /** Pages on their way to the file; grown to the size of a write call by large files alone. */
  #chunk: Uint8Array
  #chunkBytes = 0
  #writtenBytes = 0
  #syncedBytes = 0
  #pages = 0
  #finished = false

  private constructor(target: BucketFileTarget, file: FileHandle) {
    const { layout, pageBytes, filterBitsPerRecord } = target
    this.#target = target
    this.#file = file
    this.#seed = fileSeed(target.tableId, target.epoch, target.number)
    this.#builder = new PageBuilder(layout, pageBytes, filterBitsPerRecord)
    this.#chunk = newBytes(Math.max(FIRST_CHUNK_BYTES, pageBytes))
  }

  static async create(target: BucketFileTarget): Promise<BucketFileWriter> {
    const path = `${target.directory}/${bucketName(target.number)}`
    return new BucketFileWriter(target, await target.fileSystem.open(path, 'create'))
  }

  /** Writes to a file in memory. */
  static inMemory(target: BucketFileTarget, file: MemoryFile): BucketFileWriter {
    return new BucketFileWriter(target, file)
  }

  /** Bytes handed to write calls so far. */
  get writtenBytes(): number {
    return this.#writtenBytes
  }

  /** Appends all rows. Requires: sorted by key, and no key smaller than those that came before. */
  async add(rows: WideOperations): Promise<void> {
    assert(!this.#finished, 'a finished bucket file takes no more rows')
    this.#builder.add(rows)
    await this.#writeRows(false)
  }

  /** Appends pages that were built apart. Requires: no key is less than one before, and rows never came. */
  async addBuilt(built: BuiltPages): Promise<void> {
    assert(!this.#finished, 'a finished bucket file takes no more pages')
    this.#builder.appendBuilt(built)
    const { pageBytes } = this.#target
    for (const chunk of built.chunks) {
      for (let at = 0; at < chunk.byteLength; at += pageBytes) {
        setPageChecksum(chunk.subarray(at, at + pageBytes), this.#seed, this.#pages++)
      }
      await this.#write(chunk)
    }
  }

  /**
   * Writes what is left, the filter, the *delete where* entries, fences and footer, and syncs the file. Its directory
   * entry is not synced yet.
   */
  async finish(): Promise<BucketFileEntry> {
    assert(!this.#finished, 'a bucket file is finished once')
    this.#finished = true
    await this.#writeRows(true)
    const { pageBytes, deletes } = this.#target
    const { filter, fences, counts, bounds, probes } = this.#builder
    const dataPages = this.#pages
    const filterPages = await this.#writeSection(filter, FILTER_PAGE)
    const deleteBytes = new Uint8Array(deleteWhereBytes(deletes))
    writeDeleteWheres(deletes, this.#target.layout, viewOf(deleteBytes), 0)
    const deleteWords = new WordBuffer()
    deleteWords.append(wordsOf(deleteBytes))
    const deleteWherePages = await this.#writeSection(deleteWords, DELETE_WHERE_PAGE)
    const fencePages = await this.#writeSection(fences, FENCE_PAGE)
    filter.clear()
    fences.clear()
    writeFooter(
      {
        ...this.#target,
        ...counts,
        ...bounds,
        fileNumber: this.#target.number,
        keyLaneCount: this.#target.layout.keyLaneCount,
        laneCount: this.#target.layout.laneCount,
        dataPages,
        filterPages,
        deleteWherePages,
        fencePages,
        deleteWhereCount: deletes.length,
        filterProbes: probes,
      },
      this.#nextPage(),
    )
    await this.#pageFilled()
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
      records: counts.records,
      firstSequence,
      endSequence,
    }
  }

  /** Removes the file. Best effort: what cannot be removed is an orphan, gone at the next open. */
  async abandon(): Promise<void> {
    await discard(this.#target.fileSystem, this.#file)
  }

  async #writeRows(last: boolean): Promise<void> {
    while (this.#builder.build(this.#nextPage(), last)) await this.#pageFilled()
  }

  async #writeSection(section: WordBuffer, kind: number): Promise<number> {
    const pages = sectionPages(4 * section.length, kind, this.#target.pageBytes)
    for (let piece = 0; piece < pages; piece++) {
      writeSectionPage(section, piece, kind, this.#nextPage())
      await this.#pageFilled()
    }
    return pages
  }

  /** Zeros for the next page; it counts when it is filled. */
  #nextPage(): Uint8Array {
    if (this.#chunkBytes === this.#chunk.byteLength) {
      const grown = newBytes(2 * this.#chunk.byteLength)
      grown.set(this.#chunk)
      this.#chunk = grown
    }
    return this.#chunk.subarray(this.#chunkBytes, this.#chunkBytes + this.#target.pageBytes).fill(0)
  }

  async #pageFilled(): Promise<void> {
    const { pageBytes } = this.#target
    const page = this.#chunk.subarray(this.#chunkBytes, this.#chunkBytes + pageBytes)
    setPageChecksum(page, this.#seed, this.#pages)
    this.#pages++
    this.#chunkBytes += pageBytes
    if (this.#chunkBytes === WRITE_BYTES) await this.#writeChunk()
  }

  async #writeChunk(): Promise<void> {
    await this.#write(this.#chunk.subarray(0, this.#chunkBytes))
    this.#chunkBytes = 0
  }

  async #write(pages: Uint8Array): Promise<void> {
    await writeFully(this.#file, pages, this.#writtenBytes)
    this.#writtenBytes += pages.byteLength
    if (this.#writtenBytes - this.#syncedBytes < SYNC_BYTES) return
    await this.#file.sync()
    this.#syncedBytes = this.#writtenBytes
  }
}
