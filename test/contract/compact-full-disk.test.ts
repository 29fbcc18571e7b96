/** `compact()` of a table much larger than its memtable, where the disk has no room to seal first. */
import { expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import type { Environment } from '../../src/table/environment.js'
import { allSealed } from '../support/all-sealed.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'

const OPTIONS = { keyEncoding: 'u64', bufferBytes: 1024, walBytes: 65_536, fanout: 4 }

/** Some dozen memtables in bucket files, one more in memory, and a disk that is full. */
async function fullTable(): Promise<{ disk: SimulatedFileSystem; table: FlashTable }> {
  const disk = new SimulatedFileSystem({ seed: 1 })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  const table = await FlashTable.openIn('/tables/full', OPTIONS, simulatedEnvironment(disk))
  for (let from = 0; from < 3000; from += 100) {
    await table.putColumns({ key: BigUint64Array.from({ length: 100 }, (_, i) => BigInt((from + i) * 7919)) })
  }
  // Nothing waits for a seal when the disk fills up: the memtable that compact() seals is the first.
  await allSealed(table)
  disk.capacityBytes = 0
  return { disk, table }
}

test('says so, changes nothing, and works once there is room', async () => {
  const { disk, table } = await fullTable()
  await expect(table.compact()).rejects.toMatchObject({ code: 'FLASHTABLE_DISK_FULL' })
  expect(await table.count(7919n)).toBe(1)
  disk.capacityBytes = Infinity
  await table.compact()
  const { files, records } = await table.stats()
  expect([files.length, records]).toEqual([1, 3000])
  await table.close()
})

/** Two memtables that cannot be sealed, as many as may wait, and one more in memory. */
async function stuckTable(code: 'ENOSPC' | 'EIO'): Promise<FlashTable> {
  const disk = new SimulatedFileSystem({ seed: 1 })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  const environment: Environment = {
    ...simulatedEnvironment(disk),
    // Of a full disk, which is not tried again within this test.
    wait: (_, signal) =>
      new Promise(resolve => {
        if (signal.aborted) resolve()
        signal.addEventListener('abort', () => resolve())
      }),
  }
  const table = await FlashTable.openIn('/tables/stuck', OPTIONS, environment)
  disk.failAt(({ path }) => path.endsWith('.bucket'), code, { repeat: 'sticky' })
  const put = (from: number) =>
    table.putColumns({ key: BigUint64Array.from({ length: 100 }, (_, i) => BigInt(from + i)) })
  await Promise.allSettled([put(0), put(100), put(200)])
  return table
}

// Found by cutting the power of real file systems: the process that had lost its disk did not end.
test.each(['ENOSPC', 'EIO'] as const)(
  'close() ends a compact() that waits for seals which fail with %s, whenever it comes',
  async code => {
    for (let turns = 0; turns < 8; turns++) {
      const table = await stuckTable(code)
      const compacting = table.compact().then(
        () => 'done',
        (error: { code?: unknown }) => error.code,
      )
      for (let turn = 0; turn < turns; turn++) await new Promise(resolve => void setImmediate(resolve))
      await table.close().catch(() => {})
      expect(['FLASHTABLE_NOT_OPEN', 'FLASHTABLE_POISONED', 'FLASHTABLE_DISK_FULL']).toContain(
        await compacting,
      )
    }
  },
)
