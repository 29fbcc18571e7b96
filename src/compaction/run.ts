/**
 * Runs one compaction: sealed memtables and bucket files in, one bucket file out: on disk, synced with its directory entry,
 * or in memory.
 *
 * Crash: an output on disk is an orphan until a manifest names it. docs/internals.md, Compaction.
 */
import { throwIfAborted } from '../async/abort.js'
import { BucketInput } from '../bucket-file/input.js'
import { BucketFile } from '../bucket-file/reader.js'
import { BucketFileWriter } from '../bucket-file/writer.js'
import type { FileSystem } from '../io/file-system.js'
import { bucketName } from '../io/file-names.js'
import { MemoryFile } from '../io/memory-file.js'
import { meteredFileSystem } from '../io/metered-file-system.js'
import type { CompactionControl, CompactionJob, CompactionResult } from '../jobs/job.js'
import { Memtable } from '../memtable/memtable.js'
import { SealInput } from '../memtable/seal-input.js'
import { Merge } from '../merge/merge.js'
import type { SortedInput } from '../merge/sorted-input.js'
import { DeleteWhereIndex } from '../records/delete-where-index.js'
import type { Hiding } from '../records/hide-rows.js'
import { ALL_KEYS } from '../records/key-range.js'

/** Pages of the first read of an input: a merge reads every page, so it starts with large reads. */
const FIRST_READ_PAGES = 64
/** Rows of a step: their columns, and a sorted copy of them, fit the second-level cache. */
const STEP_ROWS = 2 ** 13

/**
 * Runs the job. Rejects with `signal.reason` when aborted, and otherwise with the failure; either way it removes the
 * partial output. `pause` is awaited after each batch, so that an event loop that the job shares can turn. `keyRows`: as in
 * `MergeOptions`.
 */
export async function runCompaction(
  fileSystem: FileSystem,
  job: CompactionJob,
  control: CompactionControl,
  pause: () => Promise<void> | void,
  keyRows?: number,
): Promise<CompactionResult> {
  let writer: BucketFileWriter | undefined
  const files = await openInputs(fileSystem, job)
  const merge = mergeOf(job, files, keyRows)
  try {
    const deletes = job.includesOldest ? [] : job.ownDeletes
    let operationsWritten = 0
    const metered = meteredFileSystem(fileSystem, control.onWritten)
    const inMemory = memoryOutput(job)
    const target = { fileSystem: metered, ...job, ...job.output, deletes }
    const createWriter = async () =>
      inMemory === undefined ? BucketFileWriter.create(target) : BucketFileWriter.inMemory(target, inMemory)
    if (deletes.length > 0) writer = await createWriter()
    for (;;) {
      throwIfAborted(control.signal)
      const rows = await merge.next()
      if (rows === undefined) break
      writer ??= await createWriter()
      await writer.add(rows)
      operationsWritten += rows.count
      control.onProgress?.(operationsWritten)
      await pause()
    }
    const entry = await writer?.finish()
    const bytesWritten = inMemory === undefined ? (writer?.writtenBytes ?? 0) : 0
    writer = undefined
    if (entry !== undefined && inMemory === undefined) await fileSystem.syncDirectory(job.directory)
    return { entry, memory: inMemory?.memory, bytesWritten, operationsRead: operationsIn(job) }
  } finally {
    await writer?.abandon()
    await merge.close()
    await closeAll(files)
  }
}

/** The output, if it is one in memory. */
function memoryOutput({ directory, output: { memory, number } }: CompactionJob): MemoryFile | undefined {
  return memory && new MemoryFile(`${directory}/${bucketName(number)} (in memory)`, memory)
}

async function openInputs(fileSystem: FileSystem, job: CompactionJob): Promise<BucketFile[]> {
  const files: BucketFile[] = []
  try {
    for (const { memory, ...entry } of job.files) {
      const options = { ...job, fileSystem }
      const file =
        memory === undefined ? BucketFile.open(options, entry) : BucketFile.inMemory(options, entry, memory)
      files.push(await file)
    }
    return files
  } catch (error) {
    await closeAll(files)
    throw error
  }
}

async function closeAll(files: readonly BucketFile[]): Promise<void> {
  for (const file of files) await file.close()
}

function mergeOf(job: CompactionJob, files: readonly BucketFile[], keyRows: number | undefined): Merge {
  return new Merge(inputsOf(job, files), {
    layout: job.layout,
    reverse: false,
    replace: job.replace,
    keepDeletes: !job.includesOldest,
    stepRows: STEP_ROWS,
    keyRows,
  })
}

function inputsOf(job: CompactionJob, files: readonly BucketFile[]): SortedInput[] {
  const { layout, pageBytes, replace } = job
  const hiding: Hiding = { deletes: new DeleteWhereIndex(layout, job.deletes), before: Infinity, replace }
  const fromFiles = files.map(
    file =>
      new BucketInput(file, {
        layout,
        pageBytes,
        range: ALL_KEYS,
        reverse: false,
        hiding,
        firstReadPages: FIRST_READ_PAGES,
      }),
  )
  const fromMemtables = job.memtables.map(image => new SealInput(Memtable.fromImage(layout, image), hiding))
  return [...fromFiles, ...fromMemtables]
}

/** The most operations that the job can read: the total of its progress. */
export function operationsIn(job: {
  readonly files: readonly { readonly records: number }[]
  readonly memtables: readonly { readonly count: number }[]
}): number {
  const inFiles = job.files.reduce((sum, file) => sum + file.records, 0)
  return job.memtables.reduce((sum, memtable) => sum + memtable.count, inFiles)
}
