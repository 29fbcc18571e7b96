/**
 * Makes memtables, and gives the memory of one that nobody holds any more to the next one: left to the garbage collectors
 * of two threads, it would stay for long.
 *
 * Invariant: memory comes back through `refCounts` alone, when the last version that names the memtable, and the last job
 * that reads it, have let go. docs/architecture.md, Versions.
 */
import { clearTimeout, setTimeout } from 'node:timers'
import { hintFreed } from '../base/gc-hint.js'
import { Memtable } from '../memtable/memtable.js'
import { OrderedView } from '../memtable/ordered-view.js'
import type { RecordLayout } from '../records/record-layout.js'
import { RefCounts, type MemtableHandle } from './version.js'

/** A table that has made no memtable for so long gives back the memory that it keeps for one. */
const IDLE_MS = 5000

export interface MemtablePoolOptions {
  readonly layout: RecordLayout
  readonly memtableRecords: number
  /** Told of memory that its last reader has let go of: what is in it may change from now on. For tests. */
  readonly memoryFreed?: ((memory: Uint8Array) => void) | undefined
}

export class MemtablePool {
  /** Of all versions that name memtables of the pool. */
  readonly refCounts: RefCounts
  readonly #options: MemtablePoolOptions
  #spareMax: number
  readonly #spare: SharedArrayBuffer[] = []
  readonly #idleMs: number
  /** Lets go of what is kept, unless somebody comes who needs it. */
  #idle: NodeJS.Timeout | undefined

  /** `spareMax`: how many memtables' memory is kept, for `idleMs` at most where no memtable is made meanwhile. */
  constructor(options: MemtablePoolOptions, spareMax: number, idleMs = IDLE_MS) {
    this.#idleMs = idleMs
    this.#options = options
    this.#spareMax = spareMax
    this.refCounts = new RefCounts(memtable => this.#takeBack(memtable))
  }

  /** An empty memtable. */
  make(firstSequence: number): MemtableHandle {
    clearTimeout(this.#idle)
    return newMemtable(this.#options, firstSequence, this.#spare.pop())
  }

  /** Takes the memory for the next one, unless there is some: then `make` takes none. Throws where there is none. */
  reserve(): void {
    clearTimeout(this.#idle)
    if (this.#spare.length > 0) return
    const { layout, memtableRecords } = this.#options
    this.#spare.push(new Memtable(layout, memtableRecords, 0).memory)
  }

  /** Bytes of memory that wait for the next memtables. */
  get spareBytes(): number {
    return this.#spare.reduce((bytes, memory) => bytes + memory.byteLength, 0)
  }

  /** Lets go of the memory that is kept; returns how many bytes that was. */
  drain(): number {
    const bytes = this.spareBytes
    this.#spare.length = 0
    return bytes
  }

  /** Keeps nothing any more. */
  close(): void {
    clearTimeout(this.#idle)
    this.#spareMax = 0
    hintFreed(this.drain())
  }

  #takeBack({ memory, kinds, capacity }: Memtable): void {
    this.#options.memoryFreed?.(new Uint8Array(memory))
    if (kinds !== undefined) this.#options.memoryFreed?.(kinds)
    if (capacity !== this.#options.memtableRecords || this.#spare.length >= this.#spareMax) return
    this.#spare.push(memory)
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => hintFreed(this.drain()), this.#idleMs)
    this.#idle.unref()
  }
}

/** An empty memtable; `memory`: that of one that nobody reads any more. */
export function newMemtable(
  options: Pick<MemtablePoolOptions, 'layout' | 'memtableRecords'>,
  firstSequence: number,
  memory?: SharedArrayBuffer,
): MemtableHandle {
  const memtable = new Memtable(options.layout, options.memtableRecords, firstSequence, memory)
  return { memtable, ordered: new OrderedView(memtable), segments: [] }
}
