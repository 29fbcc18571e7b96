/**
 * An object store that is a directory: on another disk, on a memory stick, on a file server.
 *
 * A whole object is a file, written beside its name, synced and renamed. A pointer is a series of directories, `NAME.1`,
 * `NAME.2`, ..., each with one file: the highest number counts. A swap makes the next one by a rename, which fails if
 * somebody else has made it: that is the compare-and-swap, also where there are no hard links (FAT, exFAT). After it,
 * the directory is listed again: a writer that was asleep may have made a number that others have made and removed
 * before, and then has lost. docs/decisions/directory-store.md.
 */
import { randomBytes } from 'node:crypto'
import { Semaphore } from 'async-mutex'
import { throwIfAborted } from '../async/abort.js'
import { FlashTableError, hasCode, messageOf } from '../base/errors.js'
import type { FileHandle, FileSystem } from '../io/file-system.js'
import { readFully, writeFully } from '../io/transfer.js'
import { checkBelow, urlBelow } from './below.js'
import {
  sourceOf,
  type ByteRange,
  type ObjectInfo,
  type ObjectSource,
  type ObjectStore,
  type PointerContent,
  type StoreCall,
  type UploadChoice,
} from './object-store.js'

/** Objects that are read at once, of this store and those below it: each takes a descriptor, and there are few of them. */
const READS_AT_ONCE = 64
/** Bytes that are copied at once. */
const PIECE_BYTES = 2 ** 20
/** Names that begin like this are objects that are being written. */
const TEMPORARY_PREFIX = '.upload-'
/** After that time nobody writes them any more, if they are of a pointer or of the clock. */
const TEMPORARY_MS = 86_400_000
/** The file in a directory that is a pointer. */
const CONTENT_NAME = 'content'
/** Of a pointer, this many versions before the newest stay, for readers that have just looked for it. */
const OLD_VERSIONS = 2
/** A pointer may be replaced while it is being read. So often in a row it is not. */
const LOAD_ATTEMPTS = 100
/** What a rename says if there is a directory with something in it. */
const TAKEN: readonly string[] = ['ENOTEMPTY', 'EEXIST']

export class DirectoryStore implements ObjectStore {
  readonly url: string
  readonly #fileSystem: FileSystem
  readonly #directory: string
  readonly #fileMode: number | undefined
  readonly #reads: Semaphore

  /** `directory`: an absolute path. It is made when something is stored. `reads`: of the store that this one is below. */
  constructor(
    fileSystem: FileSystem,
    directory: string,
    url: string,
    fileMode?: number,
    reads = new Semaphore(READS_AT_ONCE),
  ) {
    this.#reads = reads
    this.#fileSystem = fileSystem
    this.#directory = directory
    this.url = url
    this.#fileMode = fileMode
  }

  async get(
    key: string,
    { range, signal }: StoreCall & { readonly range?: ByteRange } = {},
  ): Promise<Uint8Array | undefined> {
    return this.#call(`read ${key}`, signal, () =>
      this.#reads.runExclusive(() => {
        throwIfAborted(signal)
        return this.#get(key, range)
      }),
    )
  }

  async #get(key: string, range: ByteRange | undefined): Promise<Uint8Array | undefined> {
    const file = await this.#open(this.#pathOf(key))
    if (file === undefined) return undefined
    return reading(file, async () => {
      const { start, end } = range ?? { start: 0, end: await file.size() }
      const bytes = new Uint8Array(end - start)
      if ((await readFully(file, bytes, start)) < bytes.byteLength)
        throw this.#unavailable(`read ${key}`, `it ends at ${await file.size()}, before ${end}`)
      return bytes
    })
  }

  put(key: string, source: ObjectSource, { signal }: StoreCall = {}): Promise<void> {
    return this.#call(`write ${key}`, signal, async () => {
      const path = this.#pathOf(key)
      const folder = await this.#makeFolder(path)
      const temporary = `${folder}/${temporaryName()}`
      try {
        await this.#write(temporary, source, signal)
        await this.#fileSystem.rename(temporary, path)
      } catch (error) {
        await this.#fileSystem.unlink(temporary).catch(() => {})
        throw error
      }
      await this.#fileSystem.syncDirectory(folder)
    })
  }

  load(key: string, { signal }: StoreCall = {}): Promise<PointerContent | undefined> {
    return this.#call(`read ${key}`, signal, async () => {
      for (let attempt = 1; attempt <= LOAD_ATTEMPTS; attempt++) {
        const number = (await this.#numbersOf(key)).at(-1)
        if (number === undefined) {
          await this.#expectNoFile(key)
          return undefined
        }
        const file = await this.#open(this.#pathOfNumber(key, number))
        // A newer one has taken its place meanwhile.
        if (file === undefined) continue
        const bytes = await reading(file, async () => readAll(file))
        return { bytes, version: String(number) }
      }
      throw this.#unavailable(`read ${key}`, 'it was replaced again and again')
    })
  }

  swap(
    key: string,
    bytes: Uint8Array,
    expected: string | undefined,
    { signal }: StoreCall = {},
  ): Promise<string | undefined> {
    return this.#call(`replace ${key}`, signal, async () => {
      const path = this.#pathOf(key)
      const folder = await this.#makeFolder(path)
      const newest = (await this.#numbersOf(key)).at(-1)
      if (String(newest) !== String(expected)) return undefined
      const number = (newest ?? 0) + 1
      if (!(await this.#makeNumber(key, folder, number, bytes))) return undefined
      await this.#fileSystem.syncDirectory(folder)
      const numbers = await this.#numbersOf(key)
      if (numbers.at(-1) !== number) {
        await this.#removeNumber(key, number)
        return undefined
      }
      for (const old of numbers) if (old < number - OLD_VERSIONS) await this.#removeNumber(key, old)
      return String(number)
    })
  }

  async *list(prefix: string, { signal }: StoreCall = {}): AsyncGenerator<ObjectInfo> {
    const found = await this.#call(`list ${prefix}`, signal, () => this.#filesUnder('', prefix))
    for (const info of found.toSorted((a, b) => (a.key < b.key ? -1 : 1))) yield info
  }

  delete(key: string, { signal }: StoreCall = {}): Promise<void> {
    return this.#call(`delete ${key}`, signal, async () => {
      const path = this.#pathOf(key)
      if (!key.includes('/'))
        for (const number of await this.#numbersOf(key)) await this.#removeNumber(key, number)
      await this.#fileSystem.unlink(path).catch((error: unknown) => {
        if (!hasCode(error, 'ENOENT') && !hasCode(error, 'ENOTDIR')) throw error
      })
      // Folders of epochs go with their last object.
      if (key.includes('/')) await this.#fileSystem.removeDirectory(folderOf(path)).catch(() => {})
    })
  }

  abortUploads(prefix: string, { signal, which = () => true }: StoreCall & UploadChoice = {}): Promise<void> {
    return this.#call(`clean up ${prefix}`, signal, async () => {
      for (const key of await this.#temporariesUnder('', prefix))
        if (which(key)) await this.#removeTemporary(this.#pathOf(key))
      await this.#removeOldTemporaries()
    })
  }

  now({ signal }: StoreCall = {}): Promise<number> {
    return this.#call('tell the time', signal, async () => {
      const folder = await this.#makeFolder(this.#pathOf('time'))
      const path = `${folder}/${temporaryName()}`
      const file = await this.#fileSystem.open(path, 'create', this.#fileMode)
      try {
        await file.write(new Uint8Array(1), 0)
        return Math.floor((await this.#fileSystem.info(path))!.modifiedMs)
      } finally {
        await file.close().catch(() => {})
        await this.#fileSystem.unlink(path).catch(() => {})
      }
    })
  }

  below(path: string): DirectoryStore {
    const directory = `${this.#directory}/${checkBelow(path)}`
    return new DirectoryStore(
      this.#fileSystem,
      directory,
      urlBelow(this.url, path),
      this.#fileMode,
      this.#reads,
    )
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  /** What killed processes have left beside pointers: nobody writes one for that long. */
  async #removeOldTemporaries(): Promise<void> {
    const names = (await this.#namesIn(this.#directory)).filter(name => name.startsWith(TEMPORARY_PREFIX))
    const now = names.length === 0 ? 0 : await this.now()
    for (const name of names) {
      const info = await this.#fileSystem.info(this.#pathOf(name))
      if (info !== undefined && info.modifiedMs < now - TEMPORARY_MS)
        await this.#removeTemporary(this.#pathOf(name))
    }
  }

  /** Runs a call; its failures become `FLASHTABLE_UNAVAILABLE`. */
  async #call<T>(what: string, signal: AbortSignal | undefined, action: () => Promise<T>): Promise<T> {
    throwIfAborted(signal)
    try {
      return await action()
    } catch (error) {
      throwIfAborted(signal)
      if (error instanceof FlashTableError) throw error
      throw this.#unavailable(what, messageOf(error), error)
    }
  }

  #unavailable(what: string, reason: string, cause?: unknown): FlashTableError {
    return new FlashTableError(
      'FLASHTABLE_UNAVAILABLE',
      `the store ${this.url} cannot ${what}: ${reason}; check that it is there and has room, and try again`,
      { cause },
    )
  }

  /** A table in a directory has a file where a store has the versions of a pointer: the two would be mixed up. */
  async #expectNoFile(key: string): Promise<void> {
    if ((await this.#fileSystem.info(this.#pathOf(key)))?.kind !== 'file') return
    throw new FlashTableError(
      'FLASHTABLE_EXISTS',
      `${this.#directory} is the directory of a table, and no store: give another directory to directoryStore`,
    )
  }

  #pathOf(key: string): string {
    return `${this.#directory}/${key}`
  }

  #pathOfNumber(key: string, number: number): string {
    return `${this.#pathOf(key)}.${number}/${CONTENT_NAME}`
  }

  /** The versions of a pointer that are there, ascending. */
  async #numbersOf(key: string): Promise<number[]> {
    const path = this.#pathOf(key)
    const folder = folderOf(path)
    const name = path.slice(folder.length + 1)
    const names = await this.#namesIn(folder)
    return names
      .filter(other => other.startsWith(`${name}.`))
      .map(other => other.slice(name.length + 1))
      .filter(rest => /^[1-9]\d{0,14}$/.test(rest))
      .map(Number)
      .toSorted((a, b) => a - b)
  }

  /** Whether it was made: the rename fails if there is one with this number. */
  async #makeNumber(key: string, folder: string, number: number, bytes: Uint8Array): Promise<boolean> {
    const temporary = `${folder}/${temporaryName()}`
    try {
      await this.#fileSystem.makeDirectory(temporary, this.#fileMode)
      await this.#write(`${temporary}/${CONTENT_NAME}`, sourceOf(bytes))
      await this.#fileSystem.syncDirectory(temporary)
      await this.#fileSystem.rename(temporary, `${this.#pathOf(key)}.${number}`)
      return true
    } catch (error) {
      await this.#removeTemporary(temporary)
      if (TAKEN.some(code => hasCode(error, code))) return false
      throw error
    }
  }

  /** Best effort: what stays is older than what counts. */
  async #removeNumber(key: string, number: number): Promise<void> {
    await this.#fileSystem.unlink(this.#pathOfNumber(key, number)).catch(() => {})
    await this.#fileSystem.removeDirectory(`${this.#pathOf(key)}.${number}`).catch(() => {})
  }

  /** A file, or a directory with a file. Best effort. */
  async #removeTemporary(path: string): Promise<void> {
    await this.#fileSystem.unlink(`${path}/${CONTENT_NAME}`).catch(() => {})
    await this.#fileSystem.removeDirectory(path).catch(() => {})
    await this.#fileSystem.unlink(path).catch(() => {})
  }

  async #write(path: string, source: ObjectSource, signal?: AbortSignal): Promise<void> {
    const file = await this.#fileSystem.open(path, 'create', this.#fileMode)
    try {
      const buffer = new Uint8Array(Math.min(PIECE_BYTES, source.bytes))
      for (let position = 0; position < source.bytes; position += buffer.byteLength) {
        throwIfAborted(signal)
        const piece = buffer.subarray(0, Math.min(buffer.byteLength, source.bytes - position))
        await source.read(position, piece)
        await writeFully(file, piece, position)
      }
      await file.sync()
    } catch (error) {
      await file.close().catch(() => {})
      throw error
    }
    await file.close()
  }

  /** The folder of the path, made if need be. */
  async #makeFolder(path: string): Promise<string> {
    const folder = folderOf(path)
    await this.#fileSystem.makeDirectory(folder, this.#fileMode)
    return folder
  }

  async #open(path: string): Promise<FileHandle | undefined> {
    try {
      return await this.#fileSystem.open(path, 'read')
    } catch (error) {
      if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined
      throw error
    }
  }

  async #namesIn(folder: string): Promise<string[]> {
    try {
      return await this.#fileSystem.list(folder)
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return []
      throw error
    }
  }

  /** Whole objects in the folder (`''` or `name/`) and below whose keys begin with the prefix. */
  async #filesUnder(folder: string, prefix: string): Promise<ObjectInfo[]> {
    const found: ObjectInfo[] = []
    for (const name of await this.#namesIn(this.#pathOf(folder))) {
      const key = folder + name
      if (name.startsWith(TEMPORARY_PREFIX) || !mayBegin(key, prefix)) continue
      const info = await this.#fileSystem.info(this.#pathOf(key))
      if (info?.kind === 'file' && key.startsWith(prefix)) found.push({ key, bytes: info.bytes })
      // The number of a pointer is a directory, too.
      else if (info?.kind === 'directory' && !/\.[1-9]\d*$/.test(name))
        found.push(...(await this.#filesUnder(`${key}/`, prefix)))
    }
    return found
  }

  async #temporariesUnder(folder: string, prefix: string): Promise<string[]> {
    const found: string[] = []
    for (const name of await this.#namesIn(this.#pathOf(folder))) {
      const key = folder + name
      if (name.startsWith(TEMPORARY_PREFIX)) {
        if (folder.startsWith(prefix)) found.push(key)
      } else if (mayBegin(key, prefix)) {
        const info = await this.#fileSystem.info(this.#pathOf(key))
        if (info?.kind === 'directory') found.push(...(await this.#temporariesUnder(`${key}/`, prefix)))
      }
    }
    return found
  }
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

function temporaryName(): string {
  return `${TEMPORARY_PREFIX}${randomBytes(8).toString('hex')}`
}

/** Whether a key, or one below it, may begin with the prefix. */
function mayBegin(key: string, prefix: string): boolean {
  return key.startsWith(prefix) || prefix.startsWith(`${key}/`) || prefix.startsWith(key)
}

async function readAll(file: FileHandle): Promise<Uint8Array> {
  const bytes = new Uint8Array(await file.size())
  return bytes.subarray(0, await readFully(file, bytes, 0))
}

/** Runs `action`, and closes the file. */
async function reading<T>(file: FileHandle, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } finally {
    // It was only read.
    await file.close().catch(() => {})
  }
}
