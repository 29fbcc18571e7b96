/**
 * Which pages of a bucket file hold cleared keys alone. The fences tell, so nothing is read for it, and such pages are never
 * read again.
 *
 * A page has keys from its first key up to the first key of the next page. That one is included, because the rows of a key
 * may go on in the next page.
 */
import type { ClearedKeys } from '../records/cleared-keys.js'
import { compareLanes } from '../records/lane-ranges.js'
import type { BucketFile } from './reader.js'

export class HiddenPages {
  readonly #file: BucketFile
  readonly #cleared: ClearedKeys
  /** The last sequence number in the file: newer clears count, ... */
  readonly #sequence: number
  /** ... unless they have this one or a later one. */
  readonly #before: number
  readonly #key: Uint32Array

  constructor(file: BucketFile, cleared: ClearedKeys, before: number) {
    this.#file = file
    this.#cleared = cleared
    this.#sequence = file.entry.endSequence - 1
    this.#before = before
    this.#key = new Uint32Array(file.footer.firstKey.length)
  }

  /** How many pages hold cleared keys alone. Cost: a few microseconds for each clear of keys of the file. */
  count(): number {
    const { dataPages, firstKey, lastKey } = this.#file.footer
    if (dataPages === 0 || this.#cleared.size === 0) return 0
    let count = 0
    for (const { lower, upper } of this.#cleared.runs(firstKey, lastKey, this.#sequence, this.#before))
      count += Math.max(0, this.#pageAfter(upper) - this.#pageFrom(lower))
    return count
  }

  /** The first page from this one on that may hold other keys; after the last page, if none does. */
  firstVisible(page: number): number {
    if (this.#cleared.size === 0) return page
    const { dataPages } = this.#file.footer
    if (page >= dataPages) return page
    this.#file.readFirstKey(page, this.#key)
    const end = this.#cleared.runEnd(this.#key, this.#sequence, this.#before)
    return end === undefined ? page : this.#pageAfter(end)
  }

  /** The last page up to this one that may hold other keys; -1, if none does. */
  lastVisible(page: number): number {
    if (this.#cleared.size === 0 || page < 0) return page
    const { dataPages, lastKey } = this.#file.footer
    if (page + 1 < dataPages) this.#file.readFirstKey(page + 1, this.#key)
    else this.#key.set(lastKey)
    const start = this.#cleared.runStart(this.#key, this.#sequence, this.#before)
    return start === undefined ? page : Math.min(page, this.#pageFrom(start) - 1)
  }

  /** The first page that begins with this key or a greater one. */
  #pageFrom(key: ArrayLike<number>): number {
    this.#key.set(key)
    const page = this.#file.firstPageFor(this.#key)
    return this.#file.compareFirstKey(page, this.#key) < 0 ? page + 1 : page
  }

  /** The page after the last one that ends with this key or a smaller one. Requires: a page begins with such a key. */
  #pageAfter(key: ArrayLike<number>): number {
    const { dataPages, lastKey } = this.#file.footer
    if (compareLanes(lastKey, key) <= 0) return dataPages
    this.#key.set(key)
    return this.#file.lastPageFor(this.#key)
  }
}
