/** `put`, `batch`, `putColumns`: visible when resolved, in the order of the calls, each call whole or not at all. */
import { describe, expect, test } from 'vitest'
import { type BatchOperation } from '../../src/index.js'
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
import { until } from '../support/until.js'

const tables = testTables()

/** Puts of fingerprints `from` to `to`, all of one key. */
function putsOf(key: bigint, from: number, to: number): BatchOperation<bigint, Fingerprint>[] {
  return Array.from({ length: to - from }, (_, i) => ({ type: 'put', key, value: fingerprint(from + i) }))
}

describe('a put', () => {
  test('is visible to every kind of read when it has resolved', async () => {
    const table = await tables.fingerprints()
    await table.put(7n, fingerprint(1))
    expect(table.getSync(7n)).toEqual(fingerprint(1))
    expect(table.getAllSync(7n)).toEqual([fingerprint(1)])
    expect(await table.get(7n)).toEqual(fingerprint(1))
    expect(await table.count(7n)).toBe(1)
    expect(await collect(table.entries())).toEqual([[7n, fingerprint(1)]])
  })

  test('in a loop that awaits each one lets the event loop turn now and then', async () => {
    const table = await tables.fingerprints()
    // The first put opens a log segment, which takes turns of its own.
    for (let i = 0; i < 5; i++) await table.put(7n, fingerprint(i))
    for (let turn = 0; turn < 3; turn++) {
      const loop = { turned: false }
      setImmediate(() => (loop.turned = true))
      let puts = 0
      for (; !loop.turned && puts < 100; puts++) await table.put(7n, fingerprint(puts))
      expect(puts).toBeLessThan(40)
    }
  })

  test('adds a record to those of its key, also one that is there already', async () => {
    const table = await tables.fingerprints()
    await table.put(7n, fingerprint(1))
    await table.put(7n, fingerprint(2))
    await table.put(7n, fingerprint(1))
    expect(await table.getAll(7n)).toEqual([fingerprint(1), fingerprint(2), fingerprint(1)])
  })

  test('takes a safe integer for a u64 key', async () => {
    const table = await tables.fingerprints()
    await table.put(2 ** 53 - 1, fingerprint(1))
    expect(await table.get(2n ** 53n - 1n)).toEqual(fingerprint(1))
    expect(await collect(table.keys())).toEqual([2n ** 53n - 1n])
  })

  test('copies its value: what the caller changes afterwards changes nothing', async () => {
    const table = await tables.fingerprints()
    const value = fingerprint(1)
    const put = table.put(7n, value)
    value.id = 12_345
    await put
    expect(await table.get(7n)).toEqual(fingerprint(1))
  })

  test('with sync resolves when it is on the device, without it before', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, fingerprint(1))
    expect((await table.stats()).sequence).toEqual({ next: 1, synced: 0 })
    await table.put(2n, fingerprint(2), { sync: true })
    expect((await table.stats()).sequence).toEqual({ next: 2, synced: 2 })
    await table.batch(putsOf(3n, 0, 3), { sync: true })
    expect((await table.stats()).sequence).toEqual({ next: 5, synced: 5 })
    await table.putColumns(fingerprintColumns(0, 2, spreadKey), { sync: true })
    expect((await table.stats()).sequence).toEqual({ next: 7, synced: 7 })
    await table.del(1n, { sync: true })
    expect((await table.stats()).sequence).toEqual({ next: 8, synced: 8 })
    await table.delWhere({ id: 1 }, { sync: true })
    expect((await table.stats()).sequence).toEqual({ next: 9, synced: 9 })
    await table.put(1n, fingerprint(1))
    expect((await table.stats()).sequence).toEqual({ next: 10, synced: 9 })
  })
})

describe('calls that are not awaited', () => {
  test('take effect in the order in which they were made, whatever their kind and size', async () => {
    const table = await tables.fingerprints({ ...SMALL, bufferBytes: 65_536 })
    const calls: Promise<void>[] = []
    let next = 0
    for (let round = 0; round < 12; round++) {
      calls.push(table.put(7n, fingerprint(next++)))
      calls.push(table.batch(putsOf(7n, next, (next += 5))))
      // A batch of its own commit group, and one that joins.
      const rows = round % 2 === 0 ? 1500 : 10
      calls.push(table.putColumns(fingerprintColumns(next, (next += rows), () => 7n)))
      calls.push(table.put(7n, fingerprint(next++), { sync: round % 3 === 0 }))
    }
    await Promise.all(calls)
    expect(await table.getAll(7n)).toEqual(Array.from({ length: next }, (_, i) => fingerprint(i)))
    expect((await table.stats()).files.length).toBeGreaterThan(0)
    const again = await tables.reopen(table)
    expect(await again.getAll(7n)).toEqual(Array.from({ length: next }, (_, i) => fingerprint(i)))
  })

  test('share one write to the log', async () => {
    const table = await tables.fingerprints({ ...SMALL, bufferBytes: 65_536 })
    await Promise.all(Array.from({ length: 1000 }, (_, i) => table.put(spreadKey(i), fingerprint(i))))
    // A write for each of them would have been a page at least, or a header of 32 bytes.
    expect((await table.stats()).bytesWritten.wal).toBeLessThan(1000 * 16 + 4096)
  })
})

describe('a batch', () => {
  test('takes puts and deletes from any iterable, in their order', async () => {
    const table = await tables.fingerprints()
    await table.batch(putsOf(1n, 0, 3))
    function* operations(): Generator<BatchOperation<bigint, Fingerprint>> {
      yield { type: 'put', key: 2n, value: fingerprint(10) }
      yield { type: 'del', key: 1n }
      yield { type: 'put', key: 1n, value: fingerprint(11) }
      yield { type: 'put', key: 2n, value: fingerprint(12) }
      yield { type: 'delRecord', key: 2n, value: fingerprint(10) }
      yield { type: 'put', key: 2n, value: fingerprint(10) }
    }
    await table.batch(operations())
    expect(await table.getAll(1n)).toEqual([fingerprint(11)])
    expect(await table.getAll(2n)).toEqual([fingerprint(12), fingerprint(10)])
  })

  test('becomes visible at once', async () => {
    const table = await tables.fingerprints()
    const writer = { ended: false }
    const seen = new Set<number>()
    const write = async (): Promise<void> => {
      for (let i = 0; i < 150; i++) {
        await (i % 2 === 0
          ? table.batch(putsOf(7n, i * 10, i * 10 + 10))
          : table.putColumns(fingerprintColumns(i * 10, i * 10 + 10, () => 7n)))
        // However quick the writer is, the readers see this many states at least.
        if (i % 10 === 9) await until('it is seen', () => seen.has(i * 10 + 10))
      }
      writer.ended = true
    }
    const read = async (): Promise<void> => {
      while (!writer.ended) {
        const count = await table.count(7n)
        expect(count % 10).toBe(0)
        expect(table.getAllSync(7n).length % 10).toBe(0)
        seen.add(count)
        await new Promise(resolve => void setImmediate(resolve))
      }
    }
    await Promise.all([write(), read(), read()])
    expect(seen.size).toBeGreaterThan(10)
    expect(await table.count(7n)).toBe(1500)
  })

  test('that fails half-way adds nothing', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, fingerprint(0))
    const wrong = [...putsOf(1n, 1, 50), { type: 'put', key: 1n, value: { time: -1 } }]
    await expect(table.batch(wrong as never)).rejects.toMatchObject({ code: 'FLASHTABLE_INVALID_VALUE' })
    const thrown = new Error('no more')
    function* operations(): Generator<BatchOperation<bigint, Fingerprint>> {
      yield* putsOf(1n, 1, 50)
      throw thrown
    }
    await expect(table.batch(operations())).rejects.toBe(thrown)
    await table.put(1n, fingerprint(99))
    expect(await table.getAll(1n)).toEqual([fingerprint(0), fingerprint(99)])
    const again = await tables.reopen(table)
    expect(await again.getAll(1n)).toEqual([fingerprint(0), fingerprint(99)])
  })

  test('of nothing resolves behind the calls before it', async () => {
    const table = await tables.fingerprints()
    const order: string[] = []
    await Promise.all([
      table.put(1n, fingerprint(1)).then(() => order.push('put')),
      table.batch([]).then(() => order.push('batch')),
      table.putColumns(fingerprintColumns(0, 0, spreadKey), { sync: true }).then(() => order.push('columns')),
    ])
    expect(order[0]).toBe('put')
    expect(order).toHaveLength(3)
    const { sequence } = await table.stats()
    expect(sequence).toEqual({ next: 1, synced: 1 })
  })

  test('may be as large as the memtable, and is never split; more is refused', async () => {
    const table = await tables.fingerprints()
    const capacity = SMALL.bufferBytes / 16
    await table.batch(putsOf(1n, 0, 100))
    await table.batch(putsOf(1n, 100, 100 + capacity))
    await table.putColumns(fingerprintColumns(100 + capacity, 100 + 2 * capacity, () => 1n))
    const before = await table.getAll(1n)
    expect(before).toEqual(Array.from({ length: 100 + 2 * capacity }, (_, i) => fingerprint(i)))
    const refused = {
      name: 'RangeError',
      code: 'FLASHTABLE_INVALID_VALUE',
      message: expect.stringMatching(/bufferBytes.*bulkLoad/) as string,
    }
    await expect(table.batch(putsOf(1n, 0, capacity + 1))).rejects.toMatchObject(refused)
    await expect(table.putColumns(fingerprintColumns(0, capacity + 1, () => 1n))).rejects.toMatchObject(
      refused,
    )
    expect(await table.getAll(1n)).toEqual(before)
    await table.put(1n, fingerprint(0))
    expect(await table.count(1n)).toBe(before.length + 1)
  })
})

describe('columns', () => {
  test('may be parts of larger arrays, and may be reused at once', async () => {
    const table = await tables.fingerprints()
    const columns = fingerprintColumns(0, 100, spreadKey)
    const part = {
      key: columns.key.subarray(20, 60),
      time: columns.time.subarray(20, 60),
      flags: columns.flags.subarray(20, 60),
      id: columns.id.subarray(20, 60),
    }
    const put = table.putColumns(part)
    part.key.fill(0n)
    for (const column of [part.time, part.flags, part.id]) column.fill(0)
    await put
    expect(await table.getMany(Array.from({ length: 100 }, (_, i) => spreadKey(i)))).toEqual(
      Array.from({ length: 100 }, (_, i) => (i >= 20 && i < 60 ? fingerprint(i) : undefined)),
    )
  })

  test('of many rows may be reused at once, whether other calls wait or none', async () => {
    const table = await tables.fingerprints()
    const columns = fingerprintColumns(0, 100, spreadKey)
    const puts: Promise<void>[] = []
    for (let from = 0; from < 900; from += 100) {
      const next = fingerprintColumns(from, from + 100, spreadKey)
      columns.key.set(next.key)
      columns.time.set(next.time)
      columns.flags.set(next.flags)
      columns.id.set(next.id)
      puts.push(table.putColumns(columns))
    }
    columns.key.fill(0n)
    columns.id.fill(0)
    await Promise.all(puts)
    expect(await table.getMany(Array.from({ length: 900 }, (_, i) => spreadKey(i)))).toEqual(
      Array.from({ length: 900 }, (_, i) => fingerprint(i)),
    )
    expect(await table.count(0n)).toBe(spreadKey(0) === 0n ? 1 : 0)
  })

  test('give the same table as puts one by one', async () => {
    const byColumns = await tables.fingerprints()
    const byPuts = await tables.fingerprints()
    for (let from = 0; from < 2000; from += 250) {
      await byColumns.putColumns(fingerprintColumns(from, from + 250, n => spreadKey(n % 600)))
    }
    for (let i = 0; i < 2000; i++) void byPuts.put(spreadKey(i % 600), fingerprint(i))
    await byPuts.sync()
    const expected = await collect(byPuts.entries())
    expect(expected).toHaveLength(2000)
    expect(await collect(byColumns.entries())).toEqual(expected)
  })
})

describe('wrong input', () => {
  const wrong: [string, (table: FingerprintTable) => Promise<unknown>, string, string, string][] = [
    ['a key of a wrong type', t => t.put('7' as never, fingerprint(1)), 'TypeError', 'KEY', 'the key'],
    ['a key below zero', t => t.put(-1n, fingerprint(1)), 'RangeError', 'KEY', '-1n'],
    ['a key beyond its type', t => t.put(2n ** 64n, fingerprint(1)), 'RangeError', 'KEY', 'u64'],
    ['a key that is no safe integer', t => t.put(2 ** 53, fingerprint(1)), 'RangeError', 'KEY', 'safe'],
    ['a key that is no integer', t => t.put(1.5, fingerprint(1)), 'RangeError', 'KEY', '1.5'],
    ['a key that is NaN', t => t.put(NaN, fingerprint(1)), 'RangeError', 'KEY', 'NaN'],
    ['no value', t => t.put(1n, undefined as never), 'TypeError', 'VALUE', 'the value'],
    ['a value of a wrong type', t => t.put(1n, 5 as never), 'TypeError', 'VALUE', 'the value'],
    ['a missing field', t => t.put(1n, { time: 1, flags: 1 } as never), 'TypeError', 'VALUE', "'id'"],
    [
      'a field that the table does not have',
      t => t.put(1n, { ...fingerprint(1), x: 1 } as never),
      'TypeError',
      'VALUE',
      "'x'",
    ],
    [
      'a field beyond its type',
      t => t.put(1n, { ...fingerprint(1), time: 65_536 }),
      'RangeError',
      'VALUE',
      "'time'",
    ],
    [
      'a field below its type',
      t => t.put(1n, { ...fingerprint(1), id: -(2 ** 31) - 1 }),
      'RangeError',
      'VALUE',
      "'id'",
    ],
    [
      'a field that is no integer',
      t => t.put(1n, { ...fingerprint(1), id: 0.5 }),
      'RangeError',
      'VALUE',
      "'id'",
    ],
    [
      'a field that is a bigint',
      t => t.put(1n, { ...fingerprint(1), id: 5n } as never),
      'TypeError',
      'VALUE',
      "'id'",
    ],
    [
      'an option that is no boolean',
      t => t.put(1n, fingerprint(1), { sync: 1 } as never),
      'TypeError',
      'OPTION',
      "'sync'",
    ],
    ['a batch that is no iterable', t => t.batch(5 as never), 'TypeError', '', ''],
    ['an unknown operation', t => t.batch([{ type: 'add' } as never]), 'TypeError', 'VALUE', "'add'"],
    ['an operation that is nothing', t => t.batch([undefined as never]), 'TypeError', '', ''],
    ['a wrong key in a batch', t => t.batch([{ type: 'del', key: -1n }]), 'RangeError', 'KEY', '-1n'],
    ['columns that are none', t => t.putColumns(7 as never), 'TypeError', 'VALUE', 'columns'],
    [
      'columns of different lengths',
      t => t.putColumns({ ...fingerprintColumns(0, 3, spreadKey), id: new Int32Array(2) }),
      'RangeError',
      'VALUE',
      "'id'",
    ],
    [
      'a column of a wrong type',
      t => t.putColumns({ ...fingerprintColumns(0, 3, spreadKey), id: new Uint32Array(3) as never }),
      'TypeError',
      'VALUE',
      "'id'",
    ],
    [
      'a key column of a wrong type',
      t => t.putColumns({ ...fingerprintColumns(0, 3, spreadKey), key: new Uint32Array(3) as never }),
      'TypeError',
      'KEY',
      "'key'",
    ],
    [
      'a missing column',
      t => t.putColumns({ ...fingerprintColumns(0, 3, spreadKey), time: undefined as never }),
      'TypeError',
      'VALUE',
      "'time'",
    ],
    [
      'a column too many',
      t => t.putColumns({ ...fingerprintColumns(0, 3, spreadKey), x: new Uint8Array(3) } as never),
      'TypeError',
      'VALUE',
      "'x'",
    ],
    [
      'an array in place of a column',
      t => t.putColumns({ ...fingerprintColumns(0, 3, spreadKey), time: [1, 2, 3] as never }),
      'TypeError',
      'VALUE',
      "'time'",
    ],
    ['a wrong key to delete', t => t.del('x' as never), 'TypeError', 'KEY', 'the key'],
    ['a wrong record to delete', t => t.delRecord(1n, { time: 1 } as never), 'TypeError', 'VALUE', "'flags'"],
    ['no field to delete by', t => t.delWhere({}), 'TypeError', 'VALUE', 'delWhere'],
    ['an unknown field to delete by', t => t.delWhere({ x: 1 } as never), 'TypeError', 'VALUE', "'x'"],
    [
      'a field to delete by beyond its type',
      t => t.delWhere({ time: 65_536 }),
      'RangeError',
      'VALUE',
      "'time'",
    ],
    ['a wrong key to look up', t => t.get('x' as never), 'TypeError', 'KEY', 'the key'],
    ['wrong keys to look up', t => t.getMany([1n, -1n]), 'RangeError', 'KEY', '1'],
    [
      'keys of a wrong type of array',
      t => t.getColumns(new Uint32Array(2) as never),
      'TypeError',
      'KEY',
      'BigUint64Array',
    ],
    [
      'an unknown option of a range',
      t => collect(t.entries({ from: 1n } as never)),
      'TypeError',
      'OPTION',
      "'from'",
    ],
    ['two lower bounds', t => collect(t.keys({ gt: 1n, gte: 1n })), 'TypeError', 'OPTION', "'gt'"],
    ['a wrong bound', t => collect(t.values({ lt: 'x' as never })), 'TypeError', 'KEY', 'the key'],
    ['a limit below -1', t => collect(t.scanColumns({ limit: -2 })), 'RangeError', 'OPTION', "'limit'"],
    [
      'a limit that is no integer',
      t => collect(t.entries({ limit: 1.5 })),
      'RangeError',
      'OPTION',
      "'limit'",
    ],
    [
      'a direction that is no boolean',
      t => collect(t.entries({ reverse: 1 as never })),
      'TypeError',
      'OPTION',
      "'reverse'",
    ],
    ['a signal that is none', t => t.compact({ signal: {} as never }), 'TypeError', 'OPTION', "'signal'"],
  ]

  test.each(wrong)('- %s - is a clear error, and the table goes on', async (_, call, name, code, text) => {
    const table = await tables.fingerprints()
    await table.put(1n, fingerprint(1))
    // Beside a call that is right: only the wrong one is refused.
    const [beside, refused] = await Promise.allSettled([table.put(2n, fingerprint(2)), call(table)])
    expect(beside.status).toBe('fulfilled')
    expect(refused).toMatchObject({
      status: 'rejected',
      reason: {
        name,
        ...(code === '' ? {} : { code: `FLASHTABLE_INVALID_${code}` }),
        message: expect.stringContaining(text) as string,
      },
    })
    await table.put(3n, fingerprint(3))
    expect(await collect(table.entries())).toEqual([
      [1n, fingerprint(1)],
      [2n, fingerprint(2)],
      [3n, fingerprint(3)],
    ])
  })
})
