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

/** The share of a table. */
export interface BufferShare {
  readonly owner: BufferOwner
  /** Tells how many bytes it has from now on; with 0 it leaves. */
  readonly set: (bytes: number) => void
}

/** What one table has. */
interface Account {
  bytes: number
  /** Weak: a table that was forgotten without a close must not stay in memory for this. */
  readonly owner: WeakRef<BufferOwner>
  /** What it had when it was asked to flush; 0: it was not asked. */
  askedAt: number
}

export class BufferBudget {
  readonly bytesMax: number
  readonly #accounts = new Set<Account>()
  readonly #forgotten = new FinalizationRegistry<Account>(account => this.#remove(account))
  #sum = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** Bytes of all tables. */
  get bytes(): number {
    return this.#sum
  }

  /** Adds a table. It holds the share, and with it the owner. */
  join(owner: BufferOwner): BufferShare {
    const account: Account = { bytes: 0, owner: new WeakRef(owner), askedAt: 0 }
    this.#forgotten.register(owner, account)
    return { owner, set: bytes => this.#set(account, bytes) }
  }

  #set(account: Account, bytes: number): void {
    if (bytes === 0) return this.#remove(account)
    this.#accounts.add(account)
    this.#sum += bytes - account.bytes
    account.bytes = bytes
    // What was put since it was asked does not keep it from being asked again.
    if (bytes <= account.askedAt / 2) account.askedAt = 0
    if (this.#sum > this.bytesMax) this.#askLargest()
  }

  #remove(account: Account): void {
    this.#sum -= account.bytes
    account.bytes = account.askedAt = 0
    this.#accounts.delete(account)
  }

  /** Asks one table more, unless those that were asked have enough. */
  #askLargest(): void {
    let left = this.#sum
    let largest: Account | undefined
    for (const account of this.#accounts) {
      if (account.askedAt > 0) left -= account.bytes
      else if (largest === undefined || account.bytes > largest.bytes) largest = account
    }
    if (left <= this.bytesMax || largest === undefined) return
    largest.askedAt = largest.bytes
    largest.owner.deref()?.flushEarly()
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
