/** `snapshot()`: a point in time for every read, across seals, merges, deletes and `clear`, until it is closed. */
import { readdir } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { type Snapshot } from '../../src/index.js'
import {
  collect,
  fingerprint,
  fingerprintColumns,
  SMALL,
  spreadKey,
  testTables,
  type FingerprintTable,
} from '../support/tables.js'

const tables = testTables()
const KEYS = Array.from({ length: 60 }, (_, i) => spreadKey(i))

/** What every kind of read says of the snapshot, or of now. */
async function everything(table: FingerprintTable, snapshot?: Snapshot): Promise<unknown> {
  const options = { snapshot }
  const each = async <T>(read: (key: bigint) => T | Promise<T>): Promise<T[]> => {
    const results: T[] = []
    for (const key of KEYS) results.push(await read(key))
    return results
  }
  return {
    get: await each(key => table.get(key, options)),
    getSync: await each(key => table.getSync(key, options)),
    getAll: await each(key => table.getAll(key, options)),
    getAllSync: await each(key => table.getAllSync(key, options)),
    count: await each(key => table.count(key, options)),
    has: await each(key => table.has(key, options)),
    getMany: await table.getMany(KEYS, options),
    getColumns: await table.getColumns(KEYS, options),
    entries: await collect(table.entries(options)),
    reversed: await collect(table.entries({ ...options, reverse: true })),
    keys: await collect(table.keys({ ...options, gt: KEYS[30] })),
    values: await collect(table.values({ ...options, limit: 5 })),
    columns: await collect(table.scanColumns(options)),
  }
}

describe('a snapshot', () => {
  test('holds everything put and resolved before it, and nothing that came later', async () => {
    const table = await tables.fingerprints({ ...SMALL, cacheBytes: 0 })
    const held: { snapshot: Snapshot; expected: unknown }[] = []
    for (let round = 0; round < 10; round++) {
      await table.putColumns(fingerprintColumns(round * 100, round * 100 + 100, n => spreadKey(n % 60)))
      if (round % 3 === 0) await table.del(KEYS[round]!)
      if (round % 3 === 1) await table.delWhere({ flags: round % 7 })
      if (round % 3 === 2) await table.delRecord(KEYS[9]!, fingerprint(9 + 60 * round))
      if (round === 6) await table.compact()
      held.push({ expected: await everything(table), snapshot: table.snapshot() })
      for (const { snapshot, expected } of held) {
        const { columns, ...rest } = (await everything(table, snapshot)) as { columns: unknown[] }
        const { columns: expectedColumns, ...expectedRest } = expected as { columns: unknown[] }
        expect(rest).toEqual(expectedRest)
        // How rows are cut into stretches is not promised.
        expect(columns.length > 0).toBe(expectedColumns.length > 0)
      }
    }
    await table.compact()
    await table.clear()
    for (const { snapshot, expected } of held) {
      expect((await everything(table, snapshot)) as object).toMatchObject({
        entries: (expected as { entries: unknown }).entries as never,
        getMany: (expected as { getMany: unknown }).getMany as never,
      })
      await snapshot.close()
    }
    expect((await table.stats()).pins).toBe(0)
  })

  test('is taken at once: what has not resolved may be missing, what has may not', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, fingerprint(1))
    const put = table.put(1n, fingerprint(2))
    const snapshot = table.snapshot()
    await put
    await table.put(1n, fingerprint(3))
    const seen = await table.getAll(1n, { snapshot })
    expect([[fingerprint(1)], [fingerprint(1), fingerprint(2)]]).toContainEqual(seen)
    expect(await table.getAll(1n, { snapshot })).toEqual(seen)
  })

  test('keeps the files that it needs, until it is closed', async () => {
    const table = await tables.fingerprints()
    for (let i = 0; i < 4; i++) await table.putColumns(fingerprintColumns(i * 250, i * 250 + 250, spreadKey))
    await table.compact()
    const expected = await collect(table.entries())
    const snapshot = table.snapshot()
    for (let i = 4; i < 8; i++) await table.putColumns(fingerprintColumns(i * 250, i * 250 + 250, spreadKey))
    await table.compact()
    expect(await collect(table.entries({ snapshot }))).toEqual(expected)
    await snapshot.close()
    const named = (await table.stats()).files.map(({ name }) => name)
    const found = (await readdir(table.location)).filter(name => name.endsWith('.bucket'))
    expect(found).toEqual(named)
  })

  test('that is closed refuses every read, and closes any number of times', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, fingerprint(1))
    const snapshot = table.snapshot()
    await snapshot.close()
    await snapshot.close()
    await snapshot[Symbol.asyncDispose]()
    const closed = { name: 'FlashTableError', code: 'FLASHTABLE_SNAPSHOT_CLOSED' }
    const options = { snapshot }
    const reads: (() => Promise<unknown>)[] = [
      () => table.get(1n, options),
      () => table.getAll(1n, options),
      () => table.getMany([1n], options),
      () => table.getColumns([1n], options),
      () => table.has(1n, options),
      () => table.count(1n, options),
      async () => table.getSync(1n, options),
      async () => table.getAllSync(1n, options),
      () => collect(table.entries(options)),
      () => collect(table.keys(options)),
      () => collect(table.values(options)),
      () => collect(table.scanColumns(options)),
    ]
    for (const read of reads) await expect(read()).rejects.toMatchObject(closed)
    expect(await table.get(1n)).toEqual(fingerprint(1))
  })

  test('that is closed while a scan of it runs lets the scan end', async () => {
    const table = await tables.fingerprints({ ...SMALL, cacheBytes: 0 })
    for (let i = 0; i < 8; i++) await table.putColumns(fingerprintColumns(i * 250, i * 250 + 250, spreadKey))
    const expected = await collect(table.entries())
    const snapshot = table.snapshot()
    const scan = table.entries({ snapshot })
    const first = await scan.next()
    await snapshot.close()
    await table.clear()
    expect([first.value, ...(await collect(scan))]).toEqual(expected)
  })

  test('of another table is refused', async () => {
    const table = await tables.fingerprints()
    const other = await tables.fingerprints()
    const snapshot = other.snapshot()
    await expect(table.get(1n, { snapshot })).rejects.toMatchObject({ code: 'FLASHTABLE_SNAPSHOT_CLOSED' })
  })

  test('that is left open is closed with the table', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, fingerprint(1))
    const snapshot = table.snapshot()
    await table.close()
    await snapshot.close()
    const again = await tables.open(table.location)
    await expect(again.get(1n, { snapshot })).rejects.toMatchObject({ code: 'FLASHTABLE_SNAPSHOT_CLOSED' })
  })

  test('is closed at the end of the block that holds it with await using', async () => {
    const table = await tables.fingerprints()
    {
      await using snapshot = table.snapshot()
      expect(await table.count(1n, { snapshot })).toBe(0)
      expect((await table.stats()).pins).toBe(1)
    }
    expect((await table.stats()).pins).toBe(0)
  })
})
