/** Sets a memtable aside in spills: the first step of a bulk load. docs/internals.md, Bulk load. */
import { throwIfAborted } from '../async/abort.js'
import type { FileSystem } from '../io/file-system.js'
import { meteredFileSystem } from '../io/metered-file-system.js'
import type { CompactionControl, SpillJob } from '../jobs/job.js'
import { Memtable } from '../memtable/memtable.js'
import { SealInput } from '../memtable/seal-input.js'
import { resolve } from '../merge/resolve.js'
import { DeleteWhereIndex } from '../records/delete-where-index.js'
import { OperationBuffer } from '../records/operations.js'
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
  const { layout, target } = job
  const given = Memtable.fromImage(layout, job.memtable)
  const scratch = Memtable.fromImage(layout, job.scratch)
  const isCombined = layout.combine !== undefined
  if (isCombined) await combineInto(scratch, given, pause)
  const [memtable, { lanes }] = isCombined ? [scratch, given] : [given, scratch]
  if (target.kind === 'memory') return spillToMemory(layout, memtable, lanes, target.shares)
  const pieces = splitIntoPieces(layout, memtable, lanes, true)
  const metered = meteredFileSystem(fileSystem, onWritten)
  return writeSpills({ fileSystem: metered, ...job, ...target }, lanes, pieces, async () => {
    throwIfAborted(signal)
    await pause()
  })
}

/** Appends the rows to an empty memtable, the records of each key as one, so that less is set aside. */
async function combineInto(
  empty: Memtable,
  rows: Memtable,
  pause: () => Promise<void> | void,
): Promise<void> {
  const { layout } = rows
  const input = new SealInput(rows, {
    deletes: new DeleteWhereIndex(layout),
    before: Infinity,
    replace: false,
  })
  const part = new OperationBuffer(layout)
  for (; await input.next(part); part.clear()) {
    resolve(part, { layout, replace: false, keepDeletes: false })
    empty.append(part, 0, part.count)
    await pause()
  }
  await input.close()
}
