/** `duplicates: 'replace'`: the newest record of a key is its only one, in every read, merge and statistic. */
import { describe, expect, test } from 'vitest'
import {
  collect,
  fingerprint,
  fingerprintColumns,
  SMALL,
  spreadKey,
  testTables,
  type Fingerprint,
  type FingerprintTable,
} from '../support/tables.js'

const tables = testTables()
const REPLACE = { ...SMALL, duplicates: 'replace' } as const

async function pushOut(table: FingerprintTable): Promise<void> {
  for (let i = 0; i < 4; i++) await table.putColumns(fingerprintColumns(0, 250, n => 2n ** 63n + BigInt(n)))
}

const STEPS: [string, (table: FingerprintTable) => Promise<FingerprintTable>][] = [
  ['nothing', async table => table],
  ['seals', async table => (await pushOut(table), table)],
  ['compact()', async table => (await table.compact(), table)],
  ['a reopen', async table => tables.reopen(table, SMALL)],
]

async function expectOne(
  table: FingerprintTable,
  key: bigint,
  record: Fingerprint | undefined,
): Promise<void> {
  const all = record === undefined ? [] : [record]
  expect(await table.get(key)).toEqual(record)
  expect(await table.getAll(key)).toEqual(all)
  expect(table.getAllSync(key)).toEqual(all)
  expect(await table.count(key)).toBe(all.length)
  expect(await table.has(key)).toBe(all.length === 1)
  expect(await table.getMany([key, key])).toEqual([record, record])
  expect((await table.getColumns([key])).query).toHaveLength(all.length)
  expect(await collect(table.values({ gte: key, lte: key }))).toEqual(all)
  expect(await collect(table.values({ gte: key, lte: key, reverse: true }))).toEqual(all)
}

describe.each(STEPS)("duplicates: 'replace' with %s between the puts", (_, step) => {
  test('keeps the newest record of a key alone', async () => {
    let table = await tables.fingerprints(REPLACE)
    for (let i = 0; i < 4; i++) {
      await table.put(1n, fingerprint(i))
      await expectOne(table, 1n, fingerprint(i))
      table = await step(table)
      await expectOne(table, 1n, fingerprint(i))
    }
    await table.putColumns(fingerprintColumns(10, 20, () => 1n))
    await expectOne(table, 1n, fingerprint(19))
    await table.batch([
      { type: 'put', key: 1n, value: fingerprint(30) },
      { type: 'put', key: 1n, value: fingerprint(31) },
    ])
    await expectOne(await step(table), 1n, fingerprint(31))
  })

  test('never brings a replaced record back, whatever hides the newest one', async () => {
    for (const hide of [
      (table: FingerprintTable) => table.del(1n),
      (table: FingerprintTable) => table.delRecord(1n, fingerprint(2)),
      (table: FingerprintTable) => table.delWhere({ id: fingerprint(2).id }),
    ]) {
      let table = await tables.fingerprints(REPLACE)
      await table.put(1n, fingerprint(1))
      table = await step(table)
      await table.put(1n, fingerprint(2))
      table = await step(table)
      await hide(table)
      await expectOne(table, 1n, undefined)
      table = await step(table)
      await expectOne(table, 1n, undefined)
      await table.put(1n, fingerprint(2))
      await expectOne(await step(table), 1n, fingerprint(2))
    }
  })

  test('hides nothing by deletes of records that were replaced', async () => {
    let table = await tables.fingerprints(REPLACE)
    await table.put(1n, fingerprint(1))
    table = await step(table)
    await table.put(1n, fingerprint(2))
    table = await step(table)
    await table.delRecord(1n, fingerprint(1))
    await table.delWhere({ id: fingerprint(1).id })
    await expectOne(table, 1n, fingerprint(2))
    await expectOne(await step(table), 1n, fingerprint(2))
  })
})

describe("duplicates: 'replace'", () => {
  test('gives the space of replaced records back', async () => {
    const table = await tables.fingerprints(REPLACE)
    for (let round = 0; round < 30; round++) {
      await table.putColumns(fingerprintColumns(round * 250, round * 250 + 250, n => spreadKey(n % 250)))
    }
    expect(await collect(table.keys())).toHaveLength(250)
    expect((await table.stats()).recordsAreExact).toBe(false)
    await table.compact()
    const { records, recordsAreExact, recordsPut, files } = await table.stats()
    expect({ records, recordsAreExact, recordsPut }).toEqual({
      records: 250,
      recordsAreExact: true,
      recordsPut: 7500,
    })
    expect(files).toHaveLength(1)
    expect((await collect(table.values())).every(({ id }) => id <= -29 * 250)).toBe(true)
  })

  test('a set has each key once, however often it was put', async () => {
    const set = await tables.open(tables.path(), { keyEncoding: 'u16', ...REPLACE })
    for (let i = 0; i < 5000; i++) void set.put(i % 100)
    await set.sync()
    expect(await set.count(5)).toBe(1)
    expect(await collect(set.keys())).toEqual(Array.from({ length: 100 }, (_, i) => i))
    expect(await collect(set.entries())).toHaveLength(100)
  })
})
