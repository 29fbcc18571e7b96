/**
 * Opens the table for reading, beside a writer or without one. It changes nothing and takes no lock.
 *
 * The steps: load the manifest, open its files, replay the log, load the manifest again. If a writer may have overwritten
 * the log meanwhile, all of it starts again. Something unreadable counts as damage only if both manifests name the same
 * files (`sameFiles`). docs/durability.md, Recovery.
 */
import { throwIfAborted } from '../async/abort.js'
import { FlashTableError, diskError } from '../base/errors.js'
import type { BucketFile } from '../bucket-file/reader.js'
import type { FileSystem } from '../io/file-system.js'
import type { Manifest } from '../manifest/manifest.js'
import { listTable, requireManifest, sameFiles } from '../manifest/table-directory.js'
import { LifetimeCounters } from '../state/lifetime-counters.js'
import { newMemtable } from '../state/memtable-pool.js'
import { loadLog } from './load-log.js'
import { closeFiles, openFiles, type KeptFile, type Recovered, type RecoveryOptions } from './recovered.js'

/** A reader whose table changes during its open starts again, at most this often. */
const ATTEMPTS_MAX = 50

export interface RecoveredReader extends Recovered {
  readonly options: RecoveryOptions
  readonly counters: LifetimeCounters
}

/**
 * `optionsFor`: called with the manifest of each attempt; may throw. `keptFile`: of a reader that moves on. Rejects with
 * `FLASHTABLE_CORRUPTION`, `_IO_ERROR` or `_NOT_FOUND`.
 */
export async function recoverReader(
  optionsFor: (manifest: Manifest) => RecoveryOptions,
  fileSystem: FileSystem,
  directory: string,
  keptFile?: KeptFile,
): Promise<RecoveredReader> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const manifest = await requireManifest(fileSystem, directory)
    const options = optionsFor(manifest)
    let opened: readonly BucketFile[] = []
    try {
      const recovered = await readOnce(options, manifest, keptFile)
      opened = recovered.files
      const after = await requireManifest(fileSystem, directory)
      // A writer overwrites a segment only after it has installed a manifest whose bucket files hold the segment's records.
      // If the replay reached the first number that the new manifest expects in the log, it missed nothing. The bucket
      // files are open; their names may be gone from the directory.
      const missedNothing = recovered.active.memtable.endSequence >= after.firstLogSequence
      if (missedNothing && after.tableId === manifest.tableId) return recovered
      await closeFiles(options, opened, keptFile)
    } catch (error) {
      await closeFiles(options, opened, keptFile)
      throwIfAborted(options.signal)
      if (sameFiles(manifest, await requireManifest(fileSystem, directory)))
        throw diskError(error, `${directory} cannot be read`)
    }
  }
  throw new FlashTableError(
    'FLASHTABLE_IO_ERROR',
    `${directory} changed ${ATTEMPTS_MAX} times while it was being opened for reading; try again`,
  )
}

async function readOnce(
  options: RecoveryOptions,
  manifest: Manifest,
  keptFile: KeptFile | undefined,
): Promise<RecoveredReader> {
  const counters = new LifetimeCounters(manifest.counters, options.layout.recordBytes)
  const files = await openFiles(options, manifest.files, keptFile)
  try {
    const listing = await listTable(options.fileSystem, options.directory)
    const { memtables, endSequence } = await loadLog(options, manifest, listing, counters)
    const active = memtables.at(-1) ?? newMemtable(options, endSequence)
    const operationsReplayed = endSequence - manifest.firstLogSequence
    return { options, counters, manifest, files, sealed: memtables.slice(0, -1), active, operationsReplayed }
  } catch (error) {
    await closeFiles(options, files, keptFile)
    throw error
  }
}
