/** Runs compactions on the calling thread, a chunk at a time: for the simulated file system, and where no worker can start. */
import type { FileSystem } from '../io/file-system.js'
import { nextTurn } from '../turns.js'
import { buildRange } from './build-in-ranges.js'
import { jobFileSystem } from './guarded-executor.js'
import type { Executor } from './job.js'
import { runCompaction } from './run.js'
import { spillMemtable } from './spill-memtable.js'

export function inlineExecutor(fileSystem: FileSystem): Executor {
  return {
    threads: 1,
    run: (job, control) => runCompaction(jobFileSystem(fileSystem, job), job, control, nextTurn),
    spill: (job, control) => spillMemtable(jobFileSystem(fileSystem, job), job, control, nextTurn),
    build: (job, control) => buildRange(jobFileSystem(fileSystem, job), job, control, nextTurn),
    endIdle: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
}
