/**
 * Background jobs of one kind, one at a time: the compactor has a queue of seals and a queue of merges, so that no seal
 * waits for a long merge. Others can hold a queue, so that none of its jobs runs meanwhile. docs/internals.md, Compaction.
 */
import { Mutex } from 'async-mutex'
import { runExclusive } from '../async/abort.js'

/** What a job waits for: room on the disk; or descriptors, memory, threads. */
export type Lacking = 'space' | 'resources'

export class JobQueue {
  /** Why the last job was put off. */
  waitingFor: Lacking | undefined
  readonly #mutex = new Mutex()
  readonly #runDue: () => Promise<void>
  #running: Promise<void> | undefined

  /** `runDue`: runs jobs while some are due. Never rejects. */
  constructor(runDue: () => Promise<void>) {
    this.#runDue = runDue
  }

  /** Whether a job runs or somebody holds the queue. */
  get isHeld(): boolean {
    return this.#mutex.isLocked()
  }

  /** Runs what is due, unless it is running already. */
  wake(): void {
    this.#running ??= this.#runDue().finally(() => (this.#running = undefined))
  }

  /** Resolves when nothing is due any more. */
  async finished(): Promise<void> {
    await this.#running
  }

  /** Runs `action` while no other job of the queue runs; a signal ends the wait for that. */
  hold<T>(action: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return runExclusive(this.#mutex, signal, action)
  }
}
