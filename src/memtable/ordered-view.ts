/**
 * A memtable in key order: sorted runs of row numbers, made when a scan asks, kept, and extended for the next.
 *
 * Sorting goes in slices with a turn of the event loop between them. Runs are merged so that each is longer than all
 * newer ones together: there are few, and a row is merged again only after its run has doubled (Bentley & Saxe 1980).
 * docs/architecture.md, Memtable.
 */
import { unlessAborted } from '../abort.js'
import { assert } from '../assert.js'
import { compareRows } from '../columns/compare.js'
import { sortedOrder, sortRows } from '../columns/sort.js'
import { nextTurn } from '../turns.js'
import type { Memtable } from './memtable.js'

/** Rows that are sorted at a time: 2 to 3 ms. */
const SLICE_ROWS = 65536
/** Rows that are merged at a time: they lie all over the memtable, so each costs as much as four that lie together. */
const MERGED_ROWS = SLICE_ROWS / 4
/** One row in so many is a sample where a merge looks for the borders of its slices. */
const SAMPLE_ROWS = 512

export class OrderedView {
  readonly #memtable: Memtable
  readonly #yieldToLoop: () => Promise<void>
  /** Oldest first. Invariant: together they hold each row below `#covered` once. */
  readonly #runs: Uint32Array[] = []
  #covered = 0
  /** The one extension under way; others that need it wait for it too. */
  #extending: Promise<void> | undefined
  /** Calls that wait for it. */
  #waiting = 0
  /** Rows sorted since the event loop has had a turn, merged ones counted as four. */
  #rowsThisTurn = 0

  /** `yieldToLoop` lets the event loop turn once. */
  constructor(memtable: Memtable, yieldToLoop: () => Promise<void> = nextTurn) {
    this.#memtable = memtable
    this.#yieldToLoop = yieldToLoop
  }

  /**
   * Sorted runs of row numbers, oldest first, that together hold each row below `length` once; they may hold rows from
   * `length` on too. In a run rows of one key stand in the order in which they came.
   *
   * Takes about 0.1 us for each row that no earlier call has seen, and no time at all for the others. Rejects with the
   * signal's reason at once; where nobody else waits, nothing is sorted any more.
   */
  async runs(length: number, signal?: AbortSignal): Promise<readonly Uint32Array[]> {
    assert(length <= this.#memtable.count, 'only rows that are there are put in order')
    while (this.#covered < length) {
      this.#waiting++
      try {
        this.#extending ??= this.#extend(length).finally(() => (this.#extending = undefined))
        await unlessAborted(this.#extending, signal)
      } finally {
        this.#waiting--
      }
    }
    return [...this.#runs]
  }

  async #extend(length: number): Promise<void> {
    const { lanes, layout } = this.#memtable
    this.#rowsThisTurn = 0
    while (this.#covered < length) {
      const end = Math.min(this.#covered + SLICE_ROWS, length)
      await this.#takeTurn(end - this.#covered)
      if (this.#waiting === 0) return
      this.#runs.push(sortedOrder(lanes, layout.keyLaneCount, this.#covered, end))
      this.#covered = end
    }
    const first = firstToMerge(this.#runs)
    if (this.#runs.length - first < 2) return
    const merged = await this.#merge(this.#runs.slice(first))
    if (merged === undefined) return
    // Whoever came meanwhile has the runs as they were: they are not changed.
    this.#runs.splice(first, Infinity, merged)
  }

  /**
   * Merges slice by slice: what the runs hold between two neighbouring borders is put together and sorted anew, which
   * is several times faster than comparing heads. Stable, because the rows of older runs come first. `undefined` where
   * nobody waits for it any more.
   */
  async #merge(runs: readonly Uint32Array[]): Promise<Uint32Array | undefined> {
    const { lanes, layout } = this.#memtable
    const merged = new Uint32Array(runs.reduce((sum, run) => sum + run.length, 0))
    const starts = runs.map(() => 0)
    let from = 0
    for (const border of [...this.#borders(runs), undefined]) {
      let to = from
      for (const [index, run] of runs.entries()) {
        const start = starts[index]!
        const end = border === undefined ? run.length : this.#placeOf(border, run, start)
        merged.set(run.subarray(start, end), to)
        starts[index] = end
        to += end - start
      }
      await this.#takeTurn(((to - from) * SLICE_ROWS) / MERGED_ROWS)
      if (this.#waiting === 0) return undefined
      sortRows(lanes, layout.keyLaneCount, merged.subarray(from, to))
      from = to
    }
    return merged
  }

  /** Lets the event loop turn before so many rows more, unless they fit into this turn. */
  async #takeTurn(rows: number): Promise<void> {
    if (this.#rowsThisTurn + rows > SLICE_ROWS && this.#rowsThisTurn > 0) {
      await this.#yieldToLoop()
      this.#rowsThisTurn = 0
    }
    this.#rowsThisTurn += rows
  }

  /** Rows that cut the merged run into slices of about `MERGED_ROWS` rows, in its order. */
  #borders(runs: readonly Uint32Array[]): Uint32Array {
    const { lanes, layout } = this.#memtable
    const samples: number[] = []
    for (const run of runs) {
      for (let i = SAMPLE_ROWS / 2; i < run.length; i += SAMPLE_ROWS) samples.push(run[i]!)
    }
    const sorted = Uint32Array.from(samples)
    sortRows(lanes, layout.keyLaneCount, sorted)
    const samplesPerSlice = MERGED_ROWS / SAMPLE_ROWS
    return sorted.filter((_, index) => index > 0 && index % samplesPerSlice === 0)
  }

  /** The first place in `run`, from `start` on, of a row that does not come before `border` by key, then by number. */
  #placeOf(border: number, run: Uint32Array, start: number): number {
    const { lanes, layout } = this.#memtable
    let low = start
    let high = run.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const row = run[middle]!
      const order = compareRows(lanes, row, lanes, border, layout.keyLaneCount)
      if (order < 0 || (order === 0 && row < border)) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** The oldest run that is not longer than all newer ones together: it and they become one. */
function firstToMerge(runs: readonly Uint32Array[]): number {
  let first = runs.length
  let newer = 0
  for (let i = runs.length - 1; i >= 0; i--) {
    const rows = runs[i]!.length
    if (rows <= newer) first = i
    newer += rows
  }
  return first
}
