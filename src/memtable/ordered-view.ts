/**
 * A memtable in key order: sorted runs of row numbers, made when a scan asks for them, kept, and extended for the next
 * scan.
 *
 * Sorting is done in slices with a turn of the event loop between them. Runs are merged so that each is longer than all
 * newer ones together: there are few, and a row is merged again only after its run has doubled (Bentley & Saxe 1980).
 * docs/internals.md, Memtable.
 */
import { unlessAborted } from '../async/abort.js'
import { nextTurn } from '../async/turns.js'
import { assert } from '../base/assert.js'
import { mergeRuns, SLICE_ROWS } from '../sort/sort-in-turns.js'
import { sortedOrder, sortRows } from '../sort/sort.js'
import type { Memtable } from './memtable.js'

/** Runs that are longer are merged only where the event loop can turn meanwhile. */
const MERGED_AT_ONCE_MAX = 2 * SLICE_ROWS

export class OrderedView {
  readonly #memtable: Memtable
  readonly #yieldToLoop: () => Promise<void>
  /** Oldest first. Invariant: together they hold each row below `#covered` once. */
  readonly #runs: Uint32Array[] = []
  #covered = 0
  /** The one extension under way; other calls that need it wait for it too. */
  #extending: Promise<void> | undefined
  /** Calls that wait for it. */
  #waiting = 0
  /** Rows sorted since the last turn of the event loop; merged ones count as four. */
  #rowsThisTurn = 0

  /** `yieldToLoop` lets the event loop turn once. */
  constructor(memtable: Memtable, yieldToLoop: () => Promise<void> = nextTurn) {
    this.#memtable = memtable
    this.#yieldToLoop = yieldToLoop
  }

  /**
   * Sorted runs of row numbers, oldest first. Together they hold each row below `length` once; they may hold later rows,
   * too. Within a run, rows of one key are in the order in which they came.
   *
   * Takes about 0.1 us for each row that no earlier call has seen, and no time for the others. Rejects with the signal's
   * reason at once; if no other call waits, the sorting ends.
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

  /** How many rows the next call for `length` has to sort, those of runs that it merges too. */
  rowsToSort(length: number): number {
    let rows = Math.max(0, length - this.#covered)
    if (rows === 0) return 0
    let sorted = rows
    for (let i = this.#runs.length - 1; i >= 0; i--) {
      const longer = this.#runs[i]!.length > rows
      rows += this.#runs[i]!.length
      if (!longer) sorted = rows
    }
    return sorted
  }

  /**
   * As {@link runs}, at once. The result is good until the next call of either. Takes about 0.1 us for each row that no
   * earlier call has seen, in which the event loop does not turn.
   */
  runsAtOnce(length: number): readonly Uint32Array[] {
    if (this.#covered >= length) return this.#runs
    assert(length <= this.#memtable.count, 'only rows that are there are put in order')
    while (this.#covered < length) this.#sortSlice(length)
    // The extension under way knows its runs by their places.
    if (this.#extending === undefined) this.#mergeAtOnce()
    return this.#runs
  }

  async #extend(length: number): Promise<void> {
    const { keyLanes } = this.#memtable
    this.#rowsThisTurn = 0
    while (this.#covered < length) {
      await this.#takeTurn(Math.min(SLICE_ROWS, length - this.#covered))
      if (this.#waiting === 0) return
      this.#sortSlice(length)
    }
    const first = firstToMerge(this.#runs)
    const count = this.#runs.length - first
    if (count < 2) return
    const merged = await mergeRuns(keyLanes, keyLanes.length, this.#runs.slice(first), async rows => {
      await this.#takeTurn(rows)
      return this.#waiting > 0
    })
    if (merged === undefined) return
    // A scan that began meanwhile keeps the runs as they were: they are never changed. Newer ones may have come.
    this.#runs.splice(first, count, merged)
  }

  /** Adds a run of the next rows below `length`, if another call has not added them meanwhile. */
  #sortSlice(length: number): void {
    if (this.#covered >= length) return
    const { keyLanes } = this.#memtable
    const end = Math.min(this.#covered + SLICE_ROWS, length)
    this.#runs.push(sortedOrder(keyLanes, keyLanes.length, this.#covered, end))
    this.#covered = end
  }

  /** As the merge of an extension, but leaves long runs alone. */
  #mergeAtOnce(): void {
    const runs = this.#runs
    let first = firstToMerge(runs)
    while (first < runs.length && runs[first]!.length > MERGED_AT_ONCE_MAX) first++
    if (runs.length - first < 2) return
    const merged = new Uint32Array(runs.slice(first).reduce((sum, run) => sum + run.length, 0))
    let at = 0
    for (const run of runs.slice(first)) {
      merged.set(run, at)
      at += run.length
    }
    // Stable: rows of one key stay in the order of the runs.
    const { keyLanes } = this.#memtable
    sortRows(keyLanes, keyLanes.length, merged)
    runs.splice(first, runs.length - first, merged)
  }

  /** Lets the event loop turn before this many more rows, unless they fit into this turn. */
  async #takeTurn(rows: number): Promise<void> {
    if (this.#rowsThisTurn + rows > SLICE_ROWS && this.#rowsThisTurn > 0) {
      await this.#yieldToLoop()
      this.#rowsThisTurn = 0
    }
    this.#rowsThisTurn += rows
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
