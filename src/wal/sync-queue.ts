/**
 * The syncs of the log: when one runs, and who waits for it. The writer says what it covers.
 *
 * At most one runs at a time. Calls that come before it begins share it; those that come later wait for the next one.
 * Appends go on during a sync. docs/durability.md, Order of writes.
 */
import { newDeferred } from '../async/deferred.js'
import type { Deferred } from '../async/deferred.js'
import { assert } from '../base/assert.js'
import { diskError, hasCode } from '../base/errors.js'
import type { Latency } from '../base/latency.js'
import type { Poison } from '../base/poison.js'
import type { DirectoryHandle, FileHandle } from '../io/file-system.js'

/** What one sync makes durable. */
export interface SyncCover {
  /** Files of the segments, oldest first: nothing counts as synced before everything older is. */
  readonly handles: readonly FileHandle[]
  /** The directory, if an entry in it is new. The queue closes it. */
  readonly directory: DirectoryHandle | undefined
  /** Every operation below this sequence number is durable afterwards. */
  readonly endSequence: number
}

export interface SyncQueueOptions {
  /** Everything below it is durable already. */
  readonly syncedSequence: number
  /**
   * Called when a sync begins: returns what it covers. All of it has been written, and later writes go to other pages.
   * Throws if nothing can be synced now.
   */
  readonly beginSync: () => SyncCover
  readonly poison: Poison
  /** Rejects if the directory is not the one that was opened: then what goes into its segments is lost. */
  readonly checkHome: () => Promise<void>
  readonly latency: Latency | undefined
}

export class SyncQueue {
  readonly #options: SyncQueueOptions
  #syncedSequence: number
  /** For the calls that wait for a sync that has not begun. */
  #request: Deferred | undefined
  /** The sync in flight. Never rejects. */
  #running: Promise<void> | undefined
  #held = false

  constructor(options: SyncQueueOptions) {
    this.#options = options
    this.#syncedSequence = options.syncedSequence
  }

  /** Everything below it is durable. */
  get syncedSequence(): number {
    return this.#syncedSequence
  }

  /** Everything below `sequence` is durable, without a sync (bulk load). A sync may be in flight. */
  skipTo(sequence: number): void {
    assert(sequence >= this.#syncedSequence, 'what is durable stays durable')
    this.#syncedSequence = sequence
  }

  /** The sync in flight, if there is one. Never rejects. */
  get running(): Promise<void> | undefined {
    return this.#running
  }

  /** Waits until no sync runs and none is asked for. Never rejects. */
  async idle(): Promise<void> {
    while (this.#running !== undefined || this.#request !== undefined) {
      await (this.#running ?? this.#request?.promise.catch(() => {}))
    }
  }

  /** Resolves when a sync has ended that began after this call. */
  request(): Promise<void> {
    if (this.#request === undefined) {
      this.#request = newDeferred()
      // The calls of this moment share the sync.
      void Promise.resolve().then(() => this.#beginNext())
    }
    return this.#request.promise
  }

  /** No sync begins until {@link release}: a frame is being written, and a sync would cover half of it. */
  hold(): void {
    assert(!this.#held, 'one append at a time holds back the syncs')
    this.#held = true
  }

  /** Begins a sync at once if one is asked for: appends that follow without a pause must not keep it waiting forever. */
  release(): void {
    this.#held = false
    this.#beginNext()
  }

  /** Begins the sync that was asked for, unless one runs or syncs are held back. Called again at the end of either. */
  #beginNext(): void {
    const request = this.#request
    if (request === undefined || this.#held || this.#running !== undefined) return
    this.#request = undefined
    this.#running = this.#sync()
      .then(request.resolve, request.reject)
      .then(() => {
        this.#running = undefined
        this.#beginNext()
      })
  }

  async #sync(): Promise<void> {
    const { poison, beginSync, checkHome, latency } = this.#options
    poison.check()
    const startMs = latency?.now() ?? 0
    const cover = beginSync()
    assert(cover.endSequence >= this.#syncedSequence, 'what is durable stays durable')
    // Runs beside the syncs, which take longer.
    const home = checkHome()
    home.catch(() => {})
    await this.#syncFiles(cover)
    try {
      await home
    } catch (error) {
      // If the directory could not be checked, nothing is in doubt: the next sync checks again.
      if (!hasCode(error, 'FLASHTABLE_MOVED'))
        throw diskError(error, 'cannot check the directory of the synced log')
      throw poison.latch(error)
    }
    // A bulk load may have moved it further meanwhile.
    this.#syncedSequence = Math.max(this.#syncedSequence, cover.endSequence)
    latency?.syncs.add(latency.now() - startMs)
  }

  /** After a failure nobody knows what is on the disk. It is latched: the kernel would report success the next time. */
  async #syncFiles({ handles, directory }: SyncCover): Promise<void> {
    try {
      for (const handle of handles) await handle.sync()
      await directory?.sync()
    } catch (error) {
      throw this.#options.poison.latch(diskError(error, 'cannot sync the log'))
    } finally {
      await directory?.close().catch(() => {})
    }
  }
}
