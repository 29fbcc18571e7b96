/**
 * Background jobs of one kind, one at a time: the compactor has a queue of seals, one of flushes and one of merges, so that
 * neither of the first two waits for a long merge. Others can hold a queue, so that none of its jobs runs meanwhile. docs/internals.md, Compaction.
 */
import { Mutex } from 'async-mutex'
import { runExclusive } from '../async/abort.js'

/** What a job lacks: room on the disk; or descriptors, memory, threads. */
export type Lacking = 'space' | 'resources'

export class JobQueue {
  /** Why the last job was put off; `budget`: more was written than `writeBudget` allows. */
  waitingFor: Lacking | 'budget' | undefined
  readonly #mutex = new Mutex()
  readonly #runDue: () => Promise<void>
  #running: Promise<void> | undefined
  /** Something may have become due since the run began. */
  #again = false

  /** `runDue`: runs jobs while some are due. Never rejects. */
  constructor(runDue: () => Promise<void>) {
    this.#runDue = runDue
  }

  /** Whether a job runs or somebody holds the queue. */
  get isHeld(): boolean {
    return this.#mutex.isLocked()
  }

  /** Runs what is due; if that runs already, it looks once more. */
  wake(): void {
    this.#again = true
    this.#running ??= this.#run()
  }

  /** Resolves when nothing is due any more. */
  async finished(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#again) {
      this.#again = false
      await this.#runDue()
    }
    this.#running = undefined
  }

  /** Runs `action` while no other job of the queue runs; a signal ends the wait for that. */
  hold<T>(action: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return runExclusive(this.#mutex, signal, action)
  }
}
