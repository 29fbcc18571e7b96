/**
 * Finds the page of a key: the fences of a bucket file, which are the first key of each page, a column each lane.
 *
 * Lanes in which all fences are equal say nothing. The first other one, the *leading lane*, is searched: a spline says
 * about where its value falls, and from there the search gallops. docs/internals.md, Lookup.
 */

/** Steps of the spline at most: 8 KiB. */
const STEPS_MAX = 1024
/** Pages to each step, in files of fewer pages. */
const PAGES_PER_STEP = 16

export class PageIndex {
  readonly #fences: readonly Uint32Array[]
  readonly #pages: number
  readonly #leadingLane: number
  readonly #leading: Uint32Array
  /** Where in the pages each of the steps begins into which the range of the leading lane is cut; not a whole number. */
  readonly #spline: Float64Array
  readonly #stepsPerValue: number
  readonly #key: Uint32Array

  /** Invariant: keys never fall. */
  constructor(fences: readonly Uint32Array[]) {
    const pages = fences[0]!.length
    this.#fences = fences
    this.#key = new Uint32Array(fences.length)
    this.#pages = pages
    const varies = (lane: Uint32Array): boolean => pages > 0 && lane[0] !== lane[pages - 1]
    this.#leadingLane = Math.max(0, fences.findIndex(varies))
    this.#leading = fences[this.#leadingLane]!
    const range = pages === 0 ? 1 : this.#leading[pages - 1]! - this.#leading[0]! + 1
    const steps = Math.max(1, Math.min(STEPS_MAX, Math.floor(pages / PAGES_PER_STEP)))
    this.#stepsPerValue = steps / range
    this.#spline = splineOf(this.#leading, steps, range / steps)
  }

  get byteLength(): number {
    return this.#pages * 4 * this.#fences.length + this.#spline.byteLength
  }

  /** The last page whose first key is not after `key`; -1 where the key is before all. Hot. */
  lastPageFor(key: Uint32Array): number {
    const lead = this.#leadingLane
    if (this.#pages === 0) return -1
    for (let lane = 0; lane < lead; lane++) {
      const difference = key[lane]! - this.#fences[lane]![0]!
      if (difference !== 0) return difference < 0 ? -1 : this.#pages - 1
    }
    const page = this.#lastPageByLeading(key[lead]!)
    if (page < 0 || this.compare(page, key) <= 0) return page
    // The leading lane is the same: the others decide.
    let low = -1
    let high = page
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if (this.compare(middle, key) <= 0) low = middle
      else high = middle
    }
    return low
  }

  /** As {@link lastPageFor} of the first `count` keys, a column a lane. Hot. */
  lastPagesFor(keys: readonly Uint32Array[], count: number, pages: Int32Array): void {
    const leading = this.#leading
    const leads = keys[this.#leadingLane]!
    const straight = this.#leadingLane === 0 && this.#pages > 0
    for (let i = 0; i < count; i++) {
      const lead = leads[i]!
      const page = straight ? this.#lastPageByLeading(lead) : -1
      // If the key and the fence have the same leading lane, the other lanes decide.
      pages[i] = straight && (page < 0 || leading[page] !== lead) ? page : this.#lastPageOf(keys, i)
    }
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

  /** Puts the first key of the page into `key`. */
  read(page: number, key: Uint32Array): void {
    for (let lane = 0; lane < key.length; lane++) key[lane] = this.#fences[lane]![page]!
  }

  /** First key of the page against `key`: less than, equal to or greater than 0. */
  compare(page: number, key: Uint32Array): number {
    for (let lane = 0; lane < key.length; lane++) {
      const difference = this.#fences[lane]![page]! - key[lane]!
      if (difference !== 0) return difference
    }
    return 0
  }

  /** Where the key lies between the first keys of its page and the next page, by the leading lane: 0 to 1. */
  shareOf(page: number, key: Uint32Array): number {
    if (page + 1 >= this.#pages) return 0.5
    const first = this.#leading[page]!
    return (key[this.#leadingLane]! - first) / (this.#leading[page + 1]! - first + 1)
  }

  #lastPageOf(keys: readonly Uint32Array[], row: number): number {
    const key = this.#key
    for (let lane = 0; lane < key.length; lane++) key[lane] = keys[lane]![row]!
    return this.lastPageFor(key)
  }

  /**
   * The last page whose first key has a leading lane of at most `value`, or -1. Requires: there are pages.
   *
   * Hot: the guess of the spline is off by a page or two, unless keys cluster; from there it gallops (Bentley & Yao
   * 1976), so that no keys take more than twice the steps of a binary search.
   */
  #lastPageByLeading(value: number): number {
    const leading = this.#leading
    const pages = this.#pages
    let low = this.#guess(value)
    let high = low + 1
    if (leading[low]! > value) {
      for (let step = 1; low >= 0 && leading[low]! > value; step *= 2) {
        high = low
        low -= step
      }
      if (low < -1) low = -1
    } else {
      for (let step = 1; high < pages && leading[high]! <= value; step *= 2) {
        low = high
        high += step
      }
      if (high > pages) high = pages
    }
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if (leading[middle]! <= value) low = middle
      else high = middle
    }
    return low
  }

  #guess(value: number): number {
    const place = (value - this.#leading[0]!) * this.#stepsPerValue
    const spline = this.#spline
    if (!(place > 0)) return 0
    if (place >= spline.length - 1) return this.#pages - 1
    const step = Math.floor(place)
    const at = spline[step]!
    return Math.floor(at + (spline[step + 1]! - at) * (place - step))
  }
}

/** For each step and the end: the page in which it begins, and which part of that page's values lies before it. */
function splineOf(leading: Uint32Array, steps: number, valuesPerStep: number): Float64Array {
  const pages = leading.length
  const spline = new Float64Array(steps + 1)
  if (pages === 0) return spline
  for (let step = 0, page = 0; step <= steps; step++) {
    const value = leading[0]! + step * valuesPerStep
    while (page + 1 < pages && leading[page + 1]! <= value) page++
    const next = page + 1 < pages ? leading[page + 1]! : leading[page]! + 1
    spline[step] = Math.min(pages - 1, page + (value - leading[page]!) / (next - leading[page]!))
  }
  return spline
}
