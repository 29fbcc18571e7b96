/** Runs the compactions of a table in the worker threads of the process, so that the event loop goes on. */
import type { CompactionControl, CompactionJob, Executor } from './job.js'
import type { Outcome, Task } from './worker-protocol.js'
import { WorkerPool, type JobKind } from './worker-pool.js'

/** A merge that reads so little is as short as a seal: an open may wait for it. */
const SHORT_MERGE_BYTES = 64 * 2 ** 20

const processPool = new WorkerPool()

export function workerExecutor(pool: WorkerPool = processPool): Executor {
  const owner = pool.join()
  const running = new Set<Promise<unknown>>()
  const perform = async <T extends Task>(
    kind: JobKind,
    task: T,
    control: CompactionControl,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Outcome<T>> => {
    const outcome = pool.perform(owner, kind, task, control, transfer)
    running.add(outcome)
    try {
      return await outcome
    } finally {
      running.delete(outcome)
    }
  }
  return {
    threads: pool.threads,
    run: (job, control) => perform(kindOf(job), { kind: 'run', job }, control),
    spill: (job, control) => perform('short', { kind: 'spill', job }, control),
    build: (job, control) => {
      const transfer = job.spareChunks.map(({ buffer }) => buffer)
      return perform('short', { kind: 'build', job }, control, transfer)
    },
    endIdle: () => pool.endIdle(),
    async close() {
      await Promise.allSettled(running)
      await pool.leave(owner)
    },
  }
}

function kindOf({ files, pageBytes }: CompactionJob): JobKind {
  const pages = files.reduce((sum, file) => sum + file.pages, 0)
  return pages * pageBytes <= SHORT_MERGE_BYTES ? 'short' : 'long'
}
