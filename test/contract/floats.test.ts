/** Floats that compare with nothing, or with more than their bits: what can be read can be deleted. */
import { describe, expect, test } from 'vitest'
import { FlashTable, struct } from '../../src/index.js'
import { readTable } from '../support/independent-reader.js'
import { collect, SMALL, testTables } from '../support/tables.js'

const tables = testTables()

const SCORES = {
  keyEncoding: 'u32',
  valueEncoding: struct({ score: 'f64', weight: 'f32', id: 'u32' }),
} as const
type Scores = FlashTable<'u32', typeof SCORES.valueEncoding>

/** Bits of f64: NaN of both signs, quiet and signalling, with payloads; zeros; and neighbours that are neither. */
const NAN_64 = [
  0x7ff8n << 48n,
  0xfff8n << 48n,
  (0x7ff0n << 48n) | 1n,
  (0xfff0n << 48n) | 0xffffn,
  (1n << 63n) - 1n,
  (1n << 64n) - 1n,
]
const ZERO_64 = [0n, 1n << 63n]
const OTHER_64 = [1n, (1n << 63n) | 1n, 0x7ff0n << 48n, 0xfff0n << 48n, 0x3ff0n << 48n]
const NAN_32 = [0x7fc00000, 0xffc00000, 0x7f800001, 0xff80ffff, 0x7fffffff, 0xffffffff]
const ZERO_32 = [0, 0x80000000]
const OTHER_32 = [1, 0x80000001, 0x7f800000, 0xff800000, 0x3f800000]

const ALL_64 = [...NAN_64, ...ZERO_64, ...OTHER_64]
const ALL_32 = [...NAN_32, ...ZERO_32, ...OTHER_32]

/** Each f64 with each f32, a key for each; `id` is the key too. */
function columns() {
  const count = ALL_64.length * ALL_32.length
  const key = Uint32Array.from({ length: count }, (_, i) => i)
  return {
    key,
    score: new Float64Array(BigUint64Array.from(key, i => ALL_64[i % ALL_64.length]!).buffer),
    weight: new Float32Array(Uint32Array.from(key, i => ALL_32[Math.floor(i / ALL_64.length)]!).buffer),
    id: key.slice(),
  }
}

const TOTAL = ALL_64.length * ALL_32.length

async function filled(): Promise<Scores> {
  const table = await tables.open(tables.path(), { ...SCORES, ...SMALL })
  await table.putColumns(columns())
  return table
}

const count = async (table: Pick<Scores, 'keys'>): Promise<number> => (await collect(table.keys())).length

/** Fills memtables until what was put before lies in files, several of which have been merged. */
async function pushOut(table: Scores): Promise<Scores> {
  for (let round = 0; round < 8; round++) {
    const key = Uint32Array.from({ length: 200 }, (_, i) => 1_000_000 + round * 200 + i)
    await table.putColumns({
      key,
      score: new Float64Array(200).fill(5),
      weight: new Float32Array(200),
      id: key,
    })
  }
  return table
}

const reopen = async (table: Scores): Promise<Scores> => {
  await table.close()
  return tables.open(table.location, { ...SCORES, ...SMALL })
}

const INTERLUDES: [string, (table: Scores) => Promise<Scores>][] = [
  ['in memory', async table => table],
  ['in files', pushOut],
  ['compacted', async table => (await table.compact(), table)],
  ['opened again', reopen],
]

const PAIRS = INTERLUDES.flatMap(([before, first]) =>
  INTERLUDES.map(([after, second]) => ({ before, after, first, second })),
)

describe.each(PAIRS)('floats $before when they are deleted, and $after then', ({ first, second }) => {
  test('that were read delete the record that they were read from', async () => {
    let table = await first(await filled())
    const read = await collect(table.entries({ lt: TOTAL }))
    expect(read).toHaveLength(TOTAL)
    for (const [key, value] of read) await table.delRecord(key, value)
    table = await second(table)
    expect(await collect(table.keys({ lt: TOTAL }))).toEqual([])
    expect(await table.getMany(read.map(([key]) => key))).toEqual(read.map(() => undefined))
  })

  test('are found by delWhere: all NaN as one value, 0 and -0 as one value', async () => {
    let table = await first(await filled())
    const isLeft = (score: bigint, weight: number): boolean =>
      !NAN_64.includes(score) &&
      !ZERO_32.includes(weight) &&
      !(ZERO_64.includes(score) && NAN_32.includes(weight))
    await table.delWhere({ score: NaN })
    await table.delWhere({ weight: -0 })
    await table.delWhere({ weight: NaN, score: -0 })
    table = await second(table)
    const expected = [...columns().key].filter(i =>
      isLeft(ALL_64[i % ALL_64.length]!, ALL_32[Math.floor(i / ALL_64.length)]!),
    )
    expect(await collect(table.keys({ lt: TOTAL }))).toEqual(expected)
    expect(
      (await table.getMany([...columns().key])).flatMap((value, i) => (value === undefined ? [] : [i])),
    ).toEqual(expected)
    await table.close()
    const independent = readTable(table.location).map(({ key }) => key as number)
    expect(independent.filter(key => key < TOTAL)).toEqual(expected)
  })
})

test('floats keep every bit in columns, through merges, reopening, copies and a bulk load', async () => {
  const bits = ({
    score,
    weight,
  }: {
    score: Float64Array<ArrayBuffer>
    weight: Float32Array<ArrayBuffer>
  }) => [[...new BigUint64Array(score.buffer)], [...new Uint32Array(weight.buffer)]]
  const expected = bits(columns())
  let table = await filled()
  const check = async (table: Scores) => {
    const parts: ReturnType<typeof bits>[] = []
    for await (const part of table.scanColumns({ lt: TOTAL })) parts.push(bits(part))
    expect([0, 1].map(i => parts.flatMap(part => part[i] as unknown[]))).toEqual(expected)
  }
  await check(table)
  for (const [, interlude] of INTERLUDES) await check((table = await interlude(table)))
  const copy = tables.path()
  await table.checkpoint(copy)
  await check(await tables.open(copy, { ...SCORES, ...SMALL }))
  const loaded = await FlashTable.bulkLoad(tables.path(), { ...SCORES, ...SMALL }, [columns()])
  await check(loaded)
  await loaded.delWhere({ score: NaN })
  expect(await count(loaded)).toBe(TOTAL - NAN_64.length * ALL_32.length)
  await loaded.close()
})

test('a snapshot and a reader see what a delete of floats has hidden, or has not yet', async () => {
  const table = await filled()
  const snapshot = table.snapshot()
  await table.delWhere({ score: 0 })
  await table.delRecord(0, { score: NaN, weight: NaN, id: 0 })
  const left = TOTAL - ZERO_64.length * ALL_32.length - 1
  expect(await count(table)).toBe(left)
  expect(await collect(table.keys({ snapshot }))).toHaveLength(TOTAL)
  const reader = await FlashTable.open(table.location, { ...SCORES, readOnly: true })
  expect(await count(reader)).toBe(left)
  await reader.close()
})

test('with replace, a delete of NaN hides the newest record, and what it replaced stays replaced', async () => {
  const table = await tables.open(tables.path(), {
    keyEncoding: 'u8',
    valueEncoding: 'f64',
    duplicates: 'replace',
    ...SMALL,
  })
  const nan = new Float64Array(BigUint64Array.of(NAN_64[3]!).buffer)
  await table.put(1, 5)
  await table.compact()
  await table.putColumns({ key: Uint8Array.of(1), value: nan })
  await table.put(2, -0)
  await table.delRecord(1, NaN)
  await table.delWhere({ value: 0 })
  expect(await collect(table.entries())).toEqual([])
  await table.compact()
  expect(await collect(table.entries())).toEqual([])
})
