/**
 * A {@link FileSystem} that looks before it acts in one directory: all that the parts of an open writer get, so that
 * none of them can forget to. What lies elsewhere, the target of a checkpoint for instance, goes through as it is.
 * docs/durability.md, The directory.
 */
import { basename, dirname } from 'node:path'
import { hasCode } from '../base/errors.js'
import { MANIFEST_NAME } from './file-names.js'
import type { DirectoryHandle, FileSystem } from './file-system.js'

export interface Guard {
  readonly directory: string
  /** The directory, where it is held open. */
  readonly held?: DirectoryHandle
  /** Throws where the directory is not the one that was opened. `isRead`: nothing there is to be changed. */
  check(isRead: boolean): Promise<void>
  /** Renames the temporary manifest of this name, and takes it for the table's from then on. */
  replaceManifest(temporary: string, rename: () => Promise<void>): Promise<void>
}

export function guardedFileSystem(inner: FileSystem, guard: Guard): FileSystem {
  const isOurs = (path: string): boolean => dirname(path) === guard.directory
  /** A call that fails as the directory has gone meanwhile says so. */
  const guarded = async <T>(paths: readonly string[], call: () => Promise<T>, isRead = false): Promise<T> => {
    if (!paths.some(isOurs)) return call()
    await guard.check(isRead)
    try {
      return await call()
    } catch (error) {
      // Where nothing can be known now, the call's own error tells more.
      await guard.check(isRead).catch((reason: unknown) => {
        if (hasCode(reason, 'FLASHTABLE_MOVED')) throw reason
      })
      throw error
    }
  }
  return {
    open: (path, mode) => guarded([path], () => inner.open(path, mode), mode === 'read'),
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
    /** The one that is held serves as well, and needs no descriptor. */
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
    // These look, or concern other directories.
    list: directory => inner.list(directory),
    info: path => inner.info(path),
    stamp: path => inner.stamp(path),
    digest: path => inner.digest(path),
    freeBytes: path => inner.freeBytes(path),
    makeDirectory: directory => inner.makeDirectory(directory),
    removeDirectory: directory => inner.removeDirectory(directory),
  }
}
