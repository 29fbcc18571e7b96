/**
 * The memtable: the newest operations in RAM, in the order in which they came.
 *
 * It is columns of lanes in one SharedArrayBuffer, as narrow as the lanes of values are stored, which are only appended to.
 * What a reader has seen below a length stays as it is, so a snapshot is a length. Once sealed, a worker thread sees the same memory through its image.
 * docs/internals.md, Memtable.
 */
import type { Turns } from '../async/turns.js'
import { assert } from '../base/assert.js'
import {
  columnsBytes,
  columnsIn,
  memtableWidths,
  type ColumnWidth,
  type LaneColumn,
} from '../records/lane-columns.js'
import { copyColumn, keyLanesOf, PUT, type DeleteWhere, type Operations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { HashIndex } from './hash-index.js'

/** The most rows that a memtable has room for: sorts put marks in the highest bits of row numbers. */
export const MEMTABLE_ROWS_MAX = 2 ** 29

/** Rows for which there is room at first: a thousand tables of a few records take little. */
const FIRST_ROWS = 256

/** It grows by doubling, and the last time by this much at least: what it leaves behind waits for the garbage collector. */
const LAST_GROWTH = 4

/** A *delete where* entry, and how many rows came before it: it may hide only those. */
export interface MemtableDelete extends DeleteWhere {
  readonly position: number
}

/** A memtable as plain data. When it is posted to another thread, the buffers are the same memory there. */
export interface MemtableImage {
  /** The columns of lanes, one after the other, with `capacity` values each: as many as there was room for then. */
  readonly lanes: SharedArrayBuffer
  /** One byte for each row; `undefined`: all are puts. */
  readonly kinds: SharedArrayBuffer | undefined
  readonly capacity: number
  readonly count: number
  readonly firstSequence: number
  readonly deletes: readonly MemtableDelete[]
}

export class Memtable implements Operations {
  readonly layout: RecordLayout
  /** The most rows that it takes. */
  readonly capacity: number
  /** The sequence number of the first operation. */
  readonly firstSequence: number
  /** The array stays; the columns in it may be other ones after an append, with the same rows. */
  readonly lanes: readonly LaneColumn[]
  /** Those of the key, as {@link lanes}. */
  readonly keyLanes: readonly Uint32Array[]
  readonly #widths: readonly ColumnWidth[]
  readonly #columns: LaneColumn[]
  readonly #keyColumns: Uint32Array[]
  /** Rows for which its memory has room: it grows up to the capacity. */
  #allocated: number
  #kinds: Uint8Array | undefined
  #count = 0
  /** Rows that are not puts. */
  #deleteRows = 0
  #memory: SharedArrayBuffer
  #kindsBuffer: SharedArrayBuffer | undefined
  readonly #deletes: MemtableDelete[]
  readonly #index: HashIndex

  /**
   * An empty memtable. `memory`: that of another one with this layout, which had grown to this capacity. Without it the
   * memory is new, and grows as rows come.
   */
  constructor(
    layout: RecordLayout,
    capacity: number,
    firstSequence: number,
    memory?: SharedArrayBuffer,
    image?: MemtableImage,
  ) {
    assert(capacity > 0 && capacity <= MEMTABLE_ROWS_MAX, 'a memtable has room for 1 to 2^29 rows')
    this.#allocated = memory === undefined ? Math.min(capacity, FIRST_ROWS) : capacity
    this.#widths = memtableWidths(layout)
    const bytes = columnsBytes(this.#widths, this.#allocated)
    this.#memory = memory ?? new SharedArrayBuffer(bytes)
    assert(this.#memory.byteLength === bytes, 'the memory of a memtable fits its layout')
    this.layout = layout
    this.capacity = capacity
    this.firstSequence = firstSequence
    this.lanes = this.#columns = columnsIn(this.#memory, this.#widths, this.#allocated)
    this.keyLanes = this.#keyColumns = keyLanesOf(this, layout.keyLaneCount)
    this.#kindsBuffer = image?.kinds
    this.#kinds = image?.kinds === undefined ? undefined : new Uint8Array(image.kinds)
    this.#count = image?.count ?? 0
    this.#deletes = [...(image?.deletes ?? [])]
    this.#index = new HashIndex(this.keyLanes, capacity)
  }

  /** The memtable that `image` was taken from, as it was then, over the same memory. Requires: it is sealed. */
  static fromImage(layout: RecordLayout, image: MemtableImage): Memtable {
    return new Memtable(layout, image.capacity, image.firstSequence, image.lanes, image)
  }

  /**
   * What another thread needs to see the first `rows` rows of this memtable, and the *delete where* entries with sequence
   * numbers below `before`.
   *
   * Requires: the caller retains the memtable until the thread has ended its work (jobs/jobs.ts).
   */
  image(rows = this.#count, before = Infinity): MemtableImage {
    return {
      lanes: this.#memory,
      kinds: this.#kindsBuffer,
      capacity: this.#allocated,
      count: rows,
      firstSequence: this.firstSequence,
      deletes: this.#deletes.filter(entry => entry.sequence < before),
    }
  }

  /** The memory of the lanes. */
  get memory(): SharedArrayBuffer {
    return this.#memory
  }

  /** Whether its memory has room for as many rows as it takes. */
  get hasFullMemory(): boolean {
    return this.#allocated === this.capacity
  }

  /** Rows appended so far. */
  get count(): number {
    return this.#count
  }

  /** Rows that it still has room for. */
  get room(): number {
    return this.capacity - this.#count
  }

  /** Puts among the rows. Requires: the memtable was not made from an image. */
  get puts(): number {
    return this.#count - this.#deleteRows
  }

  /** Bytes that its rows and its hash index take. */
  get residentBytes(): number {
    const rows = columnsBytes(this.#widths, this.#count)
    return rows + (this.#kindsBuffer?.byteLength ?? 0) + this.#index.byteLength
  }

  /** Kinds of the rows; `undefined`: all are puts. */
  get kinds(): Uint8Array | undefined {
    return this.#kinds
  }

  /** *Delete where* entries, oldest first. */
  get deletes(): readonly MemtableDelete[] {
    return this.#deletes
  }

  /** The sequence number after the last operation or *delete where* entry. */
  get endSequence(): number {
    return this.firstSequence + this.#count + this.#deletes.length
  }

  /** Allocates the memory for operations that are not puts, so that appending some allocates none. */
  reserveKinds(): void {
    this.#ensureKinds()
  }

  /** Allocates the memory for `rows` more rows, so that appending them allocates none. Requires: they fit. */
  reserveRows(rows: number): void {
    const needed = this.#count + rows
    assert(rows >= 0 && needed <= this.capacity, 'a memtable takes no more rows than it has room for')
    if (needed <= this.#allocated) return
    const room = Math.max(needed, 2 * this.#allocated)
    this.#grow(room < this.capacity / LAST_GROWTH ? room : this.capacity)
  }

  /** Appends rows `from` to `to` of `operations`. Requires: they fit. */
  append(operations: Operations, from: number, to: number): void {
    const rows = to - from
    this.reserveRows(rows)
    for (let lane = 0; lane < this.lanes.length; lane++) {
      copyColumn(operations.lanes[lane]!, from, to, this.lanes[lane]!, this.#count)
    }
    const { kinds } = operations
    const deleteRows = kinds === undefined ? 0 : countOtherThanPuts(kinds, from, to)
    if (deleteRows > 0) {
      copyColumn(kinds!, from, to, this.#ensureKinds(), this.#count)
      this.#deleteRows += deleteRows
    }
    this.#count += rows
  }

  /**
   * Counts `rows` more rows, all puts. Requires: they were written into the lanes, from row `count` on. As long as they
   * are not counted, nobody sees them, and others may be written in their place.
   */
  appendTail(rows: number): void {
    assert(
      rows >= 0 && rows <= this.#allocated - this.#count,
      'a memtable takes no more rows than it has room for',
    )
    this.#count += rows
  }

  /** Appends a *delete where* entry. Requires: its sequence number is `endSequence`. */
  appendDeleteWhere(entry: DeleteWhere): void {
    assert(entry.sequence === this.endSequence, 'sequence numbers of a memtable are dense')
    this.#deletes.push({ ...entry, position: this.#count })
  }

  /** The sequence number of a row: each row and each *delete where* entry before it has consumed one. */
  sequenceOf(row: number): number {
    let low = 0
    let high = this.#deletes.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#deletes[middle]!.position <= row) low = middle + 1
      else high = middle
    }
    return this.firstSequence + row + low
  }

  /**
   * The newest row below `length` with this key, or -1.
   *
   * The first lookup after appends indexes them, 10 to 20 ns for each row; then a lookup takes one probe, without an
   * allocation.
   */
  findNewest(key: Uint32Array, length: number): number {
    return this.#index.findNewest(key, length)
  }

  /** Sets `has[i]` to 1 for each of the keys that has a row below `length`. `hashes`: those of the keys. Hot. */
  hasEach(
    keys: readonly Uint32Array[],
    hashes: Uint32Array,
    count: number,
    length: number,
    has: Uint8Array,
  ): void {
    this.#index.hasEach(keys, hashes, count, length, has)
  }

  /** How many rows below `length` the next `findNewest` would index first. */
  rowsToIndex(length: number): number {
    return this.#index.lacking(length)
  }

  /** Indexes the rows below `length`; the event loop turns in between. */
  prepareIndex(length: number, turns: Turns): Promise<void> {
    return this.#index.prepare(length, turns)
  }

  /** The next older row with this key, or -1. Requires: `findNewest` or `findOlder` found `row` by it. */
  findOlder(row: number, key: Uint32Array): number {
    return this.#index.findOlder(row, key)
  }

  /**
   * Invariant: fresh memory is zero. So all rows so far are puts, and so is each row that is added without a kind. Memory of
   * another memtable is not used for kinds.
   */
  #ensureKinds(): Uint8Array {
    this.#kindsBuffer ??= new SharedArrayBuffer(this.#allocated)
    this.#kinds ??= new Uint8Array(this.#kindsBuffer)
    return this.#kinds
  }

  /**
   * Copies the rows to larger memory. Jobs and readers that have the old one see what they saw, so it is not used again.
   * Throws, with nothing changed, if there is no memory.
   */
  #grow(room: number): void {
    const memory = new SharedArrayBuffer(columnsBytes(this.#widths, room))
    const kindsBuffer = this.#kindsBuffer && new SharedArrayBuffer(room)
    const columns = columnsIn(memory, this.#widths, room)
    for (let lane = 0; lane < columns.length; lane++)
      copyColumn(this.#columns[lane]!, 0, this.#count, columns[lane]!, 0)
    if (kindsBuffer !== undefined) {
      const kinds = new Uint8Array(kindsBuffer)
      copyColumn(this.#kinds!, 0, this.#count, kinds, 0)
      this.#kindsBuffer = kindsBuffer
      this.#kinds = kinds
    }
    this.#memory = memory
    this.#allocated = room
    for (let lane = 0; lane < columns.length; lane++) this.#columns[lane] = columns[lane]!
    const keyColumns = keyLanesOf(this, this.#keyColumns.length)
    for (let lane = 0; lane < keyColumns.length; lane++) this.#keyColumns[lane] = keyColumns[lane]!
  }
}

function countOtherThanPuts(kinds: Uint8Array, from: number, to: number): number {
  let others = 0
  for (let row = from; row < to; row++) if (kinds[row] !== PUT) others++
  return others
}
