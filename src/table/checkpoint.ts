/**
 * A copy of the table that can be opened: bucket files by hard links, runs and memtables as one bucket file of level 0.
 *
 * No log segment is copied: segments may be overwritten while they are being read. Puts go on; only what installs a new
 * manifest waits while the links are made. A table opened for reading can be copied too, beside its writer.
 * docs/durability.md, Checkpoints.
 */
import { dirname } from 'node:path'
import { diskError, hasCode, outOfRange } from '../base/errors.js'
import { Poison, latchedReason } from '../base/poison.js'
import type { BucketFile } from '../bucket-file/reader.js'
import { isWithin, type FileSystem } from '../io/file-system.js'
import { Home } from '../io/home.js'
import type { Jobs, MemtableInput, MergeTarget } from '../jobs/jobs.js'
import { tableIdBytes, type BucketFileEntry } from '../manifest/bucket-file-entry.js'
import type { Manifest } from '../manifest/manifest.js'
import { installManifest } from '../manifest/store.js'
import type { TableState, View } from '../state/table-state.js'
import { filesOf, type MemtableHandle } from '../state/version.js'
import { makeNewDirectory, removeDirectories, removeTableFiles } from './new-directory.js'

export interface CheckpointOptions {
  /** The id of the copy. */
  readonly tableId: string
  readonly jobs: Jobs
  readonly filterBitsPerRecord: number
  readonly replace: boolean
}

/**
 * Writes a checkpoint of this moment into the new `directory`, an absolute path. Everything in it is synced.
 *
 * Rejects with `FLASHTABLE_EXISTS`, `_DISK_FULL`, `_IO_ERROR`, and with `_INVALID_OPTION` for a directory in the
 * table's own; then it removes what it has made. Crash: without its manifest, which comes last, the directory is not a
 * table.
 */
export async function writeCheckpoint(
  state: TableState,
  directory: string,
  options: CheckpointOptions,
): Promise<void> {
  const { fileSystem } = state.options
  let topmost: string
  try {
    await assertApart(fileSystem, state.options.directory, directory)
    topmost = await makeNewDirectory(fileSystem, directory, 'a checkpoint')
  } catch (error) {
    if (hasCode(error, 'FLASHTABLE_INVALID_OPTION')) throw error
    throw diskError(error, `the checkpoint ${directory} cannot be started`)
  }
  let home: Home | undefined
  try {
    // If somebody makes a table there meanwhile, or puts another directory there, it is left alone.
    home = await Home.hold(fileSystem, directory, () => {})
    await home.settle()
    await writeFiles(state, directory, home.fileSystem, options)
    await home.close()
    await fileSystem.syncDirectory(dirname(directory))
  } catch (error) {
    await removeTableFiles(home?.fileSystem ?? fileSystem, directory)
    await home?.close()
    await removeDirectories(fileSystem, directory, topmost)
    throw diskError(latchedReason(error), `the checkpoint ${directory} failed`)
  }
}

/** In the table's own directory a copy could have the name of a file that the table is about to make. */
async function assertApart(fileSystem: FileSystem, table: string, directory: string): Promise<void> {
  if (directory === table || !(await isWithin(fileSystem, table, directory))) return
  throw outOfRange(
    'FLASHTABLE_INVALID_OPTION',
    `directory: expected one outside the table in ${table}, found ${directory}`,
  )
}

async function writeFiles(
  state: TableState,
  directory: string,
  fileSystem: FileSystem,
  options: CheckpointOptions,
): Promise<void> {
  const { view, manifest, notLinked } = await takeState(state, directory)
  try {
    for (const file of notLinked) await file.copyInto(directory)
    const entries: BucketFileEntry[] = manifest.files.map(entry => ({ tableId: manifest.tableId, ...entry }))
    let { nextFileNumber } = manifest
    const memtables = memtablesOf(view)
    const files = filesOf(view.version.runs)
    if (memtables.length + files.length > 0) {
      const includesOldest = entries.length === 0
      const target = targetFor(state, directory, nextFileNumber++, includesOldest, options)
      const { entry } = await options.jobs.merge({ version: view.version, files, memtables }, target)
      if (entry !== undefined) entries.push(entry)
    }
    await fileSystem.syncDirectory(directory)
    const copy: Manifest = {
      ...manifest,
      tableId: options.tableId,
      files: entries,
      log: { closed: [], firstSegment: nextFileNumber },
      firstLogSequence: view.sequence,
      nextSequence: view.sequence,
      nextFileNumber,
      clean: true,
      // Read after everything is copied, so that they count what is in the copy.
      counters: state.counters.read(),
    }
    await installManifest(fileSystem, directory, copy, new Poison())
  } finally {
    await view.version.release()
  }
}

/** The state at one moment. */
interface Taken {
  /** Its version is retained: memtables and files stay as they are, although installs and seals go on. */
  readonly view: View
  /** It names the files of the view. */
  readonly manifest: Manifest
  /** Files that are not in the copy yet. */
  readonly notLinked: readonly BucketFile[]
}

/** Takes the newest state, and links its files while no install can remove them. */
async function takeState(state: TableState, directory: string): Promise<Taken> {
  return state.holdFiles(async view => {
    const { manifest } = state
    view.version.retain()
    try {
      const notLinked: BucketFile[] = []
      for (const file of view.version.stored) if (!(await file.linkInto(directory))) notLinked.push(file)
      return { view, manifest, notLinked }
    } catch (error) {
      await view.version.release()
      throw error
    }
  })
}

/** The memtables of the view that are not empty, oldest first. */
function memtablesOf({ version, active, length, sequence }: View): MemtableInput[] {
  const sealed = version.sealed.map(memtable => ({ memtable }))
  const empty = ({ memtable }: MemtableHandle): boolean => memtable.firstSequence === memtable.endSequence
  const inputs: MemtableInput[] = sealed.filter(({ memtable }) => !empty(memtable))
  if (sequence > active.memtable.firstSequence)
    inputs.push({ memtable: active, rows: length, before: sequence })
  return inputs
}

function targetFor(
  { options: { layout, pageBytes }, manifest: { epoch } }: TableState,
  directory: string,
  number: number,
  includesOldest: boolean,
  { tableId, filterBitsPerRecord, replace }: CheckpointOptions,
): MergeTarget {
  const output = { number, epoch, level: 0, filterBitsPerRecord }
  return { directory, tableId: tableIdBytes(tableId), layout, pageBytes, replace, includesOldest, output }
}
