/** How a reader moves on to newer states: when it is asked, and of a published table from time to time. */
import { newAbortController, unlessAborted } from '../async/abort.js'
import { FlashTableError } from '../base/errors.js'
import { invalidOption } from '../options/arguments.js'
import type { Environment } from './environment.js'
import { openReader } from './open-reader.js'
import type { TableParts } from './table-parts.js'
import type { RefreshOptions } from './table-types.js'

/** The session of the reader. */
export interface RefreshingSession {
  /** The current parts. */
  parts(): TableParts
  /** Reads that begin from now on see these. */
  replace(parts: TableParts): void
  /** Makes a close of the table wait for the promise. */
  track<T>(promise: Promise<T>): Promise<T>
  readonly environment: Environment
}

export class Refreshing {
  readonly #session: RefreshingSession
  readonly #closing = newAbortController()
  #running: Promise<void> | undefined

  constructor(session: RefreshingSession) {
    this.#session = session
  }

  /**
   * Moves on to the newest state. `atLeast`: of a published table, a version. Rejects with `FLASHTABLE_READ_ONLY` for a
   * writer, `_UNAVAILABLE`, and as an open.
   */
  async refresh({ atLeast = 0, signal }: RefreshOptions): Promise<void> {
    const { writer, remote } = this.#session.parts()
    if (writer !== undefined) {
      throw new FlashTableError(
        'FLASHTABLE_READ_ONLY',
        'refresh() is for tables opened with readOnly; a writer sees every put',
      )
    }
    if (atLeast > 0 && remote?.follows !== true)
      throw invalidOption('refresh: atLeast is for a table that openRemote has opened at its newest version')
    if (atLeast > 0 && remote!.version >= atLeast) return
    await unlessAborted(this.once(), signal)
    if (atLeast === 0 || remote!.version >= atLeast) return
    // It may have begun before the call.
    await unlessAborted(this.once(), signal)
    if (remote!.version >= atLeast) return
    throw new FlashTableError(
      'FLASHTABLE_UNAVAILABLE',
      `the newest version of ${remote!.url} is ${remote!.version}, and ${atLeast} was asked for: ` +
        'it counts when its publish has resolved',
    )
  }

  /** One refresh, which all callers share that come while it runs. `gone`: an object that a read has not found. */
  once(gone?: string): Promise<void> {
    this.#running ??= this.#refresh(gone).finally(() => (this.#running = undefined))
    return this.#running
  }

  /** Looks for a newer version of a published table from time to time, until {@link stop}. Never rejects. */
  async follow(): Promise<void> {
    const { environment, parts } = this.#session
    const ms = parts().remote?.intervalMs
    if (ms === undefined) return
    const { signal } = this.#closing
    for (;;) {
      await environment.wait(ms, signal)
      if (signal.aborted) return
      // Told by `stats()`. The next one may succeed.
      await this.#session.track(this.once()).catch(() => {})
    }
  }

  stop(): void {
    this.#closing.abort()
    this.#session.parts().remote?.stop()
  }

  async #refresh(gone: string | undefined): Promise<void> {
    const before = this.#session.parts()
    const { directory, options, latency, remote, state } = before
    // The signal was for the open.
    const reopening = { ...options, signal: undefined }
    const parts =
      remote === undefined
        ? await openReader(directory, reopening, this.#session.environment, latency, { previous: before })
        : await remote.moveOn(before, gone)
    if (parts === before) return
    this.#session.replace(parts)
    await state.close()
  }
}
