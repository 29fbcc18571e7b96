/**
 * Recovers a table for its writer: makes what is on disk a table that can be written again.
 *
 * The steps, as in docs/durability.md, Recovery:
 *
 * 1. Replay the log into memtables. Damage ends the recovery here, before anything is touched.
 * 2. Remove orphans: files that the manifest does not name.
 * 3. After a clean end keep the log and its memtables, if they are no more than a flush takes. After any other end write the records to bucket files: they may
 *    have been in the page cache only, and syncing them again would prove nothing (Rebello et al., ATC'20, "Can
 *    applications recover from fsync failures?"). Merge small files and overdue levels.
 * 4. Open the bucket files and install a manifest with the next epoch.
 * 5. Remove the files that it no longer names.
 *
 * Crash: before step 4 is done, the next recovery does the same again.
 */
import { throwIfAborted } from '../async/abort.js'
import { diskError } from '../base/errors.js'
import type { Poison } from '../base/poison.js'
import { FilesAtOpen } from '../compaction/files-at-open.js'
import { MANIFEST_TEMPORARY_NAME, bucketName, spillName, walName } from '../io/file-names.js'
import type { Jobs } from '../jobs/jobs.js'
import { countingItself, type Manifest } from '../manifest/manifest.js'
import { installManifest } from '../manifest/store.js'
import { listTable, type TableListing } from '../manifest/table-directory.js'
import type { LifetimeCounters } from '../state/lifetime-counters.js'
import { newMemtable } from '../state/memtable-pool.js'
import { loadLog } from './load-log.js'
import { closeFiles, openFiles, type Recovered, type RecoveryOptions } from './recovered.js'

/** With this many closed segments beside one for each memtable, recovery writes their records to bucket files. */
const CLOSED_SEGMENTS_MAX = 8

export interface WriterRecoveryOptions extends RecoveryOptions {
  readonly jobs: Jobs
  readonly poison: Poison
  readonly counters: LifetimeCounters
  /** `duplicates: 'replace'`. */
  readonly replace: boolean
  readonly filterBitsPerRecord: number
  readonly fanout: number
  /** Whether merges that are overdue are made up for. */
  readonly mergeOverdue: boolean
}

export interface RecoveredWriter extends Recovered {
  /** Segment files that may be overwritten. */
  readonly spares: readonly number[]
  /** Bytes of the bucket files that were written. */
  readonly bytesWritten: number
}

/**
 * Recovers the table and installs a manifest with the next epoch.
 *
 * Rejects with `FLASHTABLE_CORRUPTION`, `_DISK_FULL` or `_IO_ERROR`; the table is unchanged then.
 */
export async function recoverWriter(
  options: WriterRecoveryOptions,
  manifest: Manifest,
): Promise<RecoveredWriter> {
  const { fileSystem, directory, signal, counters, poison } = options
  const listing = await listTable(fileSystem, directory)
  const { memtables, endSequence } = await loadLog(options, manifest, listing, counters)
  await removeOrphans(options, manifest, listing)

  const epoch = manifest.epoch + 1
  const keepsLog =
    manifest.clean &&
    memtables.length <= options.runsPerFlush &&
    manifest.log.closed.length < CLOSED_SEGMENTS_MAX + Math.max(0, memtables.length - 1)
  const numberInUse = Math.max(manifest.nextFileNumber - 1, ...listing.wals, ...listing.buckets)
  const filesAtOpen = new FilesAtOpen({ ...options, epoch }, manifest.files, numberInUse + 1)
  if (!keepsLog) await filesAtOpen.writeLog(memtables, { signal })
  if (options.mergeOverdue) await filesAtOpen.mergeOverdue({ signal })

  const { entries, nextNumber, bytesWritten } = filesAtOpen
  const kept = keepsLog ? memtables : []
  const active = kept.at(-1) ?? newMemtable(options, endSequence)
  const next = countingItself({
    ...manifest,
    epoch,
    files: entries,
    log: { closed: keepsLog ? manifest.log.closed : [], firstSegment: nextNumber },
    firstLogSequence: (kept[0] ?? active).memtable.firstSequence,
    nextSequence: endSequence,
    nextFileNumber: nextNumber,
    clean: false,
    counters: counters.read(),
  })
  const files = await openFiles(options, entries)
  try {
    throwIfAborted(signal)
    await installManifest(fileSystem, directory, next, poison)
    counters.countManifest(next.counters.manifestBytes - counters.read().manifestBytes)
    const spares = await removeUnnamed(options, next, listing, filesAtOpen.replaced)
    const operationsReplayed = endSequence - manifest.firstLogSequence
    const sealed = kept.slice(0, -1)
    return { manifest: next, files, sealed, active, spares, operationsReplayed, bytesWritten }
  } catch (error) {
    await closeFiles(options, files)
    throw error
  }
}

/** Removes what no manifest names: output of jobs that did not finish, spills, a manifest that was not installed. */
async function removeOrphans(
  { fileSystem, directory }: RecoveryOptions,
  manifest: Manifest,
  listing: TableListing,
): Promise<void> {
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

/** Segments that are kept to be overwritten: those that a flush retires, and one more. */
export function sparesMax(runsPerFlush: number): number {
  return runsPerFlush + 1
}

/** Removes the files that the new manifest no longer names. Resolves to the log segments that are kept as spares. */
async function removeUnnamed(
  { fileSystem, directory, runsPerFlush }: RecoveryOptions,
  { log }: Manifest,
  { wals }: TableListing,
  replaced: readonly number[],
): Promise<readonly number[]> {
  const kept = new Set(log.closed.map(segment => segment.number))
  const retired = wals.filter(number => !kept.has(number))
  const unnamed = [...retired.slice(sparesMax(runsPerFlush)).map(walName), ...replaced.map(bucketName)]
  // The next open tries again to remove what cannot be removed now.
  for (const name of unnamed) await fileSystem.unlink(`${directory}/${name}`).catch(() => {})
  return retired.slice(0, sparesMax(runsPerFlush))
}
