/**
 * The budget of `writeBudget`: background merges wait while the table has written more than it may.
 *
 * A bucket that leaks: all that the table writes fills it, and it drains evenly, its whole size in a day. So a table that
 * has written little may write the bytes of a day at once. It may be overfull, because puts and flushes do not wait: merges
 * wait until that has drained, too. docs/internals.md, Write budget.
 */

const DAY_MS = 24 * 3_600_000

export interface WriteBudgetOptions {
  readonly bytesPerDay: number
  /** Written in the last day before now. */
  readonly usedBytes: number
  /** Milliseconds from any moment on. */
  readonly now: () => number
  /** Bytes written in the life of the table. */
  readonly writtenBytes: () => number
}

export class WriteBudget {
  readonly bytesPerDay: number
  readonly #now: () => number
  readonly #writtenBytes: () => number
  #usedBytes: number
  #seenMs: number
  #seenBytes: number

  constructor({ bytesPerDay, usedBytes, now, writtenBytes }: WriteBudgetOptions) {
    this.bytesPerDay = bytesPerDay
    this.#usedBytes = usedBytes
    this.#now = now
    this.#writtenBytes = writtenBytes
    this.#seenMs = now()
    this.#seenBytes = writtenBytes()
  }

  /** What was written and has not drained yet. */
  get usedBytes(): number {
    const [nowMs, bytes] = [this.#now(), this.#writtenBytes()]
    const drained = ((nowMs - this.#seenMs) * this.bytesPerDay) / DAY_MS
    this.#usedBytes = Math.max(0, this.#usedBytes - drained) + (bytes - this.#seenBytes)
    this.#seenMs = nowMs
    this.#seenBytes = bytes
    return this.#usedBytes
  }

  /** How long merges wait if nothing more is written: 0 if they may run. */
  get waitMs(): number {
    const over = this.usedBytes - this.bytesPerDay
    return over < 0 ? 0 : Math.max(1, Math.ceil((over * DAY_MS) / this.bytesPerDay))
  }
}
