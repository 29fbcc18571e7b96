/** Calls as other stores have them are refused, and the error says what to call here. */
import { describe, expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { collect, fingerprint, type FingerprintTable, SMALL, testTables } from '../support/tables.js'
import { expectRefused, filledTable } from './method-arguments.js'

const tables = testTables()

describe('idioms of other stores', () => {
  const wrong: [string, (table: FingerprintTable) => Promise<unknown>, string][] = [
    [
      'clear with a limit',
      t => t.clear({ gte: 8n, limit: 1 } as never),
      'clear({ gte, lt, sync }) forgets all keys',
    ],
    [
      'clear backwards',
      t => t.clear({ reverse: true } as never),
      'clear({ gte, lt, sync }) forgets all keys',
    ],
    ['del of a key and a value', t => t.del(1n, fingerprint(1) as never), 'delRecord(key, value)'],
    ['del of a key and a number', t => t.del(1n, 5 as never), 'delRecord(key, value)'],
    ['a put with fsync', t => t.put(1n, fingerprint(1), { fsync: true } as never), "'fsync'"],
    ['a put with true', t => t.put(1n, fingerprint(1), true as never), 'found true'],
    ['a get of a snapshot', t => t.get(1n, t.snapshot() as never), 'snapshot'],
    ['a get with a callback', t => t.get(1n, (() => {}) as never), 'returns a promise'],
    ['a get with a limit', t => t.get(1n, { limit: 1, reverse: true } as never), "'limit'"],
    ['a get with an encoding', t => t.get(1n, { valueEncoding: 'json' } as never), "'valueEncoding'"],
    ['a snapshot that is null', t => t.get(1n, { snapshot: null } as never), "'snapshot'"],
    ['a batch of nothing', t => t.batch(null as never), 'an iterable of operations'],
    ['a chained batch', t => t.batch(undefined as never), 'no chained one'],
    [
      'an operation that deletes a key and gives a value',
      t => t.batch([{ type: 'del', key: 1n, value: fingerprint(1) } as never]),
      "'delRecord'",
    ],
    [
      'an operation with options',
      t => t.batch([{ type: 'put', key: 1n, value: fingerprint(1), sync: true } as never]),
      "'sync'",
    ],
    [
      'an operation with an encoding',
      t => t.batch([{ type: 'del', key: 1n, keyEncoding: 'u64' } as never]),
      "'keyEncoding'",
    ],
    ['an operation with a misspelt type', t => t.batch([{ typ: 'del', key: 1n } as never]), "'typ'"],
    ['an async iterable of operations', t => t.batch(operations() as never), 'an iterable of operations'],
    ['keys that are all holes', t => t.getMany(Array(2 ** 32 - 1)), 'without holes'],
    ['a compact of null', t => t.compact(null as never), 'found null'],
    ['a checkpoint to nowhere', t => t.checkpoint(undefined as never), 'path of a directory'],
    ['a range with start and end', t => collect(t.keys({ start: 1n, end: 2n } as never)), 'gte: key'],
    ['a range that is a key', t => collect(t.entries(5n as never)), 'gte: key'],
    ['a close with a callback', t => t.close((() => {}) as never), 'a function'],
    ['a delete by inherited fields that are none', t => t.delWhere(Object.create({ x: 1 }) as never), "'x'"],
  ]

  async function* operations() {
    yield { type: 'del', key: 1n }
  }

  test.each(wrong)('%s is refused, and nothing has happened', async (_, attempt, text) => {
    const table = await filledTable(tables)
    const before = await collect(table.entries())
    await expect(attempt(table)).rejects.toMatchObject({
      code: expect.stringMatching(/^FLASHTABLE_INVALID_/) as string,
      message: expect.stringContaining(text) as string,
    })
    expect(await collect(table.entries())).toEqual(before)
  })

  test('an object of types where a struct is meant says so', async () => {
    const open = FlashTable.open(tables.path(), { keyEncoding: 'u64', valueEncoding: { a: 'u32' } } as never)
    await expect(open).rejects.toMatchObject({
      code: 'FLASHTABLE_INVALID_OPTION',
      message: expect.stringContaining('struct({ ... })') as string,
    })
  })

  test('a value for a set is refused', async () => {
    const set = await tables.open(tables.path(), { keyEncoding: 'u8', ...SMALL })
    const call = set as unknown as FlashTable<'u8', 'u8'>
    await expectRefused(call.put(1, 5), 'put')
    await expectRefused(call.put(1, { sync: true } as never), 'put with options in the place of a value')
    await expectRefused(call.batch([{ type: 'put', key: 1, value: 5 }]), 'batch')
    expect(await set.has(1)).toBe(false)
  })

  test('a delete by fields counts inherited ones too', async () => {
    const table = await filledTable(tables)
    class Where {
      readonly time = fingerprint(1).time
      get id(): number {
        return 1_000_000
      }
    }
    await table.delWhere(new Where())
    await table.delWhere(Object.assign(Object.create({ id: 1_000_000 }) as object, { flags: 0 }))
    expect(await collect(table.entries())).toHaveLength(5)
  })
})
