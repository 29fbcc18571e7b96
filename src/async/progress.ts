/**
 * Reports progress to a callback of the user. What the callback throws ends the call that it belongs to, and harms
 * nothing else: it is never thrown into the part that reports.
 */
import { newAbortController, throwIfAborted, withSignals } from './abort.js'
import { nextTurn } from './turns.js'

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

  /** Aborts with what the callback throws or, if it is asynchronous, rejects with. */
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

  /** Call it before the work counts. Throws what the callback threw, even if it has only just rejected. */
  async check(): Promise<void> {
    if (this.#callback === undefined) return
    await nextTurn()
    throwIfAborted(this.signal)
  }
}

/** The options of a call that can be aborted and watched. */
export interface ProgressOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: ProgressReport) => void) | undefined
}

/** Runs `action`, which ends with the reason of the signal or with what the callback throws. */
export function withProgress<T>(
  options: ProgressOptions,
  action: (control: ProgressOptions) => Promise<T>,
): Promise<T> {
  const progress = new Progress(options.onProgress)
  return withSignals([options.signal, progress.signal], async signal => {
    const onProgress = ({ done, total }: ProgressReport): void => progress.report(done, total)
    const result = await action({ signal, onProgress })
    await progress.check()
    return result
  })
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}
