/** `get`, `getMany`, `getAll`, `getColumns`, `getSync`, `getAllSync`, `has`, `count`: in memory, in files, and mixed. */
import { describe, expect, test } from 'vitest'
import { fixed, struct } from '../../src/index.js'
import {
  fingerprint,
  fingerprintColumns,
  SMALL,
  spreadKey,
  testTables,
  type Fingerprint,
  type FingerprintTable,
} from '../support/tables.js'
import { until } from '../support/until.js'

const tables = testTables()

const KEYS = 700
/** Record n has the key n mod 700; each third key has no record, and the first two thousand numbers go to two keys. */
function keyNumber(number: number): number {
  return number < 2000 ? number % 2 : 3 * (number % KEYS)
}
const RECORDS = 6000

/** What the key number n has. */
function recordsOf(key: number): Fingerprint[] {
  const records: Fingerprint[] = []
  for (let n = 0; n < RECORDS; n++) if (keyNumber(n) === key) records.push(fingerprint(n))
  return records
}

async function fill(options: object): Promise<FingerprintTable> {
  const table = await tables.fingerprints({ ...SMALL, ...options })
  for (let n = 0; n < RECORDS; n += 200) {
    await table.putColumns(fingerprintColumns(n, n + 200, m => spreadKey(keyNumber(m))))
  }
  return table
}

/** Where the records are when they are looked up. */
const PLACES: [string, () => Promise<FingerprintTable>][] = [
  [
    'in memory',
    async () => {
      const table = await fill({ bufferBytes: 2 ** 20, walBytes: 2 ** 20 })
      expect(await table.stats()).toMatchObject({ files: [], memtable: { operations: RECORDS, sealed: 0 } })
      return table
    },
  ],
  [
    'in memory and files',
    async () => {
      const table = await fill({})
      const { files, memtable } = await table.stats()
      expect(files.length).toBeGreaterThan(1)
      expect(memtable.operations).toBeGreaterThan(0)
      return table
    },
  ],
  [
    'in files without filters, hardly cached',
    async () => {
      const table = await fill({ cacheBytes: 0, filterBitsPerRecord: 0 })
      expect((await table.stats()).files.length).toBeGreaterThan(1)
      return table
    },
  ],
  [
    'in one file',
    async () => {
      const table = await fill({})
      await table.compact()
      expect(await table.stats()).toMatchObject({ memtable: { operations: 0, sealed: 0 } })
      expect((await table.stats()).files).toHaveLength(1)
      return table
    },
  ],
  ['in a table opened again', async () => tables.reopen(await fill({}))],
  [
    'in a table opened for reading',
    async () => {
      const table = await fill({})
      await table.close()
      return tables.reopen(table, { readOnly: true })
    },
  ],
]

/** Keys in no order: each with and without records, some twice. */
const QUERIES = Array.from({ length: 1500 }, (_, i) => (i * 811) % (KEYS * 3 + 10))

describe.each(PLACES)('records %s', (_, make) => {
  test('are found by every kind of lookup, and nothing else is', async () => {
    const table = await make()
    const expected = new Map(QUERIES.map(number => [number, recordsOf(number)]))
    for (const [number, records] of expected) {
      const key = spreadKey(number)
      expect(await table.getAll(key)).toEqual(records)
      expect(table.getAllSync(key)).toEqual(records)
      expect(await table.get(key)).toEqual(records.at(-1))
      expect(table.getSync(key)).toEqual(records.at(-1))
      expect(await table.count(key)).toBe(records.length)
      expect(await table.has(key)).toBe(records.length > 0)
    }
    const keys = QUERIES.map(spreadKey)
    const newest = QUERIES.map(number => expected.get(number)!.at(-1))
    expect(await table.getMany(keys)).toEqual(newest)
    expect(await table.getMany(BigUint64Array.from(keys))).toEqual(newest)
    const hits = QUERIES.flatMap((number, query) =>
      expected.get(number)!.map(record => ({ query, ...record })),
    )
    const columns = {
      query: Uint32Array.from(hits, hit => hit.query),
      time: Uint16Array.from(hits, hit => hit.time),
      flags: Uint16Array.from(hits, hit => hit.flags),
      id: Int32Array.from(hits, hit => hit.id),
    }
    expect(await table.getColumns(keys)).toEqual(columns)
    expect(await table.getColumns(BigUint64Array.from(keys))).toEqual(columns)
  })
})

describe('a lookup', () => {
  test('of no keys finds nothing', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, fingerprint(1))
    expect(await table.getMany([])).toEqual([])
    expect(await table.getColumns(new BigUint64Array())).toEqual({
      query: new Uint32Array(),
      time: new Uint16Array(),
      flags: new Uint16Array(),
      id: new Int32Array(),
    })
  })

  test('in an empty table finds nothing', async () => {
    const table = await tables.fingerprints()
    expect(await table.get(1n)).toBeUndefined()
    expect(table.getSync(1n)).toBeUndefined()
    expect(await table.getAll(1n)).toEqual([])
    expect(await table.has(1n)).toBe(false)
    expect(await table.getMany([1n, 2n])).toEqual([undefined, undefined])
  })

  test('reads a page again that the cache had to give up', async () => {
    const table = await tables.fingerprints({
      ...SMALL,
      bufferBytes: 2 ** 20,
      walBytes: 2 ** 20,
      cacheBytes: 0,
    })
    await table.putColumns(fingerprintColumns(0, 20_000, spreadKey))
    await table.compact()
    const keys = Array.from({ length: 20_000 }, (_, i) => spreadKey((i * 37) % 20_000))
    for (const key of keys.slice(0, 1000)) expect(table.getSync(key)).toBeDefined()
    for (const key of keys.slice(0, 1000)) expect(await table.get(key)).toBeDefined()
    expect(await table.getMany(keys)).not.toContain(undefined)
    const { dataBytesOnDisk, pageReads } = await table.stats()
    expect(dataBytesOnDisk).toBeGreaterThan(40 * 4096)
    expect(pageReads).toBeGreaterThan(5 * (dataBytesOnDisk / 4096))
  })

  test('may be made by an encoding, while it decodes what another one has found', async () => {
    const inner: (() => unknown)[] = []
    const nosy = {
      name: 'nosy',
      format: 'view',
      encode: (byte: number) => Uint8Array.of(byte),
      decode(bytes: Uint8Array) {
        inner.pop()?.()
        return bytes[0]!
      },
    } as const
    const valueEncoding = struct({ a: fixed(nosy, 1), b: 'u8', c: fixed(nosy, 1) })
    const table = await tables.open(tables.path(), { ...SMALL, keyEncoding: 'u8', valueEncoding })
    const records = [1, 2].map(n => ({ a: n, b: 10 + n, c: 20 + n }))
    await table.put(1, records[0]!)
    await table.put(2, records[1]!)
    for (const place of ['memory', 'file']) {
      if (place === 'file') await table.compact()
      for (const lookup of [() => table.getSync(2), () => table.getAllSync(2), () => void table.get(2)]) {
        inner.push(lookup)
        expect(table.getSync(1)).toEqual(records[0])
        inner.push(lookup)
        expect(await table.get(1)).toEqual(records[0])
        inner.push(lookup)
        expect(await table.getAll(1)).toEqual([records[0]])
      }
    }
  })

  test('runs beside any number of others, all of which wait for pages', async () => {
    const table = await fill({ cacheBytes: 0 })
    await table.compact()
    const expected = QUERIES.map(recordsOf)
    const lookups = QUERIES.map(async (number, i) => {
      const key = spreadKey(number)
      if (i % 3 === 0) return [await table.get(key)]
      return i % 3 === 1 ? table.getAll(key) : [await table.count(key)]
    })
    const found = await Promise.all(lookups)
    for (const [i, records] of expected.entries()) {
      if (i % 3 === 0) expect(found[i]).toEqual([records.at(-1)])
      else expect(found[i]).toEqual(i % 3 === 1 ? records : [records.length])
    }
  })

  test('of many keys at once sees one state, while puts and merges go on', async () => {
    const table = await tables.fingerprints({ ...SMALL, cacheBytes: 0 })
    const keys = Array.from({ length: 100 }, (_, i) => spreadKey(i))
    const columns = (round: number) =>
      fingerprintColumns(round * 100, round * 100 + 100, number => spreadKey(number % 100))
    await table.putColumns(columns(0))
    const writer = { ended: false }
    let reads = 0
    const write = async (): Promise<void> => {
      for (let round = 1; round < 20; round++) {
        const before = reads
        await table.putColumns(columns(round))
        await until('it is read', () => reads > before)
      }
      await table.compact()
      writer.ended = true
    }
    const read = async (): Promise<void> => {
      while (!writer.ended) {
        const newest = (await table.getMany(keys)) as Fingerprint[]
        expect(new Set(newest.map(({ id }) => Math.floor(-id / 100))).size).toBe(1)
        const { query } = await table.getColumns(keys)
        expect(query.length % 100).toBe(0)
        reads++
        // What is in memory is found within this turn of the event loop; the writer needs one of its own.
        await new Promise(resolve => void setImmediate(resolve))
      }
    }
    await Promise.all([write(), read()])
  })

  test('gives results of its own: later work does not change them', async () => {
    const table = await fill({ cacheBytes: 0 })
    const keys = Array.from({ length: KEYS }, (_, i) => spreadKey(i))
    const read = async () => [
      await table.getMany(keys),
      await table.getAll(spreadKey(0)),
      table.getAllSync(spreadKey(1)),
      table.getSync(spreadKey(3)),
      await table.getColumns(keys),
    ]
    const results = await read()
    const copies = structuredClone(results)
    for (let round = 0; round < 3; round++) {
      const others = Array.from({ length: 500 }, (_, i) => spreadKey(2000 + round + 3 * i))
      await table.getMany(others)
      await table.getColumns(others)
      for (const key of others) table.getAllSync(key)
      await table.putColumns(fingerprintColumns(0, 250, n => spreadKey(5000 + n)))
      await table.compact()
    }
    expect(results).toEqual(copies)
    expect(await read()).toEqual(copies)
  })
})
