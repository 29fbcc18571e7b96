/** `combine`: the records of a key become one, in every read, merge and statistic, by puts alone. docs/api.md, Combining. */
import { describe, expect, test } from 'vitest'
import { bytes, FlashTable, repairTable, struct, verifyTable } from '../../src/index.js'
import { collect, SMALL, testTables } from '../support/tables.js'

const tables = testTables()
const threaded = testTables({ onDisk: true })
/** Keys with more rows than these come piece by piece. */
const inPieces = testTables({ keyRows: 4 })

const VISIT = struct({ count: 'u16', first: 'u32', last: 'i32', flags: 'u8', tag: bytes(3) })
const VISITS = {
  keyEncoding: 'u64',
  valueEncoding: VISIT,
  combine: { count: 'sum', first: 'min', last: 'max', flags: 'or', tag: 'last' },
} as const
const COUNTS = { keyEncoding: 'u64', valueEncoding: 'u32', combine: { value: 'sum' } } as const

interface Visit {
  count: number
  first: number
  last: number
  flags: number
  tag: Uint8Array
}

const visit = (n: number): Visit => ({
  count: 1,
  first: 1000 - n,
  last: n,
  flags: 1 << (n % 8),
  tag: Uint8Array.of(n, n >> 8, 9),
})

/** What visits [0, n) are together. */
const visits = (n: number): Visit => ({
  count: n,
  first: 1001 - n,
  last: n - 1,
  flags: 2 ** Math.min(8, n) - 1,
  tag: Uint8Array.of(n - 1, (n - 1) >> 8, 9),
})

type Visits = Awaited<ReturnType<typeof openVisits>>
const openVisits = (opener = tables, path = opener.path()) => opener.open(path, { ...VISITS, ...SMALL })

/** Puts that push what was put before out of the memtable, and into files. */
async function pushOut(table: Visits): Promise<void> {
  for (let i = 0; i < 4; i++) for (let n = 0; n < 60; n++) void table.put(2n ** 63n + BigInt(n), visit(n))
  await table.sync()
}

const STEPS: [string, (table: Visits) => Promise<Visits>][] = [
  ['nothing', async table => table],
  ['seals', async table => (await pushOut(table), table)],
  ['compact()', async table => (await table.compact(), table)],
  ['a reopen', async table => (await table.close(), tables.open(table.location, { ...VISITS, ...SMALL }))],
]

type Snapshot = ReturnType<Visits['snapshot']>

/** All ways to read the key give this record. */
async function expectOne(table: Visits, key: bigint, record: Visit | undefined, snapshot?: Snapshot) {
  const all = record === undefined ? [] : [record]
  const range = { gte: key, lte: key, snapshot }
  const entries = all.map(value => [key, value])
  expect(await table.get(key, { snapshot })).toEqual(record)
  expect(table.getSync(key, { snapshot })).toEqual(record)
  expect(await table.getAll(key, { snapshot })).toEqual(all)
  expect(table.getAllSync(key, { snapshot })).toEqual(all)
  expect(await table.getAll(key, { snapshot, limit: 1 })).toEqual(all)
  expect(table.getAllSync(key, { snapshot, reverse: true, limit: 1 })).toEqual(all)
  expect(await table.getAll(key, { snapshot, offset: 1 })).toEqual([])
  expect(table.getAllSync(key, { snapshot, reverse: true, offset: 1 })).toEqual([])
  expect(await table.count(key, { snapshot })).toBe(all.length)
  expect(await table.has(key, { snapshot })).toBe(all.length === 1)
  expect(await table.getMany([key, 12_345n, key], { snapshot })).toEqual([record, undefined, record])
  const found = await table.getColumns([key, key], { snapshot })
  expect([...found.query]).toEqual(all.length === 0 ? [] : [0, 1])
  expect([...found.count]).toEqual(all.flatMap(({ count }) => [count, count]))
  expect([...found.tag]).toEqual(all.flatMap(({ tag }) => [...tag, ...tag]))
  for (const within of [0, 1, 100]) {
    const near = await table.getColumns([key], { within, snapshot })
    expect([...near.count]).toEqual(all.map(({ count }) => count))
  }
  expect(await collect(table.entries(range))).toEqual(entries)
  expect(await collect(table.entries({ ...range, reverse: true }))).toEqual(entries)
  expect(await collect(table.keys(range))).toEqual(all.map(() => key))
  const columns = await collect(table.scanColumns(range))
  expect(columns.flatMap(({ last }) => [...last])).toEqual(all.map(({ last }) => last))
  expect(await table.first(range)).toEqual(entries[0])
  expect(table.firstSync(range)).toEqual(entries[0])
  expect(await table.last(range)).toEqual(entries[0])
  expect(table.lastSync(range)).toEqual(entries[0])
}

describe.each(STEPS)('combine with %s between the puts', (_, step) => {
  test('makes one record of all puts of a key', async () => {
    let table = await openVisits()
    for (let n = 0; n < 5; n++) {
      await table.put(500n, visit(n))
      await expectOne(table, 500n, visits(n + 1))
      table = await step(table)
      await expectOne(table, 500n, visits(n + 1))
    }
    await table.batch([
      { type: 'put', key: 500n, value: visit(5) },
      { type: 'put', key: 500n, value: visit(6) },
    ])
    expect(await table.putIfAbsent(500n, visit(900))).toBe(false)
    await expectOne(await step(table), 500n, visits(7))
  })

  test('hides all that was put before by a delete of the key or of its range', async () => {
    for (const hide of [
      (table: Visits) => table.del(500n),
      (table: Visits) => table.clear({ gte: 400n, lt: 600n }),
      (table: Visits) => table.batch([{ type: 'del', key: 500n }]),
      (table: Visits) => table.clear(),
    ]) {
      let table = await openVisits()
      for (let n = 10; n < 13; n++) {
        await table.put(500n, visit(n))
        table = await step(table)
      }
      await hide(table)
      await expectOne(table, 500n, undefined)
      table = await step(table)
      await expectOne(table, 500n, undefined)
      expect(await table.putIfAbsent(500n, visit(0))).toBe(true)
      await expectOne(table, 500n, visits(1))
      table = await step(table)
      await table.put(500n, visit(1))
      await expectOne(await step(table), 500n, visits(2))
    }
  })
})

describe('combine', () => {
  test('a snapshot keeps the record of its moment, whatever is put, sealed and merged', async () => {
    const table = await openVisits()
    const held: [Snapshot, Visit | undefined][] = []
    for (let n = 0; n < 12; n++) {
      held.push([table.snapshot(), n === 0 ? undefined : visits(n)])
      await table.put(500n, visit(n))
      if (n % 3 === 2) await pushOut(table)
      if (n === 7) await table.compact()
    }
    for (const [snapshot, record] of held) await expectOne(table, 500n, record, snapshot)
    await table.del(500n)
    await expectOne(table, 500n, undefined)
    for (const [snapshot, record] of held) await expectOne(table, 500n, record, snapshot)
    for (const [snapshot] of held) snapshot.close()
  })

  test.each([
    ['in one piece', tables],
    ['in many pieces', inPieces],
  ])('counts keys of all kinds by putColumns, each scanned once, %s', async (_, opener) => {
    const path = opener.path()
    const table = await opener.open(path, { ...COUNTS, ...SMALL })
    const expected = new Map<bigint, number>()
    for (let round = 0; round < 20; round++) {
      const key = BigUint64Array.from({ length: 150 }, (_, i) => BigInt((i * i * (round + 3)) % 97))
      const value = Uint32Array.from(key, (_, i) => i)
      await table.putColumns({ key, value })
      for (const [i, k] of key.entries()) expected.set(k, (expected.get(k) ?? 0) + i)
    }
    const sorted = [...expected].sort(([a], [b]) => (a < b ? -1 : 1))
    expect(await collect(table.entries())).toEqual(sorted)
    expect(await collect(table.entries({ reverse: true }))).toEqual(sorted.toReversed())
    const keys = sorted.map(([key]) => key)
    expect(await table.getMany(keys)).toEqual(sorted.map(([, count]) => count))
    expect([...(await table.getColumns(BigUint64Array.from(keys))).value]).toEqual(
      sorted.map(([, count]) => count),
    )
    for (const [key, count] of sorted) {
      expect(await table.getAll(key)).toEqual([count])
      expect(await table.getAll(key, { reverse: true, offset: 1 })).toEqual([])
      expect(await table.count(key)).toBe(1)
    }
    expect((await table.stats()).recordsAreExact).toBe(false)
    await table.compact()
    const { records, recordsAreExact, recordsPut } = await table.stats()
    expect({ records, recordsAreExact, recordsPut }).toEqual({
      records: expected.size,
      recordsAreExact: true,
      recordsPut: 3000,
    })
    expect(await table.getMany(keys)).toEqual(sorted.map(([, count]) => count))
    expect(keys.map(key => table.getSync(key))).toEqual(sorted.map(([, count]) => count))
    await table.close()
    expect((await verifyTable(path)).problems).toEqual([])
  })

  test('combines in memory what is sealed, so that less is written than is kept', async () => {
    const bytesOf = async (options: object): Promise<number> => {
      const table = await threaded.open(threaded.path(), {
        keyEncoding: 'u64',
        valueEncoding: 'u32',
        ...options,
        bufferBytes: 2 ** 20,
      })
      for (let round = 0; round < 20; round++) {
        const key = BigUint64Array.from({ length: 20_000 }, (_, i) => BigInt(i % 2000) << 40n)
        const value = Uint32Array.from(key, (_, i) => (i * 2_654_435_761) % 2 ** 20)
        await table.putColumns({ key, value })
      }
      await table.compact()
      return (await table.stats()).bytesWritten.buckets
    }
    expect(await bytesOf(COUNTS)).toBeLessThan((await bytesOf({})) / 5)
  })

  test('saturates integers', async () => {
    const table = await tables.open(tables.path(), {
      keyEncoding: 'u8',
      valueEncoding: struct({ a: 'u8', b: 'i16', c: 'u64', d: 'i64', e: 'i64' }),
      combine: { a: 'sum', b: 'sum', c: 'sum', d: 'sum', e: 'sum' },
    })
    const value = { a: 200, b: -30_000, c: 2n ** 63n, d: 2n ** 62n, e: -(2n ** 62n) }
    await table.put(1, value)
    await table.put(1, value)
    await table.put(1, value)
    const all = { a: 255, b: -32_768, c: 2n ** 64n - 1n, d: 2n ** 63n - 1n, e: -(2n ** 63n) }
    expect(await table.get(1)).toEqual(all)
    await table.compact()
    expect(await table.get(1)).toEqual(all)
  })

  test('says what it is: properties, stats, JSON, and an open without options', async () => {
    const table = await openVisits()
    expect(table.combine).toEqual(VISITS.combine)
    expect(table.duplicates).toBeUndefined()
    const { combine, duplicates } = await table.stats()
    expect({ combine, duplicates }).toEqual({ combine: VISITS.combine, duplicates: undefined })
    expect(JSON.parse(JSON.stringify(table))).toMatchObject({ combine: VISITS.combine })
    const copied = { combine: table.combine, duplicates: table.duplicates }
    await table.put(1n, visit(0))
    await table.close()
    const again = await tables.open(table.location)
    expect(again.combine).toEqual(VISITS.combine)
    expect(await again.get(1n)).toEqual(visits(1))
    await again.close()
    expect((await tables.open(table.location, copied)).combine).toEqual(VISITS.combine)
    expect((await tables.open(tables.path(), { keyEncoding: 'u8' })).combine).toBeUndefined()
  })

  test('is in a checkpoint, and in what a repair saves', async () => {
    const table = await openVisits()
    for (let n = 0; n < 3; n++) {
      await table.put(5n, visit(n))
      await pushOut(table)
    }
    await table.put(5n, visit(3))
    const copy = tables.path()
    await table.checkpoint(copy)
    await table.close()
    for (const path of [copy, table.location]) {
      const repaired = tables.path()
      expect((await repairTable(path, repaired)).losses).toEqual([])
      for (const place of [path, repaired]) {
        const found = await tables.open(place, { ...VISITS, ...SMALL })
        await expectOne(found, 5n, visits(4))
        await found.close()
      }
    }
  })

  test.each([0, 2 ** 20, 2 ** 40])(
    'of a bulk load with memoryBytes %i is that of puts',
    async memoryBytes => {
      const batches = Array.from({ length: 30 }, (_, batch) =>
        BigUint64Array.from({ length: 400 }, (_, i) =>
          BigInt((i * (batch + 7)) % (batch % 3 === 0 ? 2 : 311)),
        ),
      )
      const expected = new Map<bigint, number>()
      for (const key of batches) for (const k of key) expected.set(k, (expected.get(k) ?? 0) + 1)
      const columns = batches.map(key => ({ key, value: new Uint32Array(key.length).fill(1) }))
      const table = await FlashTable.bulkLoad(
        threaded.path(),
        { ...COUNTS, bufferBytes: 8192, memoryBytes },
        columns,
      )
      try {
        const sorted = [...expected].sort(([a], [b]) => (a < b ? -1 : 1))
        expect(await collect(table.entries())).toEqual(sorted)
        const { records, recordsAreExact, files } = await table.stats()
        expect([records, recordsAreExact, files.length]).toEqual([expected.size, true, 1])
        // What is set aside is combined before.
        expect((await table.stats()).bytesWritten.buckets).toBeLessThan(memoryBytes === 0 ? 400_000 : 50_000)
        await table.put(0n, 5)
        expect(await table.get(0n)).toBe(expected.get(0n)! + 5)
      } finally {
        await table.close()
      }
    },
  )
})

describe('combine refuses', () => {
  const create = (options: object) => tables.open(tables.path(), { keyEncoding: 'u8', ...options } as never)
  const value = struct({ a: 'u8', f: 'f32', b: bytes(2) })
  const good = { a: 'sum', f: 'max', b: 'first' }

  test.each([
    ['an unknown operator', value, { ...good, a: 'add' }, "'combine.a'"],
    ['an operator that is no text', value, { ...good, a: 1 }, "'combine.a'"],
    ['a missing field', value, { a: 'sum', f: 'max' }, "field 'b' has none of first, last"],
    ['an unknown field', value, { ...good, c: 'sum' }, "no field 'c'; the fields are a, f, b"],
    ['bits of a float', value, { ...good, f: 'or' }, "field 'f' is 'f32'"],
    ['a sum of bytes', value, { ...good, b: 'sum' }, "field 'b' is bytes(2): expected first, last"],
    ['a value that is no struct by another name', 'u8', { count: 'sum' }, "no field 'count'"],
    ['an inherited name', struct({ toString: 'u8' }), {}, "field 'toString'"],
    ['a set', undefined, {}, "duplicates: 'replace'"],
    ['an operator alone', 'u8', 'sum', 'an object'],
    ['a list', 'u8', ['sum'], 'an object'],
  ])('%s', async (_, valueEncoding, combine, message) => {
    const error = await create({ valueEncoding, combine }).catch((error: unknown) => error)
    expect(error).toMatchObject({ code: 'FLASHTABLE_INVALID_OPTION' })
    expect((error as Error).message).toContain(message)
  })

  test('duplicates beside it', async () => {
    const given = { valueEncoding: 'u8', combine: { value: 'sum' }, duplicates: 'keep' }
    await expect(create(given)).rejects.toMatchObject({ code: 'FLASHTABLE_INVALID_OPTION' })
    await expect(repairTable('a', 'b', { ...given, keyEncoding: 'u8' } as never)).rejects.toMatchObject({
      code: 'FLASHTABLE_INVALID_OPTION',
    })
  })

  test.each([
    ['another operator', { combine: { ...VISITS.combine, count: 'max' } }],
    ['duplicates', { duplicates: 'keep' }],
    ['duplicates: replace', { duplicates: 'replace' }],
  ])('an open with %s', async (_, options) => {
    const table = await openVisits()
    await table.close()
    const error = await tables.open(table.location, options as never).catch((error: unknown) => error)
    expect(error).toMatchObject({ code: 'FLASHTABLE_SCHEMA_MISMATCH' })
    expect((error as Error).message).toContain('combine')
    const { keyEncoding, valueEncoding } = VISITS
    await expect(
      tables.open(table.location, { keyEncoding, valueEncoding, ...options } as never),
    ).rejects.toMatchObject({ code: 'FLASHTABLE_SCHEMA_MISMATCH' })
    await expect(
      tables.open(table.location, { combine: { ...VISITS.combine, other: 'sum' } } as never),
    ).rejects.toMatchObject({ code: 'FLASHTABLE_INVALID_OPTION' })
  })

  test('an open of a table that keeps its records', async () => {
    const table = await tables.open(tables.path(), { keyEncoding: 'u8', valueEncoding: 'u8' })
    await table.close()
    await expect(tables.open(table.location, { combine: { value: 'sum' } })).rejects.toMatchObject({
      code: 'FLASHTABLE_SCHEMA_MISMATCH',
      message: expect.stringContaining("created without combine, but { value: 'sum' } was given"),
    })
  })

  test('deletes of records by their values, and writes nothing', async () => {
    const table = await openVisits()
    await table.put(1n, visit(0))
    const refused = { code: 'FLASHTABLE_INVALID_OPTION', message: expect.stringContaining('del(key)') }
    await expect(table.delRecord(1n, visit(0))).rejects.toMatchObject(refused)
    await expect(table.delWhere({ count: 1 })).rejects.toMatchObject(refused)
    await expect(table.delWhere({ count: { lt: 0 } })).rejects.toMatchObject(refused)
    await expect(
      table.batch([
        { type: 'put', key: 1n, value: visit(1) },
        { type: 'delRecord', key: 1n, value: visit(0) },
      ]),
    ).rejects.toMatchObject({ ...refused, message: expect.stringContaining("type 'del'") })
    await expectOne(table, 1n, visits(1))
  })
})
