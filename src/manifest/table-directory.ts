/**
 * The files of a table's directory, by what their names say, and its manifest.
 *
 * Everything that looks at a directory without an open table uses this: recovery, statistics, verify, repair and the
 * command line. docs/file-format.md, Files.
 */
import { FlashTableError, corruption, diskError } from '../base/errors.js'
import { MANIFEST_NAME, bucketName, parseFileName, walName } from '../io/file-names.js'
import type { FileSystem } from '../io/file-system.js'
import type { Manifest } from './manifest.js'
import { loadManifest } from './store.js'

/** The file numbers in a directory, ascending, and what else is there. */
export interface TableListing {
  readonly wals: readonly number[]
  readonly buckets: readonly number[]
  /** Spills are always orphans. */
  readonly spills: readonly number[]
  readonly temporaryManifest: boolean
  /** A repair that writes this table was interrupted, or is running. */
  readonly unfinished: boolean
}

/** Lists the files of a table. Rejects with `FLASHTABLE_IO_ERROR`. */
export async function listTable(fileSystem: FileSystem, directory: string): Promise<TableListing> {
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

/** Reads the manifest. Rejects with `FLASHTABLE_NOT_FOUND` if there is no table, `_CORRUPTION` if only the manifest is missing. */
export async function requireManifest(fileSystem: FileSystem, directory: string): Promise<Manifest> {
  const loaded = await loadManifest(fileSystem, directory)
  if (loaded !== undefined) return loaded.manifest
  const info = await fileSystem.info(directory).catch((error: unknown) => {
    throw diskError(error, `${directory} cannot be read`)
  })
  // A directory with files of a table that has lost its manifest is damaged, not empty.
  if (info?.kind === 'directory') await assertNoTableFiles(fileSystem, directory)
  const what = (await whatElse(fileSystem, directory)) ?? `it has no ${MANIFEST_NAME}`
  throw new FlashTableError('FLASHTABLE_NOT_FOUND', `there is no table in ${directory}: ${what}`)
}

/**
 * Rejects with `FLASHTABLE_EXISTS` if a table is published in the directory, or has its partitions there: the files of another
 * one would be mixed up with it.
 */
export async function assertNoStore(fileSystem: FileSystem, directory: string): Promise<void> {
  const found = await whatElse(fileSystem, directory)
  if (found === undefined) return
  throw new FlashTableError('FLASHTABLE_EXISTS', `no table can be made in ${directory}: ${found}`)
}

/** What a directory without a manifest has instead. If it cannot be listed, another call says so. */
async function whatElse(fileSystem: FileSystem, directory: string): Promise<string | undefined> {
  const names = await fileSystem.list(directory).catch((): string[] => [])
  if (names.some(name => /^MANIFEST\.[1-9]\d*$/.test(name)))
    return 'one is published there, by directoryStore; FlashTable.openRemote reads that, FlashTable.restore makes a table of it'
  if (names.some(name => /^PARTITIONS\.[1-9]\d*$/.test(name)))
    return 'it has the partitions of a table; PartitionedTable.open opens them'
  return undefined
}

/** Rejects with `FLASHTABLE_CORRUPTION` if a directory without a manifest holds files of a table: no new table may go there. */
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

/** Whether nothing that a reader depends on changed between the two manifests. */
export function sameFiles(before: Manifest, after: Manifest): boolean {
  return (
    before.tableId === after.tableId &&
    before.epoch === after.epoch &&
    before.log.firstSegment === after.log.firstSegment &&
    before.firstLogSequence === after.firstLogSequence &&
    JSON.stringify(before.files) === JSON.stringify(after.files)
  )
}
