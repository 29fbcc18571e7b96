/**
 * Keys that are looked up together, so that they wait for memory together: for fences, filters, heads of pages and rows in
 * turn, each time all at once. `Lookup` then finds everything at hand; answers do not depend on it. Hot.
 * docs/internals.md, Lookup.
 */
import type { BucketFile } from '../bucket-file/reader.js'
import { BlockSearch, SOUGHT } from '../format/block-search.js'
import { hashKey } from '../records/hash.js'
import type { RecordLayout } from '../records/record-layout.js'

export const KEYS_PER_BLOCK = 128

export class KeyBlock {
  readonly #layout: RecordLayout
  readonly #pageBytes: number
  /** The keys of the block, a column a lane, and one of them. */
  readonly #keys: readonly Uint32Array[]
  readonly #key: Uint32Array
  #count = 0
  readonly #hashes = new Uint32Array(KEYS_PER_BLOCK)
  /** A row of keys each file: the last page that may hold the key, or -1. */
  #pages = new Int32Array(KEYS_PER_BLOCK)
  /** For each file what was found in its pages that are in the cache. */
  readonly #searches: BlockSearch[] = []
  /** Kept, so that touching is not optimised away. */
  readonly #touched = new Int32Array(1)

  constructor(layout: RecordLayout, pageBytes: number) {
    this.#layout = layout
    this.#pageBytes = pageBytes
    this.#keys = Array.from({ length: layout.keyLaneCount }, () => new Uint32Array(KEYS_PER_BLOCK))
    this.#key = new Uint32Array(layout.keyLaneCount)
  }

  /** The last page that may hold the key in this place in file number `file`, or -1. */
  pageFor(place: number, file: number): number {
    return this.#pages[file * KEYS_PER_BLOCK + place]!
  }

  /** What was found for the keys in the pages of file number `file`: that of this place, if it was sought. */
  searchFor(place: number, file: number): BlockSearch | undefined {
    const search = this.#searches[file]!
    return search.states[place] === SOUGHT ? search : undefined
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
    while (this.#searches.length < files.length)
      this.#searches.push(new BlockSearch(this.#layout, this.#pageBytes, KEYS_PER_BLOCK))
    for (let number = 0; number < files.length; number++) {
      const file = files[number]!
      this.#findPages(file, number)
      this.#searches[number]!.seek(file.cacheWords, this.#keys, count)
    }
  }

  #findPages(file: BucketFile, number: number): void {
    const pages = this.#pages
    const { bases } = this.#searches[number]!
    const first = number * KEYS_PER_BLOCK
    const end = first + this.#count
    for (let i = first; i < end; i++) pages[i] = file.lastPageFor(this.#keyAt(i - first))
    this.#touched[0]! ^= file.touchFilters(pages, first, end)
    for (let i = first; i < end; i++) {
      const page = pages[i]!
      const place = i - first
      bases[place] = -1
      if (page < 0) continue
      if (file.mayContain(page, this.#hashes[place]!)) bases[place] = file.cachedPage(page)
      else pages[i] = -1
    }
  }

  #keyAt(place: number): Uint32Array {
    const key = this.#key
    for (let lane = 0; lane < key.length; lane++) key[lane] = this.#keys[lane]![place]!
    return key
  }
}
