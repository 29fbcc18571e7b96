/**
 * Reads objects of a store by ranges, through a cache. docs/internals.md, Block cache.
 */

/** Requires of all calls: an object that is never changed, of `size` bytes; a key that was never used for another one. */
export interface ObjectReader {
  /**
   * Fills `buffer` from `position` on, of an object of `size` bytes. Resolves to the bytes read: fewer only at the end.
   * `undefined`: there is no such object. Rejects with what the store rejects with, `FLASHTABLE_UNAVAILABLE` mostly; then
   * the buffer may be filled in part, and nobody writes into it any more.
   */
  read(key: string, size: number, position: number, buffer: Uint8Array): Promise<number | undefined>
  /**
   * The same from what is cached, in memory or on disk; `undefined` if not all of it is, and then the buffer may be filled
   * in part. Blocks.
   */
  readSync(key: string, size: number, position: number, buffer: Uint8Array): number | undefined
  /** Forgets what is cached of these bytes: they were found damaged. The next read asks the store. */
  forget(key: string, position: number, bytes: number): void
  stats(): ObjectReaderStats
  /** Ends what is under way: its reads reject. Resolves when nothing is under way any more. Idempotent; never rejects. */
  close(): Promise<void>
}

/** What was read since it was opened. */
export interface ObjectReaderStats {
  /** Calls of the store. */
  readonly requests: number
  /** Bytes that they have brought. */
  readonly fetchedBytes: number
  /** Blocks that were found in memory, on disk, and nowhere. */
  readonly memoryHits: number
  readonly diskHits: number
  readonly misses: number
  /** Bytes of the blocks in memory now. */
  readonly memoryBytes: number
  /** Of the disk; absent without a cache directory. */
  readonly disk?: DiskCacheStats
}

/** What the part of the cache that is on disk has done since it was opened. */
export interface DiskCacheStats {
  /** Where it is; absent if no place could be had. */
  readonly directory?: string
  /** Blocks in it now, and those that it has room for. */
  readonly blocks: number
  readonly roomBlocks: number
  /** Bytes written to the disk, and bytes of blocks that came in. Their quotient is what a new byte costs. */
  readonly writtenBytes: number
  readonly newBytes: number
  /** Blocks that did not come in, because the disk was slower than the store. */
  readonly droppedBlocks: number
  /** Blocks that were not what was written: torn, overwritten by others, or damaged. They were read from the store. */
  readonly damagedBlocks: number
  /** Why it was turned off: reads go to the store. Absent: it is on. */
  readonly off?: string
}
