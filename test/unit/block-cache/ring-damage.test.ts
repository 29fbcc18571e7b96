/** Damage to the cache on disk, and disks that fail: a colder cache, never a wrong answer and never an error. */
import { describe, expect, test } from 'vitest'
import { INDEX_BYTES, SEGMENT_BYTES, slotOffset } from '../../../src/block-cache/ring-segment.js'
import { lockOf, realLockParts } from '../../../src/io/lock.js'
import { Random } from '../../support/random.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import {
  BLOCK,
  CountingStore,
  ON_DISK,
  RING_FILE,
  SMALL_RING,
  newLocks,
  openReader,
  readBlock,
  readBlocks,
  settled,
} from './cached.js'

const store = new CountingStore()
const SEEDS = 12

/** A disk with 100 blocks in the ring. */
async function filled(): Promise<SimulatedFileSystem> {
  const disk = new SimulatedFileSystem()
  const reader = await openReader(store, disk, ON_DISK)
  await readBlocks(reader, store, 0, 100)
  await reader.close()
  return disk
}

/** Reads all blocks, some of them blocking; returns how many were there. Throws if one is wrong. */
async function wronglessReads(disk: SimulatedFileSystem): Promise<number> {
  const reader = await openReader(store, disk, ON_DISK)
  reader.readSync('e/a', 1024 * BLOCK, 0, new Uint8Array(BLOCK))
  const cached = await readBlocks(reader, store, 0, 100)
  await reader.close()
  return cached
}

describe('damage', () => {
  test('of a block makes that block a miss', async () => {
    const disk = await filled()
    disk.flipByte(RING_FILE, SEGMENT_BYTES + slotOffset(3) + 1000, 1)
    const reader = await openReader(store, disk, ON_DISK)
    expect(await readBlock(reader, store, 35)).toBe(false)
    expect(reader.stats().disk).toMatchObject({ damagedBlocks: 1, blocks: 100 })
    expect(await readBlock(reader, store, 35)).toBe(true)
    expect(await readBlocks(reader, store, 0, 100)).toBe(100)
    await reader.close()
  })

  test('of any byte of an index page makes its blocks misses', async () => {
    const disk = await filled()
    // Bytes that are not used count as well.
    for (const offset of [0, 4, 8, 12, 16, 20, 24, 64, 79, 80, 84, 64 + 24 * 32 - 1, INDEX_BYTES - 1]) {
      const damaged = disk.clone()
      damaged.flipByte(RING_FILE, SEGMENT_BYTES + offset, 0x80)
      expect(await wronglessReads(damaged)).toBe(68)
    }
  })

  test('of any kind gives no wrong answer and no error', async () => {
    const disk = await filled()
    const whole = disk.readFile(RING_FILE)
    for (let seed = 0; seed < SEEDS; seed++) {
      const random = new Random(seed)
      const bytes = Uint8Array.from(whole)
      for (let damage = 0; damage < 8; damage++) {
        const at = random.below(bytes.length)
        const page = at - (at % 4096)
        const other = 4096 * random.below(bytes.length / 4096)
        const kind = random.below(5)
        if (kind === 0) bytes[at] = bytes[at]! ^ (1 << random.below(8))
        else if (kind === 1) bytes.copyWithin(page, other, other + 4096 * random.between(1, 20))
        else if (kind === 2) bytes.fill(random.pick([0, 0xff]), page, page + 4096 * random.between(1, 40))
        // An index page from elsewhere, a block in another one's place.
        else if (kind === 3)
          bytes.copyWithin(SEGMENT_BYTES * random.below(4), SEGMENT_BYTES * random.below(4), INDEX_BYTES)
        else bytes.copyWithin(slotOffset(random.below(32)), slotOffset(random.below(32)), slotOffset(1))
      }
      const damaged = disk.clone()
      damaged.writeFile(RING_FILE, random.chance(0.3) ? bytes.subarray(0, random.below(bytes.length)) : bytes)
      await wronglessReads(damaged).catch((error: unknown) => {
        throw new Error(`seed ${seed}`, { cause: error })
      })
      // What was damaged is whole again.
      expect(await wronglessReads(damaged)).toBe(100)
    }
  })

  test('by a power cut gives no wrong answer', async () => {
    const disk = new SimulatedFileSystem()
    const reader = await openReader(store, disk, ON_DISK)
    await readBlocks(reader, store, 500, 900)
    await readBlocks(reader, store, 0, 90)
    for (let seed = 0; seed < SEEDS; seed++) await wronglessReads(disk.crashState(seed))
  })

  test('by writes that end in the middle gives no wrong answer', async () => {
    for (let seed = 0; seed < SEEDS; seed++) {
      const disk = (await filled()).clone({ seed })
      disk.writeFile(RING_FILE, disk.readFile(RING_FILE).subarray(0, SMALL_RING))
      const reader = await openReader(store, disk, ON_DISK)
      disk.onCall = ({ op }) =>
        op === 'write' && disk.bytesWritten > 3 * seed * BLOCK ? disk.crashNow() : undefined
      await readBlocks(reader, store, 200, 400)
      await wronglessReads(disk.clone())
    }
  })

  test('by another process in the same file gives no wrong answer', async () => {
    // Locks that do not work: each has it at once.
    const disk = new SimulatedFileSystem()
    const noLock = () => Promise.resolve({ release: () => Promise.resolve() })
    const readers = [
      await openReader(store, disk, ON_DISK, noLock),
      await openReader(store, disk, ON_DISK, noLock),
    ]
    const random = new Random(1)
    for (let round = 0; round < 1500; round++) {
      await readBlock(random.pick(readers), store, random.below(300))
      if (round % 20 === 0) await settled()
    }
    expect(readers[0]!.stats().disk!.damagedBlocks).toBeGreaterThan(0)
    for (const reader of readers) await reader.close()
    await wronglessReads(disk)
  })

  test('foreign files are no ring', async () => {
    const disk = new SimulatedFileSystem()
    disk.writeFile(RING_FILE, new Random(3).bytes(100_000))
    expect(await wronglessReads(disk)).toBe(0)
    expect(await wronglessReads(disk)).toBe(100)
  })
})

describe('the ring turns off, and reads go to the store', () => {
  test('when the disk is full', async () => {
    const disk = new SimulatedFileSystem({ capacityBytes: 3 * SEGMENT_BYTES })
    const reader = await openReader(store, disk, ON_DISK)
    await readBlocks(reader, store, 0, 200)
    expect(reader.stats().disk!.off).toMatch(/cannot use the cache \/cache\/ring-0\/blocks: no space left/)
    expect(await readBlocks(reader, store, 0, 10)).toBe(0)
    await reader.close()
    expect(disk.openHandles).toBe(0)
  })

  test.each(['read', 'write'] as const)('when a %s fails', async op => {
    const disk = await filled()
    const reader = await openReader(store, disk, ON_DISK)
    disk.failAt(call => call.op === op, 'EIO')
    await readBlocks(reader, store, 0, 10)
    await readBlocks(reader, store, 200, 300)
    expect(reader.stats().disk!.off).toContain('EIO')
    expect(reader.stats().disk!.blocks).toBe(0)
    expect(await readBlocks(reader, store, 200, 210)).toBe(0)
    await reader.close()
    expect(disk.openHandles).toBe(0)
  })

  test('when a blocking read fails', async () => {
    const disk = await filled()
    const reader = await openReader(store, disk, ON_DISK)
    disk.failAt(call => call.op === 'read', 'EIO')
    expect(reader.readSync('e/a', 1024 * BLOCK, 0, new Uint8Array(10))).toBeUndefined()
    expect(reader.stats().disk!.off).toContain('EIO')
    await reader.close()
  })

  test.each([
    ['makeDirectory', 'EACCES'],
    ['update', 'EACCES'],
    ['info', 'EIO'],
    ['size', 'EIO'],
    ['read', 'EIO'],
  ] as const)('when %s fails at the open', async (op, code) => {
    const disk = await filled()
    disk.failAt(call => call.op === op, code, { repeat: 'sticky' })
    const locks = newLocks()
    const reader = await openReader(store, disk, ON_DISK, locks)
    expect(reader.stats().disk!.off).toContain(code)
    expect(await readBlocks(reader, store, 0, 5)).toBe(0)
    expect(disk.openHandles).toBe(0)
    disk.clearFaults()
    const other = await openReader(store, disk, ON_DISK, locks)
    expect(other.stats().disk!.directory).toBe('/cache/ring-0')
    await reader.close()
    await other.close()
  })

  test('but not when only its close fails', async () => {
    const disk = await filled()
    const reader = await openReader(store, disk, ON_DISK)
    await readBlocks(reader, store, 0, 10)
    disk.failAt(call => call.op === 'close', 'EIO')
    await reader.close()
    expect(await wronglessReads(disk)).toBe(100)
  })
})

describe('two readers of one directory', () => {
  test('have a ring each, and find them again', async () => {
    const disk = new SimulatedFileSystem()
    const lock = lockOf({ ...realLockParts(), fileSystem: disk, flock: undefined })
    for (let life = 0; life < 2; life++) {
      const one = await openReader(store, disk, ON_DISK, lock)
      const two = await openReader(store, disk, ON_DISK, lock)
      expect([one, two].map(reader => reader.stats().disk!.directory)).toEqual([
        '/cache/ring-0',
        '/cache/ring-1',
      ])
      expect(await readBlocks(one, store, 0, 50)).toBe(50 * life)
      expect(await readBlocks(two, store, 0, 60)).toBe(60 * life)
      await one.close()
      const third = await openReader(store, disk, ON_DISK, lock)
      expect(await readBlocks(third, store, 0, 50)).toBe(50)
      await third.close()
      await two.close()
    }
    expect(disk.files()).toEqual(['/cache/ring-0/blocks', '/cache/ring-1/blocks'])
  })

  test('wait for no lock', async () => {
    const asked: number[] = []
    const reader = await openReader(store, new SimulatedFileSystem(), ON_DISK, (_, { timeoutMs }) => {
      asked.push(timeoutMs)
      return Promise.resolve({ release: () => Promise.reject(new Error('it is gone')) })
    })
    expect(asked).toEqual([0])
    await reader.close()
  })
})
