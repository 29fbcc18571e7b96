/** Runs compactions on the calling thread, a chunk at a time: for the simulated file system, and where no worker can start. */
import type { FileSystem } from '../io/file-system.js'
import { nextTurn } from '../turns.js'
import { buildRange } from './build-in-ranges.js'
import type { Executor } from './job.js'
import { runCompaction } from './run.js'
import { spillMemtable } from './spill-memtable.js'

export function inlineExecutor(fileSystem: FileSystem): Executor {
  return {
    threads: 1,
    run: (job, control) => runCompaction(fileSystem, job, control, nextTurn),
    spill: (job, control) => spillMemtable(fileSystem, job, control, nextTurn),
    build: (job, control) => buildRange(fileSystem, job, control, nextTurn),
    endIdle: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
}
