/** The page cache that tables share if they were not given one. */
import { expect, test } from 'vitest'
import { fingerprintColumns, SMALL, spreadKey, testTables, type FingerprintTable } from '../support/tables.js'

const tables = testTables({ onDisk: true })

test('tables without cacheBytes share a cache, and their pages leave it when they are closed', async () => {
  const { cacheBytes: _own, ...shared } = SMALL
  const make = async (options: object): Promise<FingerprintTable> => {
    const table = await tables.fingerprints(options)
    await table.putColumns(fingerprintColumns(0, 250, spreadKey))
    await table.compact()
    return table
  }
  const [one, other, own] = [await make(shared), await make(shared), await make(SMALL)]
  const used = (): Promise<number[]> =>
    Promise.all([one, other, own].map(async table => (await table.stats()).memory.cacheUsed))
  expect(await used()).toEqual([0, 0, 0])
  await one.get(spreadKey(1))
  // A page of the filter and one of data.
  expect(await used()).toEqual([8192, 8192, 0])
  await other.get(spreadKey(1))
  await own.get(spreadKey(1))
  expect(await used()).toEqual([16_384, 16_384, 8192])
  expect((await one.stats()).memory.cache).toBeGreaterThanOrEqual(64 * 2 ** 20)
  expect((await own.stats()).memory.cache).toBe(65_536)
  await one.close()
  expect((await other.stats()).memory.cacheUsed).toBe(8192)
})
