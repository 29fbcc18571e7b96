/**
 * Keys that are looked up together, so that they wait for memory together.
 *
 * A lookup in a large table mostly waits for memory: filter, head of the page, keys, values, one after another. Over a
 * block of keys each of these steps is a loop of its own, first one that only touches what the step will read: its
 * waits overlap (Chen et al. 2004, group prefetching). `Lookup` then finds everything at hand. Hot; answers do not
 * depend on it. docs/architecture.md, Lookup.
 */
import type { BucketFile } from '../bucket-file/reader.js'
import { hashKey } from '../columns/hash.js'
import type { RecordLayout } from '../columns/record-layout.js'
import { DataPageReader } from '../format/data-page-reader.js'

export const KEYS_A_BLOCK = 32
/** 64 bytes come from memory together. */
const WORDS_A_LINE = 16

export class KeyBlock {
  readonly #keyLaneCount: number
  readonly #readers: readonly DataPageReader[]
  readonly #hashes = new Uint32Array(KEYS_A_BLOCK)
  /** A row of keys each file. */
  #pages = new Int32Array(KEYS_A_BLOCK)
  /** For each key the newest file with a page for it that is in the cache, and its first word there; -1 for none. */
  readonly #files = new Int32Array(KEYS_A_BLOCK)
  readonly #bases = new Int32Array(KEYS_A_BLOCK)
  readonly #ahead: Int32Array
  /** Kept, so that touching is not optimised away. */
  touched = 0

  constructor(layout: RecordLayout, pageBytes: number) {
    this.#keyLaneCount = layout.keyLaneCount
    this.#readers = Array.from({ length: KEYS_A_BLOCK }, () => new DataPageReader(layout, pageBytes))
    this.#ahead = new Int32Array(KEYS_A_BLOCK * this.#readers[0]!.wordsAheadMax)
  }

  /** The last page of file number `file` that may hold the key in this place, or -1. */
  pageFor(place: number, file: number): number {
    return this.#pages[file * KEYS_A_BLOCK + place]!
  }

  /** A reader that has sought the key in this place in its page of file number `file`, or `undefined`. */
  readerFor(place: number, file: number): DataPageReader | undefined {
    return this.#files[place] === file ? this.#readers[place] : undefined
  }

  /** Gets the keys `queries[from]` to `queries[to - 1]` ready; `keys`: a column a lane. */
  prepare(
    files: readonly BucketFile[],
    keys: readonly Uint32Array[],
    queries: ArrayLike<number>,
    from: number,
    to: number,
  ): void {
    const count = to - from
    const key = new Uint32Array(this.#keyLaneCount)
    if (this.#pages.length < files.length * KEYS_A_BLOCK) {
      this.#pages = new Int32Array(files.length * KEYS_A_BLOCK)
    }
    for (let place = 0; place < count; place++) {
      this.#hashes[place] = hashKey(keys, queries[from + place]!, this.#keyLaneCount)
    }
    this.#files.fill(-1)
    for (let number = 0; number < files.length; number++) {
      this.#findPages(files[number]!, number, keys, queries, from, count, key)
    }
    this.#seek(files, keys, queries, from, count, key)
  }

  #findPages(
    file: BucketFile,
    number: number,
    keys: readonly Uint32Array[],
    queries: ArrayLike<number>,
    from: number,
    count: number,
    key: Uint32Array,
  ): void {
    const pages = this.#pages
    const first = number * KEYS_A_BLOCK
    for (let place = 0; place < count; place++) {
      copyKey(keys, queries[from + place]!, key)
      pages[first + place] = file.lastPageFor(key)
    }
    this.touched ^= file.touchFilters(pages, first, first + count)
    for (let place = 0; place < count; place++) {
      const page = pages[first + place]!
      if (page < 0) continue
      if (!file.mayContain(page, this.#hashes[place]!)) {
        pages[first + place] = -1
        continue
      }
      const base = file.cachedPage(page)
      if (base < 0) continue
      this.#files[place] = number
      this.#bases[place] = base
    }
  }

  #seek(
    files: readonly BucketFile[],
    keys: readonly Uint32Array[],
    queries: ArrayLike<number>,
    from: number,
    count: number,
    key: Uint32Array,
  ): void {
    if (files.length === 0) return
    // All files of a table share the cache.
    const words = files[0]!.cacheWords
    const bases = this.#bases
    let touched = 0
    for (let place = 0; place < count; place++) {
      // The head of a page with its restarts is most often two lines long.
      if (this.#files[place]! >= 0) touched ^= words[bases[place]!]! ^ words[bases[place]! + WORDS_A_LINE]!
    }
    let ahead = 0
    for (let place = 0; place < count; place++) {
      if (this.#files[place]! < 0) continue
      const reader = this.#readers[place]!
      copyKey(keys, queries[from + place]!, key)
      reader.open(words, bases[place]!)
      reader.seek(key)
      ahead = reader.wordsAhead(this.#ahead, ahead)
    }
    for (let i = 0; i < ahead; i++) touched ^= words[this.#ahead[i]!]!
    this.touched ^= touched
  }
}

function copyKey(keys: readonly Uint32Array[], row: number, into: Uint32Array): void {
  for (let lane = 0; lane < into.length; lane++) into[lane] = keys[lane]![row]!
}
