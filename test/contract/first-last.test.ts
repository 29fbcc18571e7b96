/** `first`, `last`, `firstSync`, `lastSync`: what `entries` gives first, wherever it is and whatever hides it. */
import { describe, expect, test } from 'vitest'
import { struct, type FirstOptions, type FlashTable, type ValueEncoding } from '../../src/index.js'
import { collect, fingerprint, fingerprintColumns, SMALL, testTables } from '../support/tables.js'

const tables = testTables()

const MAX = 2n ** 64n - 1n

type Table = Pick<FlashTable<'u64', ValueEncoding>, 'entries' | 'first' | 'last' | 'firstSync' | 'lastSync'>

/** All four give what `entries` gives first and last. */
async function expectAsEntries(table: Table, range: FirstOptions<bigint>): Promise<void> {
  const [first] = await collect(table.entries({ ...range, limit: 1 }))
  const [last] = await collect(table.entries({ ...range, limit: 1, reverse: true }))
  expect(await table.first(range)).toEqual(first)
  expect(await table.last(range)).toEqual(last)
  expect(table.firstSync(range)).toEqual(first)
  expect(table.lastSync(range)).toEqual(last)
}

const BOUNDS = [0n, 5n, 10n, 15n, 20n, 770n, 5000n, 9990n, 9995n, MAX]
const ALL_RANGES: FirstOptions<bigint>[] = [
  {},
  ...BOUNDS.flatMap(key => [{ gt: key }, { gte: key }, { lt: key }, { lte: key }]),
  ...BOUNDS.flatMap(key => [
    { gte: key, lte: key },
    { gt: key, lt: key + 20n },
    { gt: key, lte: key },
  ]),
  { gte: 5000n, lte: 4000n },
]
const RANGES = ALL_RANGES.filter(({ lt }) => lt === undefined || lt <= MAX)

/** Key number n is 10 n; some have several records, and 770 has hundreds, which fill pages. */
const RECORDS = 3000
const keyOf = (n: number): bigint => 10n * BigInt(n % 5 === 0 ? 77 : (n * 7919) % 1000)

const PLACES: [string, object, boolean][] = [
  ['in memory', { bufferBytes: 2 ** 20, walBytes: 2 ** 20 }, false],
  ['in memory and files', {}, false],
  ['in memory and files that are hardly cached', { cacheBytes: 0 }, false],
  ['in one file', { cacheBytes: 0 }, true],
]

describe.each(PLACES)('the first and the last record of a range %s', (_, options, isCompacted) => {
  test('are those that entries() gives first', async () => {
    const table = await tables.fingerprints({ ...SMALL, ...options })
    for (let from = 0; from < RECORDS; from += 100)
      await table.putColumns(fingerprintColumns(from, from + 100, keyOf))
    if (isCompacted) await table.compact()
    for (const range of RANGES) await expectAsEntries(table, range)
    expect(table.firstSync({ gte: 770n })![1]).toEqual(fingerprint(0))
    expect(table.lastSync({ lte: 770n })![1]).toEqual(fingerprint(RECORDS - 5))
  })

  test('are found behind records that are hidden, however they were', async () => {
    const table = await tables.fingerprints({ ...SMALL, ...options })
    for (let from = 0; from < 1000; from += 200)
      await table.putColumns(fingerprintColumns(from, from + 200, n => BigInt(n)))
    // The ends of the table, by key, by record and by value; newer deletes than puts, and the other way round.
    for (let n = 0; n < 30; n++) await table.del(BigInt(n))
    for (let n = 30; n < 60; n++) await table.delRecord(BigInt(n), fingerprint(n))
    for (let n = 60; n < 70; n++) await table.delWhere({ id: fingerprint(n).id })
    for (let n = 930; n < 1000; n++) await table.del(BigInt(n))
    await table.put(950n, fingerprint(5000))
    await table.delRecord(940n, fingerprint(6000))
    await table.put(5000n, fingerprint(1))
    await table.delWhere({ id: fingerprint(1).id })
    if (isCompacted) await table.compact()
    expect(table.firstSync()).toEqual([70n, fingerprint(70)])
    expect(table.lastSync()).toEqual([950n, fingerprint(5000)])
    expect(await table.first({ lt: 70n })).toBeUndefined()
    expect(table.lastSync({ gt: 950n })).toBeUndefined()
    for (const range of [{}, { lt: 950n }, { gte: 940n }, { gt: 40n, lt: 65n }, { gte: 5000n }])
      await expectAsEntries(table, range)
  })
})

test('with replace, a key has its newest record, and none while that is hidden', async () => {
  const table = await tables.open(tables.path(), {
    keyEncoding: 'u64',
    valueEncoding: 'u32',
    duplicates: 'replace',
  })
  for (const value of [1, 2, 3]) for (const key of [10n, 20n, 30n]) await table.put(key, value)
  expect(table.firstSync()).toEqual([10n, 3])
  expect(table.lastSync()).toEqual([30n, 3])
  await table.delRecord(10n, 3)
  await table.delRecord(30n, 2)
  expect(await table.first()).toEqual([20n, 3])
  expect(await table.last()).toEqual([30n, 3])
})

test('thousands of hidden keys and records are passed over, and a key of very many records has its oldest', async () => {
  const valueEncoding = struct({ n: 'u32' })
  const table = await tables.open(tables.path(), { keyEncoding: 'u64', valueEncoding })
  const rows = 40_000
  const columns = (keyAt: (i: number) => bigint) => ({
    key: BigUint64Array.from({ length: rows }, (_, i) => keyAt(i)),
    n: Uint32Array.from({ length: rows }, (_, i) => i),
  })
  await table.putColumns(columns(() => 100_000n))
  await table.putColumns(columns(i => BigInt(i)))
  const snapshot = table.snapshot()
  const deletes = Array.from({ length: rows }, (_, i) => ({ type: 'del', key: BigInt(i) }) as const)
  await table.batch(deletes)
  for (const step of [async () => {}, () => table.compact()]) {
    await step()
    await expectAsEntries(table, {})
    await expectAsEntries(table, { lt: 100_000n })
    expect(await table.first()).toEqual([100_000n, { n: 0 }])
    expect(await table.last()).toEqual([100_000n, { n: rows - 1 }])
    expect(await table.last({ lt: 100_000n })).toBeUndefined()
    expect(await table.first({ snapshot })).toEqual([0n, { n: 0 }])
    expect(table.lastSync({ snapshot, lt: 100_000n })).toEqual([39_999n, { n: 39_999 }])
  }
  await snapshot.close()
})

test('a snapshot does not see what was put and deleted later', async () => {
  const table = await tables.fingerprints(SMALL)
  for (const key of [10n, 20n]) await table.put(key, fingerprint(Number(key)))
  const snapshot = table.snapshot()
  for (let from = 0; from < 1000; from += 200)
    await table.putColumns(fingerprintColumns(from, from + 200, n => BigInt(n % 40)))
  await table.del(10n)
  const expected = [
    [10n, fingerprint(10)],
    [20n, fingerprint(20)],
  ]
  const inSnapshot = async () => [await table.first({ snapshot }), await table.last({ snapshot })]
  expect(await inSnapshot()).toEqual(expected)
  await table.compact()
  expect([table.firstSync({ snapshot }), table.lastSync({ snapshot })]).toEqual(expected)
  await snapshot.close()
  await expect(table.first({ snapshot })).rejects.toMatchObject({ code: 'FLASHTABLE_SNAPSHOT_CLOSED' })
  expect(() => table.lastSync({ snapshot })).toThrow(
    expect.objectContaining({ code: 'FLASHTABLE_SNAPSHOT_CLOSED' }),
  )
})

test('a key on either side of any bound is found, also where a page begins with the bound', async () => {
  const table = await tables.fingerprints({ bufferBytes: 2 ** 20, walBytes: 2 ** 20 })
  const keys = 3000
  for (const round of [0, 1])
    await table.putColumns(fingerprintColumns(round * keys, (round + 1) * keys, n => BigInt(n % keys)))
  await table.compact()
  let wrong = 0
  for (let key = 1n; key < keys - 1; key++) {
    const [before, after] = [table.lastSync({ lt: key })!, table.firstSync({ gt: key })!]
    const at = [table.firstSync({ gte: key })!, table.lastSync({ lte: key })!]
    if (before[0] !== key - 1n || after[0] !== key + 1n || at.some(([found]) => found !== key)) wrong++
    const ids = [...at, before, after].map(([, { id }]) => id)
    const numbers = [key, key + 3000n, key + 2999n, key + 1n].map(n => fingerprint(Number(n)).id)
    if (ids.some((id, i) => id !== numbers[i])) wrong++
  }
  expect(wrong).toBe(0)
})

test('a snapshot passes over newer records in memory, however many, and stops at older ones', async () => {
  const table = await tables.fingerprints({ bufferBytes: 2 ** 20, walBytes: 2 ** 20 })
  await table.put(10_000n, fingerprint(1))
  await table.compact()
  await table.put(5000n, fingerprint(2))
  await table.put(20_000n, fingerprint(3))
  const snapshot = table.snapshot()
  await table.putColumns(fingerprintColumns(0, 1000, n => BigInt(n)))
  await table.putColumns(fingerprintColumns(0, 1000, n => BigInt(30_000 + n)))
  // Puts all of them in order.
  expect(table.firstSync()).toEqual([0n, fingerprint(0)])
  expect(table.firstSync({ snapshot })).toEqual([5000n, fingerprint(2)])
  expect(table.lastSync({ snapshot })).toEqual([20_000n, fingerprint(3)])
  expect(table.firstSync({ snapshot, gt: 5000n })).toEqual([10_000n, fingerprint(1)])
  expect(table.lastSync({ snapshot, lt: 20_000n })).toEqual([10_000n, fingerprint(1)])
  await snapshot.close()
})

test('each put is seen at once, also between calls and while a call waits', async () => {
  const table = await tables.fingerprints(SMALL)
  for (let n = 0; n < 500; n++) {
    const running = table.last()
    await table.put(BigInt(n), fingerprint(n))
    expect(table.lastSync()).toEqual([BigInt(n), fingerprint(n)])
    expect(await running).toEqual(n === 0 ? undefined : [BigInt(n - 1), fingerprint(n - 1)])
    if (n % 100 === 0) expect(await table.first()).toEqual([0n, fingerprint(0)])
  }
})

test('options of ranges that make no sense here are refused, and a closed table is', async () => {
  const table = await tables.fingerprints()
  const invalid = expect.objectContaining({ code: 'FLASHTABLE_INVALID_OPTION' })
  for (const options of [{ reverse: true }, { limit: 1 }, { gt: 1n, gte: 1n }]) {
    await expect(table.first(options as never)).rejects.toEqual(invalid)
    await expect(table.last(options as never)).rejects.toEqual(invalid)
    expect(() => table.firstSync(options as never)).toThrow(invalid)
    expect(() => table.lastSync(options as never)).toThrow(invalid)
  }
  expect(() => table.lastSync({ signal: AbortSignal.abort() } as never)).toThrow(invalid)
  await expect(table.last({ signal: AbortSignal.abort('enough') })).rejects.toBe('enough')
  await table.close()
  const closed = expect.objectContaining({ code: 'FLASHTABLE_NOT_OPEN' })
  await expect(table.first()).rejects.toEqual(closed)
  expect(() => table.lastSync()).toThrow(closed)
})
