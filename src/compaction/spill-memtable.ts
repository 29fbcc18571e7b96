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
  const { layout, scratch } = job
  const memtable = Memtable.fromImage(layout, job.memtable)
  const room = new Memtable(layout, memtable.capacity, 0, scratch)
  return writeSpill({ fileSystem, ...job, scratch: room.lanes }, memtable, async () => {
    signal?.throwIfAborted()
    await pause()
  })
}
