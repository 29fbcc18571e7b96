/**
 * Finds the page of a key: the fences of a bucket file, which are the first key of each page, a column each lane.
 *
 * docs/internals.md, Lookup.
 */

export class PageIndex {
  readonly #fences: readonly Uint32Array[]
  readonly #pages: number
  /** Pages for each step of the first lane of a key. */
  readonly #pagesPerLane: number

  /** Invariant: keys never fall. */
  constructor(fences: readonly Uint32Array[]) {
    const first = fences[0]!
    this.#fences = fences
    this.#pages = first.length
    this.#pagesPerLane = first.length === 0 ? 0 : first.length / (first.at(-1)! - first[0]! + 1)
  }

  get byteLength(): number {
    return this.#pages * 4 * this.#fences.length
  }

  /** The last page whose first key is not after `key`; -1 where the key is before all. */
  lastPageFor(key: Uint32Array): number {
    if (this.#pages === 0) return -1
    const page = this.#lastPageByFirstLane(key[0]!)
    if (page < 0 || this.compare(page, key) <= 0) return page
    // The first lane is the same: the others decide.
    let low = -1
    let high = page
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if (this.compare(middle, key) <= 0) low = middle
      else high = middle
    }
    return low
  }

  /** The first page that may hold `key` or greater keys: the one before the first page that starts at or after it. */
  firstPageFor(key: Uint32Array): number {
    let low = 0
    let high = this.#pages
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.compare(middle, key) < 0) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }

  /** First key of the page against `key`: less than, equal to or greater than 0. */
  compare(page: number, key: Uint32Array): number {
    for (let lane = 0; lane < key.length; lane++) {
      const difference = this.#fences[lane]![page]! - key[lane]!
      if (difference !== 0) return difference
    }
    return 0
  }

  /**
   * The last page whose first key has a first lane of at most `lane`, or -1. Requires: there are pages.
   *
   * Hot: most keys are hashes, so the guess by rule of three is off by a few pages of many thousand; from there it
   * gallops (Bentley & Yao 1976), so that no keys take more than twice the steps of a binary search.
   */
  #lastPageByFirstLane(lane: number): number {
    const fences = this.#fences[0]!
    const pages = this.#pages
    const guess = Math.floor((lane - fences[0]!) * this.#pagesPerLane)
    let low = Math.min(Math.max(guess, -1), pages - 1)
    let high = low + 1
    if (low >= 0 && fences[low]! > lane) {
      for (let step = 1; low >= 0 && fences[low]! > lane; step *= 2) {
        high = low
        low -= step
      }
      if (low < -1) low = -1
    } else {
      for (let step = 1; high < pages && fences[high]! <= lane; step *= 2) {
        low = high
        high += step
      }
      if (high > pages) high = pages
    }
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if (fences[middle]! <= lane) low = middle
      else high = middle
    }
    return low
  }
}
