/**
 * Runs jobs on the calling thread as a thread of its own would: later, and beside other calls. Each waits before it begins,
 * between its steps, and before its end is reported, for a number of turns of the event loop that the seed chooses.
 */
import { buildRange } from '../../src/bulk-load/build-file.js'
import { spillMemtable } from '../../src/bulk-load/spill-memtable.js'
import { runCompaction } from '../../src/compaction/run.js'
import type { FileSystem } from '../../src/io/file-system.js'
import type { CompactionControl, Executor } from '../../src/jobs/job.js'
import { Random } from './random.js'

/** Jobs that run at once. */
const THREADS = 2
/** Turns that a job waits in its queue at most: no time, some steps of others, or so long that memtables come and go. */
const QUEUE_TURNS_MAX = [4, 40, 400]
/** Turns between two steps. */
const STEP_TURNS_MAX = 4

/** Jobs that have not ended, by disk. */
const running = new WeakMap<FileSystem, number>()

/** Whether a job of the disk has not ended. */
export function hasJobs(disk: FileSystem): boolean {
  return (running.get(disk) ?? 0) > 0
}

/** `keyRows`: as in `MergeOptions`. */
export function laterExecutor(fileSystem: FileSystem, seed: number, keyRows?: number): Executor {
  const random = new Random(seed)
  const turns = async (most: number): Promise<void> => {
    for (let left = random.between(0, most); left > 0; left--)
      await new Promise(resolve => void setImmediate(resolve))
  }
  const pause = (): Promise<void> => turns(STEP_TURNS_MAX)
  const later = <Job, Result>(
    work: (
      fileSystem: FileSystem,
      job: Job,
      control: CompactionControl,
      pause: () => Promise<void>,
      keyRows?: number,
    ) => Promise<Result>,
  ) => {
    return async (job: Job, control: CompactionControl): Promise<Result> => {
      running.set(fileSystem, (running.get(fileSystem) ?? 0) + 1)
      try {
        await turns(random.pick(QUEUE_TURNS_MAX))
        return await work(fileSystem, job, control, pause, keyRows)
      } finally {
        await pause()
        running.set(fileSystem, running.get(fileSystem)! - 1)
      }
    }
  }
  return {
    threads: THREADS,
    run: later(runCompaction),
    spill: later(spillMemtable),
    build: later(buildRange),
    endIdle: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
}
