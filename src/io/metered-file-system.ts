/** A file system that reports what each write call has transferred, even if the write as a whole then fails. */
import type { FileHandle, FileSystem } from './file-system.js'

/**
 * `onWritten` is called after each write call, with the bytes that it has transferred. Without it: the file system
 * itself.
 */
export function meteredFileSystem(
  fileSystem: FileSystem,
  onWritten: ((bytes: number) => void) | undefined,
): FileSystem {
  if (onWritten === undefined) return fileSystem
  return {
    async open(path, mode, fileMode) {
      const file = await fileSystem.open(path, mode, fileMode)
      return mode === 'read' ? file : meteredHandle(file, onWritten)
    },
    rename: (from, to) => fileSystem.rename(from, to),
    unlink: path => fileSystem.unlink(path),
    link: (existing, path) => fileSystem.link(existing, path),
    list: directory => fileSystem.list(directory),
    makeDirectory: (directory, fileMode) => fileSystem.makeDirectory(directory, fileMode),
    removeDirectory: directory => fileSystem.removeDirectory(directory),
    syncDirectory: directory => fileSystem.syncDirectory(directory),
    openDirectory: directory => fileSystem.openDirectory(directory),
    info: path => fileSystem.info(path),
    stamp: path => fileSystem.stamp(path),
    digest: path => fileSystem.digest(path),
    freeBytes: path => fileSystem.freeBytes(path),
  }
}

function meteredHandle(file: FileHandle, onWritten: (bytes: number) => void): FileHandle {
  return {
    path: file.path,
    read: (buffer, position) => file.read(buffer, position),
    readSync: (buffer, position) => file.readSync(buffer, position),
    async write(buffer, position) {
      const bytes = await file.write(buffer, position)
      onWritten(bytes)
      return bytes
    },
    writeSync(buffer, position) {
      const bytes = file.writeSync(buffer, position)
      onWritten(bytes)
      return bytes
    },
    sync: () => file.sync(),
    size: () => file.size(),
    stamp: () => file.stamp(),
    close: () => file.close(),
  }
}
