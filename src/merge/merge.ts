/**
 * Merges sorted inputs of different age into one sorted stream: the heart of compactions and of scans.
 *
 * It works through ranges of keys. Each input hands out a batch. All operations up to the smallest last key of the
 * batches are at hand, so these rows are appended, oldest input first, sorted by key (stable, so age order stays) and
 * resolved. Sorting beats a heap of inputs: the rows of a range lie in the processor's cache (field measurements: 58
 * against 31 million rows/s). A key with more rows than should be in memory goes through key-merge.ts.
 */
import { throwIfAborted } from '../async/abort.js'
import type { Turns } from '../async/turns.js'
import { BufferPool } from '../records/buffer-pool.js'
import type { OperationBuffer, WideOperations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { appendSorted } from '../sort/append-sorted.js'
import { Feed } from './feed.js'
import { KeyMerge } from './key-merge.js'
import { resolve } from './resolve.js'
import type { SortedInput } from './sorted-input.js'

/** Rows of one key that are taken from an input together; a key with more of them comes piece by piece. */
const KEY_ROWS = 2 ** 13

export interface MergeOptions {
  readonly layout: RecordLayout
  readonly reverse: boolean
  readonly replace: boolean
  /** See {@link resolve}. */
  readonly keepDeletes: boolean
  /** Ends the merge: the next step rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Where its buffers come from, and where they go when it is closed. */
  readonly buffers?: BufferPool | undefined
  /** How many rows a step should have at least; without it as few as its inputs hand out together. */
  readonly stepRows?: number | undefined
  /** Rows of one key that are taken from an input together at most; the tests have fewer. */
  readonly keyRows?: number | undefined
  /** For a merge that nobody pauses between steps: some steps may hand out nothing. */
  readonly turns?: Turns | undefined
}

interface MergeFeed {
  readonly feed: Feed
  /** Rows that it should have before a step, as long as there are any. */
  wantedRows: number
}

export class Merge {
  readonly #options: MergeOptions
  readonly #merged: readonly MergeFeed[]
  /** Oldest first. */
  readonly #feeds: readonly Feed[]
  readonly #buffers: BufferPool
  readonly #keyRows: number
  #unsorted: OperationBuffer
  /** Made when several inputs have rows together. */
  #sorted: OperationBuffer | undefined
  /** Made for the first key with very many rows; and whether such a key is being merged. */
  #keyMerge: KeyMerge | undefined
  #isInKey = false
  /** The key up to which all rows are at hand. */
  readonly #limit: Uint32Array
  #closed = false

  /** `inputs`: oldest first. The merge closes them. */
  constructor(inputs: readonly SortedInput[], options: MergeOptions) {
    const { layout, reverse } = options
    this.#options = options
    this.#buffers = options.buffers ?? new BufferPool(layout)
    this.#keyRows = options.keyRows ?? KEY_ROWS
    const wantedRows = Math.ceil((options.stepRows ?? 0) / inputs.length)
    this.#merged = inputs.map(input => ({
      feed: new Feed(input, this.#buffers.take(), layout.keyLaneCount, reverse),
      wantedRows,
    }))
    this.#feeds = this.#merged.map(({ feed }) => feed)
    this.#unsorted = this.#buffers.take()
    this.#limit = new Uint32Array(layout.keyLaneCount)
  }

  /**
   * The next rows: always ascending by key, oldest first within a key; with `reverse` each batch lies before the
   * last one, and the consumer walks it backwards. They stay valid until the next call; `undefined` at the end.
   * A key with very many rows comes in several batches.
   */
  async next(): Promise<WideOperations | undefined> {
    for (;;) {
      await this.#pause()
      const rows = this.#isInKey ? await this.#keyMerge!.next() : await this.#step()
      if (rows !== undefined && rows.count > 0) return rows
      if (rows !== undefined) continue
      if (this.#isInKey) this.#isInKey = false
      else if (this.#feeds.every(({ ended }) => ended)) return undefined
      else this.#beginKey()
    }
  }

  /** Nobody may read from the rows that it handed out any more. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const { input, rows } of this.#feeds) {
      this.#buffers.giveBack(rows)
      await input.close()
    }
    this.#buffers.giveBack(this.#unsorted)
    if (this.#sorted !== undefined) this.#buffers.giveBack(this.#sorted)
    this.#keyMerge?.close()
  }

  async #pause(): Promise<void> {
    const { signal, turns } = this.#options
    throwIfAborted(signal)
    if (turns?.due() === true) await turns.take()
  }

  /** All rows that are complete; `undefined`: there are none, at the end or where a key has very many rows. */
  async #step(): Promise<WideOperations | undefined> {
    for (const merged of this.#merged) await this.#fill(merged)
    const limiting = this.#limitingFeed()
    if (limiting !== undefined) {
      const { lanes, count } = limiting.feed.rows
      for (let lane = 0; lane < this.#limit.length; lane++) this.#limit[lane] = lanes[lane]![count - 1]!
    }
    return this.#collect(limiting)
  }

  /**
   * Invariant: afterwards the feed has ended or holds rows of at least two different keys, so that a step can take all
   * rows of its first key; or very many rows of one key.
   */
  async #fill({ feed, wantedRows }: MergeFeed): Promise<void> {
    while (!feed.ended) {
      if (feed.count > 0 && feed.count >= (feed.hasOneKey ? this.#keyRows : wantedRows)) return
      const { turns } = this.#options
      if (turns?.due() === true) await turns.take()
      await feed.append()
    }
  }

  /** No row lies before the limit, so all that a feed holds is of this key. */
  #beginKey(): void {
    this.#isInKey = true
    this.#keyMerge ??= new KeyMerge(this.#feeds, {
      ...this.#options,
      keyRows: this.#keyRows,
      buffers: this.#buffers,
      pause: () => this.#pause(),
    })
    this.#keyMerge.begin(this.#limit)
  }

  /** The feed whose last key comes first: only what lies before that key is complete. `undefined`: all have ended. */
  #limitingFeed(): MergeFeed | undefined {
    let limiting: MergeFeed | undefined
    for (const merged of this.#merged) {
      if (merged.feed.ended) continue
      if (limiting === undefined || merged.feed.compareLast(limiting.feed) < 0) limiting = merged
    }
    return limiting
  }

  /** Takes all complete rows, sorted and resolved; `undefined` if no input has any left. */
  #collect(limiting: MergeFeed | undefined): WideOperations | undefined {
    const { layout, reverse, replace, keepDeletes } = this.#options
    const contributors: { feed: Feed; end: number }[] = []
    for (const feed of this.#feeds) {
      const end = limiting === undefined ? feed.rows.count : feed.placeOf(this.#limit, false)
      if (end > feed.from) contributors.push({ feed, end })
    }
    if (contributors.length === 0) return undefined
    this.#adapt(limiting, contributors)
    const sole = contributors.length === 1 ? contributors[0]! : undefined
    let rows = this.#unsorted
    rows.clear()
    if (sole !== undefined && sole.feed.from === 0 && sole.end === sole.feed.rows.count) {
      // All rows that the only feed has: they change hands.
      this.#unsorted = sole.feed.rows
      sole.feed.rows = rows
      rows = this.#unsorted
      if (reverse) rows.reverseFrom(0)
    } else {
      for (const { feed, end } of contributors) {
        if (reverse) rows.appendReversed(feed.rows, feed.from, end)
        else rows.append(feed.rows, feed.from, end)
        feed.from = end
      }
      if (sole === undefined) rows = this.#sort(rows)
    }
    resolve(rows, { layout, replace, keepDeletes })
    return rows
  }

  /** A feed with more rows for the same keys than the others makes steps short: it has to have more before the next one. */
  #adapt(limiting: MergeFeed | undefined, contributors: readonly { feed: Feed; end: number }[]): void {
    const { stepRows } = this.#options
    if (stepRows === undefined || limiting === undefined) return
    const rows = contributors.reduce((sum, { feed, end }) => sum + end - feed.from, 0)
    if (rows < stepRows / 2) limiting.wantedRows = Math.min(stepRows, 2 * limiting.wantedRows)
  }

  /** Rows of one key stay in their order. */
  #sort(unsorted: OperationBuffer): OperationBuffer {
    const { layout } = this.#options
    this.#sorted ??= this.#buffers.take()
    this.#sorted.clear()
    appendSorted(unsorted, 0, unsorted.count, layout.keyLaneCount, this.#sorted)
    return this.#sorted
  }
}
