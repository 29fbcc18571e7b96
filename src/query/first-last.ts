/**
 * The first and the last record of a range: a seek in each memtable and file says which key comes first of all, and a
 * lookup judges the key. No page is decoded. A key that has no record left is passed over, and the next one is sought;
 * cleared keys are passed over together.
 *
 * Blocking and asynchronous searches share everything but the page source. Hot. docs/internals.md, Short ranges.
 */
import type { BucketFile } from '../bucket-file/reader.js'
import { PageKeys } from '../format/page-keys.js'
import type { Memtable } from '../memtable/memtable.js'
import type { ClearedKeys } from '../records/cleared-keys.js'
import { compareKeys, compareKeyToRow } from '../records/compare.js'
import { holdsKey, rangeIsEmpty, rangeOverlaps, type KeyRange } from '../records/key-range.js'
import type { OperationBuffer } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import type { View } from '../state/table-state.js'
import { Lookup, MISSING as PAGE_MISSING, TOO_MANY, type Wanted } from './lookup.js'
import { FOUND, GENERAL, NewestRecord } from './newest.js'
import type { PageSource } from './page-source.js'
import { RunPlaces } from './run-places.js'

/** What {@link FirstLast.find} says. */
export const NOTHING = 0
export const RECORD = 1
/** Pages are missing: `pages.missing` tells which, and {@link FirstLast.left} what of the range is left. */
export const MISSING = 2
/** The limit of keys or records was reached: {@link FirstLast.left} is for a scan. */
export const GIVEN_UP = 3
export type Found = typeof NOTHING | typeof RECORD | typeof MISSING | typeof GIVEN_UP

/** Rows that the view does not see are passed over by this many, a power of 2, between two looks at their keys. */
const STEPS_BLIND = 64
/** Of a key with more records they are counted first, so that not all are gathered for the oldest. */
const GATHERED_MAX = 64

/** How much a search may do at once. */
export interface Effort {
  /** Keys without a record that are passed over. */
  readonly keysMax: number
  /** Rows of one key that are looked through. */
  readonly rowsMax: number
}

const OLDEST: Wanted = { limit: 1, offset: 0, reverse: false }

export interface FirstLastOptions {
  readonly layout: RecordLayout
  readonly pageBytes: number
  readonly replace: boolean
}

export class FirstLast {
  readonly #lookup: Lookup
  readonly #newest: NewestRecord
  readonly #pageKeys: PageKeys
  readonly #places = new RunPlaces()
  readonly #replace: boolean
  /** The key that is nearest to the start of the range, of the inputs asked so far; and one of the input at hand. */
  #key: Uint32Array
  #other: Uint32Array
  #isAny = false
  /** What is left of the range. */
  left: KeyRange = {}
  /** The row of the record, in the rows that {@link find} was given. */
  row = 0

  constructor({ layout, pageBytes, replace }: FirstLastOptions) {
    this.#lookup = new Lookup(layout, pageBytes, replace)
    this.#newest = new NewestRecord(layout, pageBytes)
    this.#pageKeys = new PageKeys(layout, pageBytes)
    // With `combine` a lookup gives the one record.
    this.#replace = replace || layout.combine !== undefined
    this.#key = new Uint32Array(layout.keyLaneCount)
    this.#other = new Uint32Array(layout.keyLaneCount)
  }

  /**
   * Finds the first record of the range, with `reverse` the last; puts it into `hits`, which must be empty. Requires: the
   * rows of the memtables are in order and indexed, or it may take the time for it.
   */
  find(
    view: View,
    range: KeyRange,
    reverse: boolean,
    hits: OperationBuffer,
    pages: PageSource,
    { keysMax, rowsMax }: Effort,
  ): Found {
    this.left = range
    for (let passed = 0; passed < keysMax; passed++) {
      if (rangeIsEmpty(this.left)) return NOTHING
      if (!this.#seek(view, reverse, pages)) return MISSING
      if (!this.#isAny || !holdsKey(this.left, this.#key)) return NOTHING
      const found = this.#judge(view, reverse, hits, pages, rowsMax)
      if (found === PAGE_MISSING) return MISSING
      if (found === TOO_MANY) return GIVEN_UP
      if (found > 0) {
        // Hits are newest first; a range begins with the oldest record of a key.
        this.row = found - 1
        return RECORD
      }
      this.left = reverse
        ? { ...this.left, upper: this.#key.slice(), upperExclusive: true }
        : { ...this.left, lower: this.#key.slice(), lowerExclusive: true }
    }
    return GIVEN_UP
  }

  /**
   * Puts records of the key into `hits`, newest first; the last one is the one that is sought. Returns their number, or what
   * `Lookup` says instead.
   */
  #judge(view: View, reverse: boolean, hits: OperationBuffer, pages: PageSource, rowsMax: number): number {
    const key = this.#key
    const wantsNewest = reverse || this.#replace
    if (wantsNewest) {
      const newest = this.#newest.find(view, key, hits.lanes, false)
      if (newest !== GENERAL) {
        if (newest !== FOUND) return 0
        for (let lane = 0; lane < key.length; lane++) hits.lanes[lane]![0] = key[lane]!
        hits.count = 1
        return 1
      }
    }
    hits.clear()
    const options = { effort: rowsMax }
    if (wantsNewest) return this.#lookup.collect(view, key, 1, hits, pages, options)
    const found = this.#lookup.collect(view, key, GATHERED_MAX + 1, hits, pages, options)
    if (found <= GATHERED_MAX) return found
    hits.clear()
    return this.#lookup.find(view, key, OLDEST, hits, pages, rowsMax)
  }

  /**
   * Puts the first key that any input has in the range into `#key`; false: pages are missing, and those of all files
   * have been noted.
   */
  #seek(view: View, reverse: boolean, pages: PageSource): boolean {
    const { version, active, length } = view
    this.#isAny = false
    for (let i = version.files.length - 1; i >= 0; i--) {
      const file = version.files[i]!
      const { dataPages, firstKey, lastKey } = file.footer
      if (dataPages === 0 || !rangeOverlaps(this.left, firstKey, lastKey)) continue
      // What lies behind the best key need not be asked.
      if (this.#isAny && (reverse ? compareKeys(lastKey, this.#key) : compareKeys(this.#key, firstKey)) <= 0)
        continue
      if (this.#seekInFile(view, file, reverse, pages)) this.#takeOther(reverse)
    }
    if (pages.missing.length > 0) return false
    for (const { memtable, ordered } of version.sealed)
      this.#seekInMemtable(view, memtable, ordered.runsAtOnce(memtable.count), memtable.count, reverse)
    this.#seekInMemtable(view, active.memtable, active.ordered.runsAtOnce(length), length, reverse)
    return true
  }

  /**
   * Puts the first key of the file in the range that was not cleared after it, or one behind the range, into `#other`; with
   * `reverse` the last. False if there is none, or if its page is missing. Requires: file and range overlap.
   */
  #seekInFile(
    { deletes: { cleared }, sequence }: View,
    file: BucketFile,
    reverse: boolean,
    pages: PageSource,
  ): boolean {
    const { entry, footer } = file
    const hasCleared = cleared.size > 0
    const passed = (key: Uint32Array): Uint32Array | undefined =>
      hasCleared ? passedFrom(key, reverse, cleared, entry.endSequence - 1, sequence) : undefined
    let { left } = this
    // If the bound itself was cleared, its page is not read.
    let bound = passed(reverse ? (left.upper ?? footer.lastKey) : (left.lower ?? footer.firstKey))
    for (;;) {
      if (bound !== undefined) {
        left = reverse
          ? { ...left, upper: bound, upperExclusive: true }
          : { ...left, lower: bound, lowerExclusive: true }
        if (rangeIsEmpty(left) || !rangeOverlaps(left, footer.firstKey, footer.lastKey)) return false
      }
      const isFound = reverse
        ? this.#seekLastInFile(file, left, pages)
        : this.#seekFirstInFile(file, left, pages)
      if (!isFound) return false
      bound = passed(this.#other)
      if (bound === undefined) return true
    }
  }

  /** Puts the first key of the file in the range, or one behind the range, into `#other`. Requires: they overlap. */
  #seekFirstInFile(file: BucketFile, { lower, lowerExclusive }: KeyRange, pages: PageSource): boolean {
    const page = lower === undefined ? -1 : file.lastPageFor(lower)
    if (lower === undefined || page < 0) {
      this.#other.set(file.footer.firstKey)
      return true
    }
    const keys = this.#open(file, page, pages)
    if (keys === undefined) return false
    const row = keys.placeOf(lower, lowerExclusive === true)
    if (row < keys.rows) keys.read(row, this.#other)
    // The next page begins after the bound. There is one: the last key of the file does not lie before the range.
    else if (this.#open(file, page + 1, pages) === undefined) return false
    else keys.read(0, this.#other)
    return true
  }

  /** Puts the last key of the file in the range, or one before the range, into `#other`. Requires: they overlap. */
  #seekLastInFile(file: BucketFile, { upper, upperExclusive }: KeyRange, pages: PageSource): boolean {
    if (upper === undefined) {
      this.#other.set(file.footer.lastKey)
      return true
    }
    // Its first key is in bounds: pages that begin with a bound that is outside are passed over.
    const page = upperExclusive === true ? file.firstPageFor(upper) : file.lastPageFor(upper)
    const keys = this.#open(file, page, pages)
    if (keys === undefined) return false
    keys.read(keys.placeOf(upper, upperExclusive !== true) - 1, this.#other)
    return true
  }

  #open(file: BucketFile, page: number, pages: PageSource): PageKeys | undefined {
    if (!pages.find(file, page)) {
      pages.missing.push({ file, from: page, to: page + 1 })
      return undefined
    }
    this.#pageKeys.open(pages.words, pages.base)
    return this.#pageKeys
  }

  /**
   * Passes over rows from `length` on, which the view does not see, and those that were cleared. A lookup would say so, too,
   * but at a higher price.
   */
  #seekInMemtable(
    { deletes, sequence }: View,
    memtable: Memtable,
    runs: readonly Uint32Array[],
    length: number,
    reverse: boolean,
  ): void {
    const lanes = memtable.keyLanes
    const hasCleared = deletes.cleared.size > 0
    const isPassed = (row: number): boolean =>
      row >= length || (hasCleared && deletes.clears(lanes, row, memtable.sequenceOf(row), sequence))
    const { lower, lowerExclusive, upper, upperExclusive } = this.left
    for (const run of runs) {
      const step = reverse ? -1 : 1
      let place = reverse
        ? (upper === undefined
            ? run.length
            : this.#places.placeOf(lanes, run, upper, upperExclusive !== true)) - 1
        : lower === undefined
          ? 0
          : this.#places.placeOf(lanes, run, lower, lowerExclusive === true)
      for (; run[place] !== undefined && isPassed(run[place]!); place += step) {
        // A look at a key costs more than many steps. Without it, each key that is passed over would walk the same way.
        if ((place & (STEPS_BLIND - 1)) === 0 && this.#liesBehind(lanes, run[place]!, reverse)) break
      }
      const row = run[place]
      if (row === undefined) continue
      for (let lane = 0; lane < this.#other.length; lane++) this.#other[lane] = lanes[lane]![row]!
      this.#takeOther(reverse)
    }
  }

  /** Whether the best key so far comes before the key of the row. */
  #liesBehind(lanes: readonly Uint32Array[], row: number, reverse: boolean): boolean {
    if (!this.#isAny) return false
    const order = compareKeyToRow(this.#key, lanes, row)
    return reverse ? order > 0 : order < 0
  }

  /** Takes the key in `#other` if it comes before the best so far. */
  #takeOther(reverse: boolean): void {
    if (this.#isAny) {
      const order = compareKeys(this.#other, this.#key)
      if (reverse ? order <= 0 : order >= 0) return
    }
    ;[this.#key, this.#other] = [this.#other, this.#key]
    this.#isAny = true
  }
}

/** The last of the cleared keys from this one on, with `reverse` the first of those down from it; `undefined`: none. */
function passedFrom(
  key: Uint32Array,
  reverse: boolean,
  cleared: ClearedKeys,
  sequence: number,
  before: number,
): Uint32Array | undefined {
  const passed = reverse ? cleared.runStart(key, sequence, before) : cleared.runEnd(key, sequence, before)
  return passed === undefined ? undefined : Uint32Array.from(passed)
}
