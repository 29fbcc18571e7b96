/** `flashtable/arrow`: record batches of a table, and a table of record batches. */
import * as arrow from 'apache-arrow'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { arrowBatches, arrowSchema, importArrow } from '../../src/arrow.js'
import { bytes, fixed, FlashTable, struct } from '../../src/index.js'
import { ALL_TYPES, bitsOf, makeAllTypes } from '../support/all-types.js'

let directory: string
let names = 0
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flashtable-arrow-'))
})
afterAll(() => rm(directory, { recursive: true }))
const freshPath = (): string => join(directory, String(names++))

async function batchesOf(
  table: FlashTable,
  options?: Parameters<typeof arrowBatches>[1],
): Promise<arrow.RecordBatch[]> {
  const batches: arrow.RecordBatch[] = []
  for await (const batch of arrowBatches(table, options)) batches.push(batch)
  return batches
}

/** A batch of columns of any Arrow type. */
function batchOf(columns: Record<string, arrow.Vector>): arrow.RecordBatch {
  return new arrow.Table(columns).batches[0]!
}

const KEY = arrow.makeVector(BigUint64Array.of(5n, 2n ** 64n - 1n))

describe('arrowBatches', () => {
  test('gives every type with its bits, and importArrow takes them', async () => {
    const [path, back] = [freshPath(), freshPath()]
    await makeAllTypes(path)
    const table = await FlashTable.open(path, { ...ALL_TYPES, readOnly: true })
    const schema = await arrowSchema(table as unknown as FlashTable)
    expect(
      schema.fields.map(({ name, type, nullable }) => `${name}: ${type}${nullable ? '?' : ''}`).join(', '),
    ).toBe(
      'key: Uint64, a: Uint8, b: Uint16, c: Uint32, d: Uint64, e: Int8, f: Int16, g: Int32, h: Int64, i: Float32, ' +
        'j: Float64, k: FixedSizeBinary[3]',
    )
    const copy = await importArrow(back, {}, arrowBatches(table))
    expect(copy.keyEncoding).toBe('u64')
    await copy.close()
    await table.close()
    expect(await bitsOf(back)).toEqual(await bitsOf(path))
  })

  test('takes ranges, filters, limits, snapshots, and columns in their order', async () => {
    const valueEncoding = struct({ a: 'u8', b: bytes(2) })
    const table = await FlashTable.open(freshPath(), { keyEncoding: 'u32', valueEncoding })
    for (let key = 0; key < 10; key++) await table.put(key, { a: key * 2, b: Uint8Array.of(key, 255) })
    const snapshot = table.snapshot()
    await table.put(3, { a: 0, b: Uint8Array.of(0, 0) })
    const all = table as unknown as FlashTable
    const some = { gte: 2, lt: 6, where: { a: { gt: 4 } }, columns: ['b', 'key'], snapshot }
    const batches = await batchesOf(all, some)
    expect(batches[0]!.schema.names).toEqual(['b', 'key'])
    const column = (name: string): unknown[] =>
      batches.flatMap(batch => [...batch.getChild(name)!] as unknown[])
    expect(column('key')).toEqual([3, 4, 5])
    expect(column('b')).toEqual([3, 4, 5].map(key => Uint8Array.of(key, 255)))
    expect((await batchesOf(all, { limit: 2, reverse: true }))[0]!.numRows).toBe(2)
    snapshot.close()
    await table.close()
  })

  test('is read by other readers of Arrow: a stream of its batches gives the same rows', async () => {
    const table = await FlashTable.open(freshPath(), { keyEncoding: fixed('hex', 2) })
    await table.put('00ff')
    const stream = arrow.RecordBatchStreamWriter.writeAll(await batchesOf(table as unknown as FlashTable))
    const read = arrow.tableFromIPC(await stream.toUint8Array())
    expect(read.toArray().map(row => [...(row.toJSON()['key'] as Uint8Array)])).toEqual([[0, 255]])
    await table.close()
  })

  test.each([[['nothing']], [['key', 'key']], [[]]])('refuses the columns %j', async columns => {
    const table = await FlashTable.open(freshPath(), { keyEncoding: 'u8' })
    const refused = { code: 'FLASHTABLE_INVALID_OPTION' }
    await expect(batchesOf(table as unknown as FlashTable, { columns })).rejects.toMatchObject(refused)
    await expect(arrowSchema(table as unknown as FlashTable, columns)).rejects.toMatchObject(refused)
    await table.close()
  })
})

describe('importArrow', () => {
  async function imported(
    batches: Parameters<typeof importArrow>[2],
    map?: Record<string, string>,
  ): Promise<unknown[]> {
    const table = await importArrow(freshPath(), map === undefined ? {} : { map }, batches)
    const entries: unknown[] = []
    for await (const entry of table.entries()) entries.push(entry)
    await table.close()
    return entries
  }

  test('takes a table, a reader, arrays and iterables of batches', async () => {
    const columns = { key: KEY, n: arrow.makeVector(Int16Array.of(-1, 1)) }
    const table = new arrow.Table(columns)
    const expected = [
      [5n, { n: -1 }],
      [2n ** 64n - 1n, { n: 1 }],
    ]
    expect(await imported(table)).toEqual(expected)
    expect(await imported(table.batches)).toEqual(expected)
    const reader = await arrow.RecordBatchReader.from(arrow.tableToIPC(table))
    expect(await imported(reader as never)).toEqual(expected)
  })

  test('takes other types where they fit: times, booleans, dictionaries of integers, nullable columns without nulls', async () => {
    const batch = batchOf({
      hash: arrow.vectorFromArray([5n, 6n], new arrow.Int64()),
      at: arrow.vectorFromArray([1000, 2000], new arrow.TimestampMillisecond()),
      day: arrow.vectorFromArray([new Date(0), new Date(86_400_000)], new arrow.DateDay()),
      ok: arrow.vectorFromArray([true, false], new arrow.Bool()),
      kind: arrow.vectorFromArray([7, 7], new arrow.Dictionary(new arrow.Uint8(), new arrow.Int8())),
    })
    expect(await imported([batch], { key: 'hash' })).toEqual([
      [5n, { at: 1000n, day: 0, ok: 1, kind: 7 }],
      [6n, { at: 2000n, day: 1, ok: 0, kind: 7 }],
    ])
  })

  test.each<[string, Record<string, arrow.Vector>, RegExp]>([
    [
      'a negative key',
      { key: arrow.makeVector(BigInt64Array.of(5n, -1n)) },
      /column 'key', row 1: -1 does not fit/,
    ],
    [
      'a null',
      { key: KEY, n: arrow.vectorFromArray([1, null], new arrow.Int32()) },
      /column 'n', row 1: no value/,
    ],
    [
      'text',
      { key: KEY, n: arrow.vectorFromArray(['a', 'b'], new arrow.Utf8()) },
      /the type of the column "n" is not told/,
    ],
    ['a list', { key: KEY, n: arrow.vectorFromArray([[1], [2]]) }, /of the Arrow type List.*no counterpart/],
    ['no key', { hash: KEY, n: KEY }, /no column is named key/],
  ])('refuses %s, and leaves nothing', async (_, columns, says) => {
    const path = freshPath()
    await expect(importArrow(path, {}, [batchOf(columns)])).rejects.toThrow(says)
    const table = await FlashTable.open(path, { keyEncoding: 'u64' }).catch(() => undefined)
    expect((await table?.stats())?.records ?? 0).toBe(0)
    await table?.close()
  })

  test('tells the row of a wrong value among all batches', async () => {
    const right = batchOf({ key: arrow.makeVector(BigInt64Array.of(1n, 2n, 3n)) })
    const wrong = batchOf({ key: arrow.makeVector(BigInt64Array.of(1n, -2n)) })
    await expect(importArrow(freshPath(), {}, [right, wrong])).rejects.toThrow(/row 4: -2/)
  })

  test('refuses a source without batches, and options that no table has', async () => {
    await expect(importArrow(freshPath(), {}, [])).rejects.toMatchObject({
      code: 'FLASHTABLE_INVALID_OPTION',
    })
    const wrong = importArrow(freshPath(), { nothing: 1 } as never, [batchOf({ key: KEY })])
    await expect(wrong).rejects.toMatchObject({ code: 'FLASHTABLE_INVALID_OPTION' })
  })

  test('closes the source, also where it was not read to its end', async () => {
    let closed = 0
    async function* batches(...columns: Record<string, arrow.Vector>[]) {
      try {
        for (const each of columns) yield batchOf(each)
      } finally {
        closed++
      }
    }
    const wrong = { key: arrow.makeVector(BigInt64Array.of(-1n)) }
    await expect(importArrow(freshPath(), {}, batches({ hash: KEY, n: KEY }, { key: KEY }))).rejects.toThrow()
    await expect(importArrow(freshPath(), {}, batches(wrong, wrong, wrong))).rejects.toThrow()
    expect(closed).toBe(2)
    await (await importArrow(freshPath(), {}, batches({ key: KEY }))).close()
    expect(closed).toBe(3)
  })

  test('rejects with what the source throws', async () => {
    async function* broken() {
      yield batchOf({ key: KEY })
      throw new Error('the stream broke')
    }
    await expect(importArrow(freshPath(), {}, broken())).rejects.toThrow('the stream broke')
  })
})
