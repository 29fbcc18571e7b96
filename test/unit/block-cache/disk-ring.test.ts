/** Blocks on disk: what stays, what a new byte costs, and how it is written. */
import { describe, expect, test } from 'vitest'
import { INDEX_BYTES, SEGMENT_BLOCKS, SEGMENT_BYTES } from '../../../src/block-cache/ring-segment.js'
import { newDeferred } from '../../../src/async/deferred.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import {
  BLOCK,
  CountingStore,
  DIRECTORY,
  MIB,
  ON_DISK,
  RING_FILE,
  SMALL_RING,
  isContent,
  openReader,
  readBlock,
  readBlocks,
  settled,
} from './cached.js'

const RING_BLOCKS = 8 * SEGMENT_BLOCKS
const store = new CountingStore()

/** Writes to the ring: segment and bytes. */
function writesTo(disk: SimulatedFileSystem): { position: number; bytes: number }[] {
  return disk.log
    .filter(({ op, path }) => op === 'write' && path === RING_FILE)
    .map(({ position, bytes }) => ({ position: position!, bytes: bytes! }))
}

describe('a reader that is opened again', () => {
  test('is warm after a close', async () => {
    const disk = new SimulatedFileSystem()
    const first = await openReader(store, disk, ON_DISK)
    expect(await readBlocks(first, store, 0, 100)).toBe(0)
    await first.close()
    expect(disk.openHandles).toBe(0)
    const second = await openReader(store, disk, ON_DISK)
    expect(second.stats().disk).toMatchObject({
      blocks: 100,
      roomBlocks: RING_BLOCKS,
      directory: '/cache/ring-0',
    })
    expect(await readBlocks(second, store, 0, 100)).toBe(100)
    expect(second.stats()).toMatchObject({ requests: 0, fetchedBytes: 0, diskHits: 100, misses: 0 })
    await second.close()
  })

  test('reads few bytes to find out what is there', async () => {
    const disk = new SimulatedFileSystem()
    const first = await openReader(store, disk, ON_DISK)
    await readBlocks(first, store, 0, 5 * SEGMENT_BLOCKS)
    await first.close()
    const again = disk.clone()
    await openReader(store, again, ON_DISK)
    const reads = again.log.filter(({ op }) => op === 'read').map(({ bytes }) => bytes)
    expect(reads).toEqual(Array.from({ length: 5 }, () => INDEX_BYTES))
  })

  test('is warm after the end of its process, but for what had gathered', async () => {
    const disk = new SimulatedFileSystem()
    await readBlocks(await openReader(store, disk, ON_DISK), store, 0, 100)
    const again = await openReader(store, disk.clone(), ON_DISK)
    expect(await readBlocks(again, store, 0, 96)).toBe(96)
    expect(await readBlocks(again, store, 96, 100)).toBe(0)
  })

  test('fills up what was not full', async () => {
    const disk = new SimulatedFileSystem()
    for (let life = 0; life < 40; life++) {
      const reader = await openReader(store, disk, ON_DISK)
      await readBlocks(reader, store, 3 * life, 3 * life + 3)
      await reader.close()
    }
    const reader = await openReader(store, disk, ON_DISK)
    expect(reader.stats().disk!.blocks).toBe(120)
    expect(disk.readFile(RING_FILE).byteLength).toBe(3 * SEGMENT_BYTES + INDEX_BYTES + 24 * BLOCK)
    expect(await readBlocks(reader, store, 0, 120)).toBe(120)
    await reader.close()
  })

  test('writes nothing if nothing is new', async () => {
    const disk = new SimulatedFileSystem()
    for (let life = 0; life < 3; life++) {
      const reader = await openReader(store, disk, ON_DISK)
      await readBlocks(reader, store, 0, 40)
      await reader.close()
    }
    expect(writesTo(disk)).toHaveLength(2)
  })

  test('goes on where the last one was', async () => {
    const disk = new SimulatedFileSystem()
    for (let life = 0; life < 6; life++) {
      const reader = await openReader(store, disk, ON_DISK)
      await readBlocks(reader, store, 64 * life, 64 * life + 64)
      await reader.close()
    }
    const reader = await openReader(store, disk, ON_DISK)
    // It has the last 256 blocks, but for those where it has room for the next ones.
    expect(await readBlocks(reader, store, 192, 384)).toBe(192)
  })

  test('begins anew with less room, and goes on with more', async () => {
    const disk = new SimulatedFileSystem()
    const first = await openReader(store, disk, ON_DISK)
    await readBlocks(first, store, 0, 250)
    await first.close()
    const more = await openReader(store, disk, {
      ...ON_DISK,
      disk: { directory: DIRECTORY, bytes: 32 * MIB },
    })
    expect(more.stats().disk!.blocks).toBe(250)
    expect(await readBlocks(more, store, 250, 400)).toBe(0)
    expect(await readBlocks(more, store, 0, 400)).toBe(400)
    await more.close()
    const less = await openReader(store, disk, ON_DISK)
    expect(less.stats().disk).toMatchObject({ blocks: 0, roomBlocks: RING_BLOCKS })
    expect(await readBlocks(less, store, 0, 40)).toBe(0)
    await less.close()
  })
})

describe('when the ring is full', () => {
  test('the oldest blocks go, and the file grows no more', async () => {
    const disk = new SimulatedFileSystem()
    const reader = await openReader(store, disk, ON_DISK)
    await readBlocks(reader, store, 0, 600)
    expect(disk.readFile(RING_FILE).byteLength).toBe(SMALL_RING)
    // Two segments are ahead of the head.
    expect(await readBlocks(reader, store, 600 - RING_BLOCKS + 2 * SEGMENT_BLOCKS, 600)).toBe(
      RING_BLOCKS - 64,
    )
    expect(await readBlock(reader, store, 0)).toBe(false)
    await reader.close()
  })

  test('blocks that were used stay, as long as they are used', async () => {
    const reader = await openReader(store, new SimulatedFileSystem(), ON_DISK)
    await readBlocks(reader, store, 0, 10)
    for (let block = 10; block < 900; block++) {
      await readBlocks(reader, store, block, block + 1)
      if (block % 50 === 0) expect(await readBlocks(reader, store, 0, 10)).toBe(10)
    }
    await readBlocks(reader, store, 100, 100 + 2 * RING_BLOCKS)
    expect(await readBlocks(reader, store, 0, 10)).toBe(0)
    await reader.close()
  })

  test('a block that is used in memory stays on disk', async () => {
    const both = { ...ON_DISK, memoryBytes: 4 * BLOCK }
    const reader = await openReader(store, new SimulatedFileSystem(), both)
    for (let block = 0; block < 600; block++) {
      await readBlocks(reader, store, 1000, 1001)
      await readBlocks(reader, store, block, block + 1)
    }
    // It leaves memory.
    await readBlocks(reader, store, 590, 600)
    expect(await readBlock(reader, store, 1000)).toBe(true)
    expect(reader.stats().memoryHits).toBeGreaterThan(590)
    await reader.close()
  })

  test('a scan through it does not make blocks stay', async () => {
    const reader = await openReader(store, new SimulatedFileSystem(), ON_DISK)
    await readBlocks(reader, store, 0, 32)
    await reader.read('e/a', 1024 * BLOCK, 0, new Uint8Array(32 * BLOCK))
    expect(reader.stats().diskHits).toBe(32)
    await readBlocks(reader, store, 100, 100 + RING_BLOCKS)
    expect(await readBlocks(reader, store, 0, 32)).toBe(0)
    await reader.close()
  })

  test('the head steps over a segment that is used, and writes nothing there', async () => {
    const disk = new SimulatedFileSystem()
    const reader = await openReader(store, disk, ON_DISK)
    // The segments 0 to 3 are used all the time.
    await readBlocks(reader, store, 0, 128)
    for (let block = 128; block < 700; block++) {
      await readBlocks(reader, store, block, block + 1)
      if (block % 40 === 0) expect(await readBlocks(reader, store, 0, 128)).toBe(128)
    }
    const late = writesTo(disk).slice(8)
    expect(late.length).toBeGreaterThan(8)
    expect(late.every(({ position }) => position >= 4 * SEGMENT_BYTES)).toBe(true)
    const { writtenBytes, newBytes } = reader.stats().disk!
    expect(writtenBytes / newBytes).toBeLessThan(1.01)
    await reader.close()
  })

  test('a block that moves while it is read is a miss, and stays', async () => {
    const disk = new SimulatedFileSystem()
    const reader = await openReader(store, disk, ON_DISK)
    await readBlocks(reader, store, 0, 64)
    expect(await readBlock(reader, store, 40)).toBe(true)
    const gate = newDeferred()
    disk.onCall = ({ op, bytes }) => (op === 'read' && bytes === BLOCK ? gate.promise : undefined)
    const reading = readBlock(reader, store, 40)
    // The head comes by, and the block becomes the first of its segment.
    await readBlocks(reader, store, 100, 100 + RING_BLOCKS)
    gate.resolve()
    disk.onCall = undefined
    expect(await reading).toBe(false)
    expect(await readBlock(reader, store, 40)).toBe(true)
    expect(reader.stats().disk!.damagedBlocks).toBe(0)
    await reader.close()
  })

  test('all of it used: new blocks still find room, and what is used no more goes', async () => {
    const disk = new SimulatedFileSystem()
    const first = await openReader(store, disk, ON_DISK)
    await readBlocks(first, store, 0, RING_BLOCKS)
    await first.close()
    const reader = await openReader(store, disk, ON_DISK)
    // The first segment is where the head is.
    expect(await readBlocks(reader, store, 32, RING_BLOCKS)).toBe(RING_BLOCKS - 32)
    expect(await readBlocks(reader, store, 300, 310)).toBe(0)
    expect(await readBlocks(reader, store, 300, 310)).toBe(10)
    await readBlocks(reader, store, 400, 400 + 2 * RING_BLOCKS)
    expect(await readBlocks(reader, store, 32, RING_BLOCKS)).toBe(0)
    expect(reader.stats().disk!.droppedBlocks).toBe(0)
    await reader.close()
  })
})

describe('writes', () => {
  test('are sequential, in whole pages, a segment each', async () => {
    const disk = new SimulatedFileSystem()
    const reader = await openReader(store, disk, ON_DISK)
    await readBlocks(reader, store, 0, 20 * SEGMENT_BLOCKS)
    expect(writesTo(disk)).toEqual(
      Array.from({ length: 20 }, (_, i) => ({ position: (i % 8) * SEGMENT_BYTES, bytes: SEGMENT_BYTES })),
    )
    expect(SEGMENT_BYTES % 4096).toBe(0)
    expect(disk.log.some(({ op }) => op === 'sync')).toBe(false)
    const { writtenBytes, newBytes } = reader.stats().disk!
    expect([writtenBytes, newBytes]).toEqual([20 * SEGMENT_BYTES, 20 * SEGMENT_BLOCKS * BLOCK])
    await reader.close()
  })

  test('are at most two bytes for a new one, however blocks are used', async () => {
    const disk = new SimulatedFileSystem()
    const reader = await openReader(store, disk, ON_DISK)
    // Half of each segment is used again before the head comes.
    for (let block = 0; block < 900; block++) {
      await readBlocks(reader, store, block, block + 1)
      if (block % 2 === 0 && block >= 60) await readBlocks(reader, store, block - 60, block - 59)
    }
    const { writtenBytes, newBytes } = reader.stats().disk!
    expect(writtenBytes / newBytes).toBeGreaterThan(1.3)
    expect(writtenBytes / newBytes).toBeLessThanOrEqual(2.01)
    for (const { position, bytes } of writesTo(disk)) {
      expect(position % SEGMENT_BYTES).toBe(0)
      expect(bytes % 4096).toBe(0)
    }
    await reader.close()
  })

  test('of a scan there are none', async () => {
    const disk = new SimulatedFileSystem()
    const reader = await openReader(store, disk, ON_DISK)
    for (let position = 0; position < 32 * MIB; position += MIB)
      await reader.read('e/a', 1024 * BLOCK, position + 100, new Uint8Array(MIB))
    await reader.close()
    expect(writesTo(disk)).toEqual([])
  })

  test('that are slow make blocks drop, and reads wait for none of them', async () => {
    const disk = new SimulatedFileSystem()
    const reader = await openReader(store, disk, ON_DISK)
    const gate = newDeferred()
    disk.onCall = ({ op }) => (op === 'write' ? gate.promise : undefined)
    expect(await readBlocks(reader, store, 0, 200)).toBe(0)
    // Two pieces are all that is in memory; blocks are read from there.
    expect(reader.stats().disk).toMatchObject({ blocks: 64, droppedBlocks: 136 })
    expect(await readBlocks(reader, store, 0, 64)).toBe(64)
    disk.onCall = undefined
    gate.resolve()
    await settled()
    expect(await readBlocks(reader, store, 64, 100)).toBe(0)
    expect(await readBlocks(reader, store, 0, 100)).toBe(100)
    await reader.close()
  })
})

test('a blocking read takes blocks from disk', async () => {
  const disk = new SimulatedFileSystem()
  const first = await openReader(store, disk, ON_DISK)
  await readBlocks(first, store, 0, 40)
  await first.close()
  const reader = await openReader(store, disk, { ...ON_DISK, memoryBytes: MIB })
  const buffer = new Uint8Array(2 * BLOCK)
  expect(reader.readSync('e/a', 1024 * BLOCK, 100, buffer)).toBe(2 * BLOCK)
  expect(isContent(store.url, 'e/a', 100, buffer)).toBe(true)
  expect(reader.readSync('e/a', 1024 * BLOCK, 39 * BLOCK, buffer)).toBeUndefined()
  expect(reader.stats()).toMatchObject({ requests: 0, diskHits: 4, memoryHits: 0 })
  reader.readSync('e/a', 1024 * BLOCK, 100, buffer)
  expect(reader.stats().memoryHits).toBe(3)
  await reader.close()
})

test('less than 16 MiB are refused', async () => {
  const options = { disk: { directory: DIRECTORY, bytes: 16 * MIB - 1 } }
  await expect(openReader(store, new SimulatedFileSystem(), options)).rejects.toMatchObject({
    code: 'FLASHTABLE_INVALID_OPTION',
  })
  await expect(
    openReader(store, new SimulatedFileSystem(), { disk: { directory: DIRECTORY, bytes: NaN } }),
  ).rejects.toThrow('16 MiB')
})
