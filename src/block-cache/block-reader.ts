/** TEMPORARY */
import type { FileSystem } from '../io/file-system.js'
import type { ObjectStore } from '../store/object-store.js'
import type { ObjectReader, ObjectReaderStats } from './object-reader.js'
export class BlockReader implements ObjectReader {
  readonly #store: ObjectStore
  #requests = 0
  #bytes = 0
  constructor(store: ObjectStore) {
    this.#store = store
  }
  static open({
    store,
  }: {
    store: ObjectStore
    fileSystem: FileSystem
    directory: string | undefined
    diskBytes: number
  }): Promise<BlockReader> {
    return Promise.resolve(new BlockReader(store))
  }
  async read(key: string, size: number, position: number, buffer: Uint8Array): Promise<number | undefined> {
    const end = Math.min(size, position + buffer.byteLength)
    if (end <= position) return 0
    this.#requests++
    const bytes = await this.#store.get(key, { range: { start: position, end } })
    if (bytes === undefined) return undefined
    this.#bytes += bytes.byteLength
    buffer.set(bytes)
    return bytes.byteLength
  }
  readSync(): undefined {}
  forget(): void {}
  stats(): ObjectReaderStats {
    return { requests: this.#requests, fetchedBytes: this.#bytes } as ObjectReaderStats
  }
  close(): Promise<void> {
    return Promise.resolve()
  }
}
