/**
 * The bucket files of a version as files that can be read where they are, by ranges. docs/internals.md, Publishing.
 *
 * What reads them takes a failed read for damage. So the first failure of the store itself is kept: it says that
 * nothing is known.
 */
import { corruption, hasCode } from '../base/errors.js'
import type { FileHandle, FileSystem } from '../io/file-system.js'
import { bucketName } from '../io/file-names.js'
import type { ObjectStore, StoreCall } from '../store/object-store.js'
import type { RemoteFile } from './remote-manifest.js'

/** Bytes that are fetched at once, and how many such pieces of a file stay: one of the data, one of the filter. */
const PIECE_BYTES = 4 * 2 ** 20
const PIECES = 2

export class StoredFiles {
  readonly directory: string
  readonly #store: ObjectStore
  readonly #call: StoreCall
  readonly #files: ReadonlyMap<string, RemoteFile>
  readonly #pageBytes: number
  #failure: { readonly error: unknown } | undefined

  constructor(store: ObjectStore, files: readonly RemoteFile[], pageBytes: number, call: StoreCall) {
    this.#store = store
    this.#call = call
    this.#pageBytes = pageBytes
    this.directory = store.url
    this.#files = new Map(files.map(file => [`${store.url}/${bucketName(file.entry.number)}`, file]))
  }

  /** What reads a bucket file opens it, and needs no other call. */
  get fileSystem(): FileSystem {
    const files: Pick<FileSystem, 'open'> = {
      open: path => Promise.resolve(this.#open(path)),
    }
    return files as FileSystem
  }

  /** Rejects with the failure of the store, if there was one. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  #open(path: string): FileHandle {
    const { key, entry } = this.#files.get(path)!
    const size = entry.pages * this.#pageBytes
    let pieces: { readonly start: number; readonly bytes: Uint8Array }[] = []
    const pieceAt = async (start: number): Promise<Uint8Array> => {
      const held = pieces.find(piece => piece.start === start)
      if (held !== undefined) return held.bytes
      const bytes = await this.#fetch(key, start, Math.min(size, start + PIECE_BYTES))
      pieces = [{ start, bytes }, ...pieces].slice(0, PIECES)
      return bytes
    }
    const refused = (): never => {
      throw new Error('a stored file is only read')
    }
    return {
      path,
      async read(buffer, position) {
        if (position >= size) return 0
        const start = position - (position % PIECE_BYTES)
        const piece = (await pieceAt(start)).subarray(position - start)
        const part = piece.subarray(0, buffer.byteLength)
        buffer.set(part)
        return part.byteLength
      },
      size: () => Promise.resolve(size),
      close: () => Promise.resolve(),
      readSync: refused,
      write: refused,
      writeSync: refused,
      sync: refused,
      stamp: refused,
    }
  }

  async #fetch(key: string, start: number, end: number): Promise<Uint8Array> {
    this.check()
    try {
      const bytes = await this.#store.get(key, { ...this.#call, range: { start, end } })
      if (bytes !== undefined) return bytes
    } catch (error) {
      if (!hasCode(error, 'FLASHTABLE_CORRUPTION')) this.#failure = { error }
      throw error
    }
    throw corruption(`${this.#store.url}/${key}`, 0, 'an object that the manifest names', 'none')
  }
}
