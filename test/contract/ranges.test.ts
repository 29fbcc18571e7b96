/** `entries`, `keys`, `values`, `scanColumns`: bounds, direction, limit, signal, and one consistent state each. */
import { describe, expect, test } from 'vitest'
import { bytes, type RangeOptions } from '../../src/index.js'
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

type Entry = [bigint, Fingerprint]
const MAX = 2n ** 64n - 1n

/** Key number n is 10 n: bounds may lie between keys. Some have several records. */
const RECORDS = 3000
function keyOf(number: number): bigint {
  return 10n * BigInt(number % 11 === 0 ? 77 : (number * 7919) % 1000)
}

/** All records by key, then in the order of the puts. */
function expectedEntries(): Entry[] {
  const entries = Array.from({ length: RECORDS }, (_, n): Entry => [keyOf(n), fingerprint(n)])
  return entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
}

async function filled(options: object = {}): Promise<FingerprintTable> {
  const table = await tables.fingerprints({ ...SMALL, ...options })
  for (let from = 0; from < RECORDS; from += 100) {
    await table.putColumns(fingerprintColumns(from, from + 100, keyOf))
  }
  return table
}

function inRange(range: RangeOptions<bigint>): (entry: Entry) => boolean {
  const { gt = -1n, gte = 0n, lt = MAX + 1n, lte = MAX } = range
  return ([key]) => key > gt && key >= gte && key < lt && key <= lte
}

const PLACES: [string, object, (table: FingerprintTable) => Promise<FingerprintTable>][] = [
  ['in memory', { bufferBytes: 2 ** 20, walBytes: 2 ** 20 }, async table => table],
  ['in memory and files', { cacheBytes: 0 }, async table => table],
  ['in one file', {}, async table => (await table.compact(), table)],
  ['in a table opened again', {}, async table => tables.reopen(table)],
]

const RANGES: RangeOptions<bigint>[] = [
  {},
  { gt: 100n },
  { gte: 100n },
  { gt: 105n },
  { gte: 105n },
  { lt: 770n },
  { lte: 770n },
  { lt: 775n },
  { gt: 760n, lt: 780n },
  { gte: 770n, lte: 770n },
  { gt: 770n, lt: 770n },
  { gt: 770n, lte: 770n },
  { gte: 5000n, lte: 4000n },
  { gt: 9990n },
  { gte: MAX },
  { lte: 0n },
  { lt: 0n },
  { gte: 0n, lte: MAX },
]

describe.each(PLACES)('ranges over records %s', (_, options, step) => {
  test('hold what lies in them, by key and then in the order of the puts; reverse is the exact reverse', async () => {
    const table = await step(await filled(options))
    const all = expectedEntries()
    for (const range of RANGES) {
      const expected = all.filter(inRange(range))
      const keys = [...new Set(expected.map(([key]) => key))]
      expect(await collect(table.entries(range))).toEqual(expected)
      expect(await collect(table.values(range))).toEqual(expected.map(([, value]) => value))
      expect(await collect(table.keys(range))).toEqual(keys)
      expect(await columnsOf(table, range)).toEqual(expected)
      const reverse = { ...range, reverse: true }
      expect(await collect(table.entries(reverse))).toEqual(expected.toReversed())
      expect(await collect(table.keys(reverse))).toEqual(keys.toReversed())
      expect(await columnsOf(table, reverse)).toEqual(expected.toReversed())
      for (const limit of [0, 1, 7, 280, 1000, -1, Infinity]) {
        const end = limit < 0 ? Infinity : limit
        expect(await collect(table.entries({ ...range, limit }))).toEqual(expected.slice(0, end))
        expect(await columnsOf(table, { ...reverse, limit })).toEqual(expected.toReversed().slice(0, end))
        expect(await collect(table.keys({ ...range, limit }))).toEqual(keys.slice(0, end))
        expect(await collect(table.keys({ ...reverse, limit }))).toEqual(keys.toReversed().slice(0, end))
      }
    }
  })
})

/** The rows of `scanColumns`, which must hold the same number of rows in every column, and some. */
async function columnsOf(table: FingerprintTable, range: RangeOptions<bigint>): Promise<Entry[]> {
  const entries: Entry[] = []
  for await (const { key, time, flags, id } of table.scanColumns(range)) {
    expect(key.length).toBeGreaterThan(0)
    expect([time.length, flags.length, id.length]).toEqual([key.length, key.length, key.length])
    for (let i = 0; i < key.length; i++) {
      entries.push([key[i]!, { time: time[i]!, flags: flags[i]!, id: id[i]! }])
    }
  }
  return entries
}

describe('an iteration', () => {
  test.each([false, true])(
    'sees one state while puts, deletes and merges go on (reverse: %s)',
    async reverse => {
      const table = await filled({ cacheBytes: 0 })
      const expected = reverse ? expectedEntries().toReversed() : expectedEntries()
      const scans = [table.entries({ reverse }), table.entries({ reverse }), table.entries({ reverse })]
      const seen: Entry[][] = scans.map(() => [])
      /** One step of each scan; they start at the same state. */
      const step = async (rows: number): Promise<void> => {
        for (const [i, scan] of scans.entries()) {
          for (let row = 0; row < rows; row++) {
            const { value } = await scan.next()
            if (value !== undefined) seen[i]!.push(value)
          }
        }
      }
      await step(1)
      for (let round = 0; round < 8; round++) {
        await table.putColumns(fingerprintColumns(0, 200, n => BigInt(n * 50)))
        await table.del(BigInt(round * 1000))
        await table.delWhere({ flags: round })
        if (round % 3 === 2) await table.compact()
        await step(300)
      }
      await step(1000)
      for (const entries of seen) expect(entries).toEqual(expected)
      expect((await table.stats()).pins).toBe(0)
    },
  )

  test('yields rows and columns of its own: later work does not change them', async () => {
    const table = await filled({ cacheBytes: 0 })
    const rows: unknown[] = []
    const copies: unknown[] = []
    for await (const columns of table.scanColumns()) {
      rows.push(columns)
      copies.push(structuredClone(columns))
    }
    for await (const entry of table.entries({ limit: 500, reverse: true })) {
      rows.push(entry)
      copies.push(structuredClone(entry))
    }
    await table.compact()
    await collect(table.scanColumns({ reverse: true }))
    await collect(table.entries())
    expect(rows).toEqual(copies)
    // Writing into a column changes that column only.
    for await (const { key, id } of table.scanColumns()) {
      key.fill(0n)
      id.fill(0)
    }
    expect(await collect(table.entries())).toEqual(expectedEntries())
  })

  test('ends with the reason of its signal, and lets go of what it pinned', async () => {
    const table = await filled()
    const reason = new Error('enough')
    const makers: ((signal: AbortSignal) => AsyncGenerator<unknown>)[] = [
      signal => table.entries({ signal }),
      signal => table.keys({ signal }),
      signal => table.values({ signal }),
      signal => table.scanColumns({ signal, reverse: true }),
    ]
    for (const make of makers) {
      await expect(collect(make(AbortSignal.abort(reason)))).rejects.toBe(reason)
      const controller = new AbortController()
      const scan = make(controller.signal)
      await scan.next()
      controller.abort(reason)
      await expect(collect(scan)).rejects.toBe(reason)
    }
    expect((await table.stats()).pins).toBe(0)
  })

  test('that is left early lets go of what it pinned', async () => {
    const table = await filled()
    for await (const [key] of table.entries()) {
      expect(key).toBe(0n)
      expect((await table.stats()).pins).toBe(1)
      break
    }
    expect((await table.stats()).pins).toBe(0)
    const scan = table.keys()
    await scan.next()
    await scan.return()
    expect((await table.stats()).pins).toBe(0)
  })

  test('holds what is put before it begins, even where that is just now', async () => {
    const table = await tables.fingerprints()
    const entries = table.entries()
    await table.put(1n, fingerprint(1))
    await table.put(2n, fingerprint(2))
    expect(await collect(entries)).toHaveLength(2)
  })

  test('goes over a hundred times the cache and the memtable in their own order', async () => {
    const table = await tables.fingerprints({
      ...SMALL,
      bufferBytes: 16_384,
      walBytes: 65_536,
      cacheBytes: 0,
    })
    const total = 100_000
    for (let from = 0; from < total; from += 1000) {
      await table.putColumns(fingerprintColumns(from, from + 1000, spreadKey))
    }
    let rows = 0
    let sum = 0
    let last = -1n
    let ordered = true
    for await (const { key, id } of table.scanColumns()) {
      for (let i = 0; i < key.length; i++) {
        ordered &&= key[i]! > last
        last = key[i]!
        sum -= id[i]!
      }
      rows += key.length
    }
    expect({ rows, sum, ordered }).toEqual({ rows: total, sum: (total * (total - 1)) / 2, ordered: true })
  })

  test('over keys of bytes goes byte by byte', async () => {
    const table = await tables.open(tables.path(), { keyEncoding: bytes(6), ...SMALL })
    const keys = Array.from({ length: 1000 }, (_, i) =>
      Buffer.from(`${(i * 7919) % 1000}.......`.slice(0, 6)),
    )
    for (const key of keys) void table.put(key)
    await table.sync()
    const text = (key: Uint8Array): string => Buffer.from(key).toString()
    const sorted = keys.map(text).sort()
    expect((await collect(table.keys())).map(text)).toEqual(sorted)
    const range = { gt: Buffer.from('20....'), lt: Buffer.from('9.....') }
    expect((await collect(table.keys(range))).map(text)).toEqual(
      sorted.filter(key => key > '20....' && key < '9.....'),
    )
  })
})
