/**
 * Runs compactions in worker threads, so that the event loop goes on: one for seals and, beside it, one for merges.
 *
 * Threads start when they are needed. They keep the process alive only while they run a job; a thread that dies fails
 * its job, and the compactor poisons the table.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { CompactionControl, Executor } from './job.js'
import { errorOf, type FromWorker, type Outcome, type Task, type ToWorker } from './worker-protocol.js'
import { workerScript } from './worker-script.js'

/** Threads for work that somebody waits for: beyond so many the disk is what it waits for. */
const THREADS_MAX = 4

export function workerExecutor(workerUrl: URL = workerScript()): Executor {
  const idle: Worker[] = []
  const ended = new WeakSet<Worker>()
  const start = (): Worker => {
    // Flags of the program are not for this thread: with --input-type or a preloaded module it might not even start.
    const worker = new Worker(workerUrl, { execArgv: [] })
    worker.once('exit', () => ended.add(worker)).once('error', () => ended.add(worker))
    return worker
  }
  /** An idle worker that has not died meanwhile: a dead one would never answer. */
  const take = (): Worker | undefined => {
    for (;;) {
      const worker = idle.pop()
      if (worker === undefined || !ended.has(worker)) return worker
    }
  }
  const perform = async <T extends Task>(
    task: T,
    control: CompactionControl,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Outcome<T>> => {
    control.signal?.throwIfAborted()
    const worker = take() ?? start()
    worker.ref()
    try {
      return await performIn(worker, task, transfer, control)
    } finally {
      worker.unref()
      if (ended.has(worker)) await worker.terminate()
      else idle.push(worker)
    }
  }
  return {
    threads: Math.min(THREADS_MAX, availableParallelism()),
    run: (job, control) => perform({ kind: 'run', job }, control),
    spill: (job, control) => perform({ kind: 'spill', job }, control),
    build: (job, control) => {
      const transfer = job.spareChunks.map(({ buffer }) => buffer)
      return perform({ kind: 'build', job }, control, transfer)
    },
    async close() {
      await Promise.all(idle.splice(0).map(worker => worker.terminate()))
    },
  }
}

/** Performs one task in an idle worker, which takes over the memory of `transfer`. */
function performIn<T extends Task>(
  worker: Worker,
  task: T,
  transfer: readonly ArrayBuffer[],
  { signal, onProgress }: CompactionControl,
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
        case 'progress':
          onProgress?.(message.operations)
          break
        case 'done':
          settle(() => resolve(message.result as Outcome<T>))
          break
        case 'failed':
          settle(() => reject(signal?.aborted === true ? signal.reason : errorOf(message.failure)))
          break
      }
    }
    // An uncaught error ends the thread; it is not given another job.
    const onError = (error: unknown): void => settle(() => reject(error))
    const onExit = (code: number): void =>
      settle(() => reject(new Error(`the compaction thread ended with exit code ${code}`)))
    worker.on('message', onMessage).on('error', onError).on('exit', onExit)
    signal?.addEventListener('abort', onAbort)
    post(task, transfer)
  })
}
