/** Runs compactions on the calling thread, a chunk at a time: for the simulated file system, and where no worker can start. */
import type { FileSystem } from '../io/file-system.js'
import type { Executor } from './job.js'
import { runCompaction } from './run.js'

export function inlineExecutor(fileSystem: FileSystem): Executor {
  return {
    run: (job, control) =>
      runCompaction(fileSystem, job, control, () => new Promise(resolve => void setImmediate(resolve))),
    close: () => Promise.resolve(),
  }
}
