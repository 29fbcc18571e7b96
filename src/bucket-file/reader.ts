/**
 * An open bucket file: footer, fences, filter and *delete where* entries in memory, data pages on demand.
 *
 * The way of a lookup: fences name the page, its filter block says whether the key may be there, the page cache has it
 * or it is read and checked. docs/file-format.md, Bucket file.
 */
import type { BucketFileEntry } from '../columns/bucket-file-entry.js'
import type { DeleteWhere } from '../columns/operations.js'
import type { RecordLayout } from '../columns/record-layout.js'
import { FlashTableError, corruption } from '../errors.js'
import { fileSeed } from '../format/checksum.js'
import { DataPageReader } from '../format/data-page-reader.js'
import { mayContain } from '../format/filter.js'
import { footerIdentity, readFooter, type Footer } from '../format/footer.js'
import { wordsOf } from '../format/little-endian.js'
import {
  BUCKET_FORMAT_VERSION,
  BUCKET_MAGIC,
  DELETE_WHERE_PAGE,
  FENCE_PAGE,
  FILTER_PAGE,
  PAGE_HEADER_BYTES,
} from '../format/page-layout.js'
import { pageChecksums, readDeleteWheres } from '../format/section.js'
import { bucketName } from '../io/file-names.js'
import type { FileHandle, FileSystem } from '../io/file-system.js'
import { readFully, readFullySync } from '../io/transfer.js'
import type { CachedFile, PageCache } from './page-cache.js'

export interface BucketFileOptions {
  readonly fileSystem: FileSystem
  readonly directory: string
  readonly tableId: Uint8Array
  readonly layout: RecordLayout
  readonly pageBytes: number
  /** Where data pages are kept; a merge that reads each page once needs none. */
  readonly cache?: PageCache | undefined
  /** False: the filter is not read, and every page may hold every key. A merge looks nothing up. Default: true. */
  readonly withFilter?: boolean | undefined
}

/** A data page in memory: its first word is `words[base]`. */
export interface PageInMemory {
  readonly words: Uint32Array
  readonly base: number
}

export class BucketFile implements CachedFile {
  readonly entry: BucketFileEntry
  readonly footer: Footer
  readonly deletes: readonly DeleteWhere[]
  readonly slots: Int32Array
  /** Data pages read from disk so far, by lookups. */
  pageReads = 0
  readonly #options: BucketFileOptions
  readonly #file: FileHandle
  readonly #seed: number
  /** First key of each page, a column each lane. */
  readonly #fences: readonly Uint32Array[]
  /** End of each page's block in `#filter`. */
  readonly #filterEnds: Uint32Array
  readonly #filter: Uint32Array
  readonly #page: DataPageReader

  private constructor(
    options: BucketFileOptions,
    entry: BucketFileEntry,
    file: FileHandle,
    footer: Footer,
    sections: Sections,
  ) {
    this.#options = options
    this.entry = entry
    this.#file = file
    this.#seed = fileSeed(options.tableId, entry.epoch, entry.number)
    this.footer = footer
    this.deletes = sections.deletes
    this.#fences = sections.fences
    this.#filterEnds = sections.filterEnds
    this.#filter = sections.filter
    this.slots = new Int32Array(options.cache === undefined ? 0 : footer.dataPages).fill(-1)
    this.#page = new DataPageReader(options.layout, options.pageBytes)
  }

  /**
   * Opens the file that the entry names and reads all but its data pages.
   *
   * Throws `FLASHTABLE_CORRUPTION` where it is damaged or not the file that the manifest means, and Node's `ENOENT`
   * where it is missing. Cost: one read of the footer, one of the sections.
   */
  static async open(options: BucketFileOptions, entry: BucketFileEntry): Promise<BucketFile> {
    const file = await options.fileSystem.open(`${options.directory}/${bucketName(entry.number)}`, 'read')
    try {
      const footer = await openFooter(options, entry, file)
      const sections = await readSections(options, entry, file, footer)
      return new BucketFile(options, entry, file, footer, sections)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  get path(): string {
    return this.#file.path
  }

  /** Bytes that stay in memory besides the page cache. */
  get residentBytes(): number {
    return (
      this.#filter.byteLength +
      this.#filterEnds.byteLength * (this.#fences.length + 1) +
      this.slots.byteLength
    )
  }

  /** The last page whose first key is not after `key`; -1 where the key is before all. */
  lastPageFor(key: Uint32Array): number {
    let low = -1
    let high = this.footer.dataPages
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if (this.#compareFence(middle, key) <= 0) low = middle
      else high = middle
    }
    return low
  }

  /** The first page that may hold `key` or greater keys: the one before the first page that starts at or after it. */
  firstPageFor(key: Uint32Array): number {
    let low = 0
    let high = this.footer.dataPages
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compareFence(middle, key) < 0) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }

  /** Whether page `page` starts with `key`: then the page before may hold it too. */
  startsWith(page: number, key: Uint32Array): boolean {
    return this.#compareFence(page, key) === 0
  }

  /** Whether page `page` may hold the key with this hash; true where the file has no filter. */
  mayContain(page: number, hash: number): boolean {
    const end = this.#filterEnds[page]!
    const begin = page === 0 ? 0 : this.#filterEnds[page - 1]!
    return begin === end || mayContain(this.#filter, begin, end, this.footer.filterProbes, hash)
  }

  /** The cache's memory. */
  get cacheWords(): Uint32Array {
    return this.#options.cache!.words
  }

  /** The first word of the page in the cache's memory, or -1. */
  cachedPage(page: number): number {
    return this.#options.cache!.find(this, page)
  }

  /** Reads the page into the cache, blocking; returns its first word there. */
  loadPageSync(page: number): number {
    const { pageBytes } = this.#options
    const cache = this.#options.cache!
    const base = cache.place(this, page)
    const bytes = new Uint8Array(cache.words.buffer, base * 4, pageBytes)
    try {
      const count = readFullySync(this.#file, bytes, page * pageBytes)
      this.#check(bytes, page, count)
      this.#checkDataPage(cache.words, base, page)
    } catch (error) {
      cache.drop(this, page)
      throw this.#readError(error, page)
    }
    this.pageReads++
    return base
  }

  /**
   * Reads pages [from, to), which lie side by side, in one read and puts them into the cache. The result is memory of
   * its own: it stays what it is while others replace pages of the cache.
   */
  async loadPages(from: number, to: number): Promise<PageInMemory[]> {
    const { pageBytes } = this.#options
    const words = await this.readDataPages(from, to)
    const pages: PageInMemory[] = []
    for (let page = from; page < to; page++) {
      const base = (page - from) * (pageBytes / 4)
      pages.push({ words, base })
      const cache = this.#options.cache
      if (cache === undefined || cache.find(this, page) >= 0) continue
      const at = cache.place(this, page)
      cache.words.set(words.subarray(base, base + pageBytes / 4), at)
    }
    this.pageReads += to - from
    return pages
  }

  /** Reads and checks data pages [from, to), past the cache; one word more than they take. */
  async readDataPages(from: number, to: number): Promise<Uint32Array> {
    const { pageBytes } = this.#options
    const bytes = new Uint8Array((to - from) * pageBytes + 4)
    const words = wordsOf(bytes)
    try {
      const count = await readFully(this.#file, bytes.subarray(0, (to - from) * pageBytes), from * pageBytes)
      for (let page = from; page < to; page++) {
        const at = (page - from) * pageBytes
        this.#check(bytes.subarray(at, at + pageBytes), page, count - at)
        this.#checkDataPage(words, at / 4, page)
      }
    } catch (error) {
      throw this.#readError(error, from)
    }
    return words
  }

  /** Its pages leave the cache. Requires: nobody reads from it any more. */
  async close(): Promise<void> {
    this.#options.cache?.dropFile(this)
    await this.#file.close()
  }

  #compareFence(page: number, key: Uint32Array): number {
    for (let lane = 0; lane < key.length; lane++) {
      const difference = this.#fences[lane]![page]! - key[lane]!
      if (difference !== 0) return difference
    }
    return 0
  }

  #check(bytes: Uint8Array, page: number, count: number): void {
    checkPage(this.#options, this.#file.path, bytes, this.#seed, page, count)
  }

  #checkDataPage(words: Uint32Array, base: number, page: number): void {
    this.#page.open(words, base)
    const defect = this.#page.defect()
    if (defect === undefined) return
    throw corruption(this.#file.path, page * this.#options.pageBytes, 'a data page', defect)
  }

  #readError(error: unknown, page: number): unknown {
    if (error instanceof FlashTableError) return error
    const offset = page * this.#options.pageBytes
    return new FlashTableError(
      'FLASHTABLE_IO_ERROR',
      `${this.#file.path} cannot be read at offset ${offset}`,
      {
        cause: error,
      },
    )
  }
}

/** Checks that a page came in whole and has its checksum. */
function checkPage(
  options: BucketFileOptions,
  path: string,
  bytes: Uint8Array,
  seed: number,
  page: number,
  count: number,
): void {
  const { pageBytes } = options
  if (count < pageBytes) {
    throw corruption(
      path,
      page * pageBytes,
      `a page of ${pageBytes} bytes`,
      `the end after ${Math.max(0, count)} bytes`,
    )
  }
  const [found, expected] = pageChecksums(bytes, seed, page)
  if (found !== expected) throw corruption(path, page * pageBytes, `checksum ${hex(expected)}`, hex(found))
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0')
}

async function openFooter(
  options: BucketFileOptions,
  entry: BucketFileEntry,
  file: FileHandle,
): Promise<Footer> {
  const { pageBytes, layout, tableId } = options
  const path = file.path
  const size = await file.size()
  const offset = (entry.pages - 1) * pageBytes
  if (size !== entry.pages * pageBytes) {
    throw corruption(
      path,
      Math.min(size, entry.pages * pageBytes),
      `a file of ${entry.pages * pageBytes} bytes`,
      `${size}`,
    )
  }
  const page = new Uint8Array(pageBytes)
  const count = await readFully(file, page, offset)
  const { magic, version } = footerIdentity(page)
  if (magic === BUCKET_MAGIC && version > BUCKET_FORMAT_VERSION) {
    throw new FlashTableError(
      'FLASHTABLE_UNSUPPORTED_FORMAT',
      `${path} has bucket file format ${version}; this release reads up to ${BUCKET_FORMAT_VERSION}`,
    )
  }
  checkPage(options, path, page, fileSeed(tableId, entry.epoch, entry.number), entry.pages - 1, count)
  const footer = readFooter(page, layout)
  const expected: [string, number, number][] = [
    ['magic', BUCKET_MAGIC, magic],
    ['file number', entry.number, footer.fileNumber],
    ['epoch', entry.epoch, footer.epoch],
    ['page size', pageBytes, footer.pageBytes],
    ['key lanes', layout.keyLaneCount, footer.keyLaneCount],
    ['lanes', layout.laneCount, footer.laneCount],
    ['records', entry.records, footer.records],
    ['first sequence number', entry.firstSequence, footer.firstSequence],
    ['end sequence number', entry.endSequence, footer.endSequence],
    [
      'pages',
      entry.pages,
      footer.dataPages + footer.filterPages + footer.deleteWherePages + footer.fencePages + 1,
    ],
  ]
  for (const [what, wanted, found] of expected) {
    if (wanted !== found) throw corruption(path, offset, `${what} ${wanted}`, `${found}`)
  }
  return footer
}

interface Sections {
  readonly fences: Uint32Array[]
  readonly filterEnds: Uint32Array
  readonly filter: Uint32Array
  readonly deletes: DeleteWhere[]
}

/** Reads filter, delete-where entries and fences, and checks that they fit each other. */
async function readSections(
  options: BucketFileOptions,
  entry: BucketFileEntry,
  file: FileHandle,
  footer: Footer,
): Promise<Sections> {
  const { layout, pageBytes } = options
  const { keyLaneCount, laneCount } = layout
  const filterPage = footer.dataPages
  const deletePage = filterPage + footer.filterPages
  const fencePage = deletePage + footer.deleteWherePages
  const filterPages = options.withFilter === false ? 0 : footer.filterPages
  const filter = wordsOf(await readSection(options, entry, file, filterPage, filterPages, FILTER_PAGE))
  const deleteBytes = await readSection(
    options,
    entry,
    file,
    deletePage,
    footer.deleteWherePages,
    DELETE_WHERE_PAGE,
  )
  const deletes = readDeleteWheres(deleteBytes, 0, footer.deleteWhereCount, keyLaneCount, laneCount)
  if (deletes === undefined) {
    throw corruption(
      file.path,
      deletePage * pageBytes,
      `${footer.deleteWhereCount} delete-where entries`,
      'fewer',
    )
  }
  const fenceWords = wordsOf(
    await readSection(options, entry, file, fencePage, footer.fencePages, FENCE_PAGE),
  )
  const stride = keyLaneCount + 1
  if (fenceWords.length < footer.dataPages * stride) {
    throw corruption(file.path, fencePage * pageBytes, `fences of ${footer.dataPages} pages`, 'fewer')
  }
  // A plain loop: a large file has a hundred thousand pages, and this runs on the event loop.
  const column = (lane: number): Uint32Array => {
    const values = new Uint32Array(footer.dataPages)
    for (let page = 0; page < values.length; page++) values[page] = fenceWords[page * stride + lane]!
    return values
  }
  const filterEnds = options.withFilter === false ? new Uint32Array(footer.dataPages) : column(keyLaneCount)
  const filterWords = filterEnds.at(-1) ?? 0
  if (
    filterWords > filter.length ||
    filterEnds.some((end, page) => page > 0 && end < filterEnds[page - 1]!)
  ) {
    throw corruption(
      file.path,
      fencePage * pageBytes,
      `filter blocks within ${filter.length} words`,
      `${filterWords}`,
    )
  }
  return {
    fences: Array.from({ length: keyLaneCount }, (_, lane) => column(lane)),
    filterEnds,
    filter: filter.subarray(0, filterWords),
    deletes: deletes.entries,
  }
}

/** The bytes of a section; at most one page of zeros behind its end. */
async function readSection(
  options: BucketFileOptions,
  entry: BucketFileEntry,
  file: FileHandle,
  firstPage: number,
  pages: number,
  kind: number,
): Promise<Uint8Array> {
  const { pageBytes, tableId } = options
  const payload = pageBytes - PAGE_HEADER_BYTES
  const seed = fileSeed(tableId, entry.epoch, entry.number)
  const section = new Uint8Array(pages * payload)
  const piecePages = Math.max(1, Math.floor(2 ** 20 / pageBytes))
  const buffer = new Uint8Array(Math.min(pages, piecePages) * pageBytes)
  for (let done = 0; done < pages;) {
    const count = Math.min(pages - done, piecePages)
    const bytes = buffer.subarray(0, count * pageBytes)
    const read = await readFully(file, bytes, (firstPage + done) * pageBytes)
    for (let i = 0; i < count; i++) {
      const page = bytes.subarray(i * pageBytes, (i + 1) * pageBytes)
      checkPage(options, file.path, page, seed, firstPage + done + i, read - i * pageBytes)
      if (page[4] !== kind) {
        throw corruption(file.path, (firstPage + done + i) * pageBytes, `page kind ${kind}`, `${page[4]}`)
      }
      section.set(page.subarray(PAGE_HEADER_BYTES), (done + i) * payload)
    }
    done += count
  }
  return section
}
