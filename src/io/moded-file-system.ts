/** A file system in which new files and directories have the permissions of one table. docs/api.md, Permissions. */
import type { FileSystem } from './file-system.js'

/** `mode`: of new files; directories follow it. A call that gives another one has that. */
export function modedFileSystem(inner: FileSystem, mode: number): FileSystem {
  return {
    open: (path, openMode, fileMode = mode) => inner.open(path, openMode, fileMode),
    makeDirectory: (directory, fileMode = mode) => inner.makeDirectory(directory, fileMode),
    rename: (from, to) => inner.rename(from, to),
    unlink: path => inner.unlink(path),
    link: (existing, path) => inner.link(existing, path),
    list: directory => inner.list(directory),
    removeDirectory: directory => inner.removeDirectory(directory),
    syncDirectory: directory => inner.syncDirectory(directory),
    openDirectory: directory => inner.openDirectory(directory),
    info: path => inner.info(path),
    stamp: path => inner.stamp(path),
    digest: path => inner.digest(path),
    freeBytes: path => inner.freeBytes(path),
  }
}
