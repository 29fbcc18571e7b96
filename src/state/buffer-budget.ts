/**
 * What waits in memory to be flushed, in all tables of the process, and how much that may be together: where it is more, the
 * table that has most of it flushes early. So a thousand tables that are open at once take no more memory than a few, and
 * none of them has to know of the others. docs/internals.md, Runs.
 */
import { freemem } from 'node:os'
import process from 'node:process'

/** It is never less, ... */
const BYTES_MIN = 2 ** 28
/** ... and else this share of the memory that is available when the first table is opened. */
const SHARE = 1 / 8

/** A table, as the budget sees it. */
export interface BufferOwner {
  /** Called where the tables have too much together and this one has most: it flushes what it has. Never throws. */
  flushEarly(): void
}

export class BufferBudget {
  readonly bytesMax: number
  readonly #bytes = new Map<BufferOwner, number>()
  #sum = 0
  /** Tables that were asked, and what each had then. */
  readonly #asked = new Map<BufferOwner, number>()

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** Bytes of all tables. */
  get bytes(): number {
    return this.#sum
  }

  /** What the table has in memory from now on; 0 when it is closed. */
  set(owner: BufferOwner, bytes: number): void {
    this.#sum += bytes - (this.#bytes.get(owner) ?? 0)
    if (bytes > 0) this.#bytes.set(owner, bytes)
    else this.#bytes.delete(owner)
    // What was put since it was asked does not keep it from being asked again.
    if (bytes <= (this.#asked.get(owner) ?? 0) / 2) this.#asked.delete(owner)
    if (this.#sum > this.bytesMax) this.#askLargest()
  }

  /** Asks one table more, unless those that were asked have enough. */
  #askLargest(): void {
    let left = this.#sum
    for (const owner of this.#asked.keys()) left -= this.#bytes.get(owner) ?? 0
    if (left <= this.bytesMax) return
    let largest: BufferOwner | undefined
    for (const [owner, bytes] of this.#bytes) {
      if (this.#asked.has(owner)) continue
      if (largest === undefined || bytes > this.#bytes.get(largest)!) largest = owner
    }
    if (largest === undefined) return
    this.#asked.set(largest, this.#bytes.get(largest)!)
    largest.flushEarly()
  }
}

/** What the tables of a process may have where this much memory is available. */
export function bufferBytesFor(available: number): number {
  return Math.max(BYTES_MIN, Math.floor(available * SHARE))
}

let ofProcess: BufferBudget | undefined

/** The budget of the process. */
export function processBudget(): BufferBudget {
  const { availableMemory } = process as { availableMemory?: () => number }
  return (ofProcess ??= new BufferBudget(bufferBytesFor(availableMemory?.() ?? freemem())))
}
