/** Every type of key and of value: what is put comes back as it was, in the order of the keys, from memory and files. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytes, fixed, FlashTable, struct, type KeyEncoding, type ValueEncoding } from '../../src/index.js'
import { FIELD_CASES } from '../support/field-types.js'
import { Random } from '../support/random.js'
import { collect, SMALL, testTables } from '../support/tables.js'

const tables = testTables()
const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Date.now() % 1_000_000)

/** A table of types that the test does not know. */
type AnyTable = FlashTable<KeyEncoding, ValueEncoding>

interface KeyCase {
  readonly name: string
  readonly keyEncoding: KeyEncoding
  /** Distinct keys in ascending order, the least and the greatest among them. */
  readonly keys: readonly (number | bigint | Uint8Array)[]
  readonly Column: new (length: number) => { [index: number]: unknown; readonly length: number }
}

function integerKeys(bits: number, random: Random): number[] {
  const max = 2 ** bits - 1
  const near = [0, 1, 2, max - 1, max, 2 ** (bits - 1), 2 ** (bits - 1) - 1]
  const drawn = Array.from({ length: 200 }, () => random.below(2 ** bits))
  return [...new Set([...near, ...drawn])].sort((a, b) => a - b)
}

function byteKeys(length: number, random: Random): Uint8Array[] {
  const drawn = Array.from({ length: 120 }, () => random.bytes(length))
  // Keys that differ in one byte only, in each of its places.
  const near = Array.from({ length }, (_, i) =>
    new Uint8Array(length).fill(7).map((byte, j) => (i === j ? 200 : byte)),
  )
  const all = [...drawn, ...near, new Uint8Array(length), new Uint8Array(length).fill(255)]
  const distinct = new Map(all.map(key => [Buffer.from(key).toString('hex'), key]))
  return [...distinct].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, key]) => key)
}

function keyCases(): KeyCase[] {
  const random = new Random(SEED)
  const longs = Array.from({ length: 200 }, () => random.bytes(8)).map(key =>
    Buffer.from(key).readBigUInt64BE(),
  )
  const u64 = [0n, 1n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n, ...longs]
  return [
    { name: 'u8', keyEncoding: 'u8', keys: integerKeys(8, random), Column: Uint8Array },
    { name: 'u16', keyEncoding: 'u16', keys: integerKeys(16, random), Column: Uint16Array },
    { name: 'u32', keyEncoding: 'u32', keys: integerKeys(32, random), Column: Uint32Array },
    {
      name: 'u64',
      keyEncoding: 'u64',
      keys: [...new Set(u64)].sort((a, b) => (a < b ? -1 : 1)),
      Column: BigUint64Array,
    },
    ...Array.from({ length: 32 }, (_, i) => ({
      name: `bytes(${i + 1})`,
      keyEncoding: bytes(i + 1),
      keys: byteKeys(i + 1, random),
      Column: Uint8Array,
    })),
  ]
}

/** The states in which the records are looked at. */
async function* states(table: AnyTable): AsyncGenerator<AnyTable> {
  yield table
  await table.close()
  const again = (await tables.open(table.location, SMALL)) as AnyTable
  yield again
  await again.compact()
  yield again
}

/** An order that is none, and the same in each run. */
function shuffled<T>(items: readonly T[], random: Random): T[] {
  const order = items.map(item => ({ item, place: random.next() }))
  return order.sort((a, b) => a.place - b.place).map(({ item }) => item)
}

describe(`a key (seed ${SEED})`, () => {
  test.each(keyCases())(
    'of type $name orders as an unsigned big-endian number',
    async ({ keyEncoding, keys }) => {
      const random = new Random(SEED)
      const table: AnyTable = await tables.open(tables.path(), {
        ...SMALL,
        bufferBytes: 1024,
        keyEncoding,
        valueEncoding: 'u32',
      })
      for (const key of shuffled(keys, random)) void table.put(key, keys.indexOf(key))
      await table.sync()
      for await (const state of states(table)) {
        expect(await collect(state.entries())).toEqual(keys.map((key, i) => [key, i]))
        expect(await collect(state.keys({ reverse: true }))).toEqual(keys.toReversed())
        for (const [i, key] of keys.entries()) expect(state.getSync(key)).toBe(i)
        const [low, high] = [keys[Math.floor(keys.length / 4)], keys[Math.floor(keys.length / 2)]]
        expect(await collect(state.values({ gt: low, lte: high }))).toEqual(
          keys.map((_, i) => i).slice(Math.floor(keys.length / 4) + 1, Math.floor(keys.length / 2) + 1),
        )
      }
    },
  )

  test.each(keyCases())(
    'of type $name comes in columns and goes in columns',
    async ({ keyEncoding, keys, Column }) => {
      const table: AnyTable = await tables.open(tables.path(), { ...SMALL, bufferBytes: 8192, keyEncoding })
      const width = keys[0] instanceof Uint8Array ? keys[0].length : 1
      const column = new Column(keys.length * width)
      for (const [i, key] of keys.toReversed().entries()) {
        if (key instanceof Uint8Array) (column as Uint8Array).set(key, i * width)
        else column[i] = key
      }
      await table.putColumns({ key: column as never })
      await table.compact()
      expect(await collect(table.keys())).toEqual(keys)
      expect((await table.getColumns(column as never))['query']).toEqual(Uint32Array.from(keys, (_, i) => i))
      const scanned = await collect(table.scanColumns({ reverse: true }))
      expect(scanned[0]!.key.constructor).toBe(Column)
      expect(scanned.flatMap(({ key }) => [...(key as Uint8Array)])).toEqual([...(column as Uint8Array)])
    },
  )

  test('of fixed(encoding, n) is one of its encoding outside, bytes inside', async () => {
    const table = await tables.open(tables.path(), {
      ...SMALL,
      keyEncoding: fixed('hex', 4),
      valueEncoding: 'u8',
    })
    await table.put('00ff00ff', 1)
    await table.put('00000001', 2)
    await expect(table.put('00ff', 3)).rejects.toMatchObject({
      name: 'RangeError',
      code: 'FLASHTABLE_INVALID_KEY',
    })
    expect(await collect(table.entries())).toEqual([
      ['00000001', 2],
      ['00ff00ff', 1],
    ])
    expect(await table.get('00ff00ff')).toBe(1)
  })
})

describe(`a value (seed ${SEED})`, () => {
  test.each(FIELD_CASES.map(field => [field.name, field] as const))(
    'of type %s comes back as it was put, to the bit',
    async (_, { encoding, extremes, values }) => {
      const all = [...extremes, ...fc.sample(values, { seed: SEED, numRuns: 100 })]
      const table: AnyTable = await tables.open(tables.path(), {
        ...SMALL,
        bufferBytes: 1024,
        keyEncoding: 'u16',
        valueEncoding: encoding,
      })
      for (const [i, value] of all.entries()) void table.put(i, value)
      await table.sync()
      for await (const state of states(table)) {
        expect(await collect(state.values())).toEqual(all)
        for (const [i, value] of all.entries()) expect(state.getAllSync(i)).toEqual([value])
      }
    },
  )

  test.each(FIELD_CASES.map(field => [field.name, field] as const))(
    'of type %s is found by delRecord and delWhere',
    async (_, { encoding, extremes, values }) => {
      const drawn = fc.sample(values, { seed: SEED, numRuns: 5 })
      const all = [...extremes, ...drawn]
      const table: AnyTable = await tables.open(tables.path(), {
        ...SMALL,
        keyEncoding: 'u16',
        valueEncoding: struct({ a: encoding, b: 'u8' }),
      })
      for (const [i, a] of all.entries()) await table.put(i, { a, b: 0 })
      await table.compact()
      for (const [i, a] of all.entries()) {
        if (i % 2 === 0) await table.delRecord(i, { a, b: 0 })
        else await table.delWhere({ a })
        expect(await table.has(i)).toBe(false)
      }
      expect(await collect(table.keys())).toEqual([])
    },
  )

  test('of 64 fields, and a record of 1 KiB, come back', async () => {
    const names = Array.from({ length: 64 }, (_, i) => `field${i}`)
    const many: AnyTable = await tables.open(tables.path(), {
      ...SMALL,
      keyEncoding: 'u8',
      valueEncoding: struct(
        Object.fromEntries(names.map((name, i) => [name, i % 2 === 0 ? 'u8' : 'f64'] as const)),
      ),
    })
    const record = (n: number) =>
      Object.fromEntries(names.map((name, i) => [name, i % 2 === 0 ? i : n / (i + 1)]))
    for (let n = 0; n < 100; n++) await many.put(n, record(n))
    await many.compact()
    expect(await collect(many.values())).toEqual(Array.from({ length: 100 }, (_, n) => record(n)))

    const wide = await tables.open(tables.path(), {
      ...SMALL,
      keyEncoding: bytes(32),
      valueEncoding: bytes(992),
    })
    const random = new Random(SEED)
    const pairs = Array.from({ length: 50 }, () => [random.bytes(32), random.bytes(992)] as const)
    for (const [key, value] of pairs) await wide.put(key, value)
    await wide.compact()
    for (const [key, value] of pairs) expect(wide.getSync(key)).toEqual(value)
    expect((await wide.stats()).files[0]!.records).toBe(50)
  })
})

describe('a set', () => {
  test('holds keys alone, each as often as it was put', async () => {
    const set = await tables.open(tables.path(), { ...SMALL, keyEncoding: 'u32' })
    for (let i = 0; i < 6000; i++) void set.put((i * 7919) % 2000)
    await set.sync()
    for await (const state of states(set as unknown as AnyTable)) {
      expect(await state.has(5)).toBe(true)
      expect(await state.has(2000)).toBe(false)
      expect(await state.count(5)).toBe(3)
      expect(await state.get(5)).toBeUndefined()
      expect(await state.getAll(5)).toEqual([undefined, undefined, undefined])
      expect(await state.getColumns([5, 2000, 6])).toEqual({ query: Uint32Array.of(0, 0, 0, 2, 2, 2) })
      expect(await collect(state.keys())).toEqual(Array.from({ length: 2000 }, (_, i) => i))
      expect((await collect(state.entries({ lt: 2 }))).map(([key]) => key)).toEqual([0, 0, 0, 1, 1, 1])
    }
  })

  test('forgets keys by del and by delRecord alike, and refuses values', async () => {
    const set = await tables.open(tables.path(), { ...SMALL, keyEncoding: 'u32' })
    await set.putColumns({ key: Uint32Array.of(1, 2, 3, 1, 2, 3) })
    await set.del(1)
    await set.delRecord(2)
    await set.batch([
      { type: 'put', key: 1 },
      { type: 'delRecord', key: 3 },
    ])
    expect(await collect(set.keys())).toEqual([1])
    await set.compact()
    expect(await set.count(1)).toBe(1)
    await expect(set.put(5, 7 as never)).rejects.toMatchObject({
      name: 'TypeError',
      code: 'FLASHTABLE_INVALID_VALUE',
    })
  })
})
