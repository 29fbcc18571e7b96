/**
 * Finds the rows of a key in a memtable: a hash table of chains, newest row first.
 *
 * It is built when somebody looks up a key, not while rows come in: a run of inserts costs nothing here, and the next
 * lookup catches up. It is two arrays and no objects, so a lookup allocates nothing. docs/internals.md, Memtable.
 */
import type { Turns } from '../async/turns.js'
import { HASH_START, hashKey, hashKeyLanes, hashLane } from '../records/hash.js'

/** Rows for which there is room at first. */
const FIRST_ROWS = 1024
const MIN_HEAD_BITS = 10
/** 4 MiB of heads; memtables of more than 2^20 rows have longer chains. */
const MAX_HEAD_BITS = 20
/** Rows that one call of the inner loop takes: small enough that V8 compiles it as a whole after a few calls. */
const BLOCK_ROWS = 8192
/** Rows that are indexed at a time if the event loop turns in between: a millisecond. */
const SLICE_ROWS = 8 * BLOCK_ROWS

export class HashIndex {
  readonly #lanes: readonly Uint32Array[]
  readonly #capacity: number
  /** Hash to place in `#heads`: its highest bits. */
  #shift = 32 - MIN_HEAD_BITS
  /** By hash, then by row: 1 + the next row to look at, 0 at the end. Fresh zero pages cost nothing. */
  #heads = new Int32Array(0)
  #next = new Int32Array(0)
  /** How many rows are indexed. */
  #count = 0
  /** Of `hasEach`: the row at hand of each key, and the keys whose chain goes on. */
  #rows = new Int32Array(0)
  #places = new Int32Array(0)
  /** Kept, so that touching is not optimised away. */
  readonly #touched = new Int32Array(1)

  /** `lanes`: those of the key. */
  constructor(lanes: readonly Uint32Array[], capacity: number) {
    this.#lanes = lanes
    this.#capacity = capacity
  }

  /** Bytes that it takes. */
  get byteLength(): number {
    return this.#heads.byteLength + this.#next.byteLength
  }

  /** How many of the rows below `length` the next lookup would have to index. */
  lacking(length: number): number {
    return Math.max(0, length - this.#count)
  }

  /** Indexes the rows below `length`, in slices. */
  async prepare(length: number, turns: Turns): Promise<void> {
    if (this.#next.length < length) this.#growFor(length)
    while (this.#count < length) {
      if (turns.due()) await turns.take()
      // Another lookup may have done it meanwhile.
      this.#catchUp(Math.max(this.#count, Math.min(length, this.#count + SLICE_ROWS)))
    }
  }

  /** The newest row below `length` with this key, or -1. Requires: rows below `length` are complete. */
  findNewest(key: Uint32Array, length: number): number {
    if (this.#count < length) this.#catchUp(length)
    if (this.#count === 0) return -1
    let row = this.#heads[hashKeyLanes(key) >>> this.#shift]! - 1
    // These rows are newer than the view; the chain leads down to older ones.
    while (row >= length) row = this.#next[row]! - 1
    return this.#firstMatch(row, key)
  }

  /**
   * Sets `has[i]` to 1 for each of the keys, a column a lane, that has a row below `length`. `hashes`: those of the keys.
   *
   * Hot: chains are followed side by side, a step of each in turn, and each step after a loop that only reads what it will
   * need. So keys wait for memory together.
   */
  hasEach(
    keys: readonly Uint32Array[],
    hashes: Uint32Array,
    count: number,
    length: number,
    has: Uint8Array,
  ): void {
    if (this.#count < length) this.#catchUp(length)
    if (this.#count === 0) return
    const heads = this.#heads
    const next = this.#next
    const first = this.#lanes[0]!
    const shift = this.#shift
    if (this.#rows.length < count) {
      this.#rows = new Int32Array(count)
      this.#places = new Int32Array(count)
    }
    const rows = this.#rows
    const places = this.#places
    for (let i = 0; i < count; i++) rows[i] = heads[hashes[i]! >>> shift]! - 1
    let left = 0
    for (let i = 0; i < count; i++) if (rows[i]! >= 0) places[left++] = i
    while (left > 0) {
      let touched = 0
      for (let i = 0; i < left; i++) {
        const row = rows[places[i]!]!
        touched ^= first[row]! ^ next[row]!
      }
      this.#touched[0]! ^= touched
      let kept = 0
      for (let i = 0; i < left; i++) {
        const place = places[i]!
        const row = rows[place]!
        // Rows from `length` on are newer than the view; the chain leads down to older ones.
        if (row < length && this.#matches(row, keys, place)) {
          has[place] = 1
          continue
        }
        const older = next[row]! - 1
        rows[place] = older
        if (older >= 0) places[kept++] = place
      }
      left = kept
    }
  }

  #matches(row: number, keys: readonly Uint32Array[], place: number): boolean {
    const lanes = this.#lanes
    for (let lane = 0; lane < keys.length; lane++) if (lanes[lane]![row] !== keys[lane]![place]) return false
    return true
  }

  /** The next older row with this key, or -1. Requires: `row` was found by this key. */
  findOlder(row: number, key: Uint32Array): number {
    return this.#firstMatch(this.#next[row]! - 1, key)
  }

  /** The first row in the chain from `row` on that has this key, or -1. */
  #firstMatch(row: number, key: Uint32Array): number {
    const next = this.#next
    const lanes = this.#lanes
    const first = lanes[0]!
    const key0 = key[0]!
    if (key.length === 1) {
      while (row >= 0 && first[row] !== key0) row = next[row]! - 1
      return row
    }
    const second = lanes[1]!
    const key1 = key[1]!
    for (; row >= 0; row = next[row]! - 1) {
      if (first[row] !== key0 || second[row] !== key1) continue
      let lane = 2
      while (lane < key.length && lanes[lane]![row] === key[lane]) lane++
      if (lane === key.length) return row
    }
    return -1
  }

  #catchUp(length: number): void {
    if (this.#next.length < length) this.#growFor(length)
    for (let from = this.#count; from < length; from += BLOCK_ROWS) {
      this.#indexBlock(from, Math.min(from + BLOCK_ROWS, length))
    }
    this.#count = length
  }

  /** Makes room for as many rows, or twice as many as there was room for. With more heads all rows are indexed anew. */
  #growFor(length: number): void {
    const rows = Math.min(this.#capacity, Math.max(length, 2 * this.#next.length, FIRST_ROWS))
    const wanted = 32 - Math.clz32(rows - 1)
    const shift = 32 - Math.min(MAX_HEAD_BITS, Math.max(MIN_HEAD_BITS, wanted))
    const next = new Int32Array(rows)
    if (shift === this.#shift && this.#heads.length > 0) next.set(this.#next.subarray(0, this.#count))
    else {
      this.#heads = new Int32Array(2 ** (32 - shift))
      this.#shift = shift
      this.#count = 0
    }
    this.#next = next
  }

  /** Hot: separate loops for one and for two key lanes, which most tables have. */
  #indexBlock(from: number, to: number): void {
    const heads = this.#heads
    const next = this.#next
    const shift = this.#shift
    const first = this.#lanes[0]!
    if (this.#lanes.length === 1) {
      for (let row = from; row < to; row++) {
        const head = hashLane(HASH_START, first[row]!) >>> shift
        next[row] = heads[head]!
        heads[head] = row + 1
      }
    } else if (this.#lanes.length === 2) {
      const second = this.#lanes[1]!
      for (let row = from; row < to; row++) {
        const head = hashLane(hashLane(HASH_START, first[row]!), second[row]!) >>> shift
        next[row] = heads[head]!
        heads[head] = row + 1
      }
    } else {
      for (let row = from; row < to; row++) {
        const head = hashKey(this.#lanes, row, this.#lanes.length) >>> shift
        next[row] = heads[head]!
        heads[head] = row + 1
      }
    }
  }
}
