/**
 * The ranges of keys that were cleared, and by which of the clears: what lookups, scans and merges ask.
 *
 * Ranges that do not overlap, in the order of their keys, each with its newest clear. A new clear covers what is there: a
 * range that it cuts loses that part, and what it covers stays below it, for snapshots that do not see the clear. So a
 * key is found by one binary search, however many clears there are. docs/internals.md, Deletes.
 */
import { neighbour, compareLanes } from './lane-ranges.js'
import type { LaneRange, WhereTerms } from './operations.js'
import type { RecordLayout } from './record-layout.js'

/** What {@link ClearedKeys.newestOf} says of a key that was never cleared: sequence numbers are not below 0. */
export const NEVER_CLEARED = -1

/** All lanes of a key. */
type Key = ArrayLike<number>

interface Cleared {
  readonly lower: Key
  readonly upper: Key
  readonly sequence: number
  /** What it covers: older, in the order of the keys. They may reach beyond it on both sides. */
  readonly under: readonly Cleared[]
}

/** Keys from `lower` to `upper`, both included. */
export interface KeySpan {
  readonly lower: Key
  readonly upper: Key
}

/** The range of keys that the entry clears; `undefined`: it looks at values. */
export function clearedRange({ keyLaneCount }: RecordLayout, { ranges }: WhereTerms): LaneRange | undefined {
  const range = ranges?.[0]
  return range !== undefined && range.lane < keyLaneCount ? range : undefined
}

export class ClearedKeys {
  readonly #leastLanes: readonly number[]
  readonly #greatestLanes: readonly number[]
  /** In the order of their keys. */
  #ranges: Cleared[] = []
  /** All clears, oldest first, unless {@link #isStale}. */
  readonly #clears: (KeySpan & { readonly sequence: number })[] = []
  /** A clear has come that is older than another one: the ranges are to be made anew. */
  #isStale = false
  /** Where the last search has ended: rows come in the order of their keys. */
  #last = -1
  readonly #row: Uint32Array

  constructor({ keyLaneCount, laneBytes }: RecordLayout) {
    this.#leastLanes = Array<number>(keyLaneCount).fill(0)
    this.#greatestLanes = laneBytes.slice(0, keyLaneCount).map(bytes => 2 ** (8 * bytes) - 1)
    this.#row = new Uint32Array(keyLaneCount)
  }

  get size(): number {
    return this.#clears.length
  }

  /** Nearly all clears come oldest first. */
  add(sequence: number, { lower, upper }: KeySpan): void {
    const newest = this.#clears.at(-1)
    this.#clears.push({ sequence, lower, upper })
    if (newest !== undefined && newest.sequence > sequence) this.#isStale = true
    else if (!this.#isStale) this.#cover({ lower, upper }, sequence)
  }

  /** The sequence number of the newest clear of the key that is below `before`, or {@link NEVER_CLEARED}. Hot. */
  newestOf(key: Key, before: number): number {
    let ranges = this.#fresh()
    let place = this.#placeOf(key)
    while (place >= 0) {
      const range = ranges[place]!
      if (compareLanes(range.upper, key) < 0) break
      if (range.sequence < before) return range.sequence
      ranges = range.under
      place = placeAmong(ranges, key)
    }
    return NEVER_CLEARED
  }

  /** As {@link newestOf} the key of a row. Hot. */
  newestOfRow(lanes: readonly ArrayLike<number>[], row: number, before: number): number {
    const key = this.#row
    for (let lane = 0; lane < key.length; lane++) key[lane] = lanes[lane]![row]!
    return this.newestOf(key, before)
  }

  /**
   * The last key of those from `key` on that clears above `sequence` and below `before` have cleared without a gap, or
   * one that is not below `enough`; `undefined` if `key` itself was not cleared.
   */
  runEnd(key: Key, sequence: number, before: number, enough?: Key): Key | undefined {
    if (this.newestOf(key, before) <= sequence) return undefined
    for (let end = key; ;) {
      const piece = this.#pieceAt(end, before)
      const next = neighbour(piece.upper, this.#greatestLanes, 1)
      const isEnough = enough !== undefined && compareLanes(piece.upper, enough) >= 0
      if (next === undefined || isEnough || this.newestOf(next, before) <= sequence) return piece.upper
      end = next
    }
  }

  /** The first key of those down from `key`, as {@link runEnd} has the last. */
  runStart(key: Key, sequence: number, before: number): Key | undefined {
    if (this.newestOf(key, before) <= sequence) return undefined
    for (let start = key; ;) {
      const piece = this.#pieceAt(start, before)
      const next = neighbour(piece.lower, this.#greatestLanes, -1)
      if (next === undefined || this.newestOf(next, before) <= sequence) return piece.lower
      start = next
    }
  }

  /** Whether clears above `sequence` and below `before` have cleared all keys from `first` to `last`, both included. */
  covers(first: Key, last: Key, sequence: number, before: number): boolean {
    if (this.size === 0) return false
    const end = this.runEnd(first, sequence, before, last)
    return end !== undefined && compareLanes(end, last) >= 0
  }

  /** What clears above `sequence` and below `before` have cleared of the keys from `first` to `last`: ranges, ascending. */
  *runs(first: Key, last: Key, sequence: number, before: number): Generator<KeySpan> {
    for (let key: Key | undefined = first; key !== undefined && compareLanes(key, last) <= 0;) {
      const end = this.runEnd(key, sequence, before, last)
      if (end !== undefined) yield { lower: key, upper: end }
      key = neighbour(end ?? this.#pieceAt(key, before).upper, this.#greatestLanes, 1)
    }
  }

  /** The keys around this one that were cleared by the same clear, or not at all. */
  #pieceAt(key: Key, before: number): KeySpan {
    let lower: Key = this.#leastLanes
    let upper: Key = this.#greatestLanes
    let ranges = this.#fresh()
    for (;;) {
      const place = placeAmong(ranges, key)
      const range = ranges[place]
      if (range === undefined || compareLanes(range.upper, key) < 0) {
        const next = ranges[place + 1]
        if (range !== undefined) lower = greater(lower, neighbour(range.upper, this.#greatestLanes, 1)!)
        if (next !== undefined) upper = lesser(upper, neighbour(next.lower, this.#greatestLanes, -1)!)
        return { lower, upper }
      }
      lower = greater(lower, range.lower)
      upper = lesser(upper, range.upper)
      if (range.sequence < before) return { lower, upper }
      ranges = range.under
    }
  }

  /** Invariant: the clear is newer than all others. */
  #cover({ lower, upper }: KeySpan, sequence: number): void {
    const ranges = this.#ranges
    let from = placeAmong(ranges, lower)
    if (from < 0 || compareLanes(ranges[from]!.upper, lower) < 0) from++
    let to = from
    while (to < ranges.length && compareLanes(ranges[to]!.lower, upper) <= 0) to++
    const under = ranges.slice(from, to)
    const made: Cleared[] = []
    const first = under[0]
    const last = under.at(-1)
    if (first !== undefined && compareLanes(first.lower, lower) < 0)
      made.push({ ...first, upper: neighbour(lower, this.#greatestLanes, -1)! })
    made.push({ lower, upper, sequence, under })
    if (last !== undefined && compareLanes(last.upper, upper) > 0)
      made.push({ ...last, lower: neighbour(upper, this.#greatestLanes, 1)! })
    if (from === ranges.length) ranges.push(...made)
    else ranges.splice(from, to - from, ...made)
    this.#last = -1
  }

  #fresh(): readonly Cleared[] {
    if (!this.#isStale) return this.#ranges
    this.#isStale = false
    this.#ranges = []
    this.#clears.sort((a, b) => a.sequence - b.sequence)
    for (const clear of this.#clears) this.#cover(clear, clear.sequence)
    return this.#ranges
  }

  /** The last range that does not begin after the key, or -1. Hot. */
  #placeOf(key: Key): number {
    const ranges = this.#ranges
    const last = this.#last
    const begins = last < 0 || compareLanes(ranges[last]!.lower, key) <= 0
    if (begins && (last + 1 === ranges.length || compareLanes(ranges[last + 1]!.lower, key) > 0)) return last
    return (this.#last = placeAmong(ranges, key))
  }
}

/** The last of the ranges that does not begin after the key, or -1. */
function placeAmong(ranges: readonly Cleared[], key: Key): number {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareLanes(ranges[middle]!.lower, key) <= 0) low = middle + 1
    else high = middle
  }
  return low - 1
}

function greater(a: Key, b: Key): Key {
  return compareLanes(a, b) < 0 ? b : a
}

function lesser(a: Key, b: Key): Key {
  return compareLanes(a, b) > 0 ? b : a
}
