/** What a recovery needs and gives, for writers and readers alike; and how it opens the bucket files. */
import { throwIfAborted } from '../async/abort.js'
import { atOnce } from '../async/at-once.js'
import { corruption, diskError, hasCode } from '../base/errors.js'
import { BucketFile, type BucketFileOptions } from '../bucket-file/reader.js'
import { bucketName } from '../io/file-names.js'
import type { BucketFileEntry } from '../manifest/bucket-file-entry.js'
import type { MemtablePoolOptions } from '../state/memtable-pool.js'
import type { TableContents } from '../state/table-state.js'

export interface RecoveryOptions extends BucketFileOptions, MemtablePoolOptions {
  /** Records that gather in memory before they are flushed to a bucket file: those of one or several memtables. */
  readonly bufferRecords: number
  /** In how many memtables they gather: runs that are flushed together. */
  readonly runsPerFlush: number
  /** Ends the recovery, wherever it is. */
  readonly signal?: AbortSignal | undefined
}

/**
 * The file of an entry if it is open already: a reader that moves on keeps its files. They are not closed here.
 * `tableId`: of the table that has the entry.
 *
 * It is no option: state and files keep their options, and so each state would keep the one before it.
 */
export type KeptFile = (entry: BucketFileEntry, tableId: Uint8Array) => BucketFile | undefined

/** What the table consists of after recovery. */
export interface Recovered extends TableContents {
  /** Operations that were in the log. */
  readonly operationsReplayed: number
}

/** Files that are opened at once: on a disk nothing is gained by more. */
const REMOTE_OPENS_AT_ONCE = 16

/** Opens bucket files, oldest first. After a failure none stays open that was opened here. */
export async function openFiles(
  options: RecoveryOptions,
  entries: readonly BucketFileEntry[],
  keptFile?: KeptFile,
): Promise<BucketFile[]> {
  const files: BucketFile[] = []
  try {
    await atOnce(entries.length, options.isRemote === true ? REMOTE_OPENS_AT_ONCE : 1, async i => {
      throwIfAborted(options.signal)
      const entry = entries[i]!
      files[i] = keptFile?.(entry, options.tableId) ?? (await openNew(options, entry))
    })
    return files
  } catch (error) {
    await closeFiles(options, files, keptFile)
    throw error
  }
}

async function openNew(options: RecoveryOptions, entry: BucketFileEntry): Promise<BucketFile> {
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

/** Closes the files that {@link openFiles} has opened. */
export async function closeFiles(
  { tableId }: RecoveryOptions,
  files: readonly BucketFile[],
  keptFile?: KeptFile,
): Promise<void> {
  for (const file of files)
    if (file !== undefined && keptFile?.(file.entry, tableId) !== file) await file.close()
}
