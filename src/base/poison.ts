/**
 * The latch that stops all writes after a failure that may have left the log or the manifest in doubt.
 *
 * After a failed sync Linux marks the pages clean, so a second one would report success for data that are gone (ATC'20,
 * "Can applications recover from fsync failures?"). So nothing is retried: reads go on, and writes reject until the
 * table is opened again. docs/durability.md, Failures.
 */
import { FlashTableError, hasCode, messageOf } from './errors.js'

/** What was latched, if `error` says that something was; for a latch that nobody else sees. */
export function latchedReason(error: unknown): unknown {
  return hasCode(error, 'FLASHTABLE_POISONED') ? (error as FlashTableError).cause : error
}

export class Poison {
  #reason: unknown = undefined
  #latched = false
  /** Called once, when a failure has been latched. */
  onLatched: (() => void) | undefined

  /** Whether a failure has been latched. */
  get latched(): boolean {
    return this.#latched
  }

  /** The message of the latched failure. */
  get reason(): string | undefined {
    return this.#latched ? messageOf(this.#reason) : undefined
  }

  /** Latches the first failure; returns the error to reject with. */
  latch(reason: unknown): FlashTableError {
    if (!this.#latched) {
      this.#latched = true
      this.#reason = reason
      this.onLatched?.()
    }
    return this.error()
  }

  /** Throws `FLASHTABLE_POISONED` once latched. */
  check(): void {
    if (this.#latched) throw this.error()
  }

  error(): FlashTableError {
    const message = messageOf(this.#reason)
    // Where another writer has taken over, the message says what to do.
    const advice = hasCode(this.#reason, 'FLASHTABLE_FENCED')
      ? ''
      : ', close the table and open it again to write'
    return new FlashTableError(
      'FLASHTABLE_POISONED',
      `an earlier failure stopped all writes (${message}); reads go on${advice}`,
      { cause: this.#reason },
    )
  }
}
