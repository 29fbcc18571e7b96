/**
 * The *delete where* entries that compare the same lanes, and demand the same values of others: oldest first.
 *
 * A record is tested against the newest entry first. Entries that a newer one covers are passed over: of `time < b` with
 * b growing, as a program has it that forgets old records, one test is enough. docs/internals.md, Deletes.
 */
import { covers, holds } from './lane-ranges.js'
import type { LaneRange } from './operations.js'

export class RangeList {
  /** Which of the ranges are of floats. */
  readonly #floats: readonly boolean[]
  readonly #sequences: number[] = []
  readonly #ranges: (readonly LaneRange[])[] = []
  /** For each entry: the next older one that it does not cover, or -1. */
  readonly #next: number[] = []

  constructor(floats: readonly boolean[]) {
    this.#floats = floats
  }

  /** Nearly all entries come oldest first, so the place is nearly always the end. */
  add(sequence: number, ranges: readonly LaneRange[]): void {
    let place = this.#sequences.length
    while (place > 0 && this.#sequences[place - 1]! > sequence) place--
    this.#sequences.splice(place, 0, sequence)
    this.#ranges.splice(place, 0, ranges)
    for (let entry = place; entry < this.#sequences.length; entry++) this.#link(entry)
  }

  /** Whether an entry with a sequence number above `sequence` and below `before` holds the row. Hot. */
  hides(lanes: readonly ArrayLike<number>[], row: number, sequence: number, before: number): boolean {
    const sequences = this.#sequences
    let entry = lastBelow(sequences, before)
    while (entry >= 0 && sequences[entry]! > sequence) {
      if (this.#holds(this.#ranges[entry]!, lanes, row)) return true
      entry = this.#next[entry]!
    }
    return false
  }

  #holds(ranges: readonly LaneRange[], lanes: readonly ArrayLike<number>[], row: number): boolean {
    for (let i = 0; i < ranges.length; i++) if (!holds(ranges[i]!, this.#floats[i]!, lanes, row)) return false
    return true
  }

  /** What an entry covers that this one covers, this one covers, too. */
  #link(entry: number): void {
    let next = entry - 1
    while (next >= 0 && covers(this.#ranges[entry]!, this.#ranges[next]!)) next = this.#next[next]!
    this.#next[entry] = next
  }
}

/** The place of the greatest of the ascending numbers that is below `before`, else -1. */
export function lastBelow(ascending: readonly number[], before: number): number {
  let high = ascending.length
  if (high > 0 && ascending[high - 1]! < before) return high - 1
  let low = 0
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ascending[middle]! < before) low = middle + 1
    else high = middle
  }
  return low - 1
}
