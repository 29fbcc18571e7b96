/**
 * Blocks of objects, in memory and on disk: what a {@link BlockReader} reads through. Several readers may share one,
 * because a block's identity has the store in it.
 */
import { outOfRange } from '../base/errors.js'
import { CACHE_DISK_BYTES_MIN } from '../options/remote-options.js'
import type { CachedObject } from './cached-object.js'
import { MemoryBlocks } from './memory-blocks.js'
import type { DiskCacheStats } from './object-reader.js'
import { openRing, type OpenedRing, type RingParts } from './open-ring.js'

/** Memory of the blocks that were used last. */
export const BLOCK_MEMORY_BYTES = 2 ** 24

export interface BlockCacheOptions {
  /** Default: {@link BLOCK_MEMORY_BYTES}. 0: no block stays in memory. */
  readonly memoryBytes?: number | undefined
  /** Where blocks are on disk, and how many bytes of them, for each user of the directory. */
  readonly disk?: { readonly directory: string; readonly bytes: number } | undefined
}

export class BlockCache {
  readonly memory: MemoryBlocks
  readonly #opened: OpenedRing | undefined

  private constructor(memoryBytes: number, opened: OpenedRing | undefined) {
    this.#opened = opened
    this.memory = new MemoryBlocks(memoryBytes, (object, block, bytes) =>
      opened?.ring?.use(object, block, bytes),
    )
  }

  /** Throws `FLASHTABLE_INVALID_OPTION`. A disk that cannot be used is no error: `stats` say why. */
  static async open(
    parts: RingParts,
    { memoryBytes = BLOCK_MEMORY_BYTES, disk }: BlockCacheOptions,
  ): Promise<BlockCache> {
    if (disk !== undefined && !(disk.bytes >= CACHE_DISK_BYTES_MIN))
      throw outOfRange(
        'FLASHTABLE_INVALID_OPTION',
        `cacheDiskBytes: expected at least ${CACHE_DISK_BYTES_MIN} bytes (16 MiB), found ${disk.bytes}`,
      )
    return new BlockCache(memoryBytes, disk && (await openRing(parts, disk.directory, disk.bytes)))
  }

  isOnDisk(object: CachedObject, block: number): boolean {
    return this.#opened?.ring?.has(object, block) ?? false
  }

  /** `bytes`: of the block. `isUse`: it counts as used. `undefined`: it is not there any more, or damaged. */
  async fromDisk(
    object: CachedObject,
    block: number,
    bytes: number,
    isUse: boolean,
  ): Promise<Uint8Array | undefined> {
    return this.#opened?.ring?.read(object, block, bytes, isUse)
  }

  /** As {@link fromDisk}, blocking. */
  fromDiskSync(object: CachedObject, block: number, bytes: number, isUse: boolean): Uint8Array | undefined {
    return this.#opened?.ring?.readSync(object, block, bytes, isUse)
  }

  /** Keeps a block, in memory and on disk. */
  put(object: CachedObject, block: number, bytes: Uint8Array): void {
    this.#opened?.ring?.put(object, block, bytes)
    this.memory.put(object, block, bytes)
  }

  forget(object: CachedObject, block: number): void {
    this.memory.remove(object, block)
    this.#opened?.ring?.forget(object, block)
  }

  /** `undefined` without a cache directory. */
  diskStats(): DiskCacheStats | undefined {
    if (this.#opened === undefined) return undefined
    const { ring } = this.#opened
    if (ring !== undefined) return { directory: this.#opened.directory, ...ring.stats() }
    const none = {
      blocks: 0,
      roomBlocks: 0,
      writtenBytes: 0,
      newBytes: 0,
      droppedBlocks: 0,
      damagedBlocks: 0,
    }
    return { ...none, off: this.#opened.off }
  }

  /** Writes what has gathered. Requires: its readers are closed. Idempotent; never rejects: a cache that cannot be closed well is a colder one. */
  async close(): Promise<void> {
    this.memory.clear()
    if (this.#opened?.ring === undefined) return
    await this.#opened.ring.close()
    await this.#opened.lock.release().catch(() => {})
  }
}
