/** `compact()` of a table much larger than its memtable, where the disk has no room to seal first. */
import { expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'

const OPTIONS = { keyEncoding: 'u64', memtableBytes: 1024, walBytes: 65_536, fanout: 4 }

/** Some dozen memtables in bucket files, one more in memory, and a disk that is full. */
async function fullTable(): Promise<{ disk: SimulatedFileSystem; table: FlashTable }> {
  const disk = new SimulatedFileSystem({ seed: 1 })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  const table = await FlashTable.openIn('/tables/full', OPTIONS, simulatedEnvironment(disk))
  for (let from = 0; from < 3000; from += 100) {
    await table.putColumns({ key: BigUint64Array.from({ length: 100 }, (_, i) => BigInt((from + i) * 7919)) })
  }
  // Nothing waits for a seal when the disk fills up: the memtable that compact() seals is the first.
  while ((await table.stats()).memtable.sealed > 0) await new Promise(resolve => void setImmediate(resolve))
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
