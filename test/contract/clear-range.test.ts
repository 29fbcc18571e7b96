/** `clear` of a range of keys: what it hides, what is never read again for it, and what is given back. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, test } from 'vitest'
import {
  bytes,
  fixed,
  repairTable,
  verifyTable,
  type FlashTable,
  type KeyEncoding,
  type TableOptions,
} from '../../src/index.js'
import { readTable } from '../support/independent-reader.js'
import { collect, fingerprint, settled, SMALL, testTables, type FingerprintTable } from '../support/tables.js'
import { until } from '../support/until.js'

const tables = testTables()

type Operator = 'gt' | 'gte' | 'lt' | 'lte'
type Range = Partial<Record<Operator, unknown>>

const bytesOf = (...values: number[]): Uint8Array => Uint8Array.from(values)

/** Types of keys, each with keys in ascending order. */
const TYPES: [string, KeyEncoding, readonly unknown[]][] = [
  ['u8', 'u8', [0, 1, 127, 128, 254, 255]],
  ['u16', 'u16', [0, 1, 256, 65_534, 65_535]],
  ['u32', 'u32', [0, 1, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1]],
  ['u64', 'u64', [0n, 1n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n]],
  ['bytes(3)', bytes(3), [bytesOf(0, 0, 0), bytesOf(0, 0, 255), bytesOf(0, 1, 0), bytesOf(255, 255, 255)]],
  [
    'bytes(9)',
    bytes(9),
    [
      bytesOf(0, 0, 0, 0, 0, 0, 0, 0, 0),
      bytesOf(0, 0, 0, 0, 0, 0, 0, 0, 255),
      bytesOf(0, 0, 0, 0, 0, 0, 0, 1, 0),
      bytesOf(255, 255, 255, 255, 255, 255, 255, 255, 255),
    ],
  ],
  ["fixed('hex', 5)", fixed('hex', 5), ['0000000000', '00000000ff', '0000000100', 'ffffffffff']],
  ["fixed('utf8', 3)", fixed('utf8', 3), ['abc', 'abd', 'aä', '€']],
]

function holds(place: number, range: Range, values: readonly unknown[]): boolean {
  return Object.entries(range).every(([operator, bound]) => {
    if (bound === undefined) return true
    const order = place - values.indexOf(bound)
    if (operator === 'gt') return order > 0
    if (operator === 'gte') return order >= 0
    return operator === 'lt' ? order < 0 : order <= 0
  })
}

/** Each bound alone, and pairs of them. */
function rangesOf(values: readonly unknown[]): Range[] {
  const one = values.flatMap(bound => (['gt', 'gte', 'lt', 'lte'] as const).map(name => ({ [name]: bound })))
  const two = values.flatMap((low, i) =>
    values.slice(i).flatMap(high => [
      { gte: low, lt: high },
      { gt: low, lte: high },
      { gt: low, lt: high },
      { gte: low, lte: high, lt: undefined },
    ]),
  )
  return [...one, ...two]
}

describe.each(TYPES)('a range of keys of type %s', (_, keyEncoding, values) => {
  test('is cleared, in memory, behind a reopen, and in files', async () => {
    const options = { ...SMALL, keyEncoding, valueEncoding: 'u32' } as const
    const all = rangesOf(values)
    const ranges = all.filter((_, i) => i % Math.ceil(all.length / 14) === 0)
    for (const [i, range] of ranges.entries()) {
      const location = tables.path()
      let table = (await tables.open(location, options)) as FlashTable
      for (const [n, key] of values.entries()) await table.put(key as never, n as never)
      const inFile = i % 2 === 0
      if (inFile) {
        await table.close()
        table = await tables.open(location)
      }
      await table.clear(range as never)
      const left = [...values.keys()].filter(n => !holds(n, range, values))
      expect(await collect(table.values())).toEqual(left)
      for (const [n, key] of values.entries())
        expect(await table.get(key as never)).toEqual(left.includes(n) ? n : undefined)
      await table.close()
      expect(readTable(location).map(({ fields }) => fields['value'])).toEqual(left)
      const again = await tables.open(location)
      expect(await collect(again.values())).toEqual(left)
      await again.compact()
      expect(await collect(again.values())).toEqual(left)
      await again.close()
    }
  })
})

const RECORDS = 6000
/** Files that no level makes due; a cache that is small beside them. */
const FILES = { ...SMALL, fanout: 64 } as const

/** Records with keys 0, 10, 20, ... in the order of the keys: each file has a range of its own, so it can be dropped whole. */
async function filled(options: TableOptions = {}): Promise<FingerprintTable> {
  const table = await tables.fingerprints({ ...FILES, ...options })
  await putKeys(table, 0, RECORDS)
  await settled(table, FILES.fanout)
  return table
}

async function putKeys(table: FingerprintTable, from: number, to: number, step = 1): Promise<void> {
  for (let n = from; n < to; n += 250 * step) {
    const numbers = Array.from({ length: Math.min(250, Math.ceil((to - n) / step)) }, (_, i) => n + i * step)
    await table.putColumns({
      key: BigUint64Array.from(numbers, m => BigInt(10 * m)),
      time: Uint16Array.from(numbers),
      flags: Uint16Array.from(numbers, () => 1),
      id: Int32Array.from(numbers),
    })
  }
}

const keyOf = (n: number): bigint => BigInt(10 * n)

async function times(table: FingerprintTable, range: object = {}): Promise<number[]> {
  return (await collect(table.values(range))).map(({ time }) => time)
}

async function pageReads(table: FingerprintTable): Promise<number> {
  return (await table.stats()).pageReads
}

const numbersFrom = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i)

describe('a range that is cleared', () => {
  test('shows nothing to any read, but to snapshots from before, and what is put later', async () => {
    const table = await filled()
    await putKeys(table, 0, 200, 3)
    await using snapshot = table.snapshot()
    await table.clear({ gte: keyOf(100), lt: keyOf(2000) })
    const check = async (now: FingerprintTable): Promise<void> => {
      expect(await now.get(keyOf(99))).toBeDefined()
      expect(await now.get(keyOf(100))).toBeUndefined()
      expect(now.getSync(keyOf(1999))).toBeUndefined()
      expect(now.getSync(keyOf(2000))).toBeDefined()
      expect(await now.getAll(keyOf(102))).toEqual([])
      expect(now.getAllSync(keyOf(102))).toEqual([])
      expect(await now.getAll(keyOf(99))).toHaveLength(2)
      expect(await now.has(keyOf(150))).toBe(false)
      expect(await now.count(keyOf(99))).toBe(2)
      expect(await now.count(keyOf(102))).toBe(0)
      const keys = [50, 100, 150, 1999, 2000, 2001].map(keyOf)
      const found = await now.getMany(keys)
      expect(found.map(value => value?.time)).toEqual([50, undefined, undefined, undefined, 2000, 2001])
      expect([...(await now.getColumns(keys)).query]).toEqual([0, 4, 5])
      const near = await now.getColumns([keyOf(100), keyOf(1998), keyOf(2001)], { within: 20 })
      expect([...near.time]).toEqual([98, 99, 99, 2000, 2000, 2001, 2002, 2003])
      expect((await now.first({ gte: keyOf(100) }))?.[0]).toBe(keyOf(2000))
      expect((await now.last({ lt: keyOf(2000) }))?.[0]).toBe(keyOf(99))
      expect(now.firstSync({ gt: keyOf(99) })?.[0]).toBe(keyOf(2000))
      expect(now.lastSync({ lte: keyOf(1500) })?.[0]).toBe(keyOf(99))
      expect(await times(now, { gte: keyOf(98) })).toEqual([98, 99, 99, ...numbersFrom(2000, RECORDS)])
      const back = await times(now, { lt: keyOf(2001), reverse: true, limit: 3 })
      expect(back).toEqual([2000, 99, 99])
      expect(await collect(now.keys({ gte: keyOf(99), limit: 2 }))).toEqual([keyOf(99), keyOf(2000)])
    }
    await check(table)
    expect(await table.getAll(keyOf(102), { snapshot })).toHaveLength(2)
    expect((await table.first({ gte: keyOf(100), snapshot }))?.[0]).toBe(keyOf(100))
    expect(await times(table, { snapshot })).toHaveLength(RECORDS + 67)
    expect((await table.getColumns([keyOf(100)], { snapshot })).time).toHaveLength(1)
    await snapshot.close()
    const again = await tables.reopen(table, FILES)
    await check(again)
    await again.compact()
    await check(again)
    expect((await verifyTable(again.location)).problems).toEqual([])
    await again.put(keyOf(102), fingerprint(7))
    await again.put(keyOf(2500), fingerprint(8))
    expect(await again.getAll(keyOf(102))).toEqual([fingerprint(7)])
    expect((await again.first({ gte: keyOf(100) }))?.[0]).toBe(keyOf(102))
    expect(await again.getAll(keyOf(2500))).toHaveLength(2)
  })

  test('is cleared in the order of the calls, though none waits for the one before', async () => {
    const table = await tables.fingerprints()
    await Promise.all([
      table.put(1n, fingerprint(1)),
      table.put(2n, fingerprint(2)),
      table.clear({ gte: 1n, lte: 1n }),
      table.put(1n, fingerprint(3)),
      table.del(2n),
      table.put(2n, fingerprint(4)),
      table.clear({ gt: 2n, sync: true }),
      table.put(3n, fingerprint(5)),
    ])
    expect(await collect(table.values())).toEqual([3, 4, 5].map(fingerprint))
    const again = await tables.reopen(table)
    expect(await collect(again.values())).toEqual([3, 4, 5].map(fingerprint))
  })

  test('without a key writes nothing, and waits for its turn', async () => {
    const table = await filled()
    const { sequence } = await table.stats()
    let settledPuts = 0
    const put = table.put(1n, fingerprint(1)).then(() => settledPuts++)
    await table.clear({ gt: 5n, lt: 6n })
    expect(settledPuts).toBe(1)
    await put
    await table.clear({ gte: 6n, lte: 5n })
    await table.clear({ gt: 2n ** 64n - 1n })
    await table.clear({ lt: 0n })
    expect((await table.stats()).sequence.next).toBe(sequence.next + 1)
    expect(await times(table)).toHaveLength(RECORDS + 1)
  })

  test('of everything leaves what is put later; without bounds it is clear()', async () => {
    const table = await filled()
    await table.clear({ gte: 0n })
    await table.put(7n, fingerprint(7))
    expect(await collect(table.values())).toEqual([fingerprint(7)])
    await table.clear({ gt: undefined, gte: undefined, lt: undefined, lte: undefined })
    expect((await table.stats()).files).toEqual([])
    await table.put(7n, fingerprint(8))
    await table.clear({})
    await table.put(7n, fingerprint(9))
    expect(await collect(table.values())).toEqual([fingerprint(9)])
    await table.clear({ sync: true })
    expect(await collect(table.values())).toEqual([])
  })

  test('takes what a range and a write take, and nothing else', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, fingerprint(1))
    const refused = (options: unknown, ...extra: unknown[]) =>
      expect(table.clear(options as never, ...(extra as never[]))).rejects
    const code = { code: 'FLASHTABLE_INVALID_OPTION' }
    await refused({ limit: 5 }).toMatchObject(code)
    await refused({ gte: 1n, reverse: true }).toMatchObject(code)
    await refused({ gte: 1n, signal: undefined }).toThrow(
      /clear\(\{ gte, lt, sync \}\) forgets all keys of a range/,
    )
    await refused({ gte: 1n, gt: 1n }).toMatchObject(code)
    await refused({ gte: 1n, sync: 1 }).toMatchObject(code)
    await refused({ gte: 1n }, { sync: true }).toMatchObject(code)
    await refused(1n).toMatchObject(code)
    await refused(null).toMatchObject(code)
    await refused({ gte: 'x' }).toMatchObject({ code: 'FLASHTABLE_INVALID_KEY' })
    await refused({ lt: -1n }).toMatchObject({ code: 'FLASHTABLE_INVALID_KEY' })
    expect(await times(table)).toEqual([fingerprint(1).time])
    await table.close()
    const reader = await tables.open(table.location, { readOnly: true })
    await expect(reader.clear({ gte: 1n } as never)).rejects.toMatchObject({ code: 'FLASHTABLE_READ_ONLY' })
    await expect(table.clear({ gte: 1n })).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_OPEN' })
  })

  test("with duplicates: 'replace' has no older record behind it, nor a delete", async () => {
    const table = await tables.fingerprints({ ...FILES, duplicates: 'replace' })
    await putKeys(table, 0, 2000)
    await settled(table, FILES.fanout)
    await putKeys(table, 0, 2000, 2)
    await settled(table, FILES.fanout)
    await table.clear({ gte: keyOf(10), lt: keyOf(1990) })
    const left = [...numbersFrom(0, 10), ...numbersFrom(1990, 2000)]
    expect(await times(table)).toEqual(left)
    const again = await tables.reopen(table, FILES)
    await settled(again, FILES.fanout)
    expect(await times(again)).toEqual(left)
    expect(again.getSync(keyOf(500))).toBeUndefined()
    await again.compact()
    expect((await again.stats()).files.at(-1)?.records).toBe(left.length)
  })
})

describe('what lies in a cleared range is never read again', () => {
  test('by lookups', async () => {
    const table = await tables.reopen(await filled(), FILES)
    await table.clear({ gte: keyOf(1), lte: keyOf(RECORDS - 2) })
    // Its whole files are dropped: those that are left have keys outside, too.
    await settled(table, FILES.fanout)
    expect((await table.stats()).files.length).toBeGreaterThan(0)
    const before = await pageReads(table)
    for (let n = 1; n < RECORDS - 1; n += 50) {
      expect(table.getSync(keyOf(n))).toBeUndefined()
      expect(await table.get(keyOf(n))).toBeUndefined()
      expect(await table.getAll(keyOf(n))).toEqual([])
      expect(await table.count(keyOf(n))).toBe(0)
    }
    const all = numbersFrom(1, RECORDS - 1).map(keyOf)
    expect((await table.getColumns(all)).query).toHaveLength(0)
    expect((await table.getMany(all)).every(value => value === undefined)).toBe(true)
    expect((await table.getColumns(all.slice(5, -5), { within: 3 })).query).toHaveLength(0)
    expect((await table.getColumns([keyOf(3000)], { within: 20_000 })).query).toHaveLength(0)
    expect(await pageReads(table)).toBe(before)
    expect(table.getSync(keyOf(0))?.time).toBe(0)
    expect(await pageReads(table)).toBeGreaterThan(before)
  })

  test('by scans and searches, which pass over its pages', async () => {
    const one = await filled()
    await one.compact()
    const table = await tables.reopen(one, FILES)
    await using snapshot = table.snapshot()
    await table.clear({ gte: keyOf(20), lt: keyOf(RECORDS - 20) })
    const left = [...numbersFrom(0, 20), ...numbersFrom(RECORDS - 20, RECORDS)]
    const reads = async (act: () => Promise<void> | void): Promise<number> => {
      const before = await pageReads(table)
      await act()
      return (await pageReads(table)) - before
    }
    expect(
      await reads(() => expect(table.firstSync({ gt: keyOf(300) })?.[0]).toBe(keyOf(RECORDS - 20))),
    ).toBeLessThan(4)
    expect(await reads(() => expect(table.lastSync({ lt: keyOf(5000) })?.[0]).toBe(keyOf(19)))).toBeLessThan(
      4,
    )
    expect(
      await reads(async () => expect(await table.first({ gte: keyOf(25), lt: keyOf(500) })).toBeUndefined()),
    ).toBe(0)
    expect(await reads(async () => expect(await times(table)).toEqual(left))).toBeLessThan(6)
    expect(
      await reads(async () => expect(await times(table, { reverse: true })).toEqual(left.toReversed())),
    ).toBeLessThan(6)
    expect(
      await reads(async () => expect(await times(table, { gte: keyOf(100), lt: keyOf(5000) })).toEqual([])),
    ).toBe(0)
    expect(await times(table, { snapshot })).toHaveLength(RECORDS)
    expect((await table.first({ gt: keyOf(300), snapshot }))?.[0]).toBe(keyOf(301))
    expect((await table.last({ lt: keyOf(5000), snapshot }))?.[0]).toBe(keyOf(4999))
  })

  test('files in it are dropped without being read or written, by several clears together, too', async () => {
    const table = await filled()
    const { files } = await table.stats()
    const ends: number[] = []
    for (const { records } of files) ends.push((ends.at(-1) ?? 0) + records)
    const drops: { kind: string; inputFiles: number }[] = []
    const onEvent = (event: unknown): void => void drops.push(event as (typeof drops)[number])
    subscribe('flashtable:compaction', onEvent)
    const bytesBefore = (await table.stats()).bytesWritten
    // The second file: half of it, and then the rest.
    const middle = Math.floor((ends[0]! + ends[1]!) / 2)
    await table.clear({ gte: keyOf(ends[0]!), lt: keyOf(middle) })
    await table.clear({ gte: keyOf(middle), lt: keyOf(ends[1]!) })
    // Whole files at once.
    await table.clear({ gte: keyOf(ends[2]!), lt: keyOf(ends[4]!) })
    const { files: now } = await until(
      'files are dropped',
      () => table.stats(),
      stats => stats.files.length <= files.length - 3,
    )
    unsubscribe('flashtable:compaction', onEvent)
    expect(now.map(({ name }) => name)).toEqual(
      files.filter((_, i) => ![1, 3, 4].includes(i)).map(({ name }) => name),
    )
    expect(drops.filter(({ kind }) => kind !== 'drop')).toEqual([])
    expect((await table.stats()).bytesWritten.buckets).toBe(bytesBefore.buckets)
    const left = numbersFrom(0, RECORDS).filter(
      n => !(n >= ends[0]! && n < ends[1]!) && !(n >= ends[2]! && n < ends[4]!),
    )
    expect(await times(table)).toEqual(left)
    const again = await tables.reopen(table, FILES)
    expect(await times(again)).toEqual(left)
    expect((await verifyTable(again.location)).problems).toEqual([])
  })

  test('a file of which much was cleared is merged, though no level is full', async () => {
    const table = await filled()
    await table.compact()
    expect((await table.stats()).files).toMatchObject([{ records: RECORDS }])
    await table.clear({ gte: keyOf(1000), lt: keyOf(3500) })
    await putKeys(table, RECORDS, RECORDS + 2000)
    const { files } = await until(
      'the file is merged',
      () => table.stats(),
      stats => (stats.files[0]?.records ?? 0) === RECORDS - 2500,
    )
    expect(files.length).toBeGreaterThan(1)
    const left = [...numbersFrom(0, 1000), ...numbersFrom(3500, RECORDS + 2000)]
    expect(await times(table)).toEqual(left)
    await table.compact()
    expect((await table.stats()).files).toMatchObject([{ records: left.length }])
  })
})

describe('cleared ranges outlive', () => {
  test('the writer: readers, checkpoints and repair honour them', async () => {
    const table = await filled()
    await table.clear({ gte: keyOf(10), lt: keyOf(RECORDS - 10) })
    await table.put(keyOf(3000), fingerprint(3000))
    const expected = [...numbersFrom(0, 10), fingerprint(3000).time, ...numbersFrom(RECORDS - 10, RECORDS)]
    const copy = tables.path()
    await table.checkpoint(copy)
    const reader = await tables.open(table.location, { readOnly: true })
    expect((await collect(reader.values())).map(value => (value as { time: number }).time)).toEqual(expected)
    const copied = await tables.open(copy)
    expect((await collect(copied.values())).map(value => (value as { time: number }).time)).toEqual(expected)
    await copied.close()
    await reader.close()
    await table.close()
    expect(readTable(table.location).map(({ fields }) => fields['time'])).toEqual(expected)
    const repaired = tables.path()
    await repairTable(table.location, repaired)
    const after = await tables.open(repaired)
    expect((await collect(after.values())).map(value => (value as { time: number }).time)).toEqual(expected)
  })

  test('thousands of small ones', async () => {
    const table = await filled()
    // Every other record.
    const clears: Promise<void>[] = []
    for (let n = 0; n < RECORDS; n += 2) clears.push(table.clear({ gte: keyOf(n), lt: keyOf(n) + 5n }))
    await Promise.all(clears)
    const left = numbersFrom(0, RECORDS).filter(n => n % 2 === 1)
    expect(await times(table)).toEqual(left)
    expect(await times(table, { reverse: true })).toEqual(left.toReversed())
    expect((await table.getColumns(numbersFrom(0, 100).map(keyOf))).query).toHaveLength(50)
    const again = await tables.reopen(table, FILES)
    expect(await times(again)).toEqual(left)
    await again.compact()
    expect(await times(again)).toEqual(left)
  })
})
