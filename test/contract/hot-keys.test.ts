/** Keys with very many records: parts of them, counts, scans and merges, whatever hides some of them. */
import { describe, expect, test } from 'vitest'
import { struct, type FlashTable, type GetAllOptions, type TableOptions } from '../../src/index.js'
import { Random } from '../support/random.js'
import { collect, SMALL, testTables } from '../support/tables.js'

const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Math.floor(Math.random() * 1e6))

/** So few rows of a key are merged together that all that has many records takes the way of millions. */
const tables = testTables({ keyRows: 40 })

const TYPES = { keyEncoding: 'u64', valueEncoding: struct({ kind: 'u8', id: 'u32' }) } as const

type Value = { kind: number; id: number }
type Table = FlashTable<'u64', typeof TYPES.valueEncoding>

const HOT = 500n
const RECORDS = 3000

function valueOf(id: number): Value {
  return { kind: id % 5, id }
}

/** A table, and the records that its hot key should have. */
interface Life {
  readonly table: Table
  values: Value[]
}

/** Puts records of the hot key, and some of its neighbours. */
async function put(life: Life, from: number, to: number): Promise<void> {
  for (; from < to; from += 100) {
    const ids = Array.from({ length: Math.min(100, to - from) }, (_, i) => from + i)
    await life.table.putColumns({
      key: BigUint64Array.from(ids, id => (id % 20 === 7 ? HOT + BigInt(id % 3) - 1n : HOT)),
      kind: Uint8Array.from(ids, id => id % 5),
      id: Uint32Array.from(ids),
    })
    const isHot = (id: number): boolean => id % 20 !== 7 || id % 3 === 1
    life.values.push(...ids.filter(isHot).map(valueOf))
  }
}

const HIDING: [string, (life: Life) => Promise<void>][] = [
  ['puts alone', life => put(life, 0, RECORDS)],
  [
    'deletes of records, everywhere',
    async life => {
      for (let from = 0; from < RECORDS; from += 500) {
        await put(life, from, from + 500)
        // Some that are there, one of them twice, and one that is put again.
        const gone = [from + 3, from / 2, from / 2, from + 499, from + 20]
        for (const id of gone) await life.table.delRecord(HOT, valueOf(id))
        life.values = life.values.filter(({ id }) => !gone.includes(id))
        await life.table.put(HOT, valueOf(from + 20))
        life.values.push(valueOf(from + 20))
      }
    },
  ],
  [
    'a delete of the key among its records',
    async life => {
      await put(life, 0, 1700)
      await life.table.delRecord(HOT, valueOf(1699))
      await life.table.del(HOT)
      life.values = []
      await put(life, 1700, RECORDS)
      await life.table.delRecord(HOT, valueOf(2000))
      life.values = life.values.filter(({ id }) => id !== 2000)
    },
  ],
  [
    'deletes by value',
    async life => {
      await put(life, 0, 2000)
      await life.table.delWhere({ kind: 3 })
      await life.table.delWhere({ kind: 1, id: { lt: 900 } })
      life.values = life.values.filter(({ kind, id }) => kind !== 3 && (kind !== 1 || id >= 900))
      await put(life, 2000, RECORDS)
    },
  ],
]

const PLACES: [string, TableOptions, (table: Table) => Promise<Table>][] = [
  ['in memory', { bufferBytes: 2 ** 20, walBytes: 2 ** 20 }, async table => table],
  ['in memory and files', {}, async table => table],
  ['in memory and files that are hardly cached', { cacheBytes: 0 }, async table => table],
  ['in one file', { cacheBytes: 0 }, async table => (await table.compact(), table)],
  [
    'in a table opened again',
    {},
    async table => {
      await table.close()
      return tables.open(table.location, TYPES) as Promise<Table>
    },
  ],
]

/** All that tells of the records of the hot key tells the same. */
async function expectAll(table: Table, values: readonly Value[], options: GetAllOptions = {}): Promise<void> {
  expect(await table.getAll(HOT, options)).toEqual(values)
  expect(table.getAllSync(HOT, options)).toEqual(values)
  expect(await table.count(HOT, options)).toBe(values.length)
  expect(await table.has(HOT, options)).toBe(values.length > 0)
  const range = { gte: HOT, lte: HOT, ...options }
  expect(await collect(table.values(range))).toEqual(values)
  expect(await collect(table.values({ ...range, reverse: true }))).toEqual(values.toReversed())
  expect(await collect(table.keys(range))).toEqual(values.length > 0 ? [HOT] : [])
  const { id } = await table.getColumns([HOT], options)
  expect(Array.from(id)).toEqual(values.map(({ id }) => id))
  const [first, last] = [values[0], values.at(-1)]
  const entry = (value: Value | undefined) => value && [HOT, value]
  expect(await table.first(range)).toEqual(entry(first))
  expect(table.firstSync(range)).toEqual(entry(first))
  expect(await table.last(range)).toEqual(entry(last))
  expect(table.lastSync(range)).toEqual(entry(last))
}

/** Parts from both ends are what is cut out of all values. */
async function expectParts(table: Table, values: readonly Value[], random: Random): Promise<void> {
  const { length } = values
  const some = (): number => random.below(length + 1)
  const limits = () => [undefined, 0, 1, 41, some(), some(), -1, Infinity]
  for (const offset of [undefined, 0, 1, 39, some(), some(), length - 1, length, length + 1, 2 ** 40]) {
    for (const limit of [random.pick(limits()), random.pick(limits())]) {
      for (const reverse of [undefined, true]) {
        const inOrder = reverse === true ? values.toReversed() : values
        const from = offset ?? 0
        const to = limit === undefined || limit === -1 ? length : from + limit
        const part = inOrder.slice(from, to)
        const what = JSON.stringify({ offset, limit, reverse })
        expect(await table.getAll(HOT, { offset, limit, reverse }), what).toEqual(part)
        expect(table.getAllSync(HOT, { offset, limit, reverse }), what).toEqual(part)
      }
    }
  }
}

describe.each(PLACES)(`a key with very many records %s (seed ${SEED})`, (_, options, moved) => {
  test.each(HIDING)('has them all and each part of them: %s', async (_, live) => {
    const life: Life = {
      table: await tables.open(tables.path(), { ...TYPES, ...SMALL, ...options }),
      values: [],
    }
    await live(life)
    const table = await moved(life.table)
    await expectAll(table, life.values)
    await expectParts(table, life.values, new Random(SEED))
    const neighbours = await collect(table.keys({ reverse: true }))
    expect(neighbours).toEqual([HOT + 1n, HOT, HOT - 1n])
    expect(await table.getAll(3n, { limit: 5 })).toEqual([])
  })

  test('has in a snapshot those that it had then', async () => {
    const life: Life = {
      table: await tables.open(tables.path(), { ...TYPES, ...SMALL, ...options }),
      values: [],
    }
    await put(life, 0, 1000)
    await life.table.delRecord(HOT, valueOf(5))
    const values = life.values.filter(({ id }) => id !== 5)
    const snapshot = life.table.snapshot()
    await life.table.delWhere({ kind: 2 })
    await life.table.delRecord(HOT, valueOf(6))
    await put(life, 1000, 1500)
    await expectAll(life.table, values, { snapshot })
    expect(await life.table.getAll(HOT, { snapshot, offset: 100, limit: 3 })).toEqual(values.slice(100, 103))
    expect(life.table.getAllSync(HOT, { snapshot, reverse: true, limit: 2 })).toEqual(
      values.slice(-2).toReversed(),
    )
    snapshot.close()
  })
})

test('of a key that is replaced all times but the last count for nothing, in every direction', async () => {
  const replaced = { ...TYPES, ...SMALL, duplicates: 'replace' } as const
  const table = await tables.open(tables.path(), replaced)
  for (let from = 0; from < 2000; from += 100) {
    const ids = Array.from({ length: 100 }, (_, i) => from + i)
    await table.putColumns({
      key: BigUint64Array.from(ids, () => HOT),
      kind: Uint8Array.from(ids, id => id % 5),
      id: Uint32Array.from(ids),
    })
  }
  const newest = [valueOf(1999)]
  await expectAll(table, newest)
  expect(await table.getAll(HOT, { offset: 1 })).toEqual([])
  expect(table.getAllSync(HOT, { offset: 1, reverse: true })).toEqual([])
  expect(table.getAllSync(HOT, { limit: 5, reverse: true })).toEqual(newest)
  await table.delWhere({ id: 1999 })
  await expectAll(table, [])
  await table.compact()
  await expectAll(table, [])
})

test('records that are put while a hot key is read do not count', async () => {
  const life: Life = { table: await tables.open(tables.path(), { ...TYPES, ...SMALL }), values: [] }
  await put(life, 0, 1000)
  const before = [...life.values]
  const found = [
    life.table.getAll(HOT, { offset: 10 }),
    life.table.getAll(HOT, { reverse: true, limit: 700 }),
  ]
  const scanned: Value[] = []
  for await (const value of life.table.values({ gte: HOT, lte: HOT })) {
    scanned.push(value)
    if (scanned.length === 5) {
      await life.table.del(HOT)
      await put(life, 1000, 1500)
      await life.table.compact()
    }
  }
  expect(scanned).toEqual(before)
  expect(await Promise.all(found)).toEqual([before.slice(10), before.toReversed().slice(0, 700)])
})
