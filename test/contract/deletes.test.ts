/** `del`, `delRecord`, `delWhere`, `clear`: what they hide, what they leave, across seals, merges and reopening. */
import { describe, expect, test } from 'vitest'
import { bytes, struct } from '../../src/index.js'
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

/** So much that all that was put before lies in files, or in sealed memtables; under keys of its own. */
async function pushOut(table: FingerprintTable): Promise<void> {
  for (let i = 0; i < 4; i++) await table.putColumns(fingerprintColumns(0, 250, n => 2n ** 63n + BigInt(n)))
}

/** What may happen between a put, a delete and a lookup. */
const INTERLUDES: [string, (table: FingerprintTable) => Promise<FingerprintTable>][] = [
  ['nothing', async table => table],
  ['seals', async table => (await pushOut(table), table)],
  ['compact()', async table => (await table.compact(), table)],
  ['a reopen', async table => tables.reopen(table)],
  ['seals and a reopen', async table => (await pushOut(table), tables.reopen(table))],
]

/** Each interlude between put and delete with each between delete and lookup. */
const PAIRS = INTERLUDES.flatMap(([before, first]) =>
  INTERLUDES.map(([after, second]) => [before, after, first, second] as const),
)

/** All but what `pushOut` puts. */
async function visible(table: FingerprintTable): Promise<[bigint, Fingerprint][]> {
  return collect(table.entries({ lt: 2n ** 63n }))
}

/** Every kind of read agrees on what key 1, 2 and 3 have. */
async function expectRecords(table: FingerprintTable, expected: Record<1 | 2 | 3, Fingerprint[]>) {
  for (const number of [1, 2, 3] as const) {
    const key = BigInt(number)
    const records = expected[number]
    expect(await table.getAll(key)).toEqual(records)
    expect(table.getAllSync(key)).toEqual(records)
    expect(table.getSync(key)).toEqual(records.at(-1))
    expect(await table.count(key)).toBe(records.length)
    expect(await table.has(key)).toBe(records.length > 0)
  }
  expect(await table.getMany([3n, 2n, 1n])).toEqual([3, 2, 1].map(n => expected[n as 1].at(-1)))
  const { query } = await table.getColumns([1n, 2n, 3n])
  expect([...query]).toEqual([1, 2, 3].flatMap((n, i) => expected[n as 1].map(() => i)))
  const entries = ([1, 2, 3] as const).flatMap(n => expected[n].map(record => [BigInt(n), record]))
  expect(await visible(table)).toEqual(entries)
  expect(await collect(table.entries({ lt: 2n ** 63n, reverse: true }))).toEqual(entries.toReversed())
}

describe.each(PAIRS)('with %s before a delete and %s behind it', (_before, _after, first, second) => {
  const [a, b, c, d] = [1, 2, 3, 4].map(n => ({ ...fingerprint(n), flags: n % 2 })) as [
    Fingerprint,
    Fingerprint,
    Fingerprint,
    Fingerprint,
  ]

  async function filled(): Promise<FingerprintTable> {
    const table = await tables.fingerprints()
    await table.batch([
      { type: 'put', key: 1n, value: a },
      { type: 'put', key: 1n, value: b },
      { type: 'put', key: 2n, value: a },
      { type: 'put', key: 1n, value: a },
      { type: 'put', key: 3n, value: c },
      { type: 'put', key: 2n, value: d },
    ])
    return first(table)
  }

  test('del hides all older records of the key, and nothing else', async () => {
    let table = await filled()
    await table.del(1n)
    table = await second(table)
    await expectRecords(table, { 1: [], 2: [a, d], 3: [c] })
    await table.put(1n, d)
    await expectRecords(table, { 1: [d], 2: [a, d], 3: [c] })
    await expectRecords(await second(table), { 1: [d], 2: [a, d], 3: [c] })
  })

  test('delRecord hides all older records that are equal, and nothing else', async () => {
    let table = await filled()
    await table.delRecord(1n, a)
    await table.delRecord(2n, b)
    table = await second(table)
    await expectRecords(table, { 1: [b], 2: [a, d], 3: [c] })
    await table.put(1n, a)
    await expectRecords(table, { 1: [b, a], 2: [a, d], 3: [c] })
    await expectRecords(await second(table), { 1: [b, a], 2: [a, d], 3: [c] })
  })

  test('delWhere hides all older records with the field values, whatever their key', async () => {
    let table = await filled()
    await table.delWhere({ id: a.id })
    table = await second(table)
    await expectRecords(table, { 1: [b], 2: [d], 3: [c] })
    await table.batch([
      { type: 'put', key: 3n, value: a },
      { type: 'put', key: 1n, value: a },
    ])
    await expectRecords(table, { 1: [b, a], 2: [d], 3: [c, a] })
    await expectRecords(await second(table), { 1: [b, a], 2: [d], 3: [c, a] })
  })

  test('delWhere with several fields hides what has them all', async () => {
    let table = await filled()
    await table.delWhere({ id: a.id, flags: b.flags })
    await table.delWhere({ time: d.time, flags: d.flags, id: d.id })
    table = await second(table)
    await expectRecords(table, { 1: [a, b, a], 2: [a], 3: [c] })
  })

  test('deletes of one batch hide what stands before them in it, and what is older', async () => {
    let table = await filled()
    await table.batch([
      { type: 'put', key: 1n, value: c },
      { type: 'del', key: 1n },
      { type: 'put', key: 1n, value: d },
      { type: 'put', key: 2n, value: a },
      { type: 'put', key: 2n, value: b },
      { type: 'delRecord', key: 2n, value: a },
      { type: 'put', key: 2n, value: a },
    ])
    table = await second(table)
    await expectRecords(table, { 1: [d], 2: [d, b, a], 3: [c] })
  })
})

describe('deletes', () => {
  test('of what is not there do nothing', async () => {
    const table = await tables.fingerprints()
    await table.del(1n)
    await table.delRecord(2n, fingerprint(2))
    await table.delWhere({ id: 5 })
    expect(await collect(table.entries())).toEqual([])
    await pushOut(table)
    await table.compact()
    expect(await table.count(1n)).toBe(0)
    expect(await visible(table)).toEqual([])
  })

  test('that are not awaited hide what was put before them alone', async () => {
    const table = await tables.fingerprints()
    const calls: Promise<void>[] = []
    const expected: Fingerprint[] = []
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 10; i++) calls.push(table.put(1n, { time: i, flags: i % 3, id: round }))
      calls.push(table.delWhere({ flags: 1 }))
      calls.push(table.put(1n, { time: 99, flags: 1, id: round }))
      if (round % 5 === 4) calls.push(table.delWhere({ time: 99, flags: 1 }))
      if (round % 7 === 6) calls.push(table.delRecord(1n, { time: 0, flags: 0, id: round }))
    }
    await Promise.all(calls)
    const model: Fingerprint[] = []
    const remove = (matches: (record: Fingerprint) => boolean): void => {
      for (let i = model.length - 1; i >= 0; i--) if (matches(model[i]!)) model.splice(i, 1)
    }
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 10; i++) model.push({ time: i, flags: i % 3, id: round })
      remove(({ flags }) => flags === 1)
      model.push({ time: 99, flags: 1, id: round })
      if (round % 5 === 4) remove(({ time, flags }) => time === 99 && flags === 1)
      if (round % 7 === 6) remove(({ time, flags, id }) => time === 0 && flags === 0 && id === round)
    }
    expected.push(...model)
    expect(await table.getAll(1n)).toEqual(expected)
    expect(await (await tables.reopen(table)).getAll(1n)).toEqual(expected)
  })

  test('do not come undone where a merge leaves out the oldest files', async () => {
    // Old files of a high level hold the records; young files with the deletes are merged without them, many times.
    const table = await tables.fingerprints({ ...SMALL, fanout: 3 })
    for (let from = 0; from < 3000; from += 250)
      await table.putColumns(fingerprintColumns(from, from + 250, spreadKey))
    for (let i = 0; i < 3000; i += 3) void table.del(spreadKey(i))
    for (let i = 1; i < 3000; i += 3) void table.delRecord(spreadKey(i), fingerprint(i))
    await table.delWhere({ flags: 0 })
    const before = (await table.stats()).bytesWritten.buckets
    for (let i = 0; i < 8; i++) await pushOut(table)
    expect((await table.stats()).bytesWritten.buckets).toBeGreaterThan(before)
    const left = Array.from({ length: 3000 }, (_, i) => i).filter(i => i % 3 === 2 && i % 7 !== 0)
    const expected = new Map(left.map(i => [spreadKey(i), fingerprint(i)]))
    const check = async (table: FingerprintTable): Promise<void> => {
      for (let i = 0; i < 3000; i++) expect(table.getSync(spreadKey(i))).toEqual(expected.get(spreadKey(i)))
    }
    await check(table)
    const again = await tables.reopen(table)
    await check(again)
    await again.compact()
    await check(again)
  })

  test('give their space back: compact() leaves neither them nor what they hid', async () => {
    const table = await tables.fingerprints()
    for (let from = 0; from < 2000; from += 250)
      await table.putColumns(fingerprintColumns(from, from + 250, spreadKey))
    await table.compact()
    const full = (await table.stats()).bytesOnDisk
    for (let i = 0; i < 1000; i++) void table.del(spreadKey(i))
    await table.delWhere({ flags: 3 })
    expect((await table.stats()).recordsAreExact).toBe(false)
    await table.compact()
    const left = 1000 - [...Array(1000).keys()].filter(i => (1000 + i) % 7 === 3).length
    const stats = await table.stats()
    expect(stats).toMatchObject({ records: left, recordsAreExact: true, recordsPut: 2000 })
    expect(stats.bytesOnDisk).toBeLessThan(full)
    expect(await collect(table.keys())).toHaveLength(left)
  })

  test('of everything leave an empty table, that goes on', async () => {
    const table = await tables.fingerprints()
    await table.putColumns(fingerprintColumns(0, 200, spreadKey))
    await table.compact()
    await table.delWhere({ flags: 0 })
    for (let flags = 1; flags < 7; flags++) await table.delWhere({ flags })
    await table.compact()
    expect(await table.stats()).toMatchObject({ records: 0, recordsAreExact: true, files: [] })
    expect(await collect(table.entries())).toEqual([])
    const again = await tables.reopen(table)
    await again.put(1n, fingerprint(1))
    await again.compact()
    expect(await collect(again.entries())).toEqual([[1n, fingerprint(1)]])
  })

  test('are counted in many thousands without slowing a lookup to a crawl', async () => {
    const table = await tables.fingerprints({ ...SMALL, bufferBytes: 65_536, walBytes: 2 ** 20 })
    for (let i = 0; i < 5000; i++) {
      void table.put(spreadKey(i), fingerprint(i))
      void table.delWhere({ id: 0 - (i - 100) })
    }
    await table.sync()
    const expected = Array.from({ length: 5000 }, (_, i) => (i < 4900 ? undefined : fingerprint(i)))
    const keys = expected.map((_, i) => spreadKey(i))
    expect(await table.getMany(keys)).toEqual(expected)
    const again = await tables.reopen(table)
    expect(await again.getMany(keys)).toEqual(expected)
    await again.compact()
    expect(await again.getMany(keys)).toEqual(expected)
  })
})

describe('delWhere', () => {
  test('knows fields of every type, of several lanes too', async () => {
    const fields = {
      wide: 'u64',
      signed: 'i64',
      float: 'f64',
      short: 'f32',
      id: bytes(6),
      tiny: 'i8',
    } as const
    const table = await tables.open(tables.path(), {
      keyEncoding: 'u8',
      valueEncoding: struct(fields),
      ...SMALL,
    })
    const record = (n: number) => ({
      wide: 2n ** 40n + BigInt(n),
      signed: BigInt(-n),
      float: n / 3,
      short: n + 0.5,
      id: Uint8Array.of(1, 2, 3, 4, 5, n),
      tiny: -n,
    })
    const deletes: ((n: number) => object)[] = [
      n => ({ wide: record(n).wide }),
      n => ({ signed: record(n).signed }),
      n => ({ float: record(n).float }),
      n => ({ short: record(n).short }),
      n => ({ id: record(n).id }),
      n => ({ tiny: record(n).tiny }),
      n => record(n),
    ]
    for (let n = 0; n < 10; n++) await table.put(n, record(n))
    for (const [n, where] of deletes.entries()) await table.delWhere(where(n))
    const expected = [7, 8, 9].map(n => [n, record(n)])
    expect(await collect(table.entries())).toEqual(expected)
    await table.compact()
    expect(await collect(table.entries())).toEqual(expected)
  })

  test('names the one field of a value that is no struct value', async () => {
    const table = await tables.open(tables.path(), { keyEncoding: 'u8', valueEncoding: 'u16', ...SMALL })
    for (let i = 0; i < 6; i++) await table.put(i, i % 3)
    await table.delWhere({ value: 1 })
    expect(await collect(table.entries())).toEqual([
      [0, 0],
      [2, 2],
      [3, 0],
      [5, 2],
    ])
  })

  test('is refused by a set', async () => {
    const table = await tables.open(tables.path(), { keyEncoding: 'u8', ...SMALL })
    await table.put(1)
    await expect(table.delWhere({} as never)).rejects.toMatchObject({
      name: 'TypeError',
      code: 'FLASHTABLE_INVALID_VALUE',
    })
    expect(await table.has(1)).toBe(true)
  })
})

describe('clear', () => {
  test('leaves an empty table, in memory and on disk', async () => {
    const table = await tables.fingerprints()
    for (let from = 0; from < 3000; from += 250)
      await table.putColumns(fingerprintColumns(from, from + 250, spreadKey))
    await table.delWhere({ id: -5 })
    const { recordsPut } = await table.stats()
    await table.clear()
    expect(await collect(table.entries())).toEqual([])
    expect(await table.get(spreadKey(1))).toBeUndefined()
    expect(await table.stats()).toMatchObject({
      records: 0,
      recordsAreExact: true,
      files: [],
      recordsPut,
      dataBytesOnDisk: 0,
    })
    await table.put(1n, fingerprint(5))
    expect(await table.getAll(1n)).toEqual([fingerprint(5)])
    const again = await tables.reopen(table)
    expect(await collect(again.entries())).toEqual([[1n, fingerprint(5)]])
    await again.clear()
    expect(await collect((await tables.reopen(again)).entries())).toEqual([])
  })

  test('comes between the puts before and behind it, also while memtables are sealed and files merged', async () => {
    const table = await tables.fingerprints()
    for (let round = 0; round < 3; round++) {
      const puts = Array.from({ length: 1000 }, (_, i) => table.put(spreadKey(i), fingerprint(i)))
      await Promise.all(puts)
      const cleared = table.clear()
      const behind = cleared.then(() => table.put(1n, fingerprint(round)))
      await Promise.all([cleared, behind])
      expect(await collect(table.entries())).toEqual([[1n, fingerprint(round)]])
    }
  })

  test('erases what was put before the call, and nothing that is put after it, beside compact() too', async () => {
    const table = await tables.fingerprints()
    for (let round = 0; round < 6; round++) {
      const puts = Array.from({ length: 1000 }, (_, i) => table.put(spreadKey(i), fingerprint(i)))
      if (round % 3 > 0) await Promise.all(puts)
      const compacted = round % 3 === 1 ? table.compact() : undefined
      const cleared = table.clear()
      const after = table.put(1n, fingerprint(round), { sync: true })
      await after
      expect(await table.getAll(1n)).toEqual([fingerprint(round)])
      await Promise.all([...puts, compacted, cleared])
      expect(await collect(table.entries())).toEqual([[1n, fingerprint(round)]])
    }
  })

  test('lets a compact() beside it start again, which its signal ends as ever', async () => {
    const table = await tables.fingerprints()
    await table.putColumns(fingerprintColumns(0, 250, spreadKey))
    await table.putColumns(fingerprintColumns(250, 400, spreadKey))
    const abort = new AbortController()
    const compacted = table.compact({ signal: abort.signal })
    const cleared = table.clear()
    abort.abort(new Error('enough'))
    await expect(compacted).rejects.toThrow('enough')
    await cleared
    expect((await table.stats()).files).toEqual([])
  })

  test('leaves snapshots and running scans what they have', async () => {
    const table = await tables.fingerprints()
    await table.putColumns(fingerprintColumns(0, 250, spreadKey))
    await table.putColumns(fingerprintColumns(250, 400, spreadKey))
    const expected = await collect(table.entries())
    const snapshot = table.snapshot()
    const scan = table.entries()
    const first = await scan.next()
    await table.clear()
    await table.put(1n, fingerprint(1))
    expect(await collect(table.entries({ snapshot }))).toEqual(expected)
    expect([first.value, ...(await collect(scan))]).toEqual(expected)
    await snapshot.close()
  })
})
