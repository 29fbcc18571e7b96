/**
 * One version of a published table as a directory that can be read: its manifest, and its bucket files where they are.
 *
 * So everything that reads a table in a directory reads one in a store. docs/internals.md, Remote readers.
 */
import { FlashTableError, unavailableOffline } from '../base/errors.js'
import type { ObjectReader } from '../block-cache/object-reader.js'
import { bucketName, MANIFEST_NAME } from '../io/file-names.js'
import type { EntryInfo, FileHandle, FileSystem } from '../io/file-system.js'
import { serializeManifest } from '../manifest/manifest.js'
import { filesOfVersion, manifestOf, type RemoteManifest, type RemoteVersion } from './remote-manifest.js'

/** What reads objects of the store. */
export type RemoteObjects = Pick<ObjectReader, 'read' | 'readSync' | 'forget'>

/** A file of the directory: its content, or where that is. */
type RemoteEntry = { readonly bytes: Uint8Array } | { readonly key: string; readonly size: number }

/** The directory of a version; its path is `url`. */
export function remoteFileSystem(
  url: string,
  remote: RemoteManifest,
  version: RemoteVersion,
  objects: RemoteObjects,
): FileSystem {
  const entries = entriesOf(remote, version)
  const nameOf = (path: string): string => path.slice(url.length + 1)
  const expired = (key: string): FlashTableError => expiredError(url, key)
  const infoOf = (path: string): EntryInfo | undefined => {
    if (path === url) return { kind: 'directory', bytes: 0, allocatedBytes: 0, modifiedMs: version.at }
    const entry = entries.get(nameOf(path))
    const bytes = entry && sizeOf(entry)
    return bytes === undefined
      ? undefined
      : { kind: 'file', bytes, allocatedBytes: bytes, modifiedMs: version.at }
  }
  return {
    open(path, mode) {
      if (mode !== 'read') return refuse(path)
      const entry = entries.get(nameOf(path))
      if (entry === undefined) return Promise.reject(systemError('ENOENT', `there is no ${path}`))
      return Promise.resolve(new RemoteFile(path, entry, objects, expired))
    },
    list: () => Promise.resolve([...entries.keys()]),
    info: path => Promise.resolve(infoOf(path)),
    stamp: path => {
      const info = infoOf(path)
      const changed = String(version.version)
      return Promise.resolve(info && { identity: path, bytes: info.bytes, changed })
    },
    digest: refuse,
    rename: refuse,
    unlink: refuse,
    link: refuse,
    makeDirectory: refuse,
    removeDirectory: refuse,
    syncDirectory: refuse,
    openDirectory: refuse,
    freeBytes: () => Promise.resolve(Infinity),
  }
}

function entriesOf(remote: RemoteManifest, version: RemoteVersion): ReadonlyMap<string, RemoteEntry> {
  const entries = new Map<string, RemoteEntry>()
  entries.set(MANIFEST_NAME, { bytes: serializeManifest(manifestOf(remote, version)) })
  for (const { entry, key } of filesOfVersion(remote, version.version))
    entries.set(bucketName(entry.number), { key, size: entry.pages * remote.table.pageBytes })
  return entries
}

function sizeOf(entry: RemoteEntry): number {
  return 'bytes' in entry ? entry.bytes.byteLength : entry.size
}

class RemoteFile implements FileHandle {
  readonly path: string
  readonly #entry: RemoteEntry
  readonly #objects: RemoteObjects
  readonly #expired: (key: string) => FlashTableError

  constructor(
    path: string,
    entry: RemoteEntry,
    objects: RemoteObjects,
    expired: (key: string) => FlashTableError,
  ) {
    this.path = path
    this.#entry = entry
    this.#objects = objects
    this.#expired = expired
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    const entry = this.#entry
    if ('bytes' in entry) return copyPart(entry.bytes, buffer, position)
    const { key, size } = entry
    const count = await this.#objects.read(key, size, position, buffer)
    if (count === undefined) throw this.#expired(key)
    return count
  }

  readSync(buffer: Uint8Array, position: number): number {
    const entry = this.#entry
    if ('bytes' in entry) return copyPart(entry.bytes, buffer, position)
    const { key, size } = entry
    const count = this.#objects.readSync(key, size, position, buffer)
    if (count === undefined) throw unavailableOffline(this.path)
    return count
  }

  forget(position: number, bytes: number): void {
    if ('key' in this.#entry) this.#objects.forget(this.#entry.key, position, bytes)
  }

  size(): Promise<number> {
    return Promise.resolve(sizeOf(this.#entry))
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  write(): Promise<never> {
    return refuse(this.path)
  }

  writeSync(): never {
    throw systemError('EROFS', `${this.path} is only read`)
  }

  sync(): Promise<never> {
    return refuse(this.path)
  }

  stamp(): Promise<never> {
    return refuse(this.path)
  }
}

function copyPart(bytes: Uint8Array, buffer: Uint8Array, position: number): number {
  const part = bytes.subarray(position, position + buffer.byteLength)
  buffer.set(part)
  return part.byteLength
}

function refuse(path: string): Promise<never> {
  return Promise.reject(systemError('EROFS', `${path} is only read`))
}

function systemError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}

/** A file belongs to many versions: it is not known here which of them is read. */
function expiredError(url: string, key: string): FlashTableError {
  return new FlashTableError(
    'FLASHTABLE_SNAPSHOT_EXPIRED',
    `a version of ${url} can be read no more (${key} is gone): take a new snapshot or begin the scan again; ` +
      'to read a version for longer, publish with a longer retention, or give it a name and open it by that',
    { path: `${url}/${key}` },
  )
}
