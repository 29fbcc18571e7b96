/** `bytesWritten` is what write calls have transferred to the table, to the byte, whatever became of what was written. */
import { describe, expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { Random } from '../support/random.js'
import { JOB_FORMS, simulatedEnvironment, type JobForm } from '../support/simulated-environment.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'

const DIRECTORY = '/tables/counted'
const OPTIONS = {
  keyEncoding: 'u64',
  bufferBytes: 1024,
  walBytes: 8192,
  cacheBytes: 65_536,
  fanout: 2,
  syncIntervalMs: Infinity,
} as const
const MEMTABLE_RECORDS = 128

function newDisk(seed: number): SimulatedFileSystem {
  const disk = new SimulatedFileSystem({ seed, shortTransfers: 0.1 })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  return disk
}

async function open(
  disk: SimulatedFileSystem,
  form: JobForm,
  options: object = {},
): Promise<FlashTable<'u64'>> {
  const environment = simulatedEnvironment(disk, form)
  const table = await FlashTable.openIn(DIRECTORY, { ...OPTIONS, ...options }, environment)
  return table as unknown as FlashTable<'u64'>
}

const keys = (count: number) => ({ key: BigUint64Array.from({ length: count }, (_, i) => BigInt(i * 7919)) })

/** Counted in all, by a reader: of a closed table that is what its last manifest says. */
async function counted(disk: SimulatedFileSystem): Promise<number> {
  const environment = simulatedEnvironment(disk)
  const reader = await FlashTable.openIn(DIRECTORY, { readOnly: true }, environment)
  const { wal, buckets, manifest, events } = (await reader.stats()).bytesWritten
  await reader.close()
  return wal + buckets + manifest + events
}

/** One random thing that may happen to a table. */
async function act(table: FlashTable<'u64'>, disk: SimulatedFileSystem, random: Random): Promise<void> {
  switch (random.below(8)) {
    case 0:
      return table.put(BigInt(random.below(1000)), undefined, { sync: random.below(2) === 0 })
    case 1:
    case 2:
      return table.putColumns(keys(1 + random.below(MEMTABLE_RECORDS)))
    case 3:
      return table.compact()
    case 4: {
      const controller = new AbortController()
      const compacting = table.compact({ signal: controller.signal }).catch(() => {})
      for (let turns = random.below(20); turns > 0; turns--)
        await new Promise(resolve => void setImmediate(resolve))
      controller.abort()
      return compacting
    }
    case 5:
      return random.below(4) === 0 ? table.clear() : table.del(BigInt(random.below(1000)))
    case 6: {
      // The disk is full for a while.
      disk.capacityBytes = 0
      await table.putColumns(keys(50)).catch(() => {})
      await table.compact().catch(() => {})
      disk.capacityBytes = Infinity
      return
    }
    default:
      return table.sync()
  }
}

describe.each(JOB_FORMS)('bytesWritten, jobs %s', form => {
  const seed = Number(process.env['FLASHTABLE_SEED'] ?? Date.now() % 1_000_000)

  test(`is what was written, over lives with aborts, full disks, closes during merges (seed ${seed})`, async () => {
    for (let round = 0; round < 6; round++) {
      const random = new Random(seed + round)
      const disk = newDisk(seed + round)
      for (let life = 0; life < 5; life++) {
        const table = await open(disk, form)
        for (let calls = random.below(12); calls > 0; calls--) await act(table, disk, random)
        await table.close()
        expect(await counted(disk)).toBe(disk.bytesWritten)
      }
    }
  })

  test('counts the zeros that a trickle writes ahead', async () => {
    const disk = newDisk(3)
    const table = await open(disk, form, { walBytes: 65_536 })
    for (let i = 0; i < 4; i++) await table.put(BigInt(i), undefined, { sync: true })
    const { wal, buckets, manifest, events } = (await table.stats()).bytesWritten
    expect(wal).toBeGreaterThan(8192)
    expect(wal + buckets + manifest + events).toBe(disk.bytesWritten)
    await table.close()
    expect(await counted(disk)).toBe(disk.bytesWritten)
  })

  test('counts a merge that was given up', async () => {
    const disk = newDisk(1)
    // A line of the event log could be written between the two sums.
    const table = await open(disk, form, { eventLog: false })
    await table.putColumns(keys(MEMTABLE_RECORDS))
    await table.putColumns(keys(MEMTABLE_RECORDS))
    const controller = new AbortController()
    disk.onCall = ({ op, path }) => {
      if (op === 'write' && path.endsWith('.bucket')) controller.abort()
    }
    await expect(table.compact({ signal: controller.signal })).rejects.toThrow()
    disk.onCall = undefined
    const { wal, buckets, manifest, events } = (await table.stats()).bytesWritten
    expect(buckets).toBeGreaterThan(0)
    expect(wal + buckets + manifest + events).toBe(disk.bytesWritten)
    await table.close()
  })

  test('counts what a bulk load wrote that failed', async () => {
    const disk = newDisk(2)
    function* source() {
      for (let i = 0; i < 4; i++) yield keys(MEMTABLE_RECORDS)
      throw new Error('no more')
    }
    const environment = simulatedEnvironment(disk, form)
    const loading = FlashTable.bulkLoadIn(DIRECTORY, { ...OPTIONS, memoryBytes: 0 }, source(), environment)
    await expect(loading).rejects.toThrow('no more')
    expect(disk.log.some(({ path }) => path.endsWith('.spill'))).toBe(true)
    expect(await counted(disk)).toBe(disk.bytesWritten)
  })

  test('counts none of a checkpoint, which is a table of its own', async () => {
    const disk = newDisk(3)
    const table = await open(disk, form)
    await table.putColumns(keys(50))
    const before = disk.bytesWritten
    await table.checkpoint('/tables/copy')
    const copied = disk.bytesWritten - before
    expect(copied).toBeGreaterThan(0)
    await table.close()
    expect(await counted(disk)).toBe(disk.bytesWritten - copied)
  })
})
