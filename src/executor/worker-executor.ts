/**
 * Runs the compactions of a table in the worker threads of the process, so that the event loop goes on.
 *
 * A job for which no thread can be started runs on the calling thread, a chunk at a time.
 */
import { isPassing } from '../base/errors.js'
import { nodeFileSystem } from '../io/node-file-system.js'
import type { CompactionControl, CompactionJob, Executor } from '../jobs/job.js'
import { inlineExecutor } from './inline-executor.js'
import { NoThread, warnOfNoThreads, whyNoThreads } from './thread.js'
import { WorkerPool, type JobKind } from './worker-pool.js'
import type { Outcome, Task } from './worker-protocol.js'

/** A merge that reads no more than this is as short as a seal: an open may wait for it. */
const SHORT_MERGE_BYTES = 64 * 2 ** 20

const processPool = new WorkerPool()

/** Worker threads, or the calling thread if it is known that there can be none. */
export function newExecutor(): Executor {
  const reason = whyNoThreads()
  if (reason === undefined) return workerExecutor()
  warnOfNoThreads(reason)
  return inlineExecutor(nodeFileSystem)
}

export function workerExecutor(pool: WorkerPool = processPool): Executor {
  const inline = inlineExecutor(nodeFileSystem)
  const owner = pool.join()
  const running = new Set<Promise<unknown>>()
  const perform = async <T extends Task>(
    kind: JobKind,
    task: T,
    control: CompactionControl,
    onThisThread: () => Promise<Outcome<T>>,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Outcome<T>> => {
    const outcome = pool.perform(owner, kind, task, control, transfer).catch((error: unknown) => {
      // If something is lacking for a moment, the caller waits and tries again.
      if (!(error instanceof NoThread) || isPassing(error)) throw error
      warnOfNoThreads(error.message)
      return onThisThread()
    })
    running.add(outcome)
    try {
      return await outcome
    } finally {
      running.delete(outcome)
    }
  }
  return {
    threads: pool.threads,
    run: (job, control) =>
      perform(kindOf(job), { kind: 'run', job }, control, () => inline.run(job, control)),
    spill: (job, control) =>
      perform('short', { kind: 'spill', job }, control, () => inline.spill(job, control)),
    build: (job, control) => {
      const transfer = job.spareChunks.map(({ buffer }) => buffer)
      // The thread has taken over the memory, although it could not begin.
      const onThisThread = () => inline.build({ ...job, spareChunks: [] }, control)
      return perform('short', { kind: 'build', job }, control, onThisThread, transfer)
    },
    endIdle: () => pool.endIdle(),
    async close() {
      await Promise.allSettled(running)
      await pool.leave(owner)
    },
  }
}

function kindOf({ files, pageBytes }: CompactionJob): JobKind {
  const pages = files.reduce((sum, file) => sum + (file.memory === undefined ? file.pages : 0), 0)
  return pages * pageBytes <= SHORT_MERGE_BYTES ? 'short' : 'long'
}
