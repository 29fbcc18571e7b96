/**
 * Opens what is on disk: manifest, bucket files, log - and makes it a table that can be written again.
 *
 * After a clean end the log's records go back into the memtable and their segments stay. After any other end they are
 * written to bucket files first: they may have been in the page cache only, and to sync them again would prove nothing
 * (ATC'20). Small files, and those of which a merge is overdue, are merged on the way. Then a manifest with the next
 * epoch is installed. Everything before that is repeatable. docs/durability.md, Recovery.
 */
import { throwIfAborted } from '../async/abort.js'
import { FlashTableError, corruption, diskError, hasCode } from '../base/errors.js'
import type { Poison } from '../base/poison.js'
import { BucketFile, type BucketFileOptions } from '../bucket-file/reader.js'
import { FilesAtOpen } from '../compaction/files-at-open.js'
import {
  MANIFEST_NAME,
  MANIFEST_TEMPORARY_NAME,
  bucketName,
  parseFileName,
  spillName,
  walName,
} from '../io/file-names.js'
import type { FileSystem } from '../io/file-system.js'
import type { Jobs } from '../jobs/jobs.js'
import type { BucketFileEntry } from '../manifest/bucket-file-entry.js'
import { countingItself, type Manifest } from '../manifest/manifest.js'
import type { SegmentInfo } from '../manifest/segment-info.js'
import { installManifest, loadManifest } from '../manifest/store.js'
import type { Memtable } from '../memtable/memtable.js'
import { countPuts, type Operations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { newMemtable, type MemtablePoolOptions } from '../state/memtable-pool.js'
import type { MemtableHandle } from '../state/version.js'
import { replayLog, type ReplayBatch } from '../wal/replay.js'
import { SPARES_MAX } from '../wal/writer.js'

/** So many closed segments are not kept for a further life: their records go to a bucket file. */
const CLOSED_SEGMENTS_MAX = 8
/** A reader that finds the table changed under its hands starts over so often. */
const READER_ATTEMPTS = 50

export interface RecoveryOptions extends BucketFileOptions, MemtablePoolOptions {
  /** Ends the recovery, wherever it is. */
  readonly signal?: AbortSignal | undefined
}

/** What the table consists of after recovery. */
export interface Recovered {
  readonly manifest: Manifest
  readonly files: readonly BucketFile[]
  /** Oldest first; of a reader only. */
  readonly sealed: readonly MemtableHandle[]
  readonly active: MemtableHandle
  /** Segment files that may be written over. */
  readonly spares: readonly number[]
  /** Operations of the log, and bytes of the bucket files that were written of them. */
  readonly replayed: { readonly operations: number; readonly bytesWritten: number }
}

export interface WriterRecovery {
  readonly jobs: Jobs
  readonly poison: Poison
  readonly replace: boolean
  readonly filterBitsPerRecord: number
  readonly fanout: number
}

/** The files of a directory, by what they are. */
interface Listing {
  readonly wals: readonly number[]
  readonly buckets: readonly number[]
  /** Always orphans. */
  readonly spills: readonly number[]
  readonly temporaryManifest: boolean
  /** A repair was interrupted, or is running. */
  readonly unfinished: boolean
}

/** Lists the files of a table. Rejects with `FLASHTABLE_IO_ERROR`. */
export async function listTable(fileSystem: FileSystem, directory: string): Promise<Listing> {
  const wals: number[] = []
  const buckets: number[] = []
  const spills: number[] = []
  let temporaryManifest = false
  let unfinished = false
  const names = await fileSystem.list(directory).catch((error: unknown) => {
    throw diskError(error, `${directory} cannot be listed`)
  })
  for (const name of names) {
    const file = parseFileName(name)
    if (file?.kind === 'wal') wals.push(file.number)
    else if (file?.kind === 'bucket') buckets.push(file.number)
    else if (file?.kind === 'spill') spills.push(file.number)
    else if (file?.kind === 'manifest-temporary') temporaryManifest = true
    else if (file?.kind === 'manifest-unfinished') unfinished = true
  }
  for (const numbers of [wals, buckets, spills]) numbers.sort((a, b) => a - b)
  return { wals, buckets, spills, temporaryManifest, unfinished }
}

/**
 * Recovers the table for its writer and installs a manifest with the next epoch.
 *
 * Throws `FLASHTABLE_CORRUPTION`, `_DISK_FULL` or `_IO_ERROR`; the table is then as it was. Crash: at any call, the
 * next recovery does the same again.
 */
export async function recoverWriter(
  options: RecoveryOptions,
  manifest: Manifest,
  writer: WriterRecovery,
): Promise<Recovered> {
  const { fileSystem, directory, signal } = options
  const listing = await listTable(fileSystem, directory)
  const log = await replay(options, manifest, listing)
  await removeOrphans(options, manifest, listing)
  const fits = log.memtables.length <= 1 && manifest.log.closed.length < CLOSED_SEGMENTS_MAX
  const keepLog = manifest.clean && fits
  const epoch = manifest.epoch + 1
  const nextNumber = 1 + Math.max(manifest.nextFileNumber - 1, ...listing.wals, ...listing.buckets)
  const atOpen = new FilesAtOpen({ ...options, ...writer, epoch }, manifest.files, nextNumber)
  if (!keepLog) await atOpen.writeLog(log.memtables, { signal })
  await atOpen.mergeOverdue({ signal })
  const { entries, bytesWritten: bucketBytes, nextNumber: nextFileNumber } = atOpen
  const replayed = keepLog ? log.memtables[0] : undefined
  const active = replayed ?? newMemtable(options, log.endSequence)
  const next = countingItself({
    ...manifest,
    epoch,
    files: entries,
    log: { closed: keepLog ? manifest.log.closed : [], firstSegment: nextFileNumber },
    firstLogSequence: active.memtable.firstSequence,
    nextSequence: log.endSequence,
    nextFileNumber,
    clean: false,
    counters: {
      ...countersWith(manifest, log, options.layout),
      // Of jobs that have failed too.
      bucketBytes: manifest.counters.bucketBytes + writer.jobs.bytesWritten,
    },
  })
  const files = await openFiles(options, entries)
  try {
    throwIfAborted(signal)
    await installManifest(fileSystem, directory, next, writer.poison)
    const live = new Set(next.log.closed.map(segment => segment.number))
    const retired = listing.wals.filter(number => !live.has(number))
    const gone = [...retired.slice(SPARES_MAX).map(walName), ...atOpen.replaced.map(bucketName)]
    // What cannot be removed is tried again by the next open.
    for (const name of gone) await fileSystem.unlink(`${directory}/${name}`).catch(() => {})
    return {
      manifest: next,
      files,
      sealed: [],
      active,
      spares: retired.slice(0, SPARES_MAX),
      replayed: { operations: log.endSequence - manifest.firstLogSequence, bytesWritten: bucketBytes },
    }
  } catch (error) {
    await closeFiles(files)
    throw error
  }
}

/**
 * Opens the table for reading, changes nothing and takes no lock: manifest, files, log, and the manifest once more. If
 * a writer may have written over the log meanwhile, all starts over; only under an unchanged manifest is something
 * damaged.
 */
export async function recoverReader(
  optionsFor: (manifest: Manifest) => RecoveryOptions,
  fileSystem: FileSystem,
  directory: string,
): Promise<Recovered & { readonly options: RecoveryOptions }> {
  for (let attempt = 1; ; attempt++) {
    const manifest = await requireManifest(fileSystem, directory)
    const options = optionsFor(manifest)
    let opened: readonly BucketFile[] = []
    try {
      const recovered = await readOnce(options, manifest)
      opened = recovered.files
      const after = await requireManifest(fileSystem, directory)
      // A segment is written over only once an installed manifest has its records in bucket files: what was replayed up
      // to there, or beyond, was replayed whole. The bucket files are open, and may be gone from the directory.
      const whole = recovered.active.memtable.endSequence >= after.firstLogSequence
      if (whole && after.tableId === manifest.tableId) return { ...recovered, options }
      await closeFiles(opened)
    } catch (error) {
      await closeFiles(opened)
      throwIfAborted(options.signal)
      if (sameFiles(manifest, await requireManifest(fileSystem, directory)))
        throw diskError(error, `${directory} cannot be read`)
    }
    if (attempt === READER_ATTEMPTS) {
      throw new FlashTableError(
        'FLASHTABLE_IO_ERROR',
        `${directory} changed ${READER_ATTEMPTS} times while it was being opened for reading; try again`,
      )
    }
  }
}

/** The manifest; `FLASHTABLE_NOT_FOUND` where there is no table, `_CORRUPTION` where only its manifest is missing. */
export async function requireManifest(fileSystem: FileSystem, directory: string): Promise<Manifest> {
  const loaded = await loadManifest(fileSystem, directory)
  if (loaded !== undefined) return loaded.manifest
  const info = await fileSystem.info(directory).catch((error: unknown) => {
    throw diskError(error, `${directory} cannot be read`)
  })
  // A directory with files of a table that has lost its manifest is damaged, not empty.
  if (info?.kind === 'directory') await assertNoTableFiles(fileSystem, directory)
  throw new FlashTableError(
    'FLASHTABLE_NOT_FOUND',
    `there is no table in ${directory}: it has no ${MANIFEST_NAME}`,
  )
}

/** Whether nothing that a reader depends on changed between the two. */
export function sameFiles(before: Manifest, after: Manifest): boolean {
  return (
    before.tableId === after.tableId &&
    before.epoch === after.epoch &&
    before.log.firstSegment === after.log.firstSegment &&
    before.firstLogSequence === after.firstLogSequence &&
    JSON.stringify(before.files) === JSON.stringify(after.files)
  )
}

async function readOnce(options: RecoveryOptions, manifest: Manifest): Promise<Recovered> {
  const files = await openFiles(options, manifest.files)
  try {
    const listing = await listTable(options.fileSystem, options.directory)
    const log = await replay(options, manifest, listing)
    const active = log.memtables.pop() ?? newMemtable(options, log.endSequence)
    const operations = log.endSequence - manifest.firstLogSequence
    return {
      manifest: { ...manifest, counters: countersWith(manifest, log, options.layout) },
      files,
      sealed: log.memtables,
      active,
      spares: [],
      replayed: { operations, bytesWritten: 0 },
    }
  } catch (error) {
    await closeFiles(files)
    throw error
  }
}

async function openFiles(
  options: RecoveryOptions,
  entries: readonly BucketFileEntry[],
): Promise<BucketFile[]> {
  const files: BucketFile[] = []
  try {
    for (const entry of entries) {
      throwIfAborted(options.signal)
      files.push(await openFile(options, entry))
    }
    return files
  } catch (error) {
    await closeFiles(files)
    throw error
  }
}

async function openFile(options: RecoveryOptions, entry: BucketFileEntry): Promise<BucketFile> {
  try {
    return await BucketFile.open(options, entry)
  } catch (error) {
    const path = `${options.directory}/${bucketName(entry.number)}`
    if (hasCode(error, 'ENOENT')) {
      throw corruption(path, 0, 'the bucket file that the manifest names', 'no file', error)
    }
    throw diskError(error, `${path} cannot be opened`)
  }
}

async function closeFiles(files: readonly BucketFile[]): Promise<void> {
  for (const file of files) await file.close()
}

/** Removes what no manifest names: it was never part of the table, or is not any more. */
async function removeOrphans(options: RecoveryOptions, manifest: Manifest, listing: Listing): Promise<void> {
  const { fileSystem, directory } = options
  const named = new Set(manifest.files.map(file => file.number))
  const orphans = listing.buckets.filter(number => !named.has(number)).map(bucketName)
  orphans.push(...listing.spills.map(spillName))
  if (listing.temporaryManifest) orphans.push(MANIFEST_TEMPORARY_NAME)
  for (const name of orphans) {
    try {
      await fileSystem.unlink(`${directory}/${name}`)
    } catch (error) {
      throw diskError(error, `the orphan ${directory}/${name} cannot be removed`)
    }
  }
}

/** The log in memtables, none of them empty. */
interface LogInMemtables {
  readonly memtables: MemtableHandle[]
  readonly endSequence: number
  /** What the counters of the manifest do not know of: the log of an unclean end. */
  readonly unaccountedBytes: number
  readonly unaccountedRecords: number
}

/** The counters of the manifest, and what the log has that they do not know of. */
function countersWith(
  { counters }: Manifest,
  log: LogInMemtables,
  { recordBytes }: RecordLayout,
): Manifest['counters'] {
  return {
    ...counters,
    walBytes: counters.walBytes + log.unaccountedBytes,
    records: counters.records + log.unaccountedRecords,
    recordBytes: counters.recordBytes + log.unaccountedRecords * recordBytes,
  }
}

async function replay(
  options: RecoveryOptions,
  manifest: Manifest,
  listing: Listing,
): Promise<LogInMemtables> {
  const { closed, firstSegment } = manifest.log
  const closedNumbers = new Set(closed.map(segment => segment.number))
  const loader = new LogLoader(options)
  let unaccountedRecords = 0
  const log = await replayLog({
    ...options,
    closed,
    epoch: manifest.epoch,
    openSegments: listing.wals.filter(number => number >= firstSegment && !closedNumbers.has(number)),
    firstSequence: manifest.firstLogSequence,
    clean: manifest.clean,
    onBatch: (batch, segment) => {
      loader.load(batch, segment)
      // A batch may begin before the manifest and end behind it.
      unaccountedRecords += countPuts(batch.operations, manifest.nextSequence - batch.firstSequence)
    },
  })
  return {
    memtables: loader.memtables,
    endSequence: log.endSequence,
    unaccountedBytes: log.segments.reduce(
      (sum, segment) => sum + bytesBehind(segment, manifest.nextSequence),
      0,
    ),
    unaccountedRecords,
  }
}

/** The share of the segment's bytes that holds what came after the manifest. */
function bytesBehind(segment: SegmentInfo, sequence: number): number {
  const { firstSequence, endSequence, bytes } = segment
  if (endSequence <= sequence) return 0
  return Math.round(
    (bytes * (endSequence - Math.max(firstSequence, sequence))) / (endSequence - firstSequence),
  )
}

/** Fills memtables with what the log hands out; a new one begins where one is full. */
class LogLoader {
  readonly memtables: MemtableHandle[] = []
  readonly #options: RecoveryOptions

  constructor(options: RecoveryOptions) {
    this.#options = options
  }

  load({ operations, deletes, firstSequence }: ReplayBatch, segment: number): void {
    let from = 0
    for (const [i, entry] of deletes.entries()) {
      // Its sequence number tells how many operations stand before it.
      const position = entry.sequence - firstSequence - i
      this.#append(operations, from, position, firstSequence + from + i, segment)
      this.#last(entry.sequence, segment).appendDeleteWhere(entry)
      from = position
    }
    this.#append(operations, from, operations.count, firstSequence + from + deletes.length, segment)
  }

  #append(operations: Operations, from: number, to: number, sequence: number, segment: number): void {
    for (let row = from; row < to;) {
      const memtable = this.#last(sequence + row - from, segment)
      const end = Math.min(to, row + memtable.capacity - memtable.count)
      memtable.append(operations, row, end)
      row = end
    }
  }

  /** The memtable that takes the operation with this sequence number. */
  #last(sequence: number, segment: number): Memtable {
    let last = this.memtables.at(-1)
    if (last === undefined || last.memtable.count === last.memtable.capacity) {
      last = newMemtable(this.#options, sequence)
      this.memtables.push(last)
    }
    if (last.segments.at(-1) !== segment) last.segments.push(segment)
    return last.memtable
  }
}

/** Whether the directory holds files of a table although it has no manifest: then it is no place for a new one. */
export async function assertNoTableFiles(fileSystem: FileSystem, directory: string): Promise<void> {
  const { wals, buckets, unfinished } = await listTable(fileSystem, directory)
  if (unfinished) {
    const what = 'a finished table'
    throw corruption(
      `${directory}/${MANIFEST_NAME}`,
      0,
      what,
      'what an interrupted repair has left; remove the directory and repair again',
    )
  }
  if (wals.length + buckets.length === 0) return
  const name = buckets.length > 0 ? bucketName(buckets[0]!) : walName(wals[0]!)
  throw corruption(`${directory}/${MANIFEST_NAME}`, 0, `a manifest beside ${name}`, 'no file')
}
