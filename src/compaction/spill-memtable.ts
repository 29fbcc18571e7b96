/** Sets a memtable aside in a spill: the first step of a bulk load. docs/architecture.md, Bulk load. */
import type { FileSystem } from '../io/file-system.js'
import { Memtable } from '../memtable/memtable.js'
import type { Spill } from '../spill/spill.js'
import { writeSpill } from '../spill/writer.js'
import type { CompactionControl, SpillJob } from './job.js'

/** Rejects as `runCompaction` does, and removes the spill then. */
export function spillMemtable(
  fileSystem: FileSystem,
  job: SpillJob,
  { signal }: CompactionControl,
  pause: () => Promise<void> | void,
): Promise<Spill> {
  return writeSpill({ fileSystem, ...job }, Memtable.fromImage(job.layout, job.memtable), async () => {
    signal?.throwIfAborted()
    await pause()
  })
}
