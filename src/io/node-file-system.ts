/**
 * The real {@link FileSystem}: thin promises over the callback calls of `node:fs`, on raw file descriptors.
 *
 * A table consists of regular files that flashtable has made. Links are not followed (`ELOOP`) and only regular files
 * are opened, so a file that somebody else puts into the directory can neither redirect a write nor block an open (a
 * pipe would). docs/durability.md, Order of writes.
 */
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { dirname, resolve } from 'node:path'
import { codeOf, hasCode } from '../base/errors.js'
import { openDescriptor, promised, withPath, type Descriptor } from './descriptor.js'
import { DEFAULT_FILE_MODE, directoryModeOf } from '../base/file-mode.js'
import type { DirectoryHandle, EntryInfo, FileHandle, FileSystem, OpenMode, Stamp } from './file-system.js'
import { readFully } from './transfer.js'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = fs.constants

// O_NONBLOCK changes nothing for a regular file; it lets the open of a pipe return, which is then refused.
const OPEN_FLAGS: Readonly<Record<OpenMode, number>> = {
  read: O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
  create: O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK,
  update: O_RDWR | O_NOFOLLOW | O_NONBLOCK,
}

/** `stat` counts in blocks of this many bytes, whatever the block size of the file system is. */
const BLOCK_BYTES = 512
/** Permission bits. The others are `setgid` and the like, which a directory may have from its parent. */
const PERMISSIONS = 0o777
/** What file systems without permissions say (FAT, some of FUSE): the owner of a file may set its mode everywhere else. */
const NO_MODES: ReadonlySet<unknown> = new Set(['EPERM', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])
const NO_DIRECTORY_SYNC: ReadonlySet<unknown> = new Set(['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])

function refusal(code: string, reason: string, syscall: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${reason}, ${syscall} '${path}'`), { code, syscall, path })
}

class NodeFileHandle implements FileHandle {
  readonly path: string
  readonly #openDescriptor: Descriptor
  #closed = false

  constructor(path: string, descriptor: Descriptor) {
    this.path = path
    this.#openDescriptor = descriptor
  }

  read(buffer: Uint8Array, position: number): Promise<number> {
    return promised(this.path, done =>
      fs.read(this.#descriptor('read'), buffer, 0, buffer.byteLength, position, done),
    )
  }

  readSync(buffer: Uint8Array, position: number): number {
    try {
      return fs.readSync(this.#descriptor('read'), buffer, 0, buffer.byteLength, position)
    } catch (error) {
      throw withPath(error, this.path)
    }
  }

  write(buffer: Uint8Array, position: number): Promise<number> {
    return promised(this.path, done =>
      fs.write(this.#descriptor('write'), buffer, 0, buffer.byteLength, position, done),
    )
  }

  writeSync(buffer: Uint8Array, position: number): number {
    try {
      return fs.writeSync(this.#descriptor('write'), buffer, 0, buffer.byteLength, position)
    } catch (error) {
      throw withPath(error, this.path)
    }
  }

  async sync(): Promise<void> {
    await this.#opened('fdatasync').syncData()
  }

  async size(): Promise<number> {
    const stats = await promised<fs.Stats>(this.path, done => fs.fstat(this.#descriptor('fstat'), done))
    return stats.size
  }

  async stamp(): Promise<Stamp> {
    return stampOf(await bigStats(this.path, this.#descriptor('fstat')))
  }

  async close(): Promise<void> {
    const descriptor = this.#opened('close')
    this.#closed = true
    await descriptor.close()
  }

  // The system gives the number of a closed descriptor to the next file that anybody in the process opens: a late call
  // with it would read, overwrite or close a stranger's file.
  #descriptor(syscall: string): number {
    return this.#opened(syscall).number
  }

  #opened(syscall: string): Descriptor {
    if (this.#closed) throw refusal('EBADF', 'bad file descriptor', syscall, this.path)
    return this.#openDescriptor
  }
}

function bigStats(path: string, descriptor: number): Promise<fs.BigIntStats> {
  return promised<fs.BigIntStats>(path, done => fs.fstat(descriptor, { bigint: true }, done))
}

function stampOf({ dev, ino, size, mtimeNs }: fs.BigIntStats): Stamp {
  return { identity: `${dev}:${ino}`, bytes: Number(size), changed: String(mtimeNs) }
}

async function open(path: string, mode: OpenMode, fileMode = DEFAULT_FILE_MODE): Promise<FileHandle> {
  const descriptor = await openDescriptor(path, OPEN_FLAGS[mode], fileMode)
  try {
    const stats = await promised<fs.Stats>(path, done => fs.fstat(descriptor.number, done))
    if (stats.isDirectory()) throw refusal('EISDIR', 'illegal operation on a directory', 'open', path)
    if (!stats.isFile()) throw refusal('EINVAL', 'not a regular file', 'open', path)
    if (mode === 'create') await ensureMode(stats, fileMode, wanted => descriptor.setMode(wanted))
  } catch (error) {
    await descriptor.close()
    throw error
  }
  return new NodeFileHandle(path, descriptor)
}

/** Sets the permissions of something new that the umask, or the access control list of its directory, has changed. */
async function ensureMode(
  { mode }: fs.Stats,
  wanted: number,
  setMode: (mode: number) => Promise<unknown>,
): Promise<void> {
  if ((mode & PERMISSIONS) === wanted) return
  await setMode((mode & 0o7000) | wanted).catch((error: unknown) => {
    if (!NO_MODES.has(codeOf(error))) throw error
  })
}

async function openDirectory(directory: string): Promise<DirectoryHandle> {
  const descriptor = await openDescriptor(directory, O_RDONLY | O_DIRECTORY)
  return {
    path: directory,
    identity: async () => stampOf(await bigStats(directory, descriptor.number)).identity,
    async sync() {
      try {
        await descriptor.sync()
      } catch (error) {
        // If directories cannot be synced at all, the file system keeps their entries in its own way.
        if (!NO_DIRECTORY_SYNC.has(codeOf(error))) throw error
      }
    },
    close: () => descriptor.close(),
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const opened = await openDirectory(directory)
  try {
    await opened.sync()
  } finally {
    await opened.close()
  }
}

/**
 * The entry of every directory made here is synced, the topmost first: after a crash the path is there, or its
 * beginning.
 *
 * Not by a recursive `mkdir`: it returns a path as the disk spells it, which may not be the beginning of the path that
 * was asked for.
 */
async function makeDirectory(directory: string, fileMode = DEFAULT_FILE_MODE): Promise<string | undefined> {
  const mode = directoryModeOf(fileMode)
  const missing: string[] = []
  let path = resolve(directory)
  let outcome = await makeOne(path, mode)
  // Each step makes the path shorter, and the root exists.
  while (outcome === 'no parent' && dirname(path) !== path) {
    missing.push(path)
    path = dirname(path)
    outcome = await makeOne(path, mode)
  }
  if (outcome === 'no parent') throw refusal('ENOENT', 'no such file or directory', 'mkdir', path)
  let topmost: string | undefined
  for (;;) {
    if (outcome === 'made') {
      topmost ??= path
      await syncDirectory(dirname(path))
    }
    const next = missing.pop()
    if (next === undefined) return topmost
    path = next
    outcome = await makeOne(path, mode)
    // Somebody removes what was just made.
    if (outcome === 'no parent') throw refusal('ENOENT', 'no such file or directory', 'mkdir', path)
  }
}

async function makeOne(directory: string, mode: number): Promise<'made' | 'there' | 'no parent'> {
  try {
    await promised<unknown>(directory, done => fs.mkdir(directory, { mode }, done as fs.NoParamCallback))
    const stats = await promised<fs.Stats>(directory, done => fs.lstat(directory, done))
    await ensureMode(stats, mode, wanted =>
      promised<unknown>(directory, done => fs.chmod(directory, wanted, done as fs.NoParamCallback)),
    )
    return 'made'
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return 'no parent'
    if (code === 'EEXIST' && (await isDirectory(directory))) return 'there'
    throw error
  }
}

/** Whether the path is a directory or a link to one. */
async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await promised<fs.Stats>(path, done => fs.stat(path, done))).isDirectory()
  } catch {
    return false
  }
}

async function info(path: string): Promise<EntryInfo | undefined> {
  const stats = await ifThere(promised<fs.Stats>(path, done => fs.lstat(path, done)))
  if (stats === undefined) return undefined
  const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other'
  return { kind, bytes: stats.size, allocatedBytes: stats.blocks * BLOCK_BYTES, modifiedMs: stats.mtimeMs }
}

async function stamp(path: string): Promise<Stamp | undefined> {
  const stats = await ifThere(
    promised<fs.BigIntStats>(path, done => fs.stat(path, { bigint: true }, done)),
    'ENOTDIR',
  )
  return stats && stampOf(stats)
}

async function digest(path: string): Promise<string | undefined> {
  const file = await ifThere(open(path, 'read'), 'ENOTDIR')
  if (file === undefined) return undefined
  try {
    const bytes = new Uint8Array(await file.size())
    return createHash('sha256')
      .update(bytes.subarray(0, await readFully(file, bytes, 0)))
      .digest('hex')
  } finally {
    await file.close()
  }
}

/** `undefined` if the call fails with `ENOENT`, or with `other`. */
async function ifThere<T>(call: Promise<T>, other?: string): Promise<T | undefined> {
  try {
    return await call
  } catch (error) {
    if (hasCode(error, 'ENOENT') || (other !== undefined && hasCode(error, other))) return undefined
    throw error
  }
}

/** The file system of the machine. */
export const nodeFileSystem: FileSystem = {
  open,
  async rename(from, to) {
    await promised<unknown>(from, done => fs.rename(from, to, done as fs.NoParamCallback))
  },
  async unlink(path) {
    await promised<unknown>(path, done => fs.unlink(path, done as fs.NoParamCallback))
  },
  async link(existing, path) {
    await promised<unknown>(existing, done => fs.link(existing, path, done as fs.NoParamCallback))
  },
  list(directory) {
    return promised<string[]>(directory, done => fs.readdir(directory, done))
  },
  makeDirectory,
  async removeDirectory(directory) {
    await promised<unknown>(directory, done => fs.rmdir(directory, done as fs.NoParamCallback))
  },
  syncDirectory,
  openDirectory,
  info,
  stamp,
  digest,
  async freeBytes(path) {
    const stats = await promised<fs.StatsFs>(path, done => fs.statfs(path, done))
    // Some file systems do not know: /proc, some of FUSE. That is not a full disk.
    return stats.blocks === 0 ? Infinity : stats.bavail * stats.bsize
  },
}
