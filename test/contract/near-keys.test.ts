/** `getColumns(keys, { within })`: records whose key differs by at most so much from a query key. */
import { describe, expect, test } from 'vitest'
import { bytes } from '../../src/index.js'
import {
  fingerprint,
  fingerprintColumns,
  SMALL,
  testTables,
  type FingerprintTable,
} from '../support/tables.js'

const tables = testTables()
const MAX = 2n ** 64n - 1n

/** Keys in dense stretches and far apart, both ends among them; some have several records. */
const KEYS = [
  ...Array.from({ length: 300 }, (_, i) => BigInt(i)),
  ...Array.from({ length: 300 }, (_, i) => 2n ** 32n - 150n + BigInt(i)),
  ...Array.from({ length: 200 }, (_, i) => 2n ** 50n + BigInt(i) * 1000n),
  ...Array.from({ length: 200 }, (_, i) => MAX - BigInt(i) * 3n),
]
const keyOf = (number: number): bigint => KEYS[number % 7 === 0 ? 5 : number % KEYS.length]!
const RECORDS = 1000

async function filled(): Promise<FingerprintTable> {
  const table = await tables.fingerprints({ ...SMALL, cacheBytes: 0 })
  for (let from = 0; from < RECORDS; from += 125) {
    await table.putColumns(fingerprintColumns(from, from + 125, keyOf))
  }
  return table
}

/** By query, then key, then number. */
function expectedRows(queries: readonly bigint[], within: bigint): [number, bigint, number][] {
  return queries.flatMap((query, i) => {
    const rows: [number, bigint, number][] = []
    for (let n = 0; n < RECORDS; n++) {
      const key = keyOf(n)
      if (key >= query - within && key <= query + within) rows.push([i, key, n])
    }
    return rows.sort(([, a], [, b]) => (a < b ? -1 : a > b ? 1 : 0))
  })
}

const QUERIES = [5n, 299n, 2n ** 32n, 0n, MAX, 2n ** 50n + 500n, 2n ** 40n, 5n, 6n, MAX - 2n]

describe('getColumns with within', () => {
  test('finds all records in reach of each query, whether they are looked up or scanned', async () => {
    const table = await filled()
    for (const compacted of [false, true]) {
      if (compacted) await table.compact()
      for (const within of [0, 1, 2, 16, 17, 100, 5000n, 2n ** 33n, 2n ** 64n]) {
        // What reaches over all keys finds them all for each query: two will do.
        const queries = within < 2 ** 32 ? QUERIES : QUERIES.slice(0, 2)
        const rows = expectedRows(queries, BigInt(within))
        const expected = {
          query: Uint32Array.from(rows, ([query]) => query),
          key: BigUint64Array.from(rows, ([, key]) => key),
          time: Uint16Array.from(rows, ([, , n]) => fingerprint(n).time),
          flags: Uint16Array.from(rows, ([, , n]) => fingerprint(n).flags),
          id: Int32Array.from(rows, ([, , n]) => fingerprint(n).id),
        }
        expect(await table.getColumns(queries, { within })).toEqual(expected)
        expect(await table.getColumns(BigUint64Array.from(queries), { within })).toEqual(expected)
      }
    }
  })

  test('of no keys finds nothing, in the columns that there would be', async () => {
    const table = await filled()
    for (const within of [1, 1000]) {
      expect(await table.getColumns([], { within })).toEqual({
        query: new Uint32Array(),
        key: new BigUint64Array(),
        time: new Uint16Array(),
        flags: new Uint16Array(),
        id: new Int32Array(),
      })
    }
  })

  test('sees deletes and snapshots', async () => {
    const table = await filled()
    const snapshot = table.snapshot()
    const before = await table.getColumns([5n, 2n ** 32n], { within: 20 })
    await table.del(5n)
    await table.delWhere({ flags: 1 })
    await table.compact()
    for (const within of [10, 20]) {
      const { key, flags } = await table.getColumns([5n, 2n ** 32n], { within })
      expect(key.length).toBeGreaterThan(10)
      expect(key).not.toContain(5n)
      expect(flags).not.toContain(1)
    }
    expect(await table.getColumns([5n, 2n ** 32n], { within: 20, snapshot })).toEqual(before)
  })

  test.each([
    { keyEncoding: 'u8', keys: [0, 1, 250, 255], queries: [0, 252, 255], found: [0, 1, 250, 255, 255] },
    {
      keyEncoding: 'u16',
      keys: [0, 255, 256, 65_535],
      queries: [0, 255, 257, 65_535],
      found: [0, 255, 256, 255, 256, 65_535],
    },
  ] as const)(
    'stops at both ends of the keys of $keyEncoding',
    async ({ keyEncoding, keys, queries, found }) => {
      const table = await tables.open(tables.path(), { ...SMALL, keyEncoding })
      for (const key of keys) await table.put(key)
      expect([...(await table.getColumns(queries, { within: 3 })).key]).toEqual(found)
      expect([...(await table.getColumns([7], { within: 100_000 })).key]).toEqual([...keys])
    },
  )

  test('takes keys of bytes as big-endian numbers', async () => {
    const table = await tables.open(tables.path(), { ...SMALL, keyEncoding: bytes(5) })
    const key = (...values: number[]): Uint8Array => Uint8Array.from(values)
    const keys = [
      key(0, 0, 0, 0, 255),
      key(0, 0, 0, 1, 0),
      key(0, 0, 0, 1, 1),
      key(0, 255, 255, 255, 255),
      key(1, 0, 0, 0, 0),
    ]
    for (const each of keys) await table.put(each)
    const near = async (query: Uint8Array, within: number | bigint): Promise<string> =>
      Buffer.from((await table.getColumns([query], { within })).key).toString('hex')
    expect(await near(key(0, 0, 0, 1, 0), 1)).toBe('00000000ff00000001000000000101')
    expect(await near(key(1, 0, 0, 0, 0), 1)).toBe('00ffffffff0100000000')
    expect(await near(key(1, 0, 0, 0, 0), 2n ** 39n)).toHaveLength(50)
  })

  test.each([
    ['a fraction', 0.5, 'RangeError'],
    ['less than nothing', -1, 'RangeError'],
    ['a text', '1', 'TypeError'],
  ])('refuses %s as the distance', async (_, within, name) => {
    const table = await filled()
    await expect(table.getColumns([1n], { within: within as number })).rejects.toMatchObject({
      name,
      code: 'FLASHTABLE_INVALID_OPTION',
    })
  })
})
