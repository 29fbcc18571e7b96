/** Takes back a file that was begun. */
import type { FileHandle, FileSystem } from './file-system.js'

/**
 * Closes the file and removes it, unless its name leads to a file of somebody else by now. Best effort: what cannot be
 * removed is an orphan, gone at the next open.
 */
export async function discard(fileSystem: FileSystem, file: FileHandle): Promise<void> {
  const [own, there] = await Promise.all([
    // Of one that is closed already nothing can be known any more.
    file.stamp().catch(() => undefined),
    fileSystem.stamp(file.path).catch(() => undefined),
  ])
  await file.close().catch(() => {})
  if (own !== undefined && own.identity !== there?.identity) return
  await fileSystem.unlink(file.path).catch(() => {})
}
