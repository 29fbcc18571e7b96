/**
 * A {@link FileSystem} that checks one directory before it acts in it. The parts of an open writer get no other, so
 * none of them can forget the check. Calls on other places, such as the target of a checkpoint, pass through unchecked.
 * docs/durability.md, The directory.
 */
import { basename, dirname } from 'node:path'
import { hasCode } from '../base/errors.js'
import { MANIFEST_NAME } from './file-names.js'
import type { DirectoryHandle, FileSystem } from './file-system.js'

export interface Guard {
  readonly directory: string
  /** The directory, if it is held open. */
  readonly held?: DirectoryHandle
  /** Throws if the directory is not the one that was opened. `isRead`: the call changes nothing there. */
  check(isRead: boolean): Promise<void>
  /** Renames the temporary manifest of this name; from then on it is the table's manifest. */
  replaceManifest(temporary: string, rename: () => Promise<void>): Promise<void>
}

export function guardedFileSystem(inner: FileSystem, guard: Guard): FileSystem {
  const isOurs = (path: string): boolean => dirname(path) === guard.directory
  /** If a call fails because the directory is gone, the error says so. */
  const guarded = async <T>(paths: readonly string[], call: () => Promise<T>, isRead = false): Promise<T> => {
    if (!paths.some(isOurs)) return call()
    await guard.check(isRead)
    try {
      return await call()
    } catch (error) {
      // If the check fails for another reason, the call's own error tells more.
      await guard.check(isRead).catch((reason: unknown) => {
        if (hasCode(reason, 'FLASHTABLE_MOVED')) throw reason
      })
      throw error
    }
  }
  return {
    open: (path, mode, fileMode) => guarded([path], () => inner.open(path, mode, fileMode), mode === 'read'),
    unlink: path => guarded([path], () => inner.unlink(path)),
    link: (existing, path) => guarded([existing, path], () => inner.link(existing, path)),
    rename: (from, to) =>
      guarded([from, to], () => {
        const rename = (): Promise<void> => inner.rename(from, to)
        return isOurs(to) && basename(to) === MANIFEST_NAME
          ? guard.replaceManifest(basename(from), rename)
          : rename()
      }),
    async syncDirectory(directory) {
      const held = directory === guard.directory ? guard.held : undefined
      if (directory === guard.directory) await guard.check(false)
      await (held === undefined ? inner.syncDirectory(directory) : held.sync())
    },
    /** The held one works as well, and needs no descriptor. */
    openDirectory(directory) {
      const held = directory === guard.directory ? guard.held : undefined
      if (held === undefined) return inner.openDirectory(directory)
      return Promise.resolve({
        path: directory,
        identity: () => held.identity(),
        sync: () => held.sync(),
        close: () => Promise.resolve(),
      })
    },
    // These only read, or concern other directories.
    list: directory => inner.list(directory),
    info: path => inner.info(path),
    stamp: path => inner.stamp(path),
    digest: path => inner.digest(path),
    freeBytes: path => inner.freeBytes(path),
    makeDirectory: (directory, fileMode) => inner.makeDirectory(directory, fileMode),
    removeDirectory: directory => inner.removeDirectory(directory),
  }
}
