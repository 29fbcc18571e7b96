/**
 * Makes an open bucket file a file of another directory too: a second name where there can be one, else a copy.
 *
 * What counts is the file that is open, not what has its name by now: beside a writer its name may be gone, and where the
 * directory was replaced it may be another table's. docs/durability.md, Checkpoints.
 */
import { hasCode } from '../base/errors.js'
import { bucketName } from '../io/file-names.js'
import { cannotLink, type FileHandle } from '../io/file-system.js'
import { readFully, writeFully } from '../io/transfer.js'
import type { BucketFileEntry } from '../manifest/bucket-file-entry.js'
import { openFooter, type BucketFileOptions } from './sections.js'

/** Bytes of one step of a copy. */
const COPY_BYTES = 2 ** 20
/** Where no link can be made a copy still can: no links there, another device, or a name that is gone. */
function mayBeCopied(error: unknown): boolean {
  return cannotLink(error) || hasCode(error, 'EXDEV') || hasCode(error, 'ENOENT')
}

/**
 * Gives the file, which is open, a second name in `directory`; whether that could be done. The entry is not synced yet.
 * Rejects with what a call rejects with. Cost: reads the footer.
 */
export async function linkFile(
  options: BucketFileOptions,
  entry: BucketFileEntry,
  file: FileHandle,
  directory: string,
): Promise<boolean> {
  const { fileSystem } = options
  const path = `${directory}/${bucketName(entry.number)}`
  try {
    await fileSystem.link(file.path, path)
  } catch (error) {
    if (mayBeCopied(error)) return false
    throw error
  }
  try {
    await checkFooter(options, entry, path)
    return true
  } catch (error) {
    if (!hasCode(error, 'FLASHTABLE_CORRUPTION')) throw error
    // The name was another file's.
    await fileSystem.unlink(path)
    return false
  }
}

/** Copies the file, which is open, to `directory`, and syncs the copy; its entry is not synced yet. */
export async function copyFile(
  options: BucketFileOptions,
  entry: BucketFileEntry,
  file: FileHandle,
  directory: string,
): Promise<void> {
  const path = `${directory}/${bucketName(entry.number)}`
  const target = await options.fileSystem.open(path, 'create')
  try {
    const buffer = new Uint8Array(COPY_BYTES)
    for (let position = 0; ;) {
      const count = await readFully(file, buffer, position)
      if (count === 0) break
      await writeFully(target, buffer.subarray(0, count), position)
      position += count
    }
    await target.sync()
  } finally {
    await target.close()
  }
  await checkFooter(options, entry, path)
}

async function checkFooter(options: BucketFileOptions, entry: BucketFileEntry, path: string): Promise<void> {
  const file = await options.fileSystem.open(path, 'read')
  try {
    await openFooter(options, entry, file)
  } finally {
    await file.close()
  }
}
