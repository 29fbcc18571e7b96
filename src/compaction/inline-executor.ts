/** Runs compactions on the calling thread, a chunk at a time: for the simulated file system, and where no worker can start. */
import { setImmediate } from 'node:timers'
import type { FileSystem } from '../io/file-system.js'
import { buildRange } from './build-in-ranges.js'
import type { Executor } from './job.js'
import { runCompaction } from './run.js'
import { spillMemtable } from './spill-memtable.js'

export function inlineExecutor(fileSystem: FileSystem): Executor {
  const pause = (): Promise<void> => new Promise(resolve => void setImmediate(resolve))
  return {
    threads: 1,
    run: (job, control) => runCompaction(fileSystem, job, control, pause),
    spill: (job, control) => spillMemtable(fileSystem, job, control, pause),
    build: (job, control) => buildRange(fileSystem, job, control, pause),
    endIdle: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
}
