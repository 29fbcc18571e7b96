/**
 * Builds the bucket file of a bulk load from spills, on several threads: each builds the pages of a range of keys, and
 * this one writes them.
 *
 * The file is written from front to back. A range has about 8 MiB, as pieces of spills and as pages. The ranges that
 * the threads build are in memory, and the pages of up to two that wait. Several threads are used because somebody
 * waits for the load; background merges leave the other processors to the program. docs/internals.md, Bulk load.
 */
import { throwIfAborted } from '../async/abort.js'
import { hintFreed } from '../base/gc-hint.js'
import { PageBuilder, type BuiltPages } from '../bucket-file/page-builder.js'
import { BucketFileWriter, WRITE_BYTES } from '../bucket-file/writer.js'
import type { FileSystem } from '../io/file-system.js'
import type { BuildJob, BuildResult, CompactionControl, Executor, RangeJob } from '../jobs/job.js'
import { resolve } from '../merge/resolve.js'
import { ALL_KEYS } from '../records/key-range.js'
import { SpillInput } from '../spill/input.js'
import { bytesInMemory } from '../spill/memory-spill.js'
import { rangeParts, type RangePart } from '../spill/range-parts.js'
import { endsBefore, mayHave } from '../spill/spill.js'
import { removeSpills } from '../spill/writer.js'

/** The target size of a range, in bytes of records. Its pages take no more. */
const RANGE_BYTES = 2 ** 23

interface BuildOptions {
  /** The approximate number of rows of a range. */
  readonly rangeRows?: number
  /** Called with pages that are written: others get their memory. */
  readonly memoryFreed?: ((memory: Uint8Array) => void) | undefined
}

/**
 * Removes each spill once all of its records are written, so that the disk need not have room for both. Ends idle
 * threads. Rejects as {@link Executor.run} does, and removes the partial output then.
 */
export async function buildInRanges(
  fileSystem: FileSystem,
  executor: Pick<Executor, 'threads' | 'build' | 'endIdle'>,
  job: BuildJob,
  control: CompactionControl,
  { rangeRows = RANGE_BYTES / job.layout.recordBytes, memoryFreed }: BuildOptions = {},
): Promise<BuildResult> {
  const parts = rangeParts(job.spills, job.layout, ALL_KEYS, rangeRows, job.replace)
  /** Parts that are being built or wait to be written, in their order. */
  const building: { part: RangePart; built: Promise<BuiltPages> }[] = []
  let running = 0
  let recordsWritten = 0
  /** Written, and free for other pages: memory that was never used costs more. */
  const spareChunks: Uint8Array<ArrayBuffer>[] = []
  const startMore = (): void => {
    while (parts.length > 0 && running < executor.threads && building.length <= executor.threads) {
      running++
      const part = parts.shift()!
      const { range } = part
      const spills = part.spills.filter(spill => mayHave(spill, range))
      const built = executor
        .build({ ...job, spills, range, spareChunks: spareChunks.splice(0) }, control)
        .finally(() => {
          running--
          startMore()
        })
      // A failure is reported when its turn comes, or not at all if an earlier one failed.
      built.catch(() => {})
      building.push({ part, built })
    }
  }
  const writer = await BucketFileWriter.create({ fileSystem, ...job, ...job.output, deletes: [] })
  try {
    startMore()
    while (building.length > 0) {
      const { part, built } = building[0]!
      const pages = await built
      building.shift()
      startMore()
      await writer.addBuilt(pages)
      recordsWritten += pages.counts.records
      control.onProgress?.(recordsWritten)
      for (const { buffer } of pages.chunks) {
        const chunk = new Uint8Array(buffer)
        memoryFreed?.(chunk)
        spareChunks.push(chunk)
      }
      if (part.isLast) await removeWritten(fileSystem, job, part)
    }
    // The system gets the memory of the threads, to take the rest of the file.
    await executor.endIdle()
    const entry = await writer.finish()
    await fileSystem.syncDirectory(job.directory)
    return { entry, bytesWritten: writer.writtenBytes }
  } catch (error) {
    // Builds that settle now start no more.
    parts.length = 0
    await Promise.allSettled(building.map(({ built }) => built))
    await writer.abandon()
    throw error
  }
}

/** Releases the spills that have no records after the range. */
async function removeWritten(fileSystem: FileSystem, job: BuildJob, { range }: RangePart): Promise<void> {
  const { directory, spills } = job
  const written = spills.filter(spill => endsBefore(spill, range.upper))
  spills.splice(0, spills.length, ...spills.filter(spill => !written.includes(spill)))
  hintFreed(bytesInMemory(written))
  await removeSpills(fileSystem, directory, written)
}

/** Builds the pages of the job's range; writes nothing. Rejects as `runCompaction` does. */
export async function buildRange(
  fileSystem: FileSystem,
  job: RangeJob,
  { signal }: CompactionControl,
  pause: () => Promise<void> | void,
): Promise<BuiltPages> {
  const { layout, pageBytes, replace, output } = job
  const isResolved = replace || layout.combine !== undefined
  const input = new SpillInput({ fileSystem, ...job })
  const builder = new PageBuilder(layout, pageBytes, output.filterBitsPerRecord)
  const chunks: Uint8Array<ArrayBuffer>[] = []
  const spareChunks = [...job.spareChunks]
  /** Bytes in the last chunk. */
  let filledBytes = WRITE_BYTES
  const build = (last: boolean): void => {
    for (;;) {
      if (filledBytes === WRITE_BYTES) {
        chunks.push(spareChunks.pop()?.fill(0) ?? new Uint8Array(WRITE_BYTES))
        filledBytes = 0
      }
      const page = chunks.at(-1)!.subarray(filledBytes, filledBytes + pageBytes)
      if (!builder.build(page, last)) return
      filledBytes += pageBytes
    }
  }
  try {
    for (;;) {
      const rows = builder.room()
      if (!(await input.next(rows))) break
      throwIfAborted(signal)
      // Rows left from the previous batch are already resolved and share no key with the new ones.
      if (isResolved) resolve(rows, { layout, replace, keepDeletes: false })
      build(false)
      await pause()
    }
    build(true)
    chunks.push(chunks.pop()!.subarray(0, filledBytes))
    return { ...builder.built(), chunks }
  } finally {
    await input.close()
  }
}
