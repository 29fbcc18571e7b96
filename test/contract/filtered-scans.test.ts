/** Scans with `where`, and `count` of a range: only the records that match, whatever holds or hides them. */
import { describe, expect, test } from 'vitest'
import { bytes, fixed, FlashTable, struct } from '../../src/index.js'
import { collect, fingerprint, fingerprintColumns, SMALL, spreadKey, testTables } from '../support/tables.js'

const tables = testTables()

type Fields = ReturnType<typeof fingerprint>

const WHERES: [string, object, (value: Fields) => boolean][] = [
  ['a value', { id: fingerprint(3).id }, ({ id }) => id === fingerprint(3).id],
  ['a comparison', { time: { lt: 700 } }, ({ time }) => time < 700],
  ['two bounds', { time: { gte: 100, lt: 130 } }, ({ time }) => time >= 100 && time < 130],
  ['several fields', { time: { gte: 90 }, flags: 0 }, ({ time, flags }) => time >= 90 && flags === 0],
  ['what no record has', { id: -77 }, ({ id }) => id === -77],
  ['what none can have', { time: { lt: 0 } }, () => false],
]

const PLACES: [string, object, boolean][] = [
  ['in memory', { bufferBytes: 2 ** 20, walBytes: 2 ** 20 }, false],
  ['in memory and files', {}, false],
  ['in one file that is not cached', { cacheBytes: 0 }, true],
]

describe.each(PLACES)('records %s', (_, options, isCompacted) => {
  test.each(WHERES)('are filtered by %s, in both directions, and counted', async (_, where, matches) => {
    const table = await tables.fingerprints({ ...SMALL, ...options })
    for (let from = 0; from < 2000; from += 200)
      await table.putColumns(fingerprintColumns(from, from + 200, n => spreadKey(n % 1300)))
    await table.delWhere({ time: { gte: 500, lt: 520 } })
    await table.delRecord(spreadKey(3), fingerprint(3))
    if (isCompacted) await table.compact()
    const snapshot = table.snapshot()
    await table.clear({ lt: spreadKey(200) })
    for (const read of [{}, { snapshot }]) {
      const all = await collect(table.entries(read))
      const expected = all.filter(([, value]) => matches(value))
      const range = { where, ...read } as { where: { id: number } }
      expect(await collect(table.entries(range))).toEqual(expected)
      expect(await collect(table.entries({ ...range, reverse: true }))).toEqual(expected.toReversed())
      expect(await collect(table.entries({ ...range, limit: 7 }))).toEqual(expected.slice(0, 7))
      expect(await collect(table.values(range))).toEqual(expected.map(([, value]) => value))
      expect(await collect(table.keys(range))).toEqual([...new Set(expected.map(([key]) => key))])
      const columns = await collect(table.scanColumns(range))
      expect(columns.flatMap(({ time }) => [...time])).toEqual(expected.map(([, { time }]) => time))
      expect(await table.count(range)).toBe(expected.length)
      expect(await table.count(read)).toBe(all.length)
      const middle = all[Math.floor(all.length / 2)]![0]
      const above = { gt: middle, ...read }
      expect(await table.count(above)).toBe(all.filter(([key]) => key > middle).length)
      const both = { ...above, where } as typeof range
      expect(await table.count(both)).toBe(expected.filter(([key]) => key > middle).length)
    }
    await snapshot.close()
  })
})

test('floats match as delWhere compares them', async () => {
  const options = { keyEncoding: 'u32', valueEncoding: struct({ a: 'f32', b: 'f64' }) } as const
  const table = await FlashTable.open(tables.path(), options)
  const values = [0, -0, NaN, 1, -1, 1.5, Infinity, -Infinity]
  for (const [i, a] of values.entries())
    for (const [j, b] of values.entries()) await table.put(8 * i + j, { a, b })
  for (let round = 0; round < 2; round++) {
    expect(await table.count({ where: { a: 0 } })).toBe(16)
    expect(await table.count({ where: { b: NaN } })).toBe(8)
    expect(await table.count({ where: { a: NaN, b: -0 } })).toBe(2)
    expect(await table.count({ where: { a: { gt: -1, lte: 0 } } })).toBe(16)
    expect(await table.count({ where: { b: { gte: 1.5 } } })).toBe(16)
    await table.compact()
  }
  await table.close()
})

test('with duplicates: replace a record that was replaced is not found by its old value', async () => {
  const options = { keyEncoding: 'u32', valueEncoding: 'u32', duplicates: 'replace' } as const
  const table = await FlashTable.open(tables.path(), { ...options, bufferBytes: 4096, walBytes: 4096 })
  const key = Uint32Array.from({ length: 400 }, (_, i) => i)
  for (let value = 1; value <= 3; value++)
    await table.putColumns({
      key: key.subarray(100 * (value - 1)),
      value: new Uint32Array(500 - 100 * value).fill(value),
    })
  expect(await table.count({ where: { value: 1 } })).toBe(100)
  expect(await table.count({ where: { value: { lt: 3 } } })).toBe(200)
  expect(await collect(table.keys({ where: { value: 2 } }))).toEqual([...key.subarray(100, 200)])
  await table.close()
})

test('of combined records the combined values are compared, wherever their parts are', async () => {
  const options = { keyEncoding: 'u32', valueEncoding: 'u32', combine: { value: 'sum' } } as const
  const table = await FlashTable.open(tables.path(), { ...options, bufferBytes: 4096, walBytes: 4096 })
  const key = Uint32Array.from({ length: 400 }, (_, i) => i)
  for (let value = 1; value <= 3; value++)
    await table.putColumns({
      key: key.subarray(100 * (value - 1)),
      value: new Uint32Array(500 - 100 * value).fill(value),
    })
  for (let round = 0; round < 2; round++) {
    expect(await table.count({ where: { value: 1 } })).toBe(100)
    expect(await table.count({ where: { value: 3 } })).toBe(100)
    expect(await collect(table.keys({ where: { value: { gt: 3 } } }))).toEqual([...key.subarray(200)])
    expect(await collect(table.keys({ where: { value: 2 } }))).toEqual([])
    expect(await table.count()).toBe(400)
    await table.compact()
  }
  await table.close()
})

test('deletes in a file none of whose records match still hide older ones that do', async () => {
  const table = await tables.fingerprints({ bufferBytes: 4096, walBytes: 4096, fanout: 64 })
  await table.putColumns(fingerprintColumns(0, 200, BigInt))
  for (let key = 0; key < 100; key++) await table.del(BigInt(key))
  await table.putColumns(fingerprintColumns(30_000, 30_200, n => BigInt(n)))
  await table.putColumns(fingerprintColumns(30_200, 30_400, n => BigInt(n)))
  const where = { time: { lt: 200 } }
  const expected = (await collect(table.entries())).filter(([, { time }]) => time < 200)
  expect(await collect(table.entries({ where }))).toEqual(expected)
  expect(await table.count({ where })).toBe(expected.length)
})

describe('a prefix', () => {
  test('of bytes finds the keys that begin so', async () => {
    const table = await FlashTable.open(tables.path(), { keyEncoding: bytes(5), valueEncoding: 'u32' })
    const keys = Array.from({ length: 600 }, (_, i) =>
      Uint8Array.of(i % 3, i % 7, 255 - (i % 5), i >> 8, i & 255),
    )
    for (const [i, key] of keys.entries()) await table.put(key, i)
    for (const prefix of [[], [1], [2, 6], [0, 3, 255], [1, 1, 251, 1], [...keys[99]!], [255], [2, 6, 0]]) {
      const begins = keys.filter(key => prefix.every((byte, i) => key[i] === byte))
      const sorted = begins.map(key => Buffer.from(key).toString('hex')).sort()
      const range = { prefix: Uint8Array.from(prefix) }
      const found = await collect(table.keys(range))
      expect(found.map(key => Buffer.from(key).toString('hex'))).toEqual(sorted)
      expect(await table.count(range)).toBe(sorted.length)
      expect((await table.first(range))?.[0]).toEqual(found[0])
      expect(table.lastSync(range)?.[0]).toEqual(found.at(-1))
    }
    await table.clear({ prefix: Uint8Array.of(1) })
    expect(await table.count()).toBe(400)
    await table.close()
  })

  test('is of the encoded bytes, and refused where keys are numbers or it is too long', async () => {
    const hex = await FlashTable.open(tables.path(), { keyEncoding: fixed('hex', 3) })
    for (const key of ['0a0b0c', '0a0bff', '0b0000']) await hex.put(key)
    expect(await collect(hex.keys({ prefix: Buffer.from('0a0b', 'hex') }))).toEqual(['0a0b0c', '0a0bff'])
    const wrong = [
      [{ prefix: new Uint8Array(4) }, 'FLASHTABLE_INVALID_KEY'],
      [{ prefix: '0a' }, 'FLASHTABLE_INVALID_KEY'],
      [{ prefix: new Uint8Array(1), gte: '000000' }, 'FLASHTABLE_INVALID_OPTION'],
    ] as const
    for (const [range, code] of wrong) await expect(hex.count(range as never)).rejects.toMatchObject({ code })
    await hex.close()
    const table = await tables.fingerprints()
    await expect(collect(table.keys({ prefix: new Uint8Array(1) }))).rejects.toMatchObject({
      code: 'FLASHTABLE_INVALID_OPTION',
    })
  })
})

test('wrong filters are refused, and say which call was asked', async () => {
  const table = await tables.fingerprints()
  const wrong = [
    { nothing: 1 },
    {},
    { time: -1 },
    { time: { like: 1 } },
    { time: { lt: 1, lte: 2 } },
    'time',
    5,
  ]
  for (const where of wrong) {
    const refused = { code: 'FLASHTABLE_INVALID_VALUE' }
    await expect(table.count({ where } as never)).rejects.toMatchObject(refused)
    await expect(collect(table.entries({ where } as never))).rejects.toMatchObject(refused)
  }
  await expect(table.count({ where: { nothing: 1 } } as never)).rejects.toThrow('count: where')
  await expect(table.count({ reverse: true } as never)).rejects.toMatchObject({
    code: 'FLASHTABLE_INVALID_OPTION',
  })
  await expect(
    (table.count as (...given: unknown[]) => Promise<number>).call(table, { gte: 1n }, {}),
  ).rejects.toMatchObject({
    code: 'FLASHTABLE_INVALID_OPTION',
  })
  const set = await FlashTable.open(tables.path(), { keyEncoding: 'u32' })
  await expect(set.count({ where: { value: 1 } } as never)).rejects.toMatchObject({
    code: 'FLASHTABLE_INVALID_VALUE',
  })
  await set.close()
})

test('where keys may be objects, count takes a key', async () => {
  const table = await FlashTable.open(tables.path(), { keyEncoding: fixed('json', 9) })
  await table.put({ gt: 11 } as never)
  expect(await table.count({ gt: 11 } as never)).toBe(1)
  expect(await table.count()).toBe(1)
  await table.close()
})

test('a count ends with its signal', async () => {
  const table = await tables.fingerprints()
  await table.put(1n, fingerprint(1))
  await expect(table.count({ signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' })
})

test('of a file whose least and greatest values tell that nothing matches nothing is read', async () => {
  const table = await tables.fingerprints({ ...SMALL, cacheBytes: 0 })
  for (let from = 0; from < 2000; from += 200)
    await table.putColumns(fingerprintColumns(from, from + 200, spreadKey))
  await table.compact()
  const { pageReads } = await table.stats()
  expect(await table.count({ where: { time: { gte: 65_000 } } })).toBe(0)
  expect((await table.stats()).pageReads).toBe(pageReads)
  expect(await table.count({ where: { time: { lt: 150 } } })).toBe(150)
  expect((await table.stats()).pageReads).toBeGreaterThan(pageReads)
})
