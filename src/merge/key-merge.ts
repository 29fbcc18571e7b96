/**
 * Merges the operations of one key that has very many of them, piece by piece.
 *
 * The inputs are of different age, so what is left of the key is what is left of each input, one after the other: only
 * deletes among newer operations change older ones. From new to old these are known when an operation comes; from old to
 * new the inputs are looked through first, if any of them has deletes. docs/internals.md, Many records of one key.
 */
import { assert } from '../base/assert.js'
import { compareKeyToRow } from '../records/compare.js'
import type { BufferPool } from '../records/buffer-pool.js'
import type { OperationBuffer, WideOperations } from '../records/operations.js'
import { ForwardJudge, NewestFirstJudge, type KeyJudge } from './key-judge.js'
import type { Feed } from './feed.js'
import { resolve, type ResolveOptions } from './resolve.js'

export interface KeyMergeOptions extends ResolveOptions {
  readonly reverse: boolean
  /** About how many rows a piece has at most. */
  readonly keyRows: number
  readonly buffers: BufferPool
  /** Called between two steps. Rejects if nobody wants more. */
  readonly pause: () => Promise<void>
}

export class KeyMerge {
  readonly #options: KeyMergeOptions
  /** Whether one row is left of the key, and perhaps a delete: `duplicates: 'replace'`, or `combine`. */
  readonly #leavesOne: boolean
  /** In the order in which they come: forward the oldest first. */
  readonly #feeds: readonly Feed[]
  #key!: Uint32Array
  #feed = 0
  /** The piece that was handed out. */
  #rows: OperationBuffer
  /** What is left of the pieces so far, where one row is left at the end. */
  #held: OperationBuffer
  /** `undefined`: nothing hides anything. */
  #judge: KeyJudge | undefined
  #isBegun = false

  /** `feeds`: oldest first. */
  constructor(feeds: readonly Feed[], options: KeyMergeOptions) {
    this.#options = options
    this.#leavesOne = options.replace || options.layout.combine !== undefined
    this.#feeds = options.reverse ? feeds.toReversed() : feeds
    this.#rows = options.buffers.take()
    this.#held = options.buffers.take()
  }

  /** The next key. Requires: no row of it is merged yet, and none of an earlier one is left. */
  begin(key: Uint32Array): void {
    this.#key = key.slice()
    this.#feed = 0
    this.#isBegun = false
  }

  /** The next piece, in the form of {@link Merge.next}; it may be empty. `undefined`: the last one has been given. */
  async next(): Promise<WideOperations | undefined> {
    if (!this.#isBegun) await this.#prepare()
    for (let piece = await this.#take(); piece !== undefined; piece = await this.#take()) {
      if (!this.#leavesOne) return this.#judged(piece)
      this.#hold(piece)
    }
    if (this.#held.count === 0) return undefined
    this.#swap()
    this.#held.clear()
    resolve(this.#rows, this.#options)
    return this.#rows
  }

  /** Nobody may read from the rows that it handed out any more. */
  close(): void {
    this.#options.buffers.giveBack(this.#rows)
    this.#options.buffers.giveBack(this.#held)
  }

  async #prepare(): Promise<void> {
    this.#isBegun = true
    this.#judge = undefined
    const { layout, reverse, keepDeletes } = this.#options
    if (this.#leavesOne || !this.#feeds.some(({ input }) => input.hasDeletes)) return
    if (reverse) this.#judge = new NewestFirstJudge(layout, keepDeletes)
    else {
      const judge = new ForwardJudge(layout, keepDeletes)
      for (const feed of this.#feeds) await this.#lookThrough(feed, judge)
      this.#judge = judge
    }
  }

  async #lookThrough({ input }: Feed, judge: ForwardJudge): Promise<void> {
    const again = input.ofKey(this.#key)
    const rows = this.#rows
    try {
      for (rows.clear(); await again.next(rows); rows.clear()) {
        judge.note(rows)
        await this.#options.pause()
      }
    } finally {
      await again.close()
    }
  }

  /** The next rows of the key, from old to new; `undefined`: there are no more. */
  async #take(): Promise<OperationBuffer | undefined> {
    for (; this.#feed < this.#feeds.length; this.#feed++) {
      const feed = this.#feeds[this.#feed]!
      while (feed.count === 0 && !feed.ended) {
        await this.#options.pause()
        await feed.append()
        this.#assertFollows(feed)
      }
      const end = feed.placeOf(this.#key, true)
      if (end > feed.from) return this.#cut(feed, end)
    }
    return undefined
  }

  /** Takes the rows up to `end`, or a part of them. */
  #cut(feed: Feed, end: number): OperationBuffer {
    const { reverse, keyRows } = this.#options
    let rows = this.#rows
    rows.clear()
    if (feed.from === 0 && end === feed.rows.count) {
      // All rows that it has: they change hands.
      this.#rows = feed.rows
      feed.rows = rows
      rows = this.#rows
      if (reverse) rows.reverseFrom(0)
      return rows
    }
    const to = Math.min(end, feed.from + keyRows)
    if (reverse) rows.appendReversed(feed.rows, feed.from, to)
    else rows.append(feed.rows, feed.from, to)
    feed.from = to
    return rows
  }

  #judged(piece: OperationBuffer): OperationBuffer {
    const judge = this.#judge
    if (judge === undefined) return piece
    const keep = new Uint8Array(piece.count)
    if (this.#options.reverse) {
      for (let row = piece.count - 1; row >= 0; row--) keep[row] = judge.keeps(piece, row) ? 1 : 0
    } else for (let row = 0; row < piece.count; row++) keep[row] = judge.keeps(piece, row) ? 1 : 0
    piece.keepOnly(keep)
    return piece
  }

  /** Of a key whose records are replaced or combined what is left of the pieces is short. */
  #hold(piece: OperationBuffer): void {
    if (this.#options.reverse) {
      piece.append(this.#held, 0, this.#held.count)
      this.#swap()
    } else this.#held.append(piece, 0, piece.count)
    // What comes next is older or newer: deletes stay until all is there.
    resolve(this.#held, { ...this.#options, keepDeletes: true })
  }

  #swap(): void {
    const rows = this.#rows
    this.#rows = this.#held
    this.#held = rows
  }

  #assertFollows({ rows, from, count }: Feed): void {
    if (count === 0) return
    const order = compareKeyToRow(this.#key, rows.lanes, from)
    assert(
      this.#options.reverse ? order >= 0 : order <= 0,
      'an input of a merge hands out its rows in the order of their keys',
    )
  }
}
