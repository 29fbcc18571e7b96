/**
 * Keys that are looked up together, so that they wait for memory together.
 *
 * A lookup in a large table mostly waits for memory: for the filter, the head of the page, keys, values, in turn. For a
 * block of keys each of these steps is a loop, preceded by a loop that only touches what the step will read, so that the
 * waits overlap (Chen et al. 2004, group prefetching). `Lookup` then finds everything at hand. Hot; answers do not
 * depend on it. docs/internals.md, Lookup.
 */
import type { BucketFile } from '../bucket-file/reader.js'
import { WORDS_PER_LINE } from '../format/cache-line.js'
import { DataPageReader } from '../format/data-page-reader.js'
import { hashKey } from '../records/hash.js'
import type { RecordLayout } from '../records/record-layout.js'

export const KEYS_PER_BLOCK = 32

export class KeyBlock {
  readonly #readers: readonly DataPageReader[]
  /** The keys of the block, a column a lane, and one of them. */
  readonly #keys: readonly Uint32Array[]
  readonly #key: Uint32Array
  #count = 0
  readonly #hashes = new Uint32Array(KEYS_PER_BLOCK)
  /** A row of keys each file. */
  #pages = new Int32Array(KEYS_PER_BLOCK)
  /** For each key the newest file with a page for it that is in the cache, and its first word there; -1 for none. */
  readonly #files = new Int32Array(KEYS_PER_BLOCK)
  readonly #bases = new Int32Array(KEYS_PER_BLOCK)
  readonly #ahead: Int32Array
  /** Kept, so that touching is not optimised away. */
  touched = 0

  constructor(layout: RecordLayout, pageBytes: number) {
    this.#readers = Array.from({ length: KEYS_PER_BLOCK }, () => new DataPageReader(layout, pageBytes))
    this.#keys = Array.from({ length: layout.keyLaneCount }, () => new Uint32Array(KEYS_PER_BLOCK))
    this.#key = new Uint32Array(layout.keyLaneCount)
    this.#ahead = new Int32Array(KEYS_PER_BLOCK * this.#readers[0]!.wordsAheadMax)
  }

  /** The last page of file number `file` that may hold the key in this place, or -1. */
  pageFor(place: number, file: number): number {
    return this.#pages[file * KEYS_PER_BLOCK + place]!
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
    this.#count = count
    for (let lane = 0; lane < this.#keys.length; lane++) {
      const column = keys[lane]!
      const block = this.#keys[lane]!
      for (let place = 0; place < count; place++) block[place] = column[queries[from + place]!]!
    }
    for (let place = 0; place < count; place++) {
      this.#hashes[place] = hashKey(this.#keys, place, this.#keys.length)
    }
    if (this.#pages.length < files.length * KEYS_PER_BLOCK) {
      this.#pages = new Int32Array(files.length * KEYS_PER_BLOCK)
    }
    this.#files.fill(-1)
    for (let number = 0; number < files.length; number++) this.#findPages(files[number]!, number)
    if (files.length > 0) this.#seek(files[0]!.cacheWords)
  }

  #findPages(file: BucketFile, number: number): void {
    const pages = this.#pages
    const first = number * KEYS_PER_BLOCK
    const end = first + this.#count
    for (let i = first; i < end; i++) pages[i] = file.lastPageFor(this.#keyAt(i - first))
    this.touched ^= file.touchFilters(pages, first, end)
    for (let i = first; i < end; i++) {
      const page = pages[i]!
      const place = i - first
      if (page < 0) continue
      if (!file.mayContain(page, this.#hashes[place]!)) {
        pages[i] = -1
        continue
      }
      const base = file.cachedPage(page)
      if (base < 0) continue
      this.#files[place] = number
      this.#bases[place] = base
    }
  }

  /** `words`: of the cache, which all files of a table share. */
  #seek(words: Uint32Array): void {
    const bases = this.#bases
    const count = this.#count
    let touched = 0
    for (let place = 0; place < count; place++) {
      // The head of a page with its restarts is most often two lines long.
      if (this.#files[place]! >= 0) touched ^= words[bases[place]!]! ^ words[bases[place]! + WORDS_PER_LINE]!
    }
    let ahead = 0
    for (let place = 0; place < count; place++) {
      if (this.#files[place]! < 0) continue
      const reader = this.#readers[place]!
      reader.open(words, bases[place]!)
      reader.seek(this.#keyAt(place))
      ahead = reader.wordsAhead(this.#ahead, ahead)
    }
    for (let i = 0; i < ahead; i++) touched ^= words[this.#ahead[i]!]!
    this.touched ^= touched
  }

  #keyAt(place: number): Uint32Array {
    const key = this.#key
    for (let lane = 0; lane < key.length; lane++) key[lane] = this.#keys[lane]![place]!
    return key
  }
}
