/** `delWhere` with `lt`, `lte`, `gt` and `gte`: what is hidden of every type of field, and that old files are dropped. */
import { cp } from 'node:fs/promises'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, test } from 'vitest'
import { bytes, fixed, repairTable, struct, verifyTable, type FieldEncoding } from '../../src/index.js'
import { readTable } from '../support/independent-reader.js'
import {
  collect,
  fingerprintColumns,
  settled,
  SMALL,
  spreadKey,
  testTables,
  type FingerprintTable,
} from '../support/tables.js'
import { until } from '../support/until.js'

const tables = testTables()

type Operator = 'lt' | 'lte' | 'gt' | 'gte'
type Comparison = Partial<Record<Operator, unknown>>

const bytesOf = (...values: number[]): Uint8Array => Uint8Array.from(values)

/** Types of fields, each with values in ascending order; NaN is in no order, and -0 and 0 are one. */
const TYPES: [string, FieldEncoding, readonly unknown[]][] = [
  ['u8', 'u8', [0, 1, 127, 128, 254, 255]],
  ['u16', 'u16', [0, 1, 256, 65_535]],
  ['u32', 'u32', [0, 1, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1]],
  ['u64', 'u64', [0n, 1n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n]],
  ['i8', 'i8', [-128, -1, 0, 1, 127]],
  ['i16', 'i16', [-32_768, -1, 0, 1, 32_767]],
  ['i32', 'i32', [-(2 ** 31), -1, 0, 1, 2 ** 31 - 1]],
  ['i64', 'i64', [-(2n ** 63n), -(2n ** 32n), -1n, 0n, 2n ** 32n, 2n ** 63n - 1n]],
  ['f32', 'f32', [-Infinity, -1e10, -(2 ** -149), -0, 0, 2 ** -149, 0.1, 1, Infinity, NaN]],
  ['f64', 'f64', [-Infinity, -1e300, -1, -Number.MIN_VALUE, -0, 0, Number.MIN_VALUE, 1.5, Infinity, NaN]],
  ['bytes(3)', bytes(3), [bytesOf(0, 0, 0), bytesOf(0, 0, 255), bytesOf(1, 0, 0), bytesOf(255, 255, 255)]],
  [
    'bytes(9)',
    bytes(9),
    [0, 1, 2].map(n => bytesOf(...Array<number>(8).fill(n === 2 ? 255 : 0), n === 0 ? 0 : 255)),
  ],
  ["fixed('hex', 5)", fixed('hex', 5), ['0000000000', '00000000ff', '00000001ff', 'ffffffffff']],
  ["fixed('utf8', 3)", fixed('utf8', 3), ['abc', 'abd', 'aä', '€']],
]

/** As the document says: numbers as JavaScript compares them, all else by bytes. */
function compare(a: unknown, b: unknown): number {
  const bytesOfValue = (value: unknown) =>
    typeof value === 'string' ? Buffer.from(value) : (value as Uint8Array)
  if (typeof a === 'number' || typeof a === 'bigint') {
    const other = b as typeof a
    return a < other ? -1 : a > other ? 1 : a === other ? 0 : NaN
  }
  return Buffer.compare(bytesOfValue(a), bytesOfValue(b))
}

const HOLDS: Record<Operator, (order: number) => boolean> = {
  lt: order => order < 0,
  lte: order => order <= 0,
  gt: order => order > 0,
  gte: order => order >= 0,
}

function matches(value: unknown, comparison: Comparison): boolean {
  return Object.entries(comparison).every(([operator, bound]) =>
    HOLDS[operator as Operator](compare(value, bound)),
  )
}

const ALL_OPERATORS: readonly Operator[] = ['lt', 'lte', 'gt', 'gte']

/** Each operator with each value, and pairs of them. */
function comparisonsOf(values: readonly unknown[]): Comparison[] {
  const bounds = values.filter(value => !Number.isNaN(value))
  const one = bounds.flatMap(bound => ALL_OPERATORS.map((operator): Comparison => ({ [operator]: bound })))
  const two = bounds.flatMap((low, i) =>
    bounds.slice(i).flatMap((high): Comparison[] => [
      { gte: low, lt: high },
      { gt: low, lte: high },
    ]),
  )
  return [...one, ...two]
}

describe.each(TYPES)('a comparison of a field of type %s', (_, encoding, values) => {
  test('hides what JavaScript finds so, in memory, behind a reopen, and in files', async () => {
    const comparisons = comparisonsOf(values)
    const options = { keyEncoding: 'u32', valueEncoding: struct({ g: 'u16', x: encoding }) } as const
    const location = tables.path()
    let table = await tables.open(location, { ...SMALL, ...options, walBytes: 2 ** 20 })
    const records = comparisons.flatMap((_, g) => values.map((x, i) => ({ key: g * 100 + i, g, x })))
    for (const { key, g, x } of records) await table.put(key, { g, x } as never)
    for (const [g, comparison] of comparisons.entries()) await table.delWhere({ g, x: comparison } as never)
    const left = records.filter(({ g, x }) => !matches(x, comparisons[g]!)).map(({ key }) => key)
    expect(left.length).toBeGreaterThan(0)
    expect(await collect(table.keys())).toEqual(left)
    await table.close()
    expect(readTable(location).map(({ key }) => key)).toEqual(left)
    table = await tables.open(location, { ...SMALL, ...options })
    expect(await collect(table.keys())).toEqual(left)
    for (const { key } of records) expect(table.getAllSync(key)).toHaveLength(left.includes(key) ? 1 : 0)
    await table.compact()
    expect(await collect(table.keys())).toEqual(left)
    expect((await table.stats()).files.at(-1)!.records).toBe(left.length)
  })

  test('drops a file only if it hides all of its records', async () => {
    const options = { ...SMALL, keyEncoding: 'u32', valueEncoding: encoding, fanout: 64 } as const
    const all = comparisonsOf(values)
    for (const comparison of all.filter((_, i) => i % Math.ceil(all.length / 12) === 0)) {
      const location = tables.path()
      let table = await tables.open(location, options)
      for (const [key, value] of values.entries()) await table.put(key, value as never)
      await table.close()
      table = await tables.open(location, options)
      await table.delWhere({ value: comparison } as never)
      const left = [...values.keys()].filter(key => !matches(values[key], comparison))
      await table.close()
      table = await tables.open(location, options)
      await settled(table as never, 64)
      expect(await collect(table.keys())).toEqual(left)
      await table.close()
    }
  })
})

/** A program that forgets: files of 500 records or so, whose `time` ascends. */
const FILES = { ...SMALL, bufferBytes: 16_384, walBytes: 65_536, fanout: 64 } as const
const RECORDS = 10_000

async function filled(options: object = {}): Promise<FingerprintTable> {
  const table = await tables.fingerprints({ ...FILES, ...options })
  for (let n = 0; n < RECORDS; n += 250) await table.putColumns(fingerprintColumns(n, n + 250, spreadKey))
  await settled(table, FILES.fanout)
  return table
}

const written = async (table: FingerprintTable): Promise<number> => {
  const { wal, buckets, manifest } = (await table.stats()).bytesWritten
  return wal + buckets + manifest
}

/** Waits until the table has this many files. */
async function untilFiles(table: FingerprintTable, count: number): Promise<void> {
  await until(
    `there are ${count} files`,
    () => table.stats(),
    ({ files }) => files.length === count,
  )
}

const times = (table: FingerprintTable, options = {}) =>
  collect(table.values(options)).then(all => all.map(v => v.time))

describe('a delete of old records', () => {
  test('drops their files, and costs a few KB whatever they hold', async () => {
    const table = await filled()
    const before = await table.stats()
    expect(before.files.length).toBeGreaterThan(4)
    const bytesBefore = await written(table)
    const events: unknown[] = []
    const onEvent = (event: unknown) => void events.push(event)
    subscribe('flashtable:compaction', onEvent)
    await table.delWhere({ time: { lt: RECORDS } })
    await untilFiles(table, 0)
    await until('it is told', () => events.length > 0)
    unsubscribe('flashtable:compaction', onEvent)
    expect((await written(table)) - bytesBefore).toBeLessThan(16_384)
    expect((await table.stats()).bytesWritten.buckets).toBe(before.bytesWritten.buckets)
    expect(events).toMatchObject([{ kind: 'drop', inputFiles: before.files.length, bytesWritten: 0 }])
    expect((await times(table)).every(time => time >= RECORDS)).toBe(true)
  })

  test('leaves files with a younger record as they are, and hides the older ones', async () => {
    const table = await filled()
    const { files } = await table.stats()
    const limit = files[0]!.records + files[1]!.records
    await table.delWhere({ time: { lt: limit - 1 } })
    await untilFiles(table, files.length - 1)
    expect((await table.stats()).files.map(({ name }) => name)).toEqual(
      files.slice(1).map(({ name }) => name),
    )
    expect((await times(table)).sort((a, b) => a - b)[0]).toBe(limit - 1)
    await table.delWhere({ time: { lte: limit - 1 } })
    await untilFiles(table, files.length - 2)
    const again = await tables.reopen(table, FILES)
    expect((await times(again)).sort((a, b) => a - b)[0]).toBe(limit)
    expect((await verifyTable(again.location)).problems).toEqual([])
  })

  test('is durable before files are dropped, though nobody asked for a sync', async () => {
    const table = await filled()
    await table.delWhere({ time: { lt: 5000 } })
    const { files, sequence } = await table.stats()
    const { sequence: later } = await until(
      'files are dropped',
      () => table.stats(),
      now => now.files.length < files.length,
    )
    expect(later.synced).toBeGreaterThanOrEqual(sequence.next)
    const copy = tables.path()
    await cp(table.location, copy, { recursive: true, filter: source => !source.includes('LOCK') })
    const killed = await tables.open(copy, FILES)
    const values = (await collect(killed.values())) as { time: number }[]
    expect(values.map(({ time }) => time).sort((a, b) => a - b)[0]).toBe(5000)
    expect(values).toHaveLength(RECORDS - 5000)
  })

  test('drops nothing under a snapshot, which reads on', async () => {
    const table = await filled()
    await using snapshot = table.snapshot()
    await table.delWhere({ time: { lt: RECORDS }, id: { lte: 0 } })
    await untilFiles(table, 0)
    expect(await times(table)).toEqual([])
    expect(await times(table, { snapshot })).toHaveLength(RECORDS)
    expect(table.getSync(spreadKey(17), { snapshot })?.time).toBe(17)
    expect(table.getSync(spreadKey(17))).toBeUndefined()
  })

  test('does not hide what is put again behind it', async () => {
    const table = await filled()
    await table.delWhere({ time: { lt: RECORDS } })
    await table.put(1n, { time: 5, flags: 0, id: 0 })
    await untilFiles(table, 0)
    expect(await times(table)).toEqual([5])
    expect(await times(await tables.reopen(table, FILES))).toEqual([5])
  })

  test('keeps a file whose deletes an older one needs', async () => {
    const table = await tables.fingerprints(FILES)
    const old = { time: 60_000, flags: 0, id: 1 }
    await table.put(1n, old)
    await table.put(2n, old)
    await table.put(3n, { time: 60_000, flags: 5, id: 1 })
    const first = await tables.reopen(table, FILES)
    await first.del(1n)
    await first.delRecord(2n, old)
    await first.delWhere({ flags: { gt: 4 } })
    // More than an open merges with the first file.
    for (let n = 0; n < 1000; n += 250) await first.putColumns(fingerprintColumns(n, n + 250, spreadKey))
    const second = await tables.reopen(first, { ...FILES, bufferBytes: 65_536 })
    await second.delWhere({ time: { lt: 1000 } })
    const third = await tables.reopen(second, FILES)
    await settled(third, FILES.fanout)
    expect(await times(third)).toEqual([])
    await third.delWhere({ time: 60_000 })
    expect(await times(third)).toEqual([])
  })

  test("with duplicates: 'replace' keeps a file that has replaced older records", async () => {
    const table = await filled({ duplicates: 'replace' })
    for (let n = 0; n < 2000; n += 250)
      await table.putColumns(fingerprintColumns(20_000 + n, 20_250 + n, m => spreadKey(m - 20_000)))
    const before = await settled(table, FILES.fanout)
    await table.delWhere({ time: { gte: 20_000 } })
    const visible = (await times(table)).sort((a, b) => a - b)
    expect(visible[0]).toBe(2000)
    expect(visible).toHaveLength(RECORDS - 2000)
    await settled(table, FILES.fanout)
    const again = await tables.reopen(table, FILES)
    expect((await times(again)).sort((a, b) => a - b)).toEqual(visible)
    await again.compact()
    expect((await times(again)).sort((a, b) => a - b)).toEqual(visible)
    expect(before.files.length).toBeGreaterThan(2)
  })

  test('is seen by a reader with its next refresh, in which the files are gone', async () => {
    const table = await filled()
    const reader = (await tables.open(table.location, { readOnly: true })) as unknown as FingerprintTable
    const { length } = await times(reader)
    await table.delWhere({ time: { lt: RECORDS } }, { sync: true })
    await untilFiles(table, 0)
    expect(await times(reader)).toHaveLength(length)
    await reader.refresh()
    expect(await times(reader)).toEqual([])
    await reader.close()
  })

  test('goes with a checkpoint, into a repair, and into a bulk of merges', async () => {
    const table = await filled()
    await table.delWhere({ time: { gte: 300, lt: 4000 }, flags: { gt: 2 } })
    await table.delWhere({ id: { lte: -9000 }, flags: 1 })
    const expected = Array.from({ length: RECORDS }, (_, n) => n).filter(
      n => !(n >= 300 && n < 4000 && n % 7 > 2) && !(n >= 9000 && n % 7 === 1),
    )
    const sorted = async (other: FingerprintTable) => (await times(other)).sort((a, b) => a - b)
    const copy = tables.path()
    await table.checkpoint(copy)
    const opened = (await tables.open(copy, FILES)) as unknown as FingerprintTable
    expect(await sorted(opened)).toEqual(expected)
    expect((await verifyTable(copy)).problems).toEqual([])
    await table.close()
    const saved = tables.path()
    await repairTable(table.location, saved)
    const repaired = (await tables.open(saved, FILES)) as unknown as FingerprintTable
    expect(await sorted(repaired)).toEqual(expected)
    const again = await tables.reopen(table, { ...FILES, fanout: 3 })
    await settled(again, 3)
    expect(await sorted(again)).toEqual(expected)
    await again.compact()
    expect(await again.stats()).toMatchObject({ records: expected.length, recordsAreExact: true })
  })

  test('that matches nothing takes no sequence number', async () => {
    const table = await tables.fingerprints()
    const { sequence } = await table.stats()
    await table.delWhere({ time: { lt: 0 } })
    await table.delWhere({ time: { gt: 65_535 } }, { sync: true })
    await table.delWhere({ id: { gt: 5, lt: 6 } })
    expect((await table.stats()).sequence.next).toBe(sequence.next)
  })

  test('often repeated leaves a small table', async () => {
    const table = await tables.fingerprints(FILES)
    for (let n = 0; n < RECORDS; n += 250) {
      await table.putColumns(fingerprintColumns(n, n + 250, spreadKey))
      await table.delWhere({ time: { lt: Math.max(0, n - 2000) } })
      await settled(table, FILES.fanout)
    }
    const { files, records } = await table.stats()
    expect(files.length).toBeLessThan(6)
    expect(records).toBeLessThan(6000)
    expect((await times(table)).sort((a, b) => a - b)[0]).toBe(RECORDS - 2250)
  })
})

describe('a wrong comparison is refused:', () => {
  const field = (name: string) => `field '${name}': `
  test.each<[object, string, string | RegExp]>([
    [
      { time: {} },
      'TypeError',
      `${field('time')}expected a value, or one or two of lt, lte, gt, gte, found none`,
    ],
    [{ time: { lt: 1, lte: 1 } }, 'TypeError', `${field('time')}expected one of lt and lte, found both`],
    [
      { time: { gt: 1, gte: undefined } },
      'TypeError',
      `${field('time')}expected one of gt and gte, found both`,
    ],
    [{ time: { eq: 1 } }, 'TypeError', /found another one, 'eq'/],
    [{ time: { lt: 1, ne: 1 } }, 'TypeError', /found another one, 'ne'/],
    [
      { time: { lt: undefined } },
      'TypeError',
      /expected an integer from 0 to 65535 \(u16\), found undefined/,
    ],
    [{ time: { lt: '1' } }, 'TypeError', /expected an integer/],
    [{ time: { lt: 65_536 } }, 'RangeError', /expected an integer from 0 to 65535/],
    [{ time: { gte: -1 } }, 'RangeError', /expected an integer from 0 to 65535/],
    [{ time: { lt: { lt: 1 } } }, 'TypeError', /expected an integer/],
    [{ time: [1] }, 'TypeError', /expected an integer/],
    [{ time: new Map() }, 'TypeError', /found none/],
    [{ x: { lt: NaN } }, 'RangeError', /expected a number to compare with: NaN is neither less nor greater/],
    [{ json: { lt: 1, gt: 5 } }, 'RangeError', /bytes/],
    [{ time: 1, lt: 5 }, 'TypeError', /found another one, 'lt'/],
  ])('%j', async (where, name, message) => {
    const table = await tables.open(tables.path(), {
      keyEncoding: 'u8',
      valueEncoding: struct({ time: 'u16', x: 'f64', json: fixed('json', 8) }),
    })
    const code = 'FLASHTABLE_INVALID_VALUE'
    const error = await table.delWhere(where as never).then(
      () => undefined,
      (reason: Error) => reason,
    )
    expect(error).toMatchObject({ name, code })
    expect(error!.message).toMatch(message)
  })

  test('but an object is a value of a JSON field', async () => {
    const table = await tables.open(tables.path(), { keyEncoding: 'u8', valueEncoding: fixed('json', 8) })
    await table.put(1, { lt: 1 + 1 })
    await table.put(2, { gt: 1 + 1 })
    await table.delWhere({ value: { lt: 2 } })
    expect(await collect(table.keys())).toEqual([2])
  })

  test('each property is read once', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, { time: 5, flags: 0, id: 0 })
    let reads = 0
    const comparison = {
      get lt() {
        return reads++ === 0 ? 6 : 0
      },
    }
    await table.delWhere({ time: comparison })
    expect([reads, await table.has(1n)]).toEqual([1, false])
  })
})
