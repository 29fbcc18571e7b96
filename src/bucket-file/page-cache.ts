/**
 * The page cache: checked pages of data and of filters in chunks of memory, replaced by CLOCK.
 *
 * A hit costs two array reads: no system call, no allocation. Checksums are checked once, when a page comes in. Merges,
 * and scans after their first pages, read past the cache, so they push nothing out of it. A chunk is allocated when all
 * others are full, so a cache takes no more memory than the pages that came in. What files keep in memory besides, their
 * fences, comes out of the same budget. Tables may share one: shared-page-cache.ts. docs/internals.md, Page cache.
 */
import { assert } from '../base/assert.js'
import type { FileMemory } from '../io/memory-file.js'

/** A file whose pages are cached: the slot of each of its pages, -1 for none. */
export interface CachedFile {
  readonly slots: Int32Array
}

/** Fewer slots than this make no cache. */
const SLOTS_MIN = 16
/** Bytes of a chunk at most. */
const CHUNK_BYTES = 2 ** 24

export class PageCache {
  readonly pageWords: number
  /** Pages that it has room for if nothing is reserved. */
  readonly #pagesMax: number
  #reservedBytes = 0
  readonly #chunkShift: number
  readonly #chunkMask: number
  /** Each has one more word than its pages take, which a reader of bits may touch. */
  readonly #chunks: Uint32Array[] = []
  readonly #owners: (CachedFile | undefined)[] = []
  #pages = new Int32Array(0)
  #used = new Uint8Array(0)
  readonly #memoryFreed: ((memory: Uint8Array) => void) | undefined
  #hand = 0
  /** Slots that hold a page. */
  #owned = 0

  /** `memoryFreed` is called with the memory of pages that are dropped. */
  constructor(
    cacheBytes: number,
    pageBytes: number,
    memoryFreed?: (memory: Uint8Array) => void,
    chunkPages?: number,
  ) {
    this.#memoryFreed = memoryFreed
    this.#pagesMax = Math.max(SLOTS_MIN, Math.floor(cacheBytes / pageBytes))
    this.pageWords = pageBytes / 4
    chunkPages ??= Math.min(CHUNK_BYTES / pageBytes, 2 ** Math.ceil(Math.log2(this.#pagesMax)))
    this.#chunkShift = Math.log2(chunkPages)
    this.#chunkMask = chunkPages - 1
  }

  /** A cache that has all pages of one file from the start, in the memory of that file: pages side by side in blocks. */
  static ofFile(memory: FileMemory, pageBytes: number): PageCache {
    const cache = new PageCache(memory.bytes, pageBytes, undefined, memory.blockBytes / pageBytes)
    for (const block of memory.blocks) cache.#chunks.push(new Uint32Array(block))
    cache.#resize(cache.#pagesMax)
    return cache
  }

  /** Pages that it has room for. */
  get pages(): number {
    return Math.max(SLOTS_MIN, this.#pagesMax - Math.ceil(this.#reservedBytes / (this.pageWords * 4)))
  }

  /** Bytes that pages, and what is reserved, may take. */
  get bytes(): number {
    return this.#pagesMax * this.pageWords * 4
  }

  /** Bytes that pages take. */
  get usedBytes(): number {
    return this.#owned * this.pageWords * 4
  }

  /** Leaves less room to pages: some are dropped if need be. Fewer than sixteen never. */
  reserve(bytes: number): void {
    this.#reservedBytes += bytes
    for (let slot = this.pages; slot < this.#pages.length; slot++) {
      const owner = this.#owners[slot]
      if (owner !== undefined) this.drop(owner, this.#pages[slot]!)
    }
    if (this.pages >= this.#pages.length) return
    this.#resize(this.pages)
    this.#chunks.length = Math.ceil(this.pages / (this.#chunkMask + 1))
  }

  /** Takes back a {@link reserve}. */
  release(bytes: number): void {
    assert(bytes <= this.#reservedBytes, 'what is released was reserved')
    this.#reservedBytes -= bytes
  }

  /** The slot of the page, or -1 if it is not in the cache. */
  find(file: CachedFile, page: number): number {
    const slot = file.slots[page]!
    if (slot >= 0) this.#used[slot] = 1
    return slot
  }

  /** The memory that the page in the slot lies in; its first word there is {@link baseOf}. */
  wordsOf(slot: number): Uint32Array {
    return this.#chunks[slot >>> this.#chunkShift]!
  }

  baseOf(slot: number): number {
    return (slot & this.#chunkMask) * this.pageWords
  }

  /**
   * Frees the slot that was not used for longest (by CLOCK) and gives it to the page; returns the slot. The caller fills
   * it before anything else runs, or takes it back with `drop`.
   */
  place(file: CachedFile, page: number): number {
    const slot = this.#victim()
    const owner = this.#owners[slot]
    if (owner === undefined) this.#owned++
    else owner.slots[this.#pages[slot]!] = -1
    this.#owners[slot] = file
    this.#pages[slot] = page
    file.slots[page] = slot
    return slot
  }

  /** Forgets a page. */
  drop(file: CachedFile, page: number): void {
    const slot = file.slots[page]!
    if (slot < 0) return
    file.slots[page] = -1
    this.#owners[slot] = undefined
    this.#owned--
    this.#used[slot] = 0
    const words = this.wordsOf(slot)
    this.#memoryFreed?.(new Uint8Array(words.buffer, this.baseOf(slot) * 4, this.pageWords * 4))
  }

  /** Forgets all pages of a file. */
  dropFile(file: CachedFile): void {
    for (let page = 0; page < file.slots.length; page++) this.drop(file, page)
  }

  #victim(): number {
    for (;;) {
      if (this.#hand >= this.#pages.length && !this.#grow()) this.#hand = 0
      const slot = this.#hand++
      if (this.#used[slot] === 0) return slot
      this.#used[slot] = 0
    }
  }

  /**
   * Makes more slots, as many as the last chunk has or in a new one; false if there are all that there may be, or if the
   * system has no memory for it.
   */
  #grow(): boolean {
    const before = this.#pages.length
    if (before >= this.pages) return false
    const chunkPages = this.#chunkMask + 1
    const begin = this.#chunks.length * chunkPages
    if (before === begin) {
      try {
        const pages = Math.min(chunkPages, this.#pagesMax - begin)
        this.#chunks.push(new Uint32Array(pages * this.pageWords + 1))
      } catch (error) {
        // Without a single chunk there is no cache at all.
        if (before === 0) throw error
        return false
      }
    }
    this.#resize(Math.min(this.pages, this.#chunks.length * chunkPages))
    return true
  }

  #resize(slots: number): void {
    this.#owners.length = slots
    this.#pages = resized(this.#pages, new Int32Array(slots))
    this.#used = resized(this.#used, new Uint8Array(slots))
  }
}

function resized<A extends Int32Array | Uint8Array>(old: A, into: A): A {
  into.set(old.subarray(0, into.length))
  return into
}
