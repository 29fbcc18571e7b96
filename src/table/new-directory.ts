/** A new directory for a copy of a table, and how to leave nothing of it when the copy fails. */
import { dirname } from 'node:path'
import { FlashTableError } from '../base/errors.js'
import { MANIFEST_NAME, parseFileName } from '../io/file-names.js'
import type { FileSystem } from '../io/file-system.js'

/**
 * Makes the directory, which must not exist; resolves to the topmost directory that was made on the way. `what`: what
 * needs it. Rejects with `FLASHTABLE_EXISTS`.
 */
export async function makeNewDirectory(
  fileSystem: FileSystem,
  directory: string,
  what: string,
): Promise<string> {
  const exists = (): FlashTableError =>
    new FlashTableError('FLASHTABLE_EXISTS', `${what} needs a new directory: ${directory} exists`)
  if ((await fileSystem.info(directory)) !== undefined) throw exists()
  const topmost = await fileSystem.makeDirectory(directory).catch(async (error: unknown) => {
    // It may have been made in spite of the failure: a moment ago it was not there.
    await removeDirectories(fileSystem, directory, directory)
    throw error
  })
  // Somebody else has made it meanwhile.
  if (topmost === undefined) throw exists()
  return topmost
}

/** Removes the files of a table that was being made. Best effort, after a failure. */
export async function removeTableFiles(fileSystem: FileSystem, directory: string): Promise<void> {
  const names = await fileSystem.list(directory).catch(() => [])
  // The manifest goes last: it shows that the directory is ours.
  for (const name of names.sort((a, b) => Number(a === MANIFEST_NAME) - Number(b === MANIFEST_NAME))) {
    if (parseFileName(name) !== undefined) await fileSystem.unlink(`${directory}/${name}`).catch(() => {})
  }
}

/**
 * Removes `directory` and the ones above it up to `topmost`, as long as they are empty. Best effort, after a failure.
 */
export async function removeDirectories(
  fileSystem: FileSystem,
  directory: string,
  topmost: string,
): Promise<void> {
  for (let made = directory; made.startsWith(topmost); made = dirname(made)) {
    await fileSystem.removeDirectory(made).catch(() => {})
    if (made === topmost) return
  }
}
