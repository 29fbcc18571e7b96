/**
 * A replica: keeps a published table a few seconds behind an open one. docs/api.md, replicate; docs/internals.md, Replicas.
 */
import {
  abortReason,
  newAbortController,
  throwIfAborted,
  unlessAborted,
  withSignals,
} from '../async/abort.js'
import { keepAlive } from '../async/keep-alive.js'
import { FlashTableError, hasCode, messageOf } from '../base/errors.js'
import { optionalSignal, readOptions, refuseExtra } from '../options/arguments.js'

/** What a replica needs of its table. */
export interface ReplicaParts {
  readonly url: string
  readonly intervalMs: number
  /** Sees what was put before: by calls that still run, or by another process. */
  readonly look: () => Promise<void>
  /** Everything put before this sequence number is in the table now. */
  readonly sequence: () => number
  /** Tells a state of the table from others; of one that was published before nothing is sent. */
  readonly stamp: () => string
  /** Publishes the newest state. `isFirst`: nothing was published by this replica yet. */
  readonly publish: (signal: AbortSignal, isFirst: boolean) => Promise<ReplicatedVersion>
  /** Releases what the publishes have used. */
  readonly release: () => Promise<void>
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>
  readonly now: () => number
}

/** A version that a replica has published, and the stamp of its state. */
export interface ReplicatedVersion {
  readonly version: number
  readonly sequence: number
  readonly stamp: string
}

/** How far a replica is. */
export interface ReplicaStatus {
  readonly url: string
  /** The newest version that it has published. */
  readonly version: number
  /** Everything put before this sequence number is in it. */
  readonly sequence: number
  /** Operations that are not in it. */
  readonly lagRecords: number
  /** How long ago the state that it has was the newest, in milliseconds; 0 if it still is. */
  readonly lagMs: number
  /** Why the last attempt has failed; `undefined`: it has not. It is tried again, unless the replica has ended. */
  readonly failure: string | undefined
  /** `true`: nothing is published any more: closed, or another writer has taken over. */
  readonly ended: boolean
}

/** The wait after a failure doubles up to that. */
const WAIT_MS_MAX = 60_000
/** After these nothing can succeed. */
const FINAL = ['FLASHTABLE_FENCED', 'FLASHTABLE_POISONED', 'FLASHTABLE_MOVED', 'FLASHTABLE_NOT_OPEN']

/** What `table.replicate` gives. */
export class Replica {
  readonly #parts: ReplicaParts
  /** Aborts when it has ended: publishes that still run are given up. */
  readonly #closing = newAbortController()
  /** Aborts when a call of `close` does not want to wait for the last publish any longer. */
  readonly #hurry = newAbortController()
  /** Publishes that have begun, and the one that begins when it has ended. */
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  #published: ReplicatedVersion | undefined
  /** When the newest state was published, or was seen to be. */
  #upToDateMs = 0
  #failure: unknown
  #ended = false
  #closed: Promise<void> | undefined
  #looping: Promise<void> = Promise.resolve()

  private constructor(parts: ReplicaParts) {
    this.#parts = parts
  }

  /**
   * Publishes the state of this moment, and goes on. `signals`: end that first publish.
   *
   * @internal
   */
  static async start(
    parts: ReplicaParts,
    signals: readonly (AbortSignal | undefined)[] = [],
  ): Promise<Replica> {
    const replica = new Replica(parts)
    try {
      await withSignals(signals, async signal => {
        try {
          await replica.#publish(signal)
        } catch (error) {
          throwIfAborted(signal)
          throw error
        }
      })
    } catch (error) {
      replica.#ended = true
      await parts.release()
      throw error
    }
    replica.#looping = replica.#loop()
    return replica
  }

  /**
   * Resolves when everything put before the call is in the store. Calls that wait at the same time share a publish. Rejects
   * with `FLASHTABLE_FENCED` if another writer has taken over, `_UNAVAILABLE` if the store cannot be reached (it is tried
   * again at the next interval), `_NOT_OPEN` after a close, or `signal.reason`.
   */
  async sync(options?: { readonly signal?: AbortSignal | undefined }, ...extra: never[]): Promise<void> {
    refuseExtra('sync', extra)
    const { signal } = readOptions('sync', options, { signal: optionalSignal })
    if (this.#closed !== undefined) throw this.#notOpen()
    if (this.#ended) throw this.#failure
    await keepAlive(unlessAborted(this.#turn(), signal))
  }

  /** How far it is. Costs nothing. */
  status(...extra: never[]): ReplicaStatus {
    refuseExtra('status', extra)
    const { url, sequence, stamp, now } = this.#parts
    const published = this.#published!
    // After a failure it may be that nobody has looked.
    const isNewest = this.#failure === undefined && stamp() === published.stamp
    return {
      url,
      version: published.version,
      sequence: published.sequence,
      lagRecords: Math.max(0, sequence() - published.sequence),
      lagMs: isNewest ? 0 : Math.max(0, now() - this.#upToDateMs),
      failure: this.#failure === undefined ? undefined : messageOf(this.#failure),
      ended: this.#ended,
    }
  }

  /**
   * Publishes what is new for the last time, and ends. Idempotent; the signal of any call ends the wait of all of them. Rejects
   * with what kept that from succeeding, or with `signal.reason`; it has ended in any case.
   */
  async close(options?: { readonly signal?: AbortSignal | undefined }, ...extra: never[]): Promise<void> {
    refuseExtra('close', extra)
    const { signal } = readOptions('close', options, { signal: optionalSignal })
    // After the arguments: a call that is refused closes nothing.
    this.#closed ??= this.#close()
    const hurry = (): void => this.#hurry.abort(abortReason(signal!))
    signal?.addEventListener('abort', hurry)
    if (signal?.aborted === true) hurry()
    try {
      await this.#closed
    } finally {
      signal?.removeEventListener('abort', hurry)
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /**
   * Where it publishes.
   *
   * @internal
   */
  get url(): string {
    return this.#parts.url
  }

  /**
   * Whether nothing is published any more.
   *
   * @internal
   */
  get hasEnded(): boolean {
    return this.#ended
  }

  async #close(): Promise<void> {
    try {
      if (!this.#ended) await keepAlive(unlessAborted(this.#turn(), this.#hurry.signal))
    } finally {
      this.#ended = true
      // Who still waits for a publish is told that.
      this.#closing.abort(this.#notOpen())
      await this.#looping
      await this.#running?.catch(() => {})
      await this.#parts.release()
    }
  }

  /** A publish that begins after the call. */
  #turn(): Promise<void> {
    if (this.#running === undefined) return this.#begin()
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined
        return this.#begin()
      })
    return this.#next
  }

  #begin(): Promise<void> {
    const running = this.#publish(this.#closing.signal).finally(() => {
      if (this.#running === running) this.#running = undefined
    })
    this.#running = running
    return running
  }

  async #publish(signal: AbortSignal): Promise<void> {
    const { look, stamp, publish, now } = this.#parts
    if (this.#ended) throw this.#closed === undefined ? this.#failure : this.#notOpen()
    const beganMs = now()
    try {
      await look()
      if (this.#published === undefined || stamp() !== this.#published.stamp)
        this.#published = await publish(signal, this.#published === undefined)
      this.#failure = undefined
      this.#upToDateMs = beganMs
    } catch (error) {
      if (!signal.aborted) this.#failure = error
      if (FINAL.some(code => hasCode(error, code))) this.#ended = true
      throw error
    }
  }

  #notOpen(): FlashTableError {
    return new FlashTableError('FLASHTABLE_NOT_OPEN', `the replica in ${this.#parts.url} is closed`)
  }

  /** Never rejects. */
  async #loop(): Promise<void> {
    const { intervalMs, wait } = this.#parts
    const { signal } = this.#closing
    for (let failures = 0; !this.#ended;) {
      await wait(failures === 0 ? intervalMs : backoff(intervalMs, failures), signal)
      if (signal.aborted || this.#ended) return
      // Told by `status()`.
      await this.#turn().then(
        () => (failures = 0),
        () => failures++,
      )
    }
  }
}

function backoff(intervalMs: number, failures: number): number {
  return Math.max(intervalMs, Math.min(WAIT_MS_MAX, intervalMs * 2 ** Math.min(failures, 20)))
}
