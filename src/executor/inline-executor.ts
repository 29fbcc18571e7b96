/**
 * Runs compactions on the calling thread, a chunk at a time: for the simulated file system, and if no worker can start.
 */
import { nextTurn } from '../async/turns.js'
import { buildRange } from '../bulk-load/build-file.js'
import { spillMemtable } from '../bulk-load/spill-memtable.js'
import { runCompaction } from '../compaction/run.js'
import type { FileSystem } from '../io/file-system.js'
import { jobFileSystem } from '../jobs/guarded-executor.js'
import type { Executor } from '../jobs/job.js'

/** `keyRows`: as in `MergeOptions`. */
export function inlineExecutor(fileSystem: FileSystem, keyRows?: number): Executor {
  return {
    threads: 1,
    run: (job, control) => runCompaction(jobFileSystem(fileSystem, job), job, control, nextTurn, keyRows),
    spill: (job, control) => spillMemtable(jobFileSystem(fileSystem, job), job, control, nextTurn),
    build: (job, control) => buildRange(jobFileSystem(fileSystem, job), job, control, nextTurn),
    endIdle: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
}
