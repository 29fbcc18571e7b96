/**
 * A copy of the table that can be opened: bucket files by hard links, memtables as bucket files of level 0.
 *
 * No log segment is copied: segments are overwritten while they are being read. Puts go on; only what installs a new
 * manifest waits while the links are made. docs/durability.md, Checkpoints.
 */
import { dirname } from 'node:path'
import { tableIdBytes, type BucketFileEntry } from './columns/bucket-file-entry.js'
import type { CompactionJob, Executor } from './compaction/job.js'
import { FlashTableError, codeOf, diskError } from './errors.js'
import { bucketName, parseFileName } from './io/file-names.js'
import type { FileSystem } from './io/file-system.js'
import { readFully, writeFully } from './io/transfer.js'
import type { Manifest } from './manifest/manifest.js'
import { installManifest } from './manifest/store.js'
import type { MemtableImage } from './memtable/memtable.js'
import { Poison, latchedReason } from './poison.js'
import type { TableState, View } from './state/table-state.js'

/** Bytes of one step of a copy. */
const COPY_BYTES = 2 ** 20

export interface CheckpointOptions {
  /** Of the copy. */
  readonly tableId: string
  readonly executor: Executor
  readonly filterBitsPerRecord: number
  readonly replace: boolean
  readonly counters: Manifest['counters']
}

/**
 * Writes a checkpoint of this moment into the new `directory`, an absolute path. Everything in it is synced.
 *
 * Rejects with `FLASHTABLE_EXISTS`, `_DISK_FULL`, `_IO_ERROR`; what was made is removed then. Crash: without its
 * manifest, which comes last, the directory is no table.
 */
export async function writeCheckpoint(
  state: TableState,
  directory: string,
  options: CheckpointOptions,
): Promise<void> {
  const { fileSystem } = state.options
  let topmost: string
  try {
    topmost = await makeNewDirectory(fileSystem, directory)
  } catch (error) {
    throw diskError(error, `the checkpoint ${directory} cannot be begun`)
  }
  try {
    await writeFiles(state, directory, options)
    await fileSystem.syncDirectory(dirname(directory))
  } catch (error) {
    await removeFiles(fileSystem, directory)
    await removeDirectories(fileSystem, directory, topmost)
    throw diskError(latchedReason(error), `the checkpoint ${directory} failed`)
  }
}

/** Returns the topmost directory that was made on the way. */
async function makeNewDirectory(fileSystem: FileSystem, directory: string): Promise<string> {
  const exists = (): FlashTableError =>
    new FlashTableError('FLASHTABLE_EXISTS', `a checkpoint needs a new directory: ${directory} exists`)
  if ((await fileSystem.info(directory)) !== undefined) throw exists()
  const topmost = await fileSystem.makeDirectory(directory).catch(async (error: unknown) => {
    // It may have been made all the same; a moment ago it was not there.
    await removeDirectories(fileSystem, directory, directory)
    throw error
  })
  // Somebody else was quicker.
  if (topmost === undefined) throw exists()
  return topmost
}

async function writeFiles(state: TableState, directory: string, options: CheckpointOptions): Promise<void> {
  const { fileSystem } = state.options
  let manifest: Manifest | undefined
  let sequence = 0
  let images: MemtableImage[] = []
  const entries: BucketFileEntry[] = []
  await state.holdFiles(async newest => {
    manifest = state.manifest
    sequence = newest.sequence
    images = imagesOf(newest)
    entries.push(...manifest.files.map(entry => ({ tableId: manifest!.tableId, ...entry })))
    await linkFiles(state, entries, directory)
  })
  let { nextFileNumber } = manifest!
  for (const image of images) {
    const entry = await writeMemtable(state, image, entries, directory, nextFileNumber++, options)
    if (entry !== undefined) entries.push(entry)
  }
  await fileSystem.syncDirectory(directory)
  const copy: Manifest = {
    ...manifest!,
    tableId: options.tableId,
    files: entries,
    log: { closed: [], firstSegment: nextFileNumber },
    firstLogSequence: sequence,
    nextSequence: sequence,
    nextFileNumber,
    clean: true,
    counters: options.counters,
  }
  await installManifest(fileSystem, directory, copy, new Poison())
}

/** Links while no install can remove files; copies where the file system does not link. */
async function linkFiles(
  state: TableState,
  entries: readonly BucketFileEntry[],
  directory: string,
): Promise<void> {
  const { fileSystem, directory: source } = state.options
  for (const { number } of entries) {
    const from = `${source}/${bucketName(number)}`
    const to = `${directory}/${bucketName(number)}`
    try {
      await fileSystem.link(from, to)
    } catch (error) {
      const code = codeOf(error)
      if (code !== 'EXDEV' && code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EMLINK') throw error
      await copyFile(fileSystem, from, to)
    }
  }
}

async function copyFile(fileSystem: FileSystem, from: string, to: string): Promise<void> {
  const source = await fileSystem.open(from, 'read')
  try {
    const target = await fileSystem.open(to, 'create')
    try {
      const buffer = new Uint8Array(COPY_BYTES)
      for (let position = 0; ;) {
        const count = await readFully(source, buffer, position)
        if (count === 0) break
        await writeFully(target, buffer.subarray(0, count), position)
        position += count
      }
      await target.sync()
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

/** The memtables of the view, oldest first, cut to what belongs to it. */
function imagesOf({ version, active, length, sequence }: View): MemtableImage[] {
  const image = active.memtable.image()
  const deletes = image.deletes.filter(entry => entry.sequence < sequence)
  const images = [
    ...version.sealed.map(({ memtable }) => memtable.image()),
    { ...image, count: length, deletes },
  ]
  return images.filter(({ count, deletes }) => count + deletes.length > 0)
}

async function writeMemtable(
  state: TableState,
  image: MemtableImage,
  older: readonly BucketFileEntry[],
  directory: string,
  number: number,
  { tableId, executor, filterBitsPerRecord, replace }: CheckpointOptions,
): Promise<BucketFileEntry | undefined> {
  const { layout, pageBytes } = state.options
  const job: CompactionJob = {
    directory,
    tableId: tableIdBytes(tableId),
    layout,
    pageBytes,
    replace,
    files: [],
    memtables: [image],
    deletes: image.deletes,
    ownDeletes: image.deletes,
    includesOldest: older.length === 0,
    output: {
      number,
      epoch: state.manifest.epoch,
      level: 0,
      filterBitsPerRecord,
      firstSequence: image.firstSequence,
      endSequence: image.firstSequence + image.count + image.deletes.length,
    },
  }
  return (await executor.run(job, {})).entry
}

/** Best effort, after a failure. */
async function removeFiles(fileSystem: FileSystem, directory: string): Promise<void> {
  const names = await fileSystem.list(directory).catch(() => [])
  for (const name of names) {
    if (parseFileName(name) !== undefined) await fileSystem.unlink(`${directory}/${name}`).catch(() => {})
  }
}

/** Removes `directory` and those above it up to `topmost`, as far as they are empty. Best effort, after a failure. */
async function removeDirectories(fileSystem: FileSystem, directory: string, topmost: string): Promise<void> {
  for (let made = directory; made.startsWith(topmost); made = dirname(made)) {
    await fileSystem.removeDirectory(made).catch(() => {})
    if (made === topmost) return
  }
}
