/**
 * Signals of any realm: a test environment (jsdom), a `vm` context or a library brings its own `AbortSignal`.
 *
 * Such a signal is not an instance of the class of this realm, `AbortSignal.any` refuses it, and old ones lack
 * `throwIfAborted` and `reason`. So signals are recognised by their shape, and nothing here uses the global class.
 */
import { setMaxListeners } from 'node:events'
import * as util from 'node:util'
import type { Mutex } from 'async-mutex'

/** What every implementation of `AbortSignal` has. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  if (typeof value !== 'object' || value === null) return false
  const { aborted, addEventListener, removeEventListener } = value as Partial<AbortSignal>
  return (
    typeof aborted === 'boolean' &&
    typeof addEventListener === 'function' &&
    typeof removeEventListener === 'function'
  )
}

/** Throws the reason of a signal that has aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortReason(signal)
}

/** Why it aborted; an `AbortError` if the implementation knows no reasons. */
export function abortReason(signal: AbortSignal): unknown {
  if (signal.reason !== undefined) return signal.reason
  return Object.assign(new Error('This operation was aborted'), { name: 'AbortError', code: 'ABORT_ERR' })
}

/** A controller, also in a bare `vm` context, which has no class of that name. */
export function newAbortController(): AbortController {
  return globalThis.AbortController === undefined
    ? util.transferableAbortController()
    : new globalThis.AbortController()
}

/** A controller whose signal any number of calls listen to at the same time: more than ten are no leak. */
export function newSharedAbortController(): AbortController {
  const controller = newAbortController()
  try {
    setMaxListeners(0, controller.signal)
  } catch {
    // A signal of another realm: it does not count them.
  }
  return controller
}

/** A signal that aborts as soon as one of the signals does. Call `release` when it is no longer needed. */
export interface LinkedSignal {
  readonly signal: AbortSignal
  /** Removes its listeners from the signals: a long-lived signal would keep them all. */
  release(): void
}

export function linkSignals(...signals: readonly (AbortSignal | undefined)[]): LinkedSignal {
  const controller = newAbortController()
  const sources = signals.filter(signal => signal !== undefined)
  const listeners = sources.map(source => () => controller.abort(abortReason(source)))
  const release = (): void => {
    for (const [i, source] of sources.entries()) source.removeEventListener('abort', listeners[i]!)
  }
  for (const [i, source] of sources.entries()) {
    source.addEventListener('abort', listeners[i]!, { once: true })
    if (source.aborted) controller.abort(abortReason(source))
  }
  return { signal: controller.signal, release }
}

/**
 * Runs `action` with a signal that aborts as soon as one of the signals does; not at all if one has aborted already.
 */
export async function withSignals<T>(
  signals: readonly (AbortSignal | undefined)[],
  action: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal, release } = linkSignals(...signals)
  try {
    throwIfAborted(signal)
    return await action(signal)
  } finally {
    release()
  }
}

/** Settles as the promise does, or rejects at once with the signal's reason: the promise itself goes on. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const settle = (action: () => void): void => {
      signal.removeEventListener('abort', onAbort)
      action()
    }
    const onAbort = (): void => settle(() => reject(abortReason(signal) as Error))
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort)
    promise.then(
      value => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    )
  })
}

/** Runs `action` while the mutex is held; a signal ends the wait for it. */
export async function runExclusive<T>(
  mutex: Mutex,
  signal: AbortSignal | undefined,
  action: () => Promise<T>,
): Promise<T> {
  const acquired = mutex.acquire()
  let release: () => void
  try {
    release = await unlessAborted(acquired, signal)
  } catch (error) {
    // Its turn still comes, and passes.
    void acquired.then(release => release())
    throw error
  }
  try {
    throwIfAborted(signal)
    return await action()
  } finally {
    release()
  }
}
