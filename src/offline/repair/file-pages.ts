/**
 * The pages of a bucket file for repair. A page that cannot be read, or whose checksum is wrong, is damaged; the others
 * are still read.
 */
import { wordsOf } from '../../format/little-endian.js'
import { pageChecksums } from '../../format/section.js'
import type { FileHandle, FileSystem } from '../../io/file-system.js'
import { readFully } from '../../io/transfer.js'

/** Pages of one read. */
const WINDOW_PAGES = 64

export class FilePages {
  readonly path: string
  readonly pageBytes: number
  /** Whole pages in the file. */
  readonly count: number
  /** The window and one more word: readers of packed columns read ahead. */
  readonly words: Uint32Array
  seed: number
  readonly #handle: FileHandle
  readonly #window: Uint8Array
  #first = 0
  #end = 0

  private constructor(handle: FileHandle, size: number, pageBytes: number, seed: number) {
    const bytes = new Uint8Array(WINDOW_PAGES * pageBytes + 4)
    this.path = handle.path
    this.pageBytes = pageBytes
    this.count = Math.floor(size / pageBytes)
    this.words = wordsOf(bytes)
    this.seed = seed
    this.#handle = handle
    this.#window = bytes.subarray(0, WINDOW_PAGES * pageBytes)
  }

  /** Throws Node's errors. */
  static async open(
    fileSystem: FileSystem,
    path: string,
    pageBytes: number,
    seed: number,
  ): Promise<FilePages> {
    const handle = await fileSystem.open(path, 'read')
    try {
      return new FilePages(handle, await handle.size(), pageBytes, seed)
    } catch (error) {
      await handle.close().catch(() => {})
      throw error
    }
  }

  /** Brings a page into the window; false if it is damaged. */
  async load(page: number): Promise<boolean> {
    if (page < 0 || page >= this.count) return false
    if (page < this.#first || page >= this.#end) await this.#read(page)
    const bytes = this.bytes(page)
    const [found, expected] = pageChecksums(bytes, this.seed, page)
    return found === expected
  }

  /** The bytes of a page. Requires: it was loaded last. */
  bytes(page: number): Uint8Array {
    const at = (page - this.#first) * this.pageBytes
    return this.#window.subarray(at, at + this.pageBytes)
  }

  /** Its first word in `words`. Requires: as above. */
  base(page: number): number {
    return ((page - this.#first) * this.pageBytes) / 4
  }

  async close(): Promise<void> {
    // It was only read.
    await this.#handle.close().catch(() => {})
  }

  async #read(page: number): Promise<void> {
    const pages = Math.min(WINDOW_PAGES, this.count - page)
    const bytes = this.#window.subarray(0, pages * this.pageBytes)
    this.#first = page
    this.#end = page + pages
    try {
      await this.#fill(bytes, page)
    } catch {
      // A sector of one page cannot be read: read page by page, to get the others.
      for (let i = 0; i < pages; i++) {
        const one = bytes.subarray(i * this.pageBytes, (i + 1) * this.pageBytes)
        await this.#fill(one, page + i).catch(() => one.fill(0))
      }
    }
  }

  async #fill(bytes: Uint8Array, page: number): Promise<void> {
    const count = await readFully(this.#handle, bytes, page * this.pageBytes)
    bytes.fill(0, count)
  }
}
