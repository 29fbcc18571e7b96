/**
 * Reads the records of a key with very many of them, a piece at a time; and counts those of a range.
 *
 * Where nothing hides records one by one, the records are those of one input after the other, and no merge is needed: then
 * whole pages are passed over by the row counts in their heads. docs/internals.md, Many records of one key.
 */
import { throwIfAborted } from '../async/abort.js'
import type { Turns } from '../async/turns.js'
import { Merge, type MergeOptions } from '../merge/merge.js'
import type { SortedInput } from '../merge/sorted-input.js'
import type { BufferPool } from '../records/buffer-pool.js'
import type { OperationBuffer, WideOperations } from '../records/operations.js'
import type { WhereFilter } from '../records/where-filter.js'
import type { Wanted } from './lookup.js'

/** An input that may leave out records without a look at them. */
export type KeyInput = SortedInput & {
  /** How many of the next records are not wanted; it counts down. */
  skip?: number
}

export interface KeyScanOptions extends Omit<MergeOptions, 'keepDeletes' | 'reverse'> {
  readonly buffers: BufferPool
  readonly turns: Turns
  /** Only rows that match count, so each is looked at. */
  readonly where?: WhereFilter | undefined
}

/**
 * Appends the wanted records of the key to `into`, in their order; without `into` it only counts them, and then they may be
 * of several keys. Returns how many there are. `inputs`: oldest first, of this key and this direction; they are closed.
 */
export async function scanKey(
  inputs: readonly KeyInput[],
  wanted: Wanted,
  options: KeyScanOptions,
  into?: OperationBuffer,
): Promise<number> {
  const taker = new Taker(wanted, into, options.where)
  const isMerged = options.replace || options.layout.combine !== undefined
  if (isMerged || inputs.some(({ hasDeletes }) => hasDeletes)) await merged(inputs, taker, options)
  else await oneAfterTheOther(inputs, taker, options)
  return taker.found
}

/** Takes what is wanted of the records that come by. */
class Taker {
  readonly #into: OperationBuffer | undefined
  readonly #where: WhereFilter | undefined
  readonly reverse: boolean
  /** Records that are still to be passed over. */
  #offset: number
  #left: number
  found = 0

  constructor(
    { limit, offset, reverse }: Wanted,
    into: OperationBuffer | undefined,
    where: WhereFilter | undefined,
  ) {
    this.#into = into
    this.#where = where
    this.reverse = reverse
    this.#offset = offset
    this.#left = limit
  }

  get isDone(): boolean {
    return this.#left === 0
  }

  /** How many of the next records need not be looked at. */
  get skip(): number {
    if (this.#where !== undefined) return 0
    return this.#into === undefined ? this.#offset + this.#left : this.#offset
  }

  /** These many of the next records have gone by. */
  pass(count: number): void {
    const passed = Math.min(count, this.#offset)
    this.#offset -= passed
    this.#left -= count - passed
    this.found += count - passed
  }

  /** The next records; with `isAscending` in the order of their age, whatever the direction. */
  take(read: WideOperations, isAscending: boolean): void {
    const rows = this.#where?.matching(read) ?? read
    const { count } = rows
    const from = Math.min(count, this.#offset)
    const to = Math.min(count, from + this.#left)
    if (this.#into !== undefined) {
      if (this.reverse && isAscending) this.#into.appendReversed(rows, count - to, count - from)
      else this.#into.append(rows, from, to)
    }
    this.pass(to)
  }
}

async function merged(inputs: readonly KeyInput[], taker: Taker, options: KeyScanOptions): Promise<void> {
  const merge = new Merge(inputs, { ...options, reverse: taker.reverse, keepDeletes: false })
  try {
    while (!taker.isDone) {
      const rows = await merge.next()
      if (rows === undefined) return
      taker.take(rows, true)
    }
  } finally {
    await merge.close()
  }
}

async function oneAfterTheOther(
  inputs: readonly KeyInput[],
  taker: Taker,
  { buffers, turns, signal }: KeyScanOptions,
): Promise<void> {
  const rows = buffers.take()
  try {
    for (const input of taker.reverse ? inputs.toReversed() : inputs) {
      while (!taker.isDone) {
        throwIfAborted(signal)
        if (turns.due()) await turns.take()
        rows.clear()
        const skip = Math.min(taker.skip, Number.MAX_SAFE_INTEGER)
        if (input.skip !== undefined) input.skip = skip
        const isMore = await input.next(rows)
        taker.pass(skip - (input.skip ?? skip))
        if (!isMore) break
        taker.take(rows, false)
      }
    }
  } finally {
    buffers.giveBack(rows)
    for (const input of inputs) await input.close()
  }
}
