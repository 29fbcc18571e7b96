/**
 * An open bucket file: footer, fences and *delete where* entries in memory, pages of data and of the filter on demand.
 *
 * The way of a lookup: fences name the page, a line of the filter says whether the key may be there, the page cache has it
 * or it is read and checked. docs/file-format.md, Bucket file.
 */
import { corruption, readError } from '../base/errors.js'
import { DataPageReader } from '../format/data-page-reader.js'
import { type Footer } from '../format/footer.js'
import { wordsOf } from '../format/little-endian.js'
import { FILTER_PAGE, KIND_WORD } from '../format/page-layout.js'
import { bucketName } from '../io/file-names.js'
import type { FileHandle } from '../io/file-system.js'
import { MemoryFile, type FileMemory } from '../io/memory-file.js'
import { readFully, readFullySync } from '../io/transfer.js'
import type { BucketFileEntry } from '../manifest/bucket-file-entry.js'
import type { DeleteWhere } from '../records/operations.js'
import { FilterLines } from './filter-lines.js'
import { PageCache, type CachedFile } from './page-cache.js'
import { onceMore } from './once-more.js'
import { PageIndex } from './page-index.js'
import {
  checkPage,
  openFooter,
  readSections,
  seedOf,
  type BucketFileOptions,
  type Sections,
} from './sections.js'
import { copyFile, linkFile } from './share.js'

export type { BucketFileOptions } from './sections.js'

/** Lookups that are remembered. */
const RECENT_HITS_MAX = 256
/** Reads of files in flight at once: of a disk, and of a store. */
const READS_AT_ONCE = 16
const REMOTE_READS_AT_ONCE = 64
/** A page that is searched in vain costs about as much more than its filter as this many hits save. */
const MISS_WEIGHT = 4

/** A page in memory: its first word is `words[base]`. */
export interface PageInMemory {
  readonly words: Uint32Array
  readonly base: number
}

export class BucketFile implements CachedFile {
  readonly entry: BucketFileEntry
  readonly footer: Footer
  readonly deletes: readonly DeleteWhere[]
  /** Where the filter has its lines. */
  readonly filter: FilterLines
  /** Of pages of data and of the filter, numbered as in the file. */
  readonly slots: Int32Array
  /** Pages read from disk into the cache so far. */
  pageReads = 0
  /** Whether pages of the filter are read for it: false where that costs as much as the page of data. */
  readsFilter = true
  readonly #options: BucketFileOptions
  readonly #file: FileHandle
  readonly #seed: number
  readonly #index: PageIndex
  readonly #page: DataPageReader
  /** Called when it is closed, if it is in memory. */
  readonly #onClose: ((memory: FileMemory) => void) | undefined
  /** What it holds, if it is in memory and not on disk. */
  readonly memory: FileMemory | undefined
  /** Lookups that found their key, less those that did not, several times: it saturates. */
  #recentHits = 0

  private constructor(
    options: BucketFileOptions,
    entry: BucketFileEntry,
    file: FileHandle,
    footer: Footer,
    sections: Sections,
    memory?: FileMemory,
    onClose?: (memory: FileMemory) => void,
  ) {
    this.#options = options
    this.memory = memory
    this.#onClose = onClose
    this.entry = entry
    this.#file = file
    this.#seed = seedOf(options, entry)
    this.footer = footer
    this.deletes = sections.deletes
    this.#index = new PageIndex(sections.fences)
    this.filter = new FilterLines(
      sections.filterEnds,
      footer.dataPages,
      options.pageBytes,
      footer.filterProbes,
    )
    const cachedPages = options.cache === undefined ? 0 : footer.dataPages + footer.filterPages
    this.slots = new Int32Array(cachedPages).fill(-1)
    if (memory === undefined) options.cache?.reserve(this.fenceBytes)
    // All of its pages are where a cache would have them.
    else for (let page = 0; page < cachedPages; page++) this.slots[page] = page
    this.#page = new DataPageReader(options.layout, options.pageBytes)
  }

  /**
   * Opens the file that the entry names and reads its footer, *delete where* entries and fences.
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
      await file.close().catch(() => {})
      throw error
    }
  }

  /**
   * As {@link open}, of a file in memory. `onClose`: called when nobody reads that memory any more. With a cache in the
   * options lookups find its pages; a merge needs none.
   */
  static async inMemory(
    options: BucketFileOptions,
    entry: BucketFileEntry,
    memory: FileMemory,
    onClose?: (memory: FileMemory) => void,
  ): Promise<BucketFile> {
    const file = new MemoryFile(`${options.directory}/${bucketName(entry.number)} (in memory)`, memory)
    const footer = await openFooter(options, entry, file)
    const sections = await readSections(options, entry, file, footer)
    const cache = options.cache && PageCache.ofFile(memory, options.pageBytes)
    return new BucketFile({ ...options, cache }, entry, file, footer, sections, memory, onClose)
  }

  get path(): string {
    return this.#file.path
  }

  /** Bytes of pages of the filter in the cache. */
  get filterBytes(): number {
    let pages = 0
    for (let page = this.footer.dataPages; page < this.slots.length; page++)
      if (this.slots[page]! >= 0) pages++
    return pages * this.#options.pageBytes
  }

  /** Bytes of the fences, and of where in the page cache each page lies: they stay in memory. */
  get fenceBytes(): number {
    return this.#index.byteLength + this.filter.byteLength + this.slots.byteLength
  }

  /** The last page whose first key is not after `key`; -1 where the key is before all. */
  lastPageFor(key: Uint32Array): number {
    return this.#index.lastPageFor(key)
  }

  /** As {@link lastPageFor} of the first `count` keys, a column a lane. */
  lastPagesFor(keys: readonly Uint32Array[], count: number, pages: Int32Array): void {
    this.#index.lastPagesFor(keys, count, pages)
  }

  /** The first page that may hold `key` or greater keys. */
  firstPageFor(key: Uint32Array): number {
    return this.#index.firstPageFor(key)
  }

  /** Puts the first key of the page into `key`. */
  readFirstKey(page: number, key: Uint32Array): void {
    this.#index.read(page, key)
  }

  /** First key of the page against `key`: less than, equal to or greater than 0. */
  compareFirstKey(page: number, key: Uint32Array): number {
    return this.#index.compare(page, key)
  }

  /** Whether page `page` starts with `key`: then the page before may hold it too. */
  startsWith(page: number, key: Uint32Array): boolean {
    return this.#index.compare(page, key) === 0
  }

  /** Where the key lies between the first keys of its page and the next page: 0 to 1. */
  shareOf(page: number, key: Uint32Array): number {
    return this.#index.shareOf(page, key)
  }

  /** Whether the filter need not be asked about a page that is in the cache: recent keys were nearly all in the file. */
  get skipsFilter(): boolean {
    return this.#recentHits >= RECENT_HITS_MAX / 2 || !this.readsFilter
  }

  /** Takes note of lookups of `count` keys, of which the file had `found`. */
  noteLookups(count: number, found: number): void {
    const hits = this.#recentHits + found - MISS_WEIGHT * (count - found)
    this.#recentHits = Math.max(0, Math.min(RECENT_HITS_MAX, hits))
  }

  /** How many reads of it may be on their way at once. */
  get readsAtOnce(): number {
    return this.isRemote ? REMOTE_READS_AT_ONCE : READS_AT_ONCE
  }

  /** Whether it is in a store on another machine. */
  get isRemote(): boolean {
    return this.#options.isRemote === true
  }

  /** Whether its pages go into a cache. */
  get hasCache(): boolean {
    return this.#options.cache !== undefined
  }

  /** The cache that its pages are in. Requires: there is one. */
  get cache(): PageCache {
    return this.#options.cache!
  }

  /** The slot of the page in the cache, or -1. */
  cachedPage(page: number): number {
    return this.#options.cache!.find(this, page)
  }

  /** Reads the page into the cache, blocking; returns its slot. */
  loadPageSync(page: number): number {
    const { pageBytes } = this.#options
    const cache = this.#options.cache!
    const slot = cache.place(this, page)
    const words = cache.wordsOf(slot)
    const base = cache.baseOf(slot)
    const bytes = new Uint8Array(words.buffer, base * 4, pageBytes)
    try {
      const count = readFullySync(this.#file, bytes, page * pageBytes)
      this.#check(bytes, page, count)
      this.#checkContent(words, base, page)
    } catch (error) {
      cache.drop(this, page)
      throw this.#readError(error, page)
    }
    this.pageReads++
    return slot
  }

  /** As {@link loadPageSync} where such reads have come back fast of late; false where it should be read without blocking. */
  loadPageIfFast(page: number): boolean {
    return this.#options.pace?.tryRead(() => this.loadPageSync(page)) === true
  }

  /**
   * Reads pages [from, to), which lie side by side, in one read and puts them into the cache. The result is memory of
   * its own: it stays what it is while others replace pages of the cache.
   */
  async loadPages(from: number, to: number): Promise<PageInMemory[]> {
    const { pageBytes } = this.#options
    const words = await this.readPages(from, to)
    const pages: PageInMemory[] = []
    for (let page = from; page < to; page++) {
      const base = (page - from) * (pageBytes / 4)
      pages.push({ words, base })
      const cache = this.#options.cache
      if (cache === undefined || cache.find(this, page) >= 0) continue
      const slot = cache.place(this, page)
      cache.wordsOf(slot).set(words.subarray(base, base + pageBytes / 4), cache.baseOf(slot))
    }
    this.pageReads += to - from
    return pages
  }

  /**
   * Reads and checks pages [from, to) of data or of the filter, past the cache, into `bytes` if they are given; one word
   * more than they take.
   */
  async readPages(
    from: number,
    to: number,
    bytes: Uint8Array = new Uint8Array((to - from) * this.#options.pageBytes + 4),
  ): Promise<Uint32Array> {
    const { pageBytes } = this.#options
    const words = wordsOf(bytes)
    const [position, length] = [from * pageBytes, (to - from) * pageBytes]
    try {
      await onceMore(this.#file, position, length, async () => {
        const count = await readFully(this.#file, bytes.subarray(0, length), position)
        for (let page = from; page < to; page++) {
          const at = (page - from) * pageBytes
          this.#check(bytes.subarray(at, at + pageBytes), page, count - at)
          this.#checkContent(words, at / 4, page)
        }
      })
    } catch (error) {
      throw this.#readError(error, from)
    }
    return words
  }

  /** Makes it a file of `directory` too, by a hard link; false where there can be none. Requires: it stays open. */
  linkInto(directory: string): Promise<boolean> {
    return linkFile(this.#options, this.entry, this.#file, directory)
  }

  /** Fills `buffer` with its bytes from `position` on, as they are. Also where its name is gone. Requires: it stays open. */
  async readBytes(position: number, buffer: Uint8Array): Promise<void> {
    if ((await readFully(this.#file, buffer, position)) === buffer.byteLength) return
    const { path } = this.#file
    throw corruption(path, position, `${buffer.byteLength} bytes`, 'the end of the file')
  }

  /** Copies it to `directory`, synced. Requires: it stays open. Cost: reads and writes all of it. */
  copyInto(directory: string): Promise<void> {
    return copyFile(this.#options, this.entry, this.#file, directory)
  }

  /** Its pages leave the cache. Never rejects: it was only read. Requires: nobody reads from it any more. */
  async close(): Promise<void> {
    if (this.memory !== undefined) return this.#onClose?.(this.memory)
    this.#options.cache?.dropFile(this)
    this.#options.cache?.release(this.fenceBytes)
    await this.#file.close().catch(() => {})
  }

  #check(bytes: Uint8Array, page: number, count: number): void {
    checkPage(this.#options, this.#file.path, bytes, this.#seed, page, count)
  }

  /** Checks what a page of data or of the filter holds. Its checksum fits. */
  #checkContent(words: Uint32Array, base: number, page: number): void {
    if (page >= this.footer.dataPages) {
      const kind = words[base + KIND_WORD]! & 0xff
      if (kind === FILTER_PAGE) return
      throw corruption(this.#file.path, page * this.#options.pageBytes, `page kind ${FILTER_PAGE}`, `${kind}`)
    }
    this.#page.open(words, base)
    const defect = this.#page.defect()
    if (defect === undefined) return
    throw corruption(this.#file.path, page * this.#options.pageBytes, 'a data page', defect)
  }

  #readError(error: unknown, page: number): unknown {
    const offset = page * this.#options.pageBytes
    return readError(error, `${this.#file.path} cannot be read at offset ${offset}`)
  }
}
