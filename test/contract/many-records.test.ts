/** Keys with very many records, and keys that lie as no hash would lay them. */
import { describe, expect, test } from 'vitest'
import { FlashTable, type TableOptions } from '../../src/index.js'
import {
  collect,
  FINGERPRINT,
  fingerprint,
  fingerprintColumns,
  spreadKey,
  testTables,
  type FingerprintTable,
} from '../support/tables.js'

const tables = testTables({ onDisk: true })

async function fill(records: number, options: TableOptions, keyOf: (number: number) => bigint) {
  const table = await tables.fingerprints({ syncIntervalMs: Infinity, cacheBytes: 2 ** 18, ...options })
  const step = Math.min(records, 10_000, (options.bufferBytes ?? Infinity) / 16)
  for (let from = 0; from < records; from += step) {
    await table.putColumns(fingerprintColumns(from, Math.min(records, from + step), keyOf))
  }
  return table
}

/** The records of the key are those numbered 0 to `count`, in this order. */
async function expectInOrder(table: FingerprintTable, key: bigint, count: number): Promise<void> {
  const { query, time, flags, id } = await table.getColumns([key + 1n, key])
  expect(query.length).toBe(count)
  let wrong = 0
  for (let i = 0; i < count; i++) {
    if (query[i] !== 1 || id[i] !== -i || time[i] !== i % 65_536 || flags[i] !== i % 7) wrong++
  }
  expect(wrong).toBe(0)
  expect(await table.count(key)).toBe(count)
  expect(await table.get(key)).toEqual(fingerprint(count - 1))
}

describe.each([
  [1, { bufferBytes: 4096 }],
  [10_000, { bufferBytes: 16_384, walBytes: 65_536, fanout: 3 }],
  [1_000_000, { bufferBytes: 2 ** 21, walBytes: 2 ** 22, fanout: 4 }],
])('a key with %i records', (count, options) => {
  test('has them all in the order of the puts, before and after compact() and a reopen', async () => {
    const key = 77n
    const table = await fill(count, options, () => key)
    // Neighbours of the key, put last: they are in its pages when all is merged.
    await table.put(key - 1n, fingerprint(1))
    await table.put(key + 2n, fingerprint(2))
    await expectInOrder(table, key, count)
    if (count > 1) expect((await table.stats()).files.length).toBeGreaterThan(1)
    let again = await tables.reopen(table, options)
    await expectInOrder(again, key, count)
    await again.compact()
    await expectInOrder(again, key, count)
    again = await tables.reopen(again, options)
    await expectInOrder(again, key, count)
    const { files } = await again.stats()
    expect(files).toHaveLength(1)
    if (count > 10_000) expect(files[0]!.dataBytes).toBeGreaterThan(100 * 4096)
    expect(await collect(again.keys())).toEqual([key - 1n, key, key + 2n])
    expect(await collect(again.values({ gte: key, limit: 3 }))).toEqual(
      [...Array.from({ length: Math.min(3, count) }, (_, i) => fingerprint(i)), fingerprint(2)].slice(0, 3),
    )
    expect((await collect(again.values({ lte: key, reverse: true, limit: 1 })))[0]).toEqual(
      fingerprint(count - 1),
    )
    const all = await again.getAll(key)
    expect(all).toHaveLength(count)
    expect(all.at(-1)).toEqual(fingerprint(count - 1))
    await again.del(key)
    expect(await again.count(key)).toBe(0)
    expect(await collect(again.keys())).toEqual([key - 1n, key + 2n])
  })
})

const RECORDS = 30_000
const SKEWED: [string, (number: number) => bigint][] = [
  ['all alike', () => 2n ** 63n + 12_345n],
  ['all but a few alike', n => (n % 1000 === 999 ? BigInt(n) : 5n)],
  ['below 2^10', n => BigInt((n * 7919) % 1024)],
  ['sequential', n => BigInt(n)],
  ['descending', n => BigInt(RECORDS - n)],
  ['sequential in the upper half alone', n => BigInt(n) << 32n],
  ['at both ends', n => (n % 2 === 0 ? BigInt(n) : 2n ** 64n - 1n - BigInt(n))],
  ['in clusters far apart', n => (BigInt(n % 17) << 59n) + BigInt(n % 1000)],
]

describe.each(SKEWED)('keys that are %s', (_, keyOf) => {
  test('are found, ordered and counted as any others', async () => {
    const table = await fill(RECORDS, { bufferBytes: 2 ** 16, walBytes: 2 ** 17, fanout: 4 }, keyOf)
    const numbers = new Map<bigint, number[]>()
    for (let n = 0; n < RECORDS; n++) {
      const key = keyOf(n)
      const known = numbers.get(key)
      if (known === undefined) numbers.set(key, [n])
      else known.push(n)
    }
    const keys = [...numbers.keys()].sort((a, b) => (a < b ? -1 : 1))
    const ids = Int32Array.from(keys.flatMap(key => numbers.get(key)!.map(n => 0 - n)))
    const check = async (): Promise<void> => {
      const { id } = await table.getColumns(BigUint64Array.from(keys))
      expect(Buffer.compare(Buffer.from(id.buffer), Buffer.from(ids.buffer))).toBe(0)
      let at = 0
      for await (const columns of table.scanColumns()) {
        const expected = ids.subarray(at, (at += columns.id.length))
        expect(Buffer.compare(Buffer.from(columns.id.buffer), Buffer.from(expected.slice().buffer))).toBe(0)
      }
      expect(at).toBe(RECORDS)
      for (let i = 0; i < keys.length; i += Math.ceil(keys.length / 50)) {
        const key = keys[i]!
        expect(table.getSync(key)).toEqual(fingerprint(numbers.get(key)!.at(-1)!))
        expect(await table.count(key)).toBe(numbers.get(key)!.length)
      }
    }
    await check()
    expect((await table.stats()).files.length).toBeGreaterThan(0)
    await table.compact()
    await check()
  })
})

describe('a bulk load of 1,500,000 records', () => {
  const RECORDS = 1_500_000
  const options = { ...FINGERPRINT, bufferBytes: 2 ** 22 } as const

  async function load(keyOf: (number: number) => bigint) {
    function* source() {
      for (let from = 0; from < RECORDS; from += 50_000) yield fingerprintColumns(from, from + 50_000, keyOf)
    }
    const path = tables.path()
    await (await FlashTable.bulkLoad(path, options, source())).close()
    return tables.open(path, options)
  }

  test('has them all in key order, each key in the order of the source', async () => {
    const keyOf = (number: number): bigint => spreadKey(number % 500_000)
    const table = await load(keyOf)
    expect(await table.stats()).toMatchObject({
      records: RECORDS,
      recordsAreExact: true,
      bytesWritten: { wal: 0 },
    })
    let rows = 0
    let lastKey = -1n
    let lastNumber = -1
    for await (const { key, id } of table.scanColumns()) {
      for (let row = 0; row < key.length; row++, rows++) {
        const number = -id[row]!
        const inOrder = key[row]! > lastKey || (key[row] === lastKey && number > lastNumber)
        if (!inOrder || key[row] !== keyOf(number))
          throw new Error(`row ${rows}: key ${key[row]}, id ${id[row]}`)
        lastKey = key[row]!
        lastNumber = number
      }
    }
    expect(rows).toBe(RECORDS)
  })

  test('of one key alone has them in the order of the source', async () => {
    await expectInOrder(await load(() => 77n), 77n, RECORDS)
  })
})
