/** Removes an unfinished file. */
import type { FileHandle, FileSystem } from './file-system.js'

/**
 * Closes the file and removes it, unless its name now belongs to another file. Best effort: a file that cannot be
 * removed is an orphan, and the next open removes it.
 */
export async function discard(fileSystem: FileSystem, file: FileHandle): Promise<void> {
  const [own, there] = await Promise.all([
    // A handle that is already closed tells nothing.
    file.stamp().catch(() => undefined),
    fileSystem.stamp(file.path).catch(() => undefined),
  ])
  await file.close().catch(() => {})
  if (own !== undefined && own.identity !== there?.identity) return
  await fileSystem.unlink(file.path).catch(() => {})
}
