/**
 * Merges bucket files into one on several threads: each builds the pages of a range of keys, this one writes them.
 *
 * For bulk loads, which somebody waits for: on two processors about 1.5 times as fast as one thread. Background merges
 * leave the other processors to the program. The file still is written front to back; a few ranges are in memory at a
 * time, 8 MiB each. docs/architecture.md, Bulk load.
 */
import type { BuiltPages } from '../bucket-file/page-builder.js'
import { BucketFile } from '../bucket-file/reader.js'
import { BucketFileWriter } from '../bucket-file/writer.js'
import { assert } from '../assert.js'
import { compareKeys } from '../columns/compare.js'
import type { KeyRange } from '../columns/key-range.js'
import type { FileSystem } from '../io/file-system.js'
import type { CompactionControl, CompactionJob, CompactionResult, Executor } from './job.js'
import { operationsIn } from './run.js'

/** Bytes of data pages that a range shall have, about. */
const RANGE_BYTES = 2 ** 23
/** First keys of pages that are looked at for each range: so a range is rarely much larger than the others. */
const SAMPLES_A_RANGE = 32

/**
 * Runs a merge whose inputs are files alone, the oldest among them. Rejects as {@link Executor.run} does, and removes
 * the partial output then.
 */
export async function mergeInRanges(
  fileSystem: FileSystem,
  executor: Executor,
  job: CompactionJob,
  control: CompactionControl,
  rangeBytes = RANGE_BYTES,
): Promise<CompactionResult> {
  assert(job.memtables.length === 0 && job.includesOldest, 'ranges are merged from files, all there are')
  const ranges = await splitKeys(fileSystem, job, rangeBytes)
  const building: Promise<BuiltPages>[] = []
  let next = 0
  const startNext = (): void => {
    if (next === ranges.length) return
    const built = executor.build({ ...job, range: ranges[next++]! }, control)
    // Met where its turn comes, or not at all where an earlier one has failed.
    built.catch(() => {})
    building.push(built)
  }
  let writer: BucketFileWriter | undefined
  try {
    for (let thread = 0; thread < executor.threads; thread++) startNext()
    while (building.length > 0) {
      const built = await building.shift()!
      startNext()
      if (built.pages === 0) continue
      writer ??= await BucketFileWriter.create({ fileSystem, ...job, ...job.output, deletes: [] })
      await writer.addBuilt(built)
    }
    const entry = await writer?.finish()
    const bytesWritten = writer?.writtenBytes ?? 0
    writer = undefined
    if (entry !== undefined) await fileSystem.syncDirectory(job.directory)
    return { entry, bytesWritten, operationsRead: operationsIn(job) }
  } finally {
    await Promise.allSettled(building)
    await writer?.abandon()
  }
}

/** Ranges that together are all keys, ascending. */
async function splitKeys(
  fileSystem: FileSystem,
  job: CompactionJob,
  rangeBytes: number,
): Promise<KeyRange[]> {
  const pages = job.files.reduce((sum, file) => sum + file.pages, 0)
  const ranges = Math.ceil((pages * job.pageBytes) / rangeBytes)
  const step = Math.max(1, Math.floor(pages / (ranges * SAMPLES_A_RANGE)))
  const samples: Uint32Array[] = []
  for (const entry of job.files) {
    const file = await BucketFile.open({ ...job, fileSystem, withFilter: false }, entry)
    for (let page = 0; page < file.footer.dataPages; page += step) samples.push(file.firstKeyOf(page))
    await file.close()
  }
  samples.sort(compareKeys)
  const bounds: Uint32Array[] = []
  for (let range = 1; range < ranges; range++) {
    const bound = samples[Math.floor((range * samples.length) / ranges)]!
    if (bounds.length === 0 || compareKeys(bounds.at(-1)!, bound) < 0) bounds.push(bound)
  }
  return Array.from({ length: bounds.length + 1 }, (_, i) => ({
    lower: bounds[i - 1],
    upper: bounds[i],
    upperExclusive: true,
  }))
}
