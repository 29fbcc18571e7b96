/**
 * Progress for a callback of the user's. What the callback throws ends the call that it belongs to, and harms nothing
 * else: it is never thrown into the part that reports.
 */
import { newAbortController } from './abort.js'

/** How much of the work is done. */
export interface ProgressReport {
  readonly done: number
  readonly total: number
}

export class Progress {
  readonly #callback: ((progress: ProgressReport) => unknown) | undefined
  readonly #failed = newAbortController()

  constructor(callback: ((progress: ProgressReport) => unknown) | undefined) {
    this.#callback = callback
  }

  /** Aborts with what the callback throws, or, where it is asynchronous, rejects with. */
  get signal(): AbortSignal {
    return this.#failed.signal
  }

  /** Never throws. */
  report(done: number, total: number): void {
    if (this.#callback === undefined || this.#failed.signal.aborted) return
    try {
      const returned = this.#callback({ done: Math.min(done, total), total })
      if (isPromiseLike(returned)) returned.then(undefined, (error: unknown) => this.#failed.abort(error))
    } catch (error) {
      this.#failed.abort(error)
    }
  }
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}
