/** Runs compactions on the calling thread, a chunk at a time: for the simulated file system, and where no worker can start. */
import { setImmediate } from 'node:timers'
import type { FileSystem } from '../io/file-system.js'
import { buildRange } from './build-in-ranges.js'
import { jobFileSystem } from './guarded-executor.js'
import type { Executor } from './job.js'
import { runCompaction } from './run.js'
import { spillMemtable } from './spill-memtable.js'

export function inlineExecutor(fileSystem: FileSystem): Executor {
  const pause = (): Promise<void> => new Promise(resolve => void setImmediate(resolve))
  return {
    threads: 1,
    run: (job, control) => runCompaction(jobFileSystem(fileSystem, job), job, control, pause),
    spill: (job, control) => spillMemtable(jobFileSystem(fileSystem, job), job, control, pause),
    build: (job, control) => buildRange(jobFileSystem(fileSystem, job), job, control, pause),
    endIdle: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
}
