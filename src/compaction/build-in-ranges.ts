/**
 * Builds the bucket file of a bulk load out of spills, on several threads: each builds the pages of a range of keys,
 * this one writes them.
 *
 * The file is written front to back; a range for each thread is in memory at a time, 8 MiB each. Somebody waits for a
 * bulk load; background merges leave the other processors to the program. docs/architecture.md, Bulk load.
 */
import { PageBuilder, type BuiltPages } from '../bucket-file/page-builder.js'
import { BucketFileWriter } from '../bucket-file/writer.js'
import { ALL_KEYS } from '../columns/key-range.js'
import type { FileSystem } from '../io/file-system.js'
import { resolve } from '../merge/resolve.js'
import { SpillInput } from '../spill/input.js'
import { splitRange } from '../spill/spill.js'
import type { BuildJob, CompactionControl, CompactionResult, Executor, RangeJob } from './job.js'

/** Bytes of spills that a range shall have, about; its pages have as many. */
const RANGE_BYTES = 2 ** 23
/** Room for the pages of a range, at first, of what its records take in the spills. */
const ROOM = 1.05

/** Rejects as {@link Executor.run} does, and removes the partial output then. */
export async function buildInRanges(
  fileSystem: FileSystem,
  executor: Executor,
  job: BuildJob,
  control: CompactionControl,
  rangeBytes = RANGE_BYTES,
): Promise<CompactionResult> {
  const ranges = splitRange(job.spills, job.layout.keyLaneCount, ALL_KEYS, rangeBytes)
  /** Ranges that are being built or wait to be written, in their order. */
  const building: Promise<BuiltPages>[] = []
  let running = 0
  const startMore = (): void => {
    while (ranges.length > 0 && running < executor.threads && building.length <= executor.threads) {
      running++
      const built = executor.build({ ...job, range: ranges.shift()! }, control).finally(() => {
        running--
        startMore()
      })
      // Met where its turn comes, or not at all where an earlier one has failed.
      built.catch(() => {})
      building.push(built)
    }
  }
  let writer: BucketFileWriter | undefined
  try {
    startMore()
    while (building.length > 0) {
      const built = await building[0]!
      building.shift()
      startMore()
      if (built.pages === 0) continue
      writer ??= await BucketFileWriter.create({ fileSystem, ...job, ...job.output, deletes: [] })
      await writer.addBuilt(built)
    }
    const entry = await writer?.finish()
    const bytesWritten = writer?.writtenBytes ?? 0
    writer = undefined
    if (entry !== undefined) await fileSystem.syncDirectory(job.directory)
    const { firstSequence, endSequence } = job.output
    return { entry, bytesWritten, operationsRead: endSequence - firstSequence }
  } finally {
    ranges.length = 0
    await Promise.allSettled(building)
    await writer?.abandon()
  }
}

/** Builds the pages of the job's range; writes nothing. Rejects as `runCompaction` does. */
export async function buildRange(
  fileSystem: FileSystem,
  job: RangeJob,
  { signal }: CompactionControl,
  pause: () => Promise<void> | void,
): Promise<BuiltPages> {
  const { layout, pageBytes, replace, output } = job
  const input = new SpillInput({ fileSystem, ...job })
  const builder = new PageBuilder(layout, pageBytes, output.filterBitsPerRecord)
  let bytes = new Uint8Array(pageBytes * Math.ceil((ROOM * input.bytes) / pageBytes))
  const build = (last: boolean): void => {
    for (;;) {
      const at = builder.pages * pageBytes
      if (at === bytes.byteLength) {
        const grown = new Uint8Array(at + pageBytes * Math.ceil(at / pageBytes / 4 + 1))
        grown.set(bytes)
        bytes = grown
      }
      if (!builder.build(bytes.subarray(at, at + pageBytes), last)) return
    }
  }
  try {
    while (await input.next(builder.room())) {
      signal?.throwIfAborted()
      if (replace) resolve(builder.room(), { keyLaneCount: layout.keyLaneCount, replace, keepDeletes: false })
      build(false)
      await pause()
    }
    build(true)
    return { ...builder.built(), bytes: bytes.subarray(0, builder.pages * pageBytes) }
  } finally {
    await input.close()
  }
}
