/** What the tests of the block cache share: a store that counts, and readers on a simulated disk. */
import type { BlockCacheOptions } from '../../../src/block-cache/block-cache.js'
import { openBlockReader } from '../../../src/block-cache/block-reader.js'
import type { ObjectReader } from '../../../src/block-cache/object-reader.js'
import type { RingParts } from '../../../src/block-cache/open-ring.js'
import { SEGMENT_BYTES } from '../../../src/block-cache/ring-segment.js'
import { FlashTableError } from '../../../src/base/errors.js'
import type { FileSystem } from '../../../src/io/file-system.js'
import type { ByteRange, ObjectStore, StoreCall } from '../../../src/store/object-store.js'

export const KIB = 1024
export const MIB = 1024 * KIB
export const BLOCK = 64 * KIB
export const DIRECTORY = '/cache'
export const RING_FILE = '/cache/ring-0/blocks'
/** A ring of eight segments: 256 blocks. */
export const SMALL_RING = 8 * SEGMENT_BYTES

/** A store of objects whose bytes follow from url, key and position. */
export class CountingStore {
  readonly url: string
  /** Ranges that were asked for, as `key start-end`, in KiB where they are whole. */
  readonly calls: string[] = []
  readonly missing = new Set<string>()
  atOnce = 0
  atOnceMost = 0
  /** Awaited in each call. */
  gate: (signal: AbortSignal | undefined) => Promise<void> = () => Promise.resolve()
  /** What is given instead. */
  change: (bytes: Uint8Array) => Uint8Array = bytes => bytes

  constructor(url = 'test://store') {
    this.url = url
  }

  get store(): ObjectStore {
    return this as unknown as ObjectStore
  }

  async get(
    key: string,
    { range, signal }: StoreCall & { readonly range?: ByteRange } = {},
  ): Promise<Uint8Array | undefined> {
    const { start, end } = range!
    this.calls.push(`${key} ${start / KIB}-${end / KIB}`)
    this.atOnceMost = Math.max(this.atOnceMost, ++this.atOnce)
    try {
      await this.gate(signal)
      if (this.missing.has(key)) return undefined
      return this.change(contentOf(this.url, key, start, end - start))
    } finally {
      this.atOnce--
    }
  }
}

/** Differs from block to block, and within one. */
export function contentOf(url: string, key: string, start: number, bytes: number): Uint8Array {
  let seed = 0
  for (const letter of url + key) seed = (Math.imul(seed, 31) + letter.charCodeAt(0)) >>> 0
  const words = new Uint32Array(Math.ceil((bytes + 8) / 4))
  const firstWord = Math.floor(start / 4)
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(seed ^ (firstWord + i), 0x9e3779b1)
  return new Uint8Array(words.buffer).slice(start % 4, (start % 4) + bytes)
}

/** Locks that live as long as a process: as those of the real one, they do not outlive it. */
export function newLocks(): RingParts['acquireLock'] {
  const held = new Set<string>()
  return directory => {
    if (held.has(directory)) return Promise.reject(new FlashTableError('FLASHTABLE_LOCKED', 'it is locked'))
    held.add(directory)
    return Promise.resolve({ release: () => Promise.resolve(void held.delete(directory)) })
  }
}

/** A reader in a process of its own. */
export function openReader(
  store: CountingStore,
  fileSystem: FileSystem,
  options: BlockCacheOptions = {},
  acquireLock = newLocks(),
): Promise<ObjectReader> {
  return openBlockReader(store.store, { fileSystem, acquireLock }, options)
}

/** A cache without memory: what it has is on disk. */
export const ON_DISK: BlockCacheOptions = {
  memoryBytes: 0,
  disk: { directory: DIRECTORY, bytes: SMALL_RING },
}

/** Bytes of all objects of the tests, unless they say so. */
export const SIZE = 1024 * BLOCK

/** Reads a block, and checks it. True: without the store. */
export async function readBlock(
  reader: ObjectReader,
  store: CountingStore,
  block: number,
  key = 'e/a',
): Promise<boolean> {
  const before = reader.stats().requests
  const buffer = new Uint8Array(BLOCK)
  const bytes = await reader.read(key, SIZE, block * BLOCK, buffer)
  if (bytes !== BLOCK || !isContent(store.url, key, block * BLOCK, buffer))
    throw new Error(`block ${block} of ${key} is wrong`)
  return reader.stats().requests === before
}

export async function readBlocks(
  reader: ObjectReader,
  store: CountingStore,
  first: number,
  end: number,
): Promise<number> {
  let cached = 0
  for (let block = first; block < end; block++) {
    if (await readBlock(reader, store, block)) cached++
    // So the disk keeps up.
    await settled()
  }
  return cached
}

export function isContent(url: string, key: string, start: number, bytes: Uint8Array): boolean {
  return Buffer.compare(bytes, contentOf(url, key, start, bytes.byteLength)) === 0
}

/** What runs in the background has had time. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise(resolve => setImmediate(resolve))
}
