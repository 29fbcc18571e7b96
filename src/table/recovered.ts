/** What a recovery needs and gives, for writers and readers alike; and how it opens the bucket files. */
import { throwIfAborted } from '../async/abort.js'
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

/** What the table consists of after recovery. */
export interface Recovered extends TableContents {
  /** Operations that were in the log. */
  readonly operationsReplayed: number
}

/** Opens bucket files, oldest first. After a failure none stays open. */
export async function openFiles(
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

export async function closeFiles(files: readonly BucketFile[]): Promise<void> {
  for (const file of files) await file.close()
}
