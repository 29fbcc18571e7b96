/**
 * Reads objects of a store through a {@link BlockCache}: memory, then the disk, then the store. docs/internals.md, Block cache.
 *
 * A block that is under way is waited for, never fetched twice. Such a *flight* belongs to nobody: no caller can end it,
 * only `close`. Neighbouring blocks that are missing come by one call of the store. Long reads are scans: they use what
 * is there, but leave nothing behind, except for blocks of which the next read needs the rest.
 */
import { Semaphore } from 'async-mutex'
import { newSharedAbortController, throwIfAborted } from '../async/abort.js'
import { FlashTableError } from '../base/errors.js'
import type { ObjectStore } from '../store/object-store.js'
import { BlockCache, type BlockCacheOptions } from './block-cache.js'
import { BLOCK_BYTES, blockName, cachedObject, type CachedObject } from './cached-object.js'
import type { ObjectReader, ObjectReaderStats } from './object-reader.js'
import type { RingParts } from './open-ring.js'

/** Longer reads leave nothing in the cache. */
const KEPT_BYTES_MAX = 2 ** 18
/** Blocks of one call of the store: 8 MiB. */
const FETCH_BLOCKS_MAX = 2 ** 23 / BLOCK_BYTES
/** Calls of the store, and reads of the disk, that one read has under way. */
const FETCHES_AT_ONCE = 4
const DISK_READS_AT_ONCE = 16
/** Calls of the store that all reads have under way: the others wait. A directory opens a file for each. */
const FETCHES_MAX = 64
/** Identities that are remembered: a table has fewer files. */
const OBJECTS_MAX = 10_000

/** Blocks that are under way. `undefined`: there is no such object. */
interface Flight {
  readonly first: number
  readonly end: number
  readonly content: Promise<Uint8Array | undefined>
  /** Blocks that are in the cache already, or were dropped: several reads wait for them, and one of these keeps them. */
  readonly kept: Set<number>
  /** It was forgotten meanwhile. */
  isForgotten: boolean
}

/** A read: the blocks [first, end) of an object, of which `buffer` wants a part. */
interface Wanted {
  readonly object: CachedObject
  readonly size: number
  readonly position: number
  readonly buffer: Uint8Array
  readonly first: number
  readonly end: number
  readonly isKept: boolean
}

/** Opens a reader that has a cache of its own. Throws `FLASHTABLE_INVALID_OPTION`. */
export async function openBlockReader(
  store: ObjectStore,
  parts: RingParts,
  options: BlockCacheOptions,
): Promise<ObjectReader> {
  const cache = await BlockCache.open(parts, options)
  return new BlockReader(store, cache, () => cache.close())
}

export class BlockReader implements ObjectReader {
  readonly #store: ObjectStore
  readonly #cache: BlockCache
  readonly #onClose: () => Promise<void>
  readonly #closing = newSharedAbortController()
  #closed: Promise<void> | undefined
  readonly #objects = new Map<string, CachedObject>()
  readonly #flights = new Map<string, Flight>()
  readonly #fetches = new Semaphore(FETCHES_MAX)
  /** Everything that `close` waits for. */
  readonly #underWay = new Set<Promise<unknown>>()
  #requests = 0
  #fetchedBytes = 0
  #memoryHits = 0
  #diskHits = 0
  #misses = 0

  /** `onClose`: called when nothing is under way any more; closes a cache that nobody else has. */
  constructor(store: ObjectStore, cache: BlockCache, onClose: () => Promise<void> = () => Promise.resolve()) {
    this.#store = store
    this.#cache = cache
    this.#onClose = onClose
  }

  async read(key: string, size: number, position: number, buffer: Uint8Array): Promise<number | undefined> {
    throwIfAborted(this.#closing.signal)
    const wanted = this.#wanted(key, size, position, buffer)
    if (wanted.end <= wanted.first) return 0
    return this.#track(this.#read(wanted))
  }

  readSync(key: string, size: number, position: number, buffer: Uint8Array): number | undefined {
    throwIfAborted(this.#closing.signal)
    const wanted = this.#wanted(key, size, position, buffer)
    const { object, isKept, first, end } = wanted
    for (let block = first; block < end; block++) {
      const held = this.#cache.memory.get(object, block, isKept)
      const content = held ?? this.#cache.fromDiskSync(object, block, blockBytes(size, block), isKept)
      if (content === undefined) return undefined
      if (held === undefined) this.#diskHits++
      else this.#memoryHits++
      if (held === undefined && isKept) this.#cache.memory.put(object, block, content)
      copyBlock(wanted, block, content)
    }
    return wanted.buffer.byteLength
  }

  forget(key: string, position: number, bytes: number): void {
    const object = this.#objectOf(key)
    const end = Math.ceil((position + bytes) / BLOCK_BYTES)
    for (let block = Math.floor(position / BLOCK_BYTES); block < end; block++) {
      this.#cache.forget(object, block)
      const flight = this.#flights.get(blockName(object, block))
      if (flight === undefined) continue
      // Who waits for it gets it. The next one does not, and nobody keeps it.
      flight.isForgotten = true
      this.#flights.delete(blockName(object, block))
    }
  }

  stats(): ObjectReaderStats {
    const disk = this.#cache.diskStats()
    return {
      requests: this.#requests,
      fetchedBytes: this.#fetchedBytes,
      memoryHits: this.#memoryHits,
      diskHits: this.#diskHits,
      misses: this.#misses,
      memoryBytes: this.#cache.memory.bytes,
      ...(disk === undefined ? {} : { disk }),
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort(
      new FlashTableError('FLASHTABLE_NOT_OPEN', `the reader of ${this.#store.url} is closed`),
    )
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay)
    await this.#onClose()
  }

  async #read(wanted: Wanted): Promise<number | undefined> {
    const { object, isKept, first, end, buffer } = wanted
    const flights = new Map<Flight, number[]>()
    const [onDisk, missing]: [number[], number[]] = [[], []]
    // Nothing is awaited until all missing blocks have a flight.
    for (let block = first; block < end; block++) {
      const held = this.#cache.memory.get(object, block, isKept)
      const flight = this.#flights.get(blockName(object, block))
      if (held !== undefined) {
        this.#memoryHits++
        copyBlock(wanted, block, held)
      } else if (flight !== undefined) flights.set(flight, [...(flights.get(flight) ?? []), block])
      else if (this.#cache.isOnDisk(object, block)) onDisk.push(block)
      else missing.push(block)
    }
    this.#misses += missing.length
    for (const flight of [...this.#flyFromDisk(wanted, onDisk), ...this.#flyFromStore(wanted, missing)])
      flights.set(flight, range(flight.first, flight.end))
    const landings = [...flights].map(([flight, blocks]) => this.#land(wanted, flight, blocks))
    // If one fails, the others still write to the buffer.
    const landed = await Promise.allSettled(landings)
    const failure = landed.find(({ status }) => status === 'rejected')
    if (failure?.status === 'rejected') throw failure.reason
    return landed.every(result => result.status === 'fulfilled' && result.value)
      ? buffer.byteLength
      : undefined
  }

  /** Waits for a flight and takes these blocks of it. False: there is no such object. */
  async #land(wanted: Wanted, flight: Flight, blocks: readonly number[]): Promise<boolean> {
    const content = await flight.content
    if (content === undefined) return false
    const { object, size, isKept } = wanted
    for (const block of blocks) {
      const from = (block - flight.first) * BLOCK_BYTES
      const bytes = content.subarray(from, from + blockBytes(size, block))
      copyBlock(wanted, block, bytes)
      if (flight.isForgotten || flight.kept.has(block)) continue
      if (isKept) {
        this.#cache.put(object, block, bytes)
        flight.kept.add(block)
      } else if (!isWholly(wanted, block)) this.#cache.memory.put(object, block, bytes)
    }
    return true
  }

  #flyFromDisk(wanted: Wanted, blocks: readonly number[]): Flight[] {
    const { object, size, isKept } = wanted
    return this.#fly(
      wanted,
      blocks.map(block => ({ first: block, end: block + 1 })),
      DISK_READS_AT_ONCE,
      async ({ first: block, end }) => {
        const bytes = await this.#cache.fromDisk(object, block, blockBytes(size, block), isKept)
        if (bytes !== undefined) {
          this.#diskHits++
          return bytes
        }
        this.#misses++
        return this.#fetch(wanted, block, end)
      },
    )
  }

  #flyFromStore(wanted: Wanted, blocks: readonly number[]): Flight[] {
    return this.#fly(wanted, runsOf(blocks), FETCHES_AT_ONCE, ({ first, end }) =>
      this.#fetch(wanted, first, end),
    )
  }

  /** Begins a flight for each run of blocks, `most` at once. After a failure, some do not begin, and fail likewise. */
  #fly(
    { object }: Wanted,
    runs: readonly { readonly first: number; readonly end: number }[],
    most: number,
    content: (run: { readonly first: number; readonly end: number }) => Promise<Uint8Array | undefined>,
  ): Flight[] {
    const flights: Flight[] = []
    for (const [i, run] of runs.entries()) {
      const before = flights[i - most]
      const begin = (): Promise<Uint8Array | undefined> => content(run)
      const flight: Flight = {
        ...run,
        content: this.#track(before === undefined ? begin() : before.content.then(begin)),
        kept: new Set(),
        isForgotten: false,
      }
      flights.push(flight)
      const names = range(run.first, run.end).map(block => blockName(object, block))
      for (const name of names) this.#flights.set(name, flight)
      const remove = (): void => {
        for (const name of names) if (this.#flights.get(name) === flight) this.#flights.delete(name)
      }
      flight.content.then(remove, remove)
    }
    return flights
  }

  /** The blocks [first, end) from the store. */
  async #fetch(
    { object: { key }, size }: Wanted,
    first: number,
    end: number,
  ): Promise<Uint8Array | undefined> {
    const { signal } = this.#closing
    const bytes = { start: first * BLOCK_BYTES, end: Math.min(size, end * BLOCK_BYTES) }
    const content = await this.#fetches.runExclusive(() => {
      throwIfAborted(signal)
      this.#requests++
      return this.#store.get(key, { range: bytes, signal })
    })
    throwIfAborted(signal)
    this.#fetchedBytes += content?.byteLength ?? 0
    return content
  }

  #wanted(key: string, size: number, position: number, buffer: Uint8Array): Wanted {
    const bytes = Math.max(0, Math.min(buffer.byteLength, size - position))
    return {
      object: this.#objectOf(key),
      size,
      position,
      buffer: buffer.subarray(0, bytes),
      first: Math.floor(position / BLOCK_BYTES),
      end: bytes === 0 ? 0 : Math.ceil((position + bytes) / BLOCK_BYTES),
      isKept: bytes <= KEPT_BYTES_MAX,
    }
  }

  #objectOf(key: string): CachedObject {
    const known = this.#objects.get(key)
    if (known !== undefined) return known
    if (this.#objects.size === OBJECTS_MAX) this.#objects.clear()
    const object = cachedObject(this.#store.url, key)
    this.#objects.set(key, object)
    return object
  }

  #track<T>(promise: Promise<T>): Promise<T> {
    this.#underWay.add(promise)
    const remove = (): void => void this.#underWay.delete(promise)
    promise.then(remove, remove)
    return promise
  }
}

function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, i) => first + i)
}

/** Neighbours together, in runs that one call of the store brings. */
function runsOf(blocks: readonly number[]): { first: number; end: number }[] {
  const runs: { first: number; end: number }[] = []
  for (const block of blocks) {
    const last = runs.at(-1)
    if (last?.end === block && last.end - last.first < FETCH_BLOCKS_MAX) last.end++
    else runs.push({ first: block, end: block + 1 })
  }
  return runs
}

/** Bytes of a block of an object: the last one is shorter. */
function blockBytes(size: number, block: number): number {
  return Math.min(BLOCK_BYTES, size - block * BLOCK_BYTES)
}

/** Whether the read wants all of the block. */
function isWholly({ size, position, buffer }: Wanted, block: number): boolean {
  const start = block * BLOCK_BYTES
  return position <= start && start + blockBytes(size, block) <= position + buffer.byteLength
}

/** Copies what the read wants of the block. */
function copyBlock({ position, buffer }: Wanted, block: number, content: Uint8Array): void {
  const start = block * BLOCK_BYTES
  const from = Math.max(0, position - start)
  const to = Math.min(content.byteLength, position + buffer.byteLength - start)
  buffer.set(content.subarray(from, to), start + from - position)
}
