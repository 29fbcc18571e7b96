/**
 * A sorted run of a memtable as the input of a merge: a scan takes one for each run of an ordered view.
 *
 * The first batch is small and each following one twice as large: a short scan costs little, a long one takes few steps. docs/internals.md, Memtable.
 */
import type { SortedInput } from '../merge/sorted-input.js'
import { compareKeyToRow } from '../records/compare.js'
import type { DeleteWhereIndex } from '../records/delete-where-index.js'
import type { KeyRange } from '../records/key-range.js'
import type { LaneColumn } from '../records/lane-columns.js'
import { DELETE_KEY, PUT, type OperationBuffer } from '../records/operations.js'
import type { Memtable } from './memtable.js'

/** Rows of the first batch. */
const FIRST_ROWS = 64
/** Rows of the largest batch. */
const MAX_ROWS = 16384

export interface RunInputOptions {
  /** Rows from here on are not seen. */
  readonly length: number
  readonly range?: KeyRange | undefined
  readonly reverse?: boolean | undefined
  /** *Delete where* entries; what they hide is left out, or becomes a *delete key* with `replace`. */
  readonly deletes: DeleteWhereIndex | undefined
  /** Entries with this sequence number and above are not seen. */
  readonly before: number
  /** `duplicates: 'replace'`. */
  readonly replace: boolean
}

export class RunInput implements SortedInput {
  readonly #memtable: Memtable
  readonly #run: Uint32Array
  readonly #options: RunInputOptions
  /** Places [from, to) of the run are still to be handed out. */
  #from: number
  #to: number
  #batchRows = FIRST_ROWS
  /** The current batch: row numbers in the order in which they are handed out, and their kinds. */
  #rows = new Uint32Array(0)
  #kinds = new Uint8Array(0)
  #hasDeletes = false

  /** `run`: row numbers of `memtable`, sorted by key and within a key by number. */
  constructor(memtable: Memtable, run: Uint32Array, options: RunInputOptions) {
    const { lower, lowerExclusive, upper, upperExclusive } = options.range ?? {}
    this.#memtable = memtable
    this.#run = run
    this.#options = options
    this.#to = upper === undefined ? run.length : this.#placeOf(upper, upperExclusive !== true)
    this.#from = lower === undefined ? 0 : this.#placeOf(lower, lowerExclusive === true)
  }

  get hasDeletes(): boolean {
    return this.#memtable.kinds !== undefined
  }

  ofKey(key: Uint32Array): RunInput {
    const options = { ...this.#options, range: { lower: key, upper: key }, reverse: false }
    return new RunInput(this.#memtable, this.#run, options)
  }

  async next(into: OperationBuffer): Promise<boolean> {
    if (this.#from >= this.#to) return false
    const places = Math.min(this.#batchRows, this.#to - this.#from)
    if (this.#options.reverse === true) {
      this.#to -= places
      this.#gather(this.#to + places - 1, -1, places, into)
    } else {
      this.#from += places
      this.#gather(this.#from - places, 1, places, into)
    }
    this.#batchRows = Math.min(MAX_ROWS, this.#batchRows * 2)
    return true
  }

  async close(): Promise<void> {
    this.#from = this.#to
    this.#rows = new Uint32Array(0)
    this.#kinds = new Uint8Array(0)
  }

  /** Appends what is visible of `places` places of the run, from `first` on in steps of `step`. Hot: column by column. */
  #gather(first: number, step: number, places: number, into: OperationBuffer): void {
    const count = this.#select(first, step, places)
    const rows = this.#rows
    const { lanes } = this.#memtable
    const at = into.count
    into.reserve(count)
    for (let lane = 0; lane < lanes.length; lane++)
      gatherLane(lanes[lane]!, rows, count, into.lanes[lane]!, at)
    if (this.#hasDeletes) into.ensureKinds().set(this.#kinds.subarray(0, count), at)
    else into.kinds?.fill(PUT, at, at + count)
    into.count += count
  }

  /** Puts the visible rows of the batch into `#rows` and their kinds into `#kinds`. Returns their number. */
  #select(first: number, step: number, places: number): number {
    if (this.#rows.length < places) {
      this.#rows = new Uint32Array(places)
      this.#kinds = new Uint8Array(places)
    }
    const run = this.#run
    const { length, deletes, before, replace } = this.#options
    const { kinds, lanes } = this.#memtable
    const hiding = deletes !== undefined && deletes.size > 0 ? deletes : undefined
    let allKinds = PUT
    let count = 0
    for (let i = 0, place = first; i < places; i++, place += step) {
      const row = run[place]!
      if (row >= length) continue
      let kind = kinds === undefined ? PUT : kinds[row]!
      if (hiding !== undefined) {
        const sequence = this.#memtable.sequenceOf(row)
        if (hiding.clears(lanes, row, sequence, before)) continue
        if (kind === PUT && hiding.matches(lanes, row, sequence, before)) {
          if (!replace) continue
          // What it replaced stays replaced.
          kind = DELETE_KEY
        }
      }
      this.#rows[count] = row
      this.#kinds[count] = kind
      allKinds |= kind
      count++
    }
    this.#hasDeletes = allKinds !== PUT
    return count
  }

  /** The first index in the run whose key is not below `key`; with `above`, whose key is above it. */
  #placeOf(key: Uint32Array, above: boolean): number {
    const { keyLanes } = this.#memtable
    let low = 0
    let high = this.#run.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const order = compareKeyToRow(key, keyLanes, this.#run[middle]!)
      if (order > 0 || (above && order === 0)) low = middle + 1
      else high = middle
    }
    return low
  }
}

function gatherLane(
  column: LaneColumn,
  rows: Uint32Array,
  count: number,
  into: Uint32Array,
  at: number,
): void {
  for (let i = 0; i < count; i++) into[at + i] = column[rows[i]!]!
}
