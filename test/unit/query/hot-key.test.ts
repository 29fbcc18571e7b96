/** What a lookup of a key with very many records reads and decodes. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { DataPageDecoder } from '../../../src/format/data-page-decoder.js'
import { DataPageReader } from '../../../src/format/data-page-reader.js'
import { FlashTable } from '../../../src/index.js'
import { simulatedEnvironment } from '../../support/simulated-environment.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'

const RECORDS = 100_000
const TYPES = { keyEncoding: 'u32', valueEncoding: 'u32' } as const

afterEach(() => {
  vi.restoreAllMocks()
})

/** Values that take many bits, so that there are many pages. */
function valueOf(number: number): number {
  return Math.imul(number, 0x9e3779b1) >>> 0
}

/** A table with one file, in which one key has all records but two. */
async function hotTable(keyRows?: number) {
  const disk = new SimulatedFileSystem()
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  const environment = simulatedEnvironment(disk, 'inline', keyRows)
  const options = { ...TYPES, bufferBytes: 2 ** 20, cacheBytes: 2 ** 24 }
  const table = await FlashTable.openIn('/tables/hot', options, environment)
  for (let from = 0; from < RECORDS; from += 10_000) {
    await table.putColumns({
      key: new Uint32Array(10_000).fill(7),
      value: Uint32Array.from({ length: 10_000 }, (_, i) => valueOf(from + i)),
    })
  }
  await table.put(6, 1)
  await table.put(8, 1)
  await table.compact()
  expect((await table.stats()).files[0]!.dataBytes).toBeGreaterThan(90 * 4096)
  return { disk, table }
}

/** How many pages were decoded, and single values read, in the call. */
async function costOf<T>(call: () => Promise<T> | T) {
  const decode = vi.spyOn(DataPageDecoder.prototype, 'decode')
  const value = vi.spyOn(DataPageReader.prototype, 'value')
  const result = await call()
  const cost = { result, pages: decode.mock.calls.length, values: value.mock.calls.length }
  vi.restoreAllMocks()
  return cost
}

function readsIn(disk: SimulatedFileSystem, from: number): number {
  return disk.log.slice(from).reduce((sum, { op, bytes = 0 }) => sum + (op.startsWith('read') ? bytes : 0), 0)
}

describe.each([
  ['in a lookup', undefined],
  ['in a scan', 100],
])('a key with very many records %s', (_, keyRows) => {
  test('is counted without a look at its records', async () => {
    const { table } = await hotTable(keyRows)
    const { result, pages, values } = await costOf(() => table.count(7))
    expect(result).toBe(RECORDS)
    expect([pages, values]).toEqual([0, 0])
    await table.close()
  })

  test.each([true, false])('passes over what is not wanted page by page (reverse: %s)', async reverse => {
    const { table } = await hotTable(keyRows)
    const options = { offset: 50_000, limit: 10, reverse }
    const expected = Array.from({ length: 10 }, (_, i) => valueOf(reverse ? 49_999 - i : 50_000 + i))
    for (const call of [() => table.getAll(7, options), () => table.getAllSync(7, options)]) {
      const { result, pages, values } = await costOf(call)
      expect(result).toEqual(expected)
      // The first batch behind the offset, of 256 KiB at most; or the rows of a page.
      expect(pages).toBeLessThan(70)
      expect(values).toBeLessThanOrEqual(10)
    }
    await table.close()
  })

  test('is decoded where deletes may hide its records', async () => {
    const { table } = await hotTable(keyRows)
    await table.delRecord(7, valueOf(3))
    expect(await table.count(7)).toBe(RECORDS - 1)
    expect(await table.getAll(7, { offset: 2, limit: 2 })).toEqual([valueOf(2), valueOf(4)])
    await table.close()
  })
})

test.each([true, false])(
  'the first of very many records of a key come after few reads (reverse: %s)',
  async reverse => {
    const { disk, table } = await hotTable()
    const first = valueOf(reverse ? RECORDS - 1 : 0)
    const before = disk.log.length
    for await (const value of table.values({ gte: 7, lte: 7, reverse })) {
      expect(value).toBe(first)
      break
    }
    // Twice as many pages with each read: 32 have more rows than are wanted at first.
    expect(readsIn(disk, before)).toBeLessThan(40 * 4096)
    const between = disk.log.length
    expect(await table.getAll(7, { limit: 1, reverse: true })).toEqual([valueOf(RECORDS - 1)])
    expect(readsIn(disk, between)).toBeLessThan(3 * 4096)
    await table.close()
  },
)
