/** Runs compactions on the calling thread, a chunk at a time: for the simulated file system, and where no worker can start. */
import type { FileSystem } from '../io/file-system.js'
import type { Executor } from './job.js'
import { buildRange, runCompaction } from './run.js'

export function inlineExecutor(fileSystem: FileSystem): Executor {
  const pause = (): Promise<void> => new Promise(resolve => void setImmediate(resolve))
  return {
    threads: 1,
    run: (job, control) => runCompaction(fileSystem, job, control, pause),
    build: (job, control) => buildRange(fileSystem, job, control, pause),
    close: () => Promise.resolve(),
  }
}
