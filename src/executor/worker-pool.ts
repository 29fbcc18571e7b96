/**
 * The worker threads of a process, shared by all of its tables: as many as there are processors, four at most.
 *
 * Threads start when they are needed, and end when nobody has needed them for some seconds, or when the last table is
 * closed. They keep the process alive only while they run a job. A thread that dies fails only its own job.
 *
 * Invariant: no long job, of any table, keeps a short one waiting: two threads are left for short jobs. Nor do short
 * jobs, however many, keep all long ones from running: if no long job runs, a waiting one gets the next thread. Among
 * jobs of a kind the tables take turns.
 */
import { availableParallelism } from 'node:os'
import { clearTimeout, setTimeout } from 'node:timers'
import type { Worker } from 'node:worker_threads'
import { abortReason, throwIfAborted } from '../async/abort.js'
import type { CompactionControl } from '../jobs/job.js'
import { NoThread, startThread } from './thread.js'
import { errorOf, type FromWorker, type Outcome, type Task, type ToWorker } from './worker-protocol.js'

/** More threads do not help: the disk is the bottleneck. */
const THREADS_MAX = 4
/** Threads that long jobs leave to short ones: one for a seal, and one for a flush. */
const SHORT_THREADS = 2
const THREADS_MIN = SHORT_THREADS + 1
/** A thread that has had no job for this long ends, and its memory goes back to the system. */
const IDLE_MS = 5000

/** `short`: somebody waits for it, as for a seal or a flush. `long`: a merge, which may take minutes. */
export type JobKind = 'short' | 'long'

/** A job that waits for a thread. */
interface Waiting {
  readonly owner: Owner
  readonly kind: JobKind
  /** Calls `free` when the thread is done with the job, before the outcome is reported. */
  readonly begin: (worker: Worker, free: () => void) => void
  readonly fail: (reason: unknown) => void
}

/** One user of the shared threads. */
export interface Owner {
  /** The turn at which it got its last thread. */
  lastTurn: number
}

interface WorkerPoolOptions {
  readonly startWorker: () => Worker
  readonly processors: number
  readonly idleMs: number
}

export class WorkerPool {
  /** How many jobs are worth running at once if nothing else wants the processors. */
  readonly threads: number
  readonly #threadsMax: number
  readonly #options: WorkerPoolOptions
  readonly #owners = new Set<Owner>()
  /** Threads without a job, and the timers that end them; the one used last comes last. */
  readonly #idle = new Map<Worker, NodeJS.Timeout>()
  /** Threads that have not ended. */
  readonly #alive = new Set<Worker>()
  #waiting: Waiting[] = []
  /** Jobs that have a thread, by kind. */
  readonly #running = { short: 0, long: 0 }
  #turn = 0

  constructor(options: Partial<WorkerPoolOptions> = {}) {
    this.#options = {
      startWorker: startThread,
      processors: availableParallelism(),
      idleMs: IDLE_MS,
      ...options,
    }
    this.threads = Math.min(THREADS_MAX, this.#options.processors)
    this.#threadsMax = Math.max(THREADS_MIN, this.threads)
  }

  /** Adds a user of the threads. */
  join(): Owner {
    const owner = { lastTurn: 0 }
    this.#owners.add(owner)
    return owner
  }

  /** Ends all threads when the last one leaves. Requires: no job of the owner waits or runs. */
  async leave(owner: Owner): Promise<void> {
    this.#owners.delete(owner)
    if (this.#owners.size === 0) await this.endIdle()
  }

  /** Ends the threads that have no job. */
  async endIdle(): Promise<void> {
    await Promise.all([...this.#idle.keys()].map(worker => this.#end(worker)))
  }

  /**
   * Runs the task in a thread as soon as there is one for it. The thread takes over the memory of `transfer`. Rejects
   * with `signal.reason` when aborted, at once if the task has not begun; with {@link NoThread} if there is no thread.
   */
  perform<T extends Task>(
    owner: Owner,
    kind: JobKind,
    task: T,
    control: CompactionControl,
    transfer: readonly ArrayBuffer[],
  ): Promise<Outcome<T>> {
    const { signal } = control
    return new Promise<Outcome<T>>((resolve, reject) => {
      throwIfAborted(signal)
      const onAbort = (): void => {
        this.#forget(waiting)
        reject(abortReason(signal!) as Error)
      }
      const waiting: Waiting = {
        owner,
        kind,
        begin(worker, free) {
          signal?.removeEventListener('abort', onAbort)
          performIn(worker, task, transfer, control).finally(free).then(resolve, reject)
        },
        fail(reason) {
          signal?.removeEventListener('abort', onAbort)
          reject(reason as Error)
        },
      }
      signal?.addEventListener('abort', onAbort)
      this.#waiting.push(waiting)
      this.#giveOut()
    })
  }

  /** Gives threads to waiting jobs, as long as there are any. */
  #giveOut(): void {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      let worker: Worker | undefined
      try {
        worker = this.#take()
      } catch (error) {
        // A running thread will become free. If none runs, nothing would ever tell that one can be started.
        if (this.#alive.size > 0) return
        this.#forget(next)
        next.fail(new NoThread(error))
        continue
      }
      if (worker === undefined) return
      this.#forget(next)
      next.owner.lastTurn = ++this.#turn
      this.#run(next, worker)
    }
  }

  #forget(waiting: Waiting): void {
    this.#waiting = this.#waiting.filter(other => other !== waiting)
  }

  /** The job that gets the next thread. */
  #next(): Waiting | undefined {
    const { short, long } = this.#running
    const longMay = long < this.#threadsMax - SHORT_THREADS
    // Else a table whose seals keep all threads busy would never merge. The short ones have a thread already.
    const longFirst = long === 0 && short > 0
    const kinds: JobKind[] = longFirst ? ['long', 'short'] : longMay ? ['short', 'long'] : ['short']
    for (const kind of kinds) {
      const next = longestWaiting(this.#waiting.filter(waiting => waiting.kind === kind))
      if (next !== undefined) return next
    }
    return undefined
  }

  #run(job: Waiting, worker: Worker): void {
    this.#running[job.kind]++
    worker.ref()
    job.begin(worker, () => {
      worker.unref()
      this.#running[job.kind]--
      if (this.#alive.has(worker)) this.#putAside(worker)
      this.#giveOut()
    })
  }

  /** A thread without a job, or a new one; `undefined` if there are as many as there may be. */
  #take(): Worker | undefined {
    const idle = [...this.#idle.keys()].at(-1)
    if (idle !== undefined) {
      clearTimeout(this.#idle.get(idle))
      this.#idle.delete(idle)
      return idle
    }
    return this.#alive.size < this.#threadsMax ? this.#start() : undefined
  }

  #start(): Worker {
    const worker = this.#options.startWorker()
    this.#alive.add(worker)
    const onEnd = (): void => {
      this.#alive.delete(worker)
      clearTimeout(this.#idle.get(worker))
      this.#idle.delete(worker)
    }
    // It may be reported as failed long before it ends; it gets no more jobs.
    worker.once('error', onEnd).once('exit', () => {
      onEnd()
      this.#giveOut()
    })
    return worker
  }

  #putAside(worker: Worker): void {
    const timer = setTimeout(() => void this.#end(worker), this.#options.idleMs)
    timer.unref()
    this.#idle.set(worker, timer)
  }

  async #end(worker: Worker): Promise<void> {
    clearTimeout(this.#idle.get(worker))
    this.#idle.delete(worker)
    await worker.terminate()
  }
}

/** The job whose owner has gone longest without a thread; of one owner, the job that came first. */
function longestWaiting(jobs: readonly Waiting[]): Waiting | undefined {
  let longest = jobs[0]
  for (const job of jobs) if (job.owner.lastTurn < longest!.owner.lastTurn) longest = job
  return longest
}

/** Threads whose script has been loaded. The others have not touched their job yet. */
const begun = new WeakSet<Worker>()

/** Performs one task in an idle worker, which takes over the memory of `transfer`. */
function performIn<T extends Task>(
  worker: Worker,
  task: T,
  transfer: readonly ArrayBuffer[],
  { signal, onProgress, onWritten }: CompactionControl,
): Promise<Outcome<T>> {
  return new Promise<Outcome<T>>((resolve, reject) => {
    const post = (message: ToWorker, transfer: readonly ArrayBuffer[] = []): void =>
      worker.postMessage(message, transfer)
    const onAbort = (): void => post({ kind: 'abort' })
    const settle = (action: () => void): void => {
      signal?.removeEventListener('abort', onAbort)
      worker.off('message', onMessage).off('error', onError).off('exit', onExit)
      action()
    }
    const onMessage = (message: FromWorker): void => {
      switch (message.kind) {
        case 'begun':
          begun.add(worker)
          break
        case 'progress':
          onProgress?.(message.operations)
          break
        case 'written':
          onWritten?.(message.bytes)
          break
        case 'done':
          settle(() => resolve(message.result as Outcome<T>))
          break
        case 'failed':
          settle(() => reject(signal?.aborted === true ? abortReason(signal) : errorOf(message.failure)))
          break
      }
    }
    // An uncaught error ends the thread; it is not given another job. Until it has ended, it owns the memory that it
    // reads.
    let failure: { readonly error: unknown } | undefined
    const onError = (error: unknown): void => void (failure ??= { error })
    const onExit = (code: number): void => {
      const error = failure?.error ?? new Error(`the compaction thread ended with exit code ${code}`)
      settle(() => reject(begun.has(worker) ? error : new NoThread(error)))
    }
    worker.on('message', onMessage).on('error', onError).on('exit', onExit)
    signal?.addEventListener('abort', onAbort)
    try {
      post(task, transfer)
    } catch (error) {
      settle(() => reject(error))
    }
  })
}
