/** `putIfAbsent`, alone, in batches and for columns: put where the key has no record, and the caller is told. */
import { describe, expect, test } from 'vitest'
import { fixed, FlashTable } from '../../src/index.js'
import {
  collect,
  FINGERPRINT,
  fingerprint,
  fingerprintColumns,
  SMALL,
  spreadKey,
  testTables,
  type FingerprintTable,
} from '../support/tables.js'

const tables = testTables()

const ROOMY = { ...SMALL, bufferBytes: 2 ** 16 }

/** Where the records that are there already lie. */
const PLACES: [string, object, (table: FingerprintTable) => Promise<FingerprintTable>][] = [
  ['in memory', ROOMY, table => Promise.resolve(table)],
  ['in files', ROOMY, table => table.compact().then(() => table)],
  ['in files that are not cached', { ...ROOMY, cacheBytes: 0 }, table => table.compact().then(() => table)],
  ['in the log of an earlier life', ROOMY, table => tables.reopen(table, ROOMY)],
]

describe.each(PLACES)('where records are %s', (_, options, after) => {
  test('putIfAbsent puts where the key has none, and says whether it did', async () => {
    const before = await tables.fingerprints(options)
    await before.putColumns(fingerprintColumns(0, 500, spreadKey))
    const table = await after(before)
    for (let i = 0; i < 1000; i += 7)
      expect(await table.putIfAbsent(spreadKey(i), fingerprint(i + 1))).toBe(i >= 500)
    for (let i = 0; i < 1000; i += 7)
      expect(await table.getAll(spreadKey(i))).toEqual([fingerprint(i < 500 ? i : i + 1)])
    expect(await table.putIfAbsent(spreadKey(994), fingerprint(0))).toBe(false)
  })

  test('putColumns with ifAbsent tells it for each row; of rows with one key the first is put', async () => {
    const before = await tables.fingerprints(options)
    await before.putColumns(fingerprintColumns(0, 500, spreadKey))
    const table = await after(before)
    const keyOf = (n: number): bigint => spreadKey(n % 700)
    const put = await table.putColumns(fingerprintColumns(0, 1400, keyOf), { ifAbsent: true })
    expect(put).toEqual(Uint8Array.from({ length: 1400 }, (_, n) => (n >= 500 && n < 700 ? 1 : 0)))
    for (let n = 0; n < 700; n += 9) expect(await table.getAll(spreadKey(n))).toEqual([fingerprint(n)])
    expect((await table.stats()).records).toBe(700)
  })
})

describe('a key whose records are deleted', () => {
  const DELETES: [string, (table: FingerprintTable) => Promise<void>][] = [
    ['del', table => table.del(7n)],
    ['delRecord', table => table.delRecord(7n, fingerprint(1))],
    ['delWhere', table => table.delWhere({ id: fingerprint(1).id })],
    ['clear', table => table.clear()],
  ]
  test.each(DELETES)('by %s has none, also where nobody waits for the delete', async (_, deleteIt) => {
    const table = await tables.fingerprints()
    await table.put(7n, fingerprint(1))
    const deleted = deleteIt(table)
    const put = table.putIfAbsent(7n, fingerprint(2))
    const again = table.putIfAbsent(7n, fingerprint(3))
    await deleted
    expect([await put, await again]).toEqual([true, false])
    expect(await table.getAll(7n)).toEqual([fingerprint(2)])
  })

  test('only in part has some', async () => {
    const table = await tables.fingerprints()
    await table.put(7n, fingerprint(1))
    await table.put(7n, fingerprint(2))
    await table.delRecord(7n, fingerprint(1))
    expect(await table.putIfAbsent(7n, fingerprint(3))).toBe(false)
    await table.delRecord(7n, fingerprint(2))
    expect(await table.putIfAbsent(7n, fingerprint(3))).toBe(true)
  })
})

test('calls that come together put one record for each key, in the order of the calls', async () => {
  const table = await tables.fingerprints()
  const calls = Array.from({ length: 900 }, (_, n) =>
    table.putIfAbsent(BigInt(n % 300), fingerprint(n), { sync: n % 50 === 0 }),
  )
  const others = Array.from({ length: 10 }, (_, n) => table.put(BigInt(1000 + n), fingerprint(n)))
  const late = table.putIfAbsent(1003n, fingerprint(99))
  expect(await Promise.all(calls)).toEqual(Array.from({ length: 900 }, (_, n) => n < 300))
  await Promise.all(others)
  expect(await late).toBe(false)
  for (let n = 0; n < 300; n++) expect(table.getAllSync(BigInt(n))).toEqual([fingerprint(n)])
})

test('calls of columns that come together put one record for each key', async () => {
  const table = await tables.fingerprints(ROOMY)
  const calls = [0, 1, 2, 3].map(from =>
    table.putColumns(fingerprintColumns(from * 400, from * 400 + 800, spreadKey), { ifAbsent: true }),
  )
  const put = await Promise.all(calls)
  expect(put.map(rows => rows.reduce((sum, row) => sum + row, 0))).toEqual([800, 400, 400, 400])
  expect((await table.stats()).records).toBe(2000)
  expect(await table.putColumns(fingerprintColumns(0, 0, spreadKey), { ifAbsent: true })).toEqual(
    new Uint8Array(),
  )
})

describe('in a batch', () => {
  test('what the batch has done before counts', async () => {
    const table = await tables.fingerprints()
    await table.batch([
      { type: 'put', key: 1n, value: fingerprint(1) },
      { type: 'put', key: 2n, value: fingerprint(1) },
      { type: 'put', key: 3n, value: fingerprint(1) },
      { type: 'put', key: 3n, value: fingerprint(2) },
    ])
    await table.batch([
      { type: 'putIfAbsent', key: 1n, value: fingerprint(10) },
      { type: 'del', key: 1n },
      { type: 'putIfAbsent', key: 1n, value: fingerprint(11) },
      { type: 'delRecord', key: 2n, value: fingerprint(1) },
      { type: 'putIfAbsent', key: 2n, value: fingerprint(12) },
      { type: 'delRecord', key: 2n, value: fingerprint(12) },
      { type: 'putIfAbsent', key: 2n, value: fingerprint(13) },
      { type: 'putIfAbsent', key: 2n, value: fingerprint(14) },
      { type: 'delRecord', key: 3n, value: fingerprint(1) },
      { type: 'putIfAbsent', key: 3n, value: fingerprint(15) },
      { type: 'putIfAbsent', key: 4n, value: fingerprint(16) },
      { type: 'put', key: 4n, value: fingerprint(17) },
    ])
    expect(await table.getAll(1n)).toEqual([fingerprint(11)])
    expect(await table.getAll(2n)).toEqual([fingerprint(13)])
    expect(await table.getAll(3n)).toEqual([fingerprint(2)])
    expect(await table.getAll(4n)).toEqual([fingerprint(16), fingerprint(17)])
    const again = await tables.reopen(table)
    expect(await again.getAll(2n)).toEqual([fingerprint(13)])
    expect(await collect(again.keys())).toEqual([1n, 2n, 3n, 4n])
  })

  test('with duplicates: replace a deleted record brings no older one back', async () => {
    const table = await FlashTable.open(tables.path(), {
      keyEncoding: 'u64',
      valueEncoding: 'u32',
      duplicates: 'replace',
    })
    await table.batch([
      { type: 'put', key: 1n, value: 1 },
      { type: 'put', key: 1n, value: 2 },
    ])
    await table.batch([
      { type: 'delRecord', key: 1n, value: 2 },
      { type: 'putIfAbsent', key: 1n, value: 3 },
      { type: 'delRecord', key: 1n, value: 1 },
      { type: 'putIfAbsent', key: 1n, value: 4 },
    ])
    expect(await table.get(1n)).toBe(3)
    await table.close()
  })
})

test('nothing is written where nothing is put, and sync waits for what is there', async () => {
  const table = await tables.fingerprints({ ...SMALL, eventLog: false })
  await table.put(1n, fingerprint(1))
  const { sequence, bytesWritten } = await table.stats()
  expect(sequence).toEqual({ next: 1, synced: 0 })
  expect(await table.putIfAbsent(1n, fingerprint(2))).toBe(false)
  await table.putColumns(
    fingerprintColumns(0, 9, () => 1n),
    { ifAbsent: true },
  )
  expect((await table.stats()).bytesWritten).toEqual(bytesWritten)
  expect(await table.putIfAbsent(1n, fingerprint(2), { sync: true })).toBe(false)
  expect((await table.stats()).sequence).toEqual({ next: 1, synced: 1 })
})

test('a set tells which keys are new', async () => {
  const seen = await FlashTable.open(tables.path(), { keyEncoding: fixed('hex', 4) })
  expect(await seen.putIfAbsent('0a0b0c0d')).toBe(true)
  expect(await seen.putIfAbsent('0a0b0c0d')).toBe(false)
  const key = Uint8Array.from([1, 1, 1, 1, 10, 11, 12, 13, 1, 1, 1, 1])
  expect(await seen.putColumns({ key }, { ifAbsent: true })).toEqual(Uint8Array.of(1, 0, 0))
  expect(await collect(seen.keys())).toEqual(['01010101', '0a0b0c0d'])
  await seen.close()
})

test('snapshots do not see what was put after them', async () => {
  const table = await tables.fingerprints()
  await table.put(1n, fingerprint(1))
  const snapshot = table.snapshot()
  await table.del(1n)
  expect(await table.putIfAbsent(1n, fingerprint(2))).toBe(true)
  expect(await table.getAll(1n, { snapshot })).toEqual([fingerprint(1)])
  await snapshot.close()
})

test('readers refuse it', async () => {
  const table = await tables.fingerprints()
  await table.put(1n, fingerprint(1), { sync: true })
  const reader = await FlashTable.open(table.location, { ...FINGERPRINT, readOnly: true })
  const refused = { code: 'FLASHTABLE_READ_ONLY' }
  await expect(reader.putIfAbsent(1n, fingerprint(1))).rejects.toMatchObject(refused)
  const columns = fingerprintColumns(0, 1, spreadKey)
  await expect(reader.putColumns(columns, { ifAbsent: true })).rejects.toMatchObject(refused)
  await reader.close()
})
