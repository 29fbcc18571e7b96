/**
 * Makes memtables. The next memtable gets the memory of one that has no more references: the garbage collectors of two
 * threads would take long to free it.
 *
 * Invariant: memory comes back through `refCounts` only, after the last version with the memtable and the last job that
 * reads it have released it. docs/internals.md, Versions.
 */
import { clearTimeout, setTimeout } from 'node:timers'
import { hintFreed } from '../base/gc-hint.js'
import { Memtable } from '../memtable/memtable.js'
import { OrderedView } from '../memtable/ordered-view.js'
import type { RecordLayout } from '../records/record-layout.js'
import { RefCounts, type MemtableHandle } from './version.js'

/** A table that has made no memtable for this time frees the memory that it keeps for the next one. */
const IDLE_MS = 5000

export interface MemtablePoolOptions {
  readonly layout: RecordLayout
  readonly memtableRecords: number
  /** Called with memory that its last reader has released: its contents may change from now on. For tests. */
  readonly memoryFreed?: ((memory: Uint8Array) => void) | undefined
}

export class MemtablePool {
  /** References to the memtables of this pool. */
  readonly refCounts: RefCounts
  readonly #options: MemtablePoolOptions
  #spareMax: number
  readonly #spare: SharedArrayBuffer[] = []
  /** For the next memtable, which has more rows than others. */
  #large: SharedArrayBuffer | undefined
  readonly #idleMs: number
  /** Frees the memory that is kept, unless a memtable is made before. */
  #idle: NodeJS.Timeout | undefined

  /** `spareMax`: keeps the memory of this many memtables, for `idleMs` after the last one was made or freed. */
  constructor(options: MemtablePoolOptions, spareMax: number, idleMs = IDLE_MS) {
    this.#idleMs = idleMs
    this.#options = options
    this.#spareMax = spareMax
    this.refCounts = new RefCounts(memtable => this.#takeBack(memtable))
  }

  /** An empty memtable, with room for that many rows at least. */
  make(firstSequence: number, rows = 0): MemtableHandle {
    clearTimeout(this.#idle)
    const { layout, memtableRecords } = this.#options
    if (rows > memtableRecords)
      return newMemtable({ layout, memtableRecords: rows }, firstSequence, this.#takeLarge())
    return newMemtable(this.#options, firstSequence, this.#spare.pop())
  }

  /**
   * Allocates memory for the next memtable, with room for that many rows at least, unless some is kept, so that `make`
   * allocates none. Throws if there is no memory.
   */
  reserve(rows = 0): void {
    clearTimeout(this.#idle)
    const { layout, memtableRecords } = this.#options
    if (rows > memtableRecords) this.#large = fullMemory(layout, rows)
    else if (this.#spare.length === 0) this.#spare.push(fullMemory(layout, memtableRecords))
  }

  /** Bytes of memory that are kept for the next memtables. */
  get spareBytes(): number {
    return this.#spare.reduce((bytes, memory) => bytes + memory.byteLength, 0)
  }

  /** Frees the memory that is kept. Returns its bytes. */
  drain(): number {
    const bytes = this.spareBytes
    this.#spare.length = 0
    return bytes
  }

  /** Frees everything. From now on nothing is kept. */
  close(): void {
    clearTimeout(this.#idle)
    this.#spareMax = 0
    hintFreed(this.drain())
  }

  #takeLarge(): SharedArrayBuffer | undefined {
    const memory = this.#large
    this.#large = undefined
    return memory
  }

  #takeBack({ memory, kinds, capacity, hasFullMemory }: Memtable): void {
    this.#options.memoryFreed?.(new Uint8Array(memory))
    if (kinds !== undefined) this.#options.memoryFreed?.(kinds)
    if (!hasFullMemory || capacity !== this.#options.memtableRecords) return
    if (this.#spare.length >= this.#spareMax) return
    this.#spare.push(memory)
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => hintFreed(this.drain()), this.#idleMs)
    this.#idle.unref()
  }
}

/** Memory of a memtable that has grown to its capacity: one that was filled is followed by another. */
function fullMemory(layout: RecordLayout, rows: number): SharedArrayBuffer {
  const memtable = new Memtable(layout, rows, 0)
  memtable.reserveRows(rows)
  return memtable.memory
}

/** An empty memtable, in `memory` if it is given: the memory of one that nobody reads any more. */
export function newMemtable(
  options: Pick<MemtablePoolOptions, 'layout' | 'memtableRecords'>,
  firstSequence: number,
  memory?: SharedArrayBuffer,
): MemtableHandle {
  const memtable = new Memtable(options.layout, options.memtableRecords, firstSequence, memory)
  return { memtable, ordered: new OrderedView(memtable), segments: [], logBytes: 0 }
}
