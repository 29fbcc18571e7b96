/** Sets a memtable aside in spills: the first step of a bulk load. docs/architecture.md, Bulk load. */
import type { FileSystem } from '../io/file-system.js'
import { Memtable } from '../memtable/memtable.js'
import type { Spill } from '../spill/spill.js'
import { writeSpills } from '../spill/writer.js'
import type { CompactionControl, SpillJob } from './job.js'

/** Rejects as `runCompaction` does, and removes the spills then. */
export function spillMemtable(
  fileSystem: FileSystem,
  job: SpillJob,
  { signal }: CompactionControl,
  pause: () => Promise<void> | void,
): Promise<Spill[]> {
  const { layout, scratch } = job
  const memtable = Memtable.fromImage(layout, job.memtable)
  const room = new Memtable(layout, memtable.capacity, 0, scratch)
  return writeSpills({ fileSystem, ...job, scratch: room.lanes }, memtable, async () => {
    signal?.throwIfAborted()
    await pause()
  })
}
