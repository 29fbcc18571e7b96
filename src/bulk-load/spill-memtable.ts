/** Sets a memtable aside in spills: the first step of a bulk load. docs/internals.md, Bulk load. */
import { throwIfAborted } from '../async/abort.js'
import type { FileSystem } from '../io/file-system.js'
import { meteredFileSystem } from '../io/metered-file-system.js'
import type { CompactionControl, SpillJob } from '../jobs/job.js'
import { Memtable } from '../memtable/memtable.js'
import { spillToMemory } from '../spill/memory-spill.js'
import { splitIntoPieces } from '../spill/pieces.js'
import type { Spill } from '../spill/spill.js'
import { writeSpills } from '../spill/writer.js'

/** Rejects as `runCompaction` does, and removes the files then. */
export async function spillMemtable(
  fileSystem: FileSystem,
  job: SpillJob,
  { signal, onWritten }: CompactionControl,
  pause: () => Promise<void> | void,
): Promise<Spill[]> {
  const { layout, scratch, target } = job
  const memtable = Memtable.fromImage(layout, job.memtable)
  const { lanes } = Memtable.fromImage(layout, scratch)
  if (target.kind === 'memory') return spillToMemory(layout, memtable, lanes, target.shares)
  const pieces = splitIntoPieces(layout, memtable, lanes, true)
  const metered = meteredFileSystem(fileSystem, onWritten)
  return writeSpills({ fileSystem: metered, ...job, ...target }, lanes, pieces, async () => {
    throwIfAborted(signal)
    await pause()
  })
}
