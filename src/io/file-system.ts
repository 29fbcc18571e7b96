/**
 * The one seam to the disk: everything that flashtable reads or writes goes through a {@link FileSystem}.
 *
 * `node-file-system.ts` is the real one; the tests put a simulated one here, which keeps what was synced apart from
 * what was not and can stop, tear, reorder, fail or fill up at any call. Calls may transfer less than asked, as the
 * system's do: callers use `readFully` and `writeFully`. docs/durability.md, Order of writes.
 */

import { dirname, sep } from 'node:path'
import { codeOf } from '../base/errors.js'

/** An open file. Errors are those of Node (`code`: `ENOSPC`, `EIO`, ...). */
export interface FileHandle {
  readonly path: string
  /** Reads up to `buffer.byteLength` bytes at `position`; resolves to the number read, 0 at the end. */
  read(buffer: Uint8Array, position: number): Promise<number>
  readSync(buffer: Uint8Array, position: number): number
  /** Writes up to `buffer.byteLength` bytes at `position`; resolves to the number written. */
  write(buffer: Uint8Array, position: number): Promise<number>
  writeSync(buffer: Uint8Array, position: number): number
  /** `fdatasync`: data and size are on the device when it resolves; the directory entry need not be. */
  sync(): Promise<void>
  /** Size in bytes. */
  size(): Promise<number>
  stamp(): Promise<Stamp>
  /** Drops what is cached of these bytes, which were found damaged: the next read fetches them anew. Absent: nothing is cached. */
  forget?(position: number, bytes: number): void
  close(): Promise<void>
}

/** An open directory: it can be recognised later, and synced even if no descriptor is free then. */
export interface DirectoryHandle {
  readonly path: string
  /** As {@link Stamp.identity}. */
  identity(): Promise<string>
  /** As {@link FileSystem.syncDirectory}. */
  sync(): Promise<void>
  close(): Promise<void>
}

/**
 * How to open: `read` an existing file; `create` a new one for reading and writing, an error (`EEXIST`) if one exists;
 * `update` an existing one for reading and writing, its content kept.
 */
export type OpenMode = 'read' | 'create' | 'update'

/** What a directory entry is. */
export interface EntryInfo {
  readonly kind: 'file' | 'directory' | 'other'
  readonly bytes: number
  /** The disk space that it takes: whole blocks, none where nothing was written. */
  readonly allocatedBytes: number
  /** When its content was last changed, by the clock of the file system: milliseconds since 1970. */
  readonly modifiedMs: number
}

/** Identifies a file or directory and the state of its content. */
export interface Stamp {
  /** Device and inode: unique as long as it is held open. */
  readonly identity: string
  readonly bytes: number
  /** The time of its last change, in any form. */
  readonly changed: string
}

export interface FileSystem {
  /** `fileMode`: the permissions of a new file, whatever the umask is. Default: 0600. */
  open(path: string, mode: OpenMode, fileMode?: number): Promise<FileHandle>
  /** Atomic; replaces an existing target. */
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  /** A second name for the same file; `EEXIST` if the name is taken. */
  link(existing: string, path: string): Promise<void>
  /** Names in the directory, in no order. */
  list(directory: string): Promise<string[]>
  /**
   * Creates the directory and its parents, and syncs the entries of those it creates; does nothing if it exists. Those
   * who may read files of `fileMode` may enter; default: 0600, so they have 0700. Resolves to the topmost directory that it has created, if any.
   */
  makeDirectory(directory: string, fileMode?: number): Promise<string | undefined>
  /** `ENOTEMPTY` if something is in it. */
  removeDirectory(directory: string): Promise<void>
  /** After it resolves, creates, renames and unlinks in the directory survive a power cut. */
  syncDirectory(directory: string): Promise<void>
  openDirectory(directory: string): Promise<DirectoryHandle>
  /** Describes the entry itself (links are not followed); `undefined` if there is none. */
  info(path: string): Promise<EntryInfo | undefined>
  /** The stamp of what the path leads to, links followed; `undefined` if there is nothing. */
  stamp(path: string): Promise<Stamp | undefined>
  /** A hash of the file's content; `undefined` if there is no file. For small files. */
  digest(path: string): Promise<string | undefined>
  /** Free bytes of the file system of `path`; `Infinity` if it does not tell. */
  freeBytes(path: string): Promise<number>
}

/** False if either is unknown. */
export function isSameStamp(one: Stamp | undefined, other: Stamp | undefined): boolean {
  if (one === undefined || other === undefined) return false
  return one.identity === other.identity && one.bytes === other.bytes && one.changed === other.changed
}

const NO_LINKS: ReadonlySet<unknown> = new Set([
  'EPERM',
  'ENOSYS',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EACCES',
  'EINVAL',
  'EMLINK',
])

/**
 * Whether `link` may have failed because there are no hard links here. For any other reason, what the caller tries
 * instead fails too.
 */
export function cannotLink(error: unknown): boolean {
  return NO_LINKS.has(codeOf(error))
}

/**
 * Whether the path leads to the directory or into it, through any links. Neither needs to exist. Requires: absolute
 * paths.
 */
export async function isWithin(fileSystem: FileSystem, directory: string, path: string): Promise<boolean> {
  if (path === directory || path.startsWith(directory.endsWith(sep) ? directory : `${directory}${sep}`))
    return true
  const identity = (await fileSystem.stamp(directory).catch(() => undefined))?.identity
  if (identity === undefined) return false
  for (let at = path; ; at = dirname(at)) {
    // The caller that needs the directory reports why it cannot be read.
    if ((await fileSystem.stamp(at).catch(() => undefined))?.identity === identity) return true
    if (dirname(at) === at) return false
  }
}
