/**
 * The page cache: checked data pages in one block of memory, replaced by CLOCK.
 *
 * A hit costs an array read: no system call, no allocation. Checksums are checked once, when a page comes in. Scans
 * and merges read past the cache, so they push nothing out of it. docs/internals.md, Page cache.
 */

/** A file whose pages are cached: where each of its pages lies, -1 for nowhere. */
export interface CachedFile {
  readonly slots: Int32Array
}

/** Fewer slots than this make no cache. */
const SLOTS_MIN = 16

export class PageCache {
  readonly pageWords: number
  /** The memory of all slots and one more word, which a reader of bits may touch. */
  readonly words: Uint32Array
  readonly #owners: (CachedFile | undefined)[]
  readonly #pages: Int32Array
  readonly #used: Uint8Array
  readonly #memoryFreed: ((memory: Uint8Array) => void) | undefined
  #hand = 0
  /** Slots that hold a page. */
  #owned = 0

  /** `memoryFreed` is called with the memory of pages that are dropped. */
  constructor(cacheBytes: number, pageBytes: number, memoryFreed?: (memory: Uint8Array) => void) {
    this.#memoryFreed = memoryFreed
    const slots = Math.max(SLOTS_MIN, Math.floor(cacheBytes / pageBytes))
    this.pageWords = pageBytes / 4
    this.words = new Uint32Array(slots * this.pageWords + 1)
    this.#owners = Array.from({ length: slots })
    this.#pages = new Int32Array(slots)
    this.#used = new Uint8Array(slots)
  }

  /** Pages that it has room for. */
  get pages(): number {
    return this.#pages.length
  }

  /** Bytes that pages may take. */
  get bytes(): number {
    return this.#pages.length * this.pageWords * 4
  }

  /** Bytes that pages take. */
  get usedBytes(): number {
    return this.#owned * this.pageWords * 4
  }

  /** The first word of the page in `words`, or -1 where it is not in the cache. */
  find(file: CachedFile, page: number): number {
    const slot = file.slots[page]!
    if (slot < 0) return -1
    this.#used[slot] = 1
    return slot * this.pageWords
  }

  /**
   * Frees the slot that was not used for longest (by CLOCK) and gives it to the page; returns its first word. The
   * caller fills it before anything else runs, or takes it back with `drop`.
   */
  place(file: CachedFile, page: number): number {
    const slot = this.#victim()
    const owner = this.#owners[slot]
    if (owner === undefined) this.#owned++
    else owner.slots[this.#pages[slot]!] = -1
    this.#owners[slot] = file
    this.#pages[slot] = page
    file.slots[page] = slot
    return slot * this.pageWords
  }

  /** Forgets a page. */
  drop(file: CachedFile, page: number): void {
    const slot = file.slots[page]!
    if (slot < 0) return
    file.slots[page] = -1
    this.#owners[slot] = undefined
    this.#owned--
    this.#used[slot] = 0
    const { words, pageWords } = this
    this.#memoryFreed?.(new Uint8Array(words.buffer, slot * pageWords * 4, pageWords * 4))
  }

  /** Forgets all pages of a file. */
  dropFile(file: CachedFile): void {
    for (let page = 0; page < file.slots.length; page++) this.drop(file, page)
  }

  #victim(): number {
    for (;;) {
      const slot = this.#hand
      this.#hand = slot + 1 === this.#pages.length ? 0 : slot + 1
      if (this.#used[slot] === 0) return slot
      this.#used[slot] = 0
    }
  }
}
