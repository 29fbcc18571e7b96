/** Reads through the cache, in memory: what is asked of the store, and what of it stays. */
import { describe, expect, test } from 'vitest'
import { BlockCache } from '../../../src/block-cache/block-cache.js'
import { BlockReader } from '../../../src/block-cache/block-reader.js'
import { newDeferred } from '../../../src/async/deferred.js'
import { Random } from '../../support/random.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import {
  BLOCK,
  CountingStore,
  DIRECTORY,
  KIB,
  MIB,
  ON_DISK,
  SMALL_RING,
  isContent,
  newLocks,
  openReader,
  settled,
} from './cached.js'

const KEY = 'e/a'
const SIZE = 64 * MIB + 100

async function opened(memoryBytes?: number): Promise<{
  store: CountingStore
  reader: BlockReader
  ranges: () => string[]
  read: (position: number, bytes: number, key?: string) => Promise<Uint8Array | undefined>
}> {
  const store = new CountingStore()
  const reader = (await openReader(store, new SimulatedFileSystem(), { memoryBytes })) as BlockReader
  let seen = 0
  return {
    store,
    reader,
    ranges: () => store.calls.slice(seen, (seen = store.calls.length)),
    async read(position, bytes, key = KEY) {
      const buffer = new Uint8Array(bytes)
      const count = await reader.read(key, SIZE, position, buffer)
      if (count === undefined) return undefined
      const filled = buffer.subarray(0, count)
      if (!isContent(store.url, key, position, filled)) throw new Error(`${key} at ${position} is wrong`)
      return filled
    },
  }
}

describe('what is read', () => {
  test.each([
    ['in memory', { memoryBytes: 40 * BLOCK }],
    ['without memory', { memoryBytes: 0 }],
    ['on disk', ON_DISK],
    ['in both', { memoryBytes: 3 * BLOCK, disk: { directory: DIRECTORY, bytes: SMALL_RING } }],
  ])('is what the store has, %s', async (_, options) => {
    const random = new Random(7)
    const store = new CountingStore()
    const reader = await openReader(store, new SimulatedFileSystem({ shortTransfers: 0.2 }), options)
    const size = 40 * BLOCK + 1234
    for (let round = 0; round < 150; round++) {
      const key = random.pick(['e/a', 'e/b'])
      const position = random.below(size)
      const buffer = new Uint8Array(random.pick([1, 5000, BLOCK, 3 * BLOCK, 6 * BLOCK]))
      const expected = Math.min(buffer.byteLength, size - position)
      if (random.chance(0.2)) {
        const count = reader.readSync(key, size, position, buffer)
        if (count === undefined) continue
        expect(count).toBe(expected)
      } else expect(await reader.read(key, size, position, buffer)).toBe(expected)
      expect(isContent(store.url, key, position, buffer.subarray(0, expected))).toBe(true)
      if (random.chance(0.05)) reader.forget(key, position, 10 * KIB)
    }
    expect(reader.stats().memoryBytes).toBeLessThanOrEqual(options.memoryBytes ?? 0)
    await reader.close()
  })

  test('ends where the object ends', async () => {
    const { read, ranges } = await opened()
    expect(await read(SIZE - 10, 100)).toHaveLength(10)
    expect(ranges()).toEqual([`${KEY} ${64 * KIB}-${64 * KIB + 100 / KIB}`])
    expect(await read(SIZE, 100)).toHaveLength(0)
    expect(await read(SIZE + BLOCK, 100)).toHaveLength(0)
    expect(ranges()).toEqual([])
  })

  test('is nothing if there is no such object', async () => {
    const { read, store, ranges } = await opened()
    store.missing.add(KEY)
    expect(await read(0, 10)).toBeUndefined()
    expect(await read(0, 20 * MIB)).toBeUndefined()
    store.missing.clear()
    ranges()
    expect(await read(0, 10)).toHaveLength(10)
    expect(ranges()).toHaveLength(1)
  })
})

describe('of the store is asked', () => {
  test('a block once', async () => {
    const { read, ranges, reader } = await opened()
    await read(5 * BLOCK + 7, 100)
    expect(ranges()).toEqual([`${KEY} 320-384`])
    await read(5 * BLOCK + BLOCK - 7, 7)
    expect(ranges()).toEqual([])
    expect(reader.stats()).toMatchObject({ requests: 1, fetchedBytes: BLOCK, memoryHits: 1, misses: 1 })
  })

  test('a block that is under way not again', async () => {
    const { read, ranges, store } = await opened()
    const gate = newDeferred()
    store.gate = () => gate.promise
    const reads = [read(0, 100), read(50, 100), read(0, 2 * BLOCK), read(0, 8 * BLOCK)]
    await settled()
    expect(ranges()).toEqual([`${KEY} 0-64`, `${KEY} 64-128`, `${KEY} 128-512`])
    gate.resolve()
    await Promise.all(reads)
    expect(ranges()).toEqual([])
  })

  test('neighbours together, around what is there', async () => {
    const { read, ranges } = await opened()
    await read(2 * BLOCK, 10)
    ranges()
    await read(100, 4 * BLOCK - 100)
    expect(ranges()).toEqual([`${KEY} 0-128`, `${KEY} 192-256`])
  })

  test('a long stretch in pieces of 8 MiB, four at once', async () => {
    const { read, ranges, store } = await opened()
    store.gate = settled
    await read(10, 48 * MIB)
    expect(ranges()).toEqual(
      [0, 1, 2, 3, 4, 5].map(i => `${KEY} ${8 * KIB * i}-${8 * KIB * (i + 1)}`).concat(`${KEY} 49152-49216`),
    )
    expect(store.atOnceMost).toBe(4)
  })

  test('by 64 calls at once, however many ask; close ends those that wait', async () => {
    const { read, store, reader } = await opened(0)
    store.gate = settled
    await Promise.all(Array.from({ length: 300 }, (_, block) => read(block * BLOCK, 10)))
    expect([store.atOnceMost, reader.stats().requests]).toEqual([64, 300])
    store.gate = signal =>
      new Promise((_, reject) => signal!.addEventListener('abort', () => reject(signal!.reason as Error)))
    const reads = Promise.allSettled(Array.from({ length: 300 }, (_, block) => read(block * BLOCK, 10)))
    await settled()
    await reader.close()
    for (const result of await reads)
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'FLASHTABLE_NOT_OPEN' } })
    expect(reader.stats().requests).toBe(364)
  })

  test('for several reads, and goes to the disk once or is dropped once', async () => {
    const store = new CountingStore()
    const reader = await openReader(store, new SimulatedFileSystem(), ON_DISK)
    const blocks = Array.from({ length: 500 }, (_, at) => at % 100)
    await Promise.all(blocks.map(block => reader.read(KEY, SIZE, block * BLOCK, new Uint8Array(10))))
    const { newBytes, droppedBlocks } = reader.stats().disk!
    expect(droppedBlocks).toBeGreaterThan(0)
    expect(newBytes / BLOCK + droppedBlocks).toBe(100)
    await reader.close()
  })

  test('again what a call has failed to bring', async () => {
    const { read, ranges, store, reader } = await opened()
    store.gate = () => Promise.reject(new Error('it is down'))
    const reads = await Promise.allSettled([read(0, 10), read(0, 10), read(0, 40 * MIB)])
    expect(reads.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    store.gate = () => Promise.resolve()
    ranges()
    expect(await read(0, 10)).toHaveLength(10)
    expect(ranges()).toEqual([`${KEY} 0-64`])
    await reader.close()
  })

  test('after a failure nothing is written to the buffer any more', async () => {
    const { reader, store } = await opened()
    const gate = newDeferred()
    let calls = 0
    store.gate = () => (++calls === 1 ? Promise.reject(new Error('it is down')) : gate.promise)
    const buffer = new Uint8Array(10 * MIB)
    let rejected = false
    const reading = reader.read(KEY, SIZE, 0, buffer).catch(() => (rejected = true))
    await settled()
    expect(rejected).toBe(false)
    gate.resolve()
    await reading
    const then = Buffer.from(buffer)
    await settled()
    expect(Buffer.compare(then, buffer)).toBe(0)
  })
})

describe('in memory', () => {
  test('are the blocks that were used last', async () => {
    const { read, ranges, reader } = await opened(3 * BLOCK)
    for (const block of [0, 1, 2, 0, 3]) await read(block * BLOCK, 10)
    ranges()
    await read(0, 10)
    expect(ranges()).toEqual([])
    await read(BLOCK, 10)
    expect(ranges()).toEqual([`${KEY} 64-128`])
    expect(reader.stats().memoryBytes).toBe(3 * BLOCK)
  })

  test('a scan leaves nothing but the blocks at its ends, of which it read a part', async () => {
    const { read, ranges, reader } = await opened()
    await read(3 * BLOCK, 10)
    await read(1000, MIB)
    expect(reader.stats().memoryBytes).toBe(3 * BLOCK)
    ranges()
    await read(1000 + MIB, MIB)
    expect(ranges()).toEqual([`${KEY} 1088-2112`])
    await read(5 * BLOCK, 10)
    expect(ranges()).toHaveLength(1)
  })

  test('a block is no part of the stretch that it came with', async () => {
    const { read, reader } = await opened()
    await read(0, 4 * BLOCK)
    expect(reader.stats().memoryBytes).toBe(4 * BLOCK)
    const cache = await BlockCache.open(
      { fileSystem: new SimulatedFileSystem(), acquireLock: newLocks() },
      {},
    )
    const object = { key: 'k', name: 'k', words: new Uint32Array(4) }
    cache.memory.put(object, 0, new Uint8Array(4 * BLOCK).subarray(0, BLOCK))
    expect(cache.memory.get(object, 0, false)!.buffer.byteLength).toBe(BLOCK)
  })

  test('nothing blocks, or is asked of the store, for a blocking read', async () => {
    const { reader, read, ranges, store } = await opened()
    const buffer = new Uint8Array(100)
    expect(reader.readSync(KEY, SIZE, 10, buffer)).toBeUndefined()
    await read(0, 10)
    ranges()
    expect(reader.readSync(KEY, SIZE, 10, buffer)).toBe(100)
    expect(isContent(store.url, KEY, 10, buffer)).toBe(true)
    expect(reader.readSync(KEY, SIZE, BLOCK - 10, buffer)).toBeUndefined()
    expect(reader.readSync(KEY, SIZE, SIZE, buffer)).toBe(0)
    expect(ranges()).toEqual([])
  })

  test('objects and stores never mix', async () => {
    const parts = { fileSystem: new SimulatedFileSystem(), acquireLock: newLocks() }
    const cache = await BlockCache.open(parts, { disk: { directory: DIRECTORY, bytes: SMALL_RING } })
    const stores = ['test://one', 'test://two'].map(url => new CountingStore(url))
    const readers = stores.map(({ store }) => new BlockReader(store, cache))
    for (let round = 0; round < 2; round++) {
      for (const [i, reader] of readers.entries()) {
        for (const key of ['e/a', 'e/b']) {
          const buffer = new Uint8Array(100)
          await reader.read(key, SIZE, BLOCK, buffer)
          expect(isContent(stores[i]!.url, key, BLOCK, buffer)).toBe(true)
        }
      }
    }
    expect(stores.map(({ calls }) => calls.length)).toEqual([2, 2])
    await readers[0]!.close()
    expect(await readers[1]!.read('e/a', SIZE, BLOCK, new Uint8Array(1))).toBe(1)
    await readers[1]!.close()
    await cache.close()
  })
})

describe('what was found damaged', () => {
  test('is fetched again', async () => {
    const { read, reader, ranges } = await opened()
    await read(0, 4 * BLOCK)
    reader.forget(KEY, 2 * BLOCK - 1, 2)
    ranges()
    await read(0, 4 * BLOCK)
    expect(ranges()).toEqual([`${KEY} 64-192`])
  })

  test('does not stay if it was under way', async () => {
    const { read, reader, ranges, store } = await opened()
    const gate = newDeferred()
    store.gate = () => gate.promise
    const damaged = new Uint8Array(10)
    const first = reader.read(KEY, SIZE, 0, damaged)
    await settled()
    reader.forget(KEY, 0, 10)
    const second = read(0, 10)
    await settled()
    expect(ranges()).toHaveLength(2)
    let answers = 0
    store.change = bytes => (++answers === 1 ? bytes.fill(0) : bytes)
    gate.resolve()
    await first
    expect(damaged).toEqual(new Uint8Array(10))
    await second
    expect(await read(0, 10)).toHaveLength(10)
    expect(ranges()).toEqual([])
  })
})

describe('a close', () => {
  test('ends what is under way, and waits for it', async () => {
    const { read, reader, store } = await opened()
    const gate = newDeferred()
    const aborted: unknown[] = []
    store.gate = signal => {
      signal!.addEventListener('abort', () => aborted.push(signal!.reason))
      return gate.promise
    }
    const reads = Promise.allSettled([read(0, 10), read(0, 40 * MIB)])
    await settled()
    let isClosed = false
    const closing = reader.close().then(() => (isClosed = true))
    await settled()
    expect(aborted).toHaveLength(5)
    expect(isClosed).toBe(false)
    gate.resolve()
    await closing
    for (const read of await reads)
      expect(read).toMatchObject({ status: 'rejected', reason: { code: 'FLASHTABLE_NOT_OPEN' } })
    // Those that had not begun never do.
    expect(store.calls).toHaveLength(5)
  })

  test('ends the reader', async () => {
    const { read, reader } = await opened()
    await read(0, 10)
    await Promise.all([reader.close(), reader.close()])
    await expect(read(0, 10)).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_OPEN' })
    expect(() => reader.readSync(KEY, SIZE, 0, new Uint8Array(1))).toThrow('closed')
    expect(reader.stats()).toMatchObject({ requests: 1, memoryBytes: 0 })
  })
})
