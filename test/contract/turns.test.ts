/** The event loop turns while much is read from memory: timers and sockets of the program have their turns. */
import { beforeAll, describe, expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { clockByLooks } from '../support/clock.js'
import { testTables } from '../support/tables.js'

const RECORDS = 300_000
/** More than a lookup takes at once. */
const HOT = 40_000

async function turnsDuring(action: () => Promise<unknown>): Promise<number> {
  let turns = 0
  let runs = true
  const count = (): void => {
    turns++
    if (runs) setImmediate(count)
  }
  const before = turns
  setImmediate(count)
  await action()
  runs = false
  return turns - before
}

describe('records in memory', () => {
  const tables = testTables()
  const keys = BigUint64Array.from(
    { length: RECORDS },
    (_, i) => (BigInt(i) * 0x9e3779b97f4a7c15n) & 0xffffffffffffn,
  )
  let filled: (() => Promise<FlashTable>) | undefined
  beforeAll(() => {
    filled = async () => {
      const table = await tables.open(tables.path(), {
        keyEncoding: 'u64',
        bufferBytes: 2 ** 24,
        walBytes: 2 ** 25,
      })
      for (let from = 0; from < RECORDS; from += 50_000) {
        await table.putColumns({ key: keys.subarray(from, from + 50_000) })
      }
      return table as unknown as FlashTable
    }
  })

  test.each(['entries', 'keys', 'values'] as const)(
    'are scanned without starving the event loop: %s',
    async scan => {
      const table = await filled!()
      // Puts the memtable in order, which has turns of its own.
      for await (const _ of table.keys()) break
      clockByLooks(0.5)
      let rows = 0
      const turns = await turnsDuring(async () => {
        for await (const _ of table[scan]()) rows++
      })
      expect(rows).toBe(RECORDS)
      expect(turns).toBeGreaterThan(5)
    },
  )

  test('are found by scans, near keys and many keys, whatever indexes and orders must be made first', async () => {
    const table = await filled!()
    expect(await table.count(keys[17]!)).toBe(1)
    const same = (found: Uint32Array, expected: ArrayLike<number>): boolean =>
      Buffer.compare(Buffer.from(found.buffer), Buffer.from(Uint32Array.from(expected).buffer)) === 0
    const positions = Array.from({ length: RECORDS }, (_, i) => i)
    expect(same((await table.getColumns(keys)).query, positions)).toBe(true)
    expect((await table.getMany(keys)).length).toBe(RECORDS)
    const queries = BigUint64Array.of(2n ** 47n, 0n)
    const near = await table.getColumns(queries, { within: 2n ** 47n })
    const found = (near as unknown as { key: BigUint64Array }).key
    // All keys are in reach of the first query, the lower half of them of the second.
    const lower = keys.filter(key => key <= 2n ** 47n).length
    expect([found.length, near.query.indexOf(1)]).toEqual([RECORDS + lower, RECORDS])
    const sorted = keys.toSorted()
    const wrong = found.filter((key, i) => key !== sorted[i < RECORDS ? i : i - RECORDS])
    expect(wrong.length).toBe(0)
  })

  test('of one key, very many, are all found, newest last, without what was deleted', async () => {
    const table = await tables.open(tables.path(), {
      keyEncoding: 'u32',
      valueEncoding: 'u32',
      bufferBytes: 2 ** 20,
    })
    const put = (from: number, count: number): Promise<void> =>
      table.putColumns({
        key: new Uint32Array(count),
        value: Uint32Array.from({ length: count }, (_, i) => from + i),
      })
    await put(0, 100)
    await table.del(0)
    for (let from = 0; from < HOT; from += 10_000) await put(from, 10_000)
    await table.putColumns({ key: Uint32Array.of(1), value: Uint32Array.of(9) })
    await table.delRecord(0, 5)
    const expected = Array.from({ length: HOT }, (_, i) => i).filter(i => i !== 5)
    expect(await table.count(0)).toBe(HOT - 1)
    expect(await table.getAll(0)).toEqual(expected)
    expect(table.getAllSync(0)).toEqual(expected)
    expect(await table.get(0)).toBe(HOT - 1)
    const { query, value } = await table.getColumns(Uint32Array.of(1, 0, 1))
    expect([...query.slice(0, 1), ...query.slice(-1)]).toEqual([0, 2])
    expect([...value]).toEqual([9, ...expected, 9])
  })
})
