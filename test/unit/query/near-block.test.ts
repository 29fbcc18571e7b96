/** Near keys that are found in one visit of a page, beside a walk over all records. */
import { describe, expect, test } from 'vitest'
import { findNear } from '../../../src/query/near.js'
import { OperationBuffer, PUT } from '../../../src/records/operations.js'
import type { TableParts } from '../../../src/table/table-parts.js'
import { Random } from '../../support/random.js'
import { closeParts } from '../table/close.js'
import { newDisk, openParts, sealed } from '../table/parts.js'

const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Math.floor(Math.random() * 1e6))
const VALUES = 'u32'
type Key = number | bigint

interface Put {
  readonly key: bigint
  readonly value: number
}

async function putAll(parts: TableParts, keyType: string, puts: readonly Put[]): Promise<void> {
  const { schema, writer } = parts
  for (const { key, value } of puts) {
    const given: Key = keyType === 'u64' ? key : Number(key)
    await writer!.committer.commitRow(PUT, schema.encodeRecord(given, value), false)
  }
}

/** Keys in clusters a few numbers wide, all over the range, some about multiples of 2^32; both ends are among them. */
function clustered(random: Random, count: number, greatest: bigint): bigint[] {
  const keys = [0n, 1n, greatest, greatest - 1n]
  while (keys.length < count) {
    const anywhere = ((BigInt(random.next()) << 32n) | BigInt(random.next())) % (greatest + 1n)
    const centre = greatest > 2n ** 32n && random.chance(0.2) ? (anywhere >> 32n) << 32n : anywhere
    for (let i = random.below(4); i >= 0; i--) {
      const key = centre + BigInt(random.below(12)) - 6n
      if (key >= 0n && key <= greatest) keys.push(key)
    }
  }
  return keys
}

/** What `findNear` answers, and how many queries went the general way. */
async function answers(parts: TableParts, keys: readonly bigint[], within: number) {
  const { schema, reader, state } = parts
  const { keyLaneCount } = schema.layout
  const lanes = Array.from({ length: keyLaneCount }, () => new Uint32Array(keys.length))
  for (const [i, key] of keys.entries()) {
    lanes.at(-1)![i] = Number(key & 0xffff_ffffn)
    if (keyLaneCount === 2) lanes[0]![i] = Number(key >> 32n)
  }
  const view = state.view()
  const { query, rows } = await findNear(reader, schema.layout, view, lanes, BigInt(within))
  const { general } = await reader.findNearby(view, lanes, within)
  const keyOf = (row: number): bigint =>
    rows.lanes.slice(0, keyLaneCount).reduce((key, lane) => (key << 32n) | BigInt(lane[row]!), 0n)
  const found = Array.from({ length: rows.count }, (_, row) => [
    query[row]!,
    keyOf(row),
    Number(schema.decodeValue(rows.lanes, row)),
  ])
  return { found, general: general.length }
}

/** By query, key, and order of puts. */
function expected(puts: readonly Put[], queries: readonly bigint[], within: number): unknown[] {
  return queries.flatMap((query, i) =>
    puts
      .filter(({ key }) => key >= query - BigInt(within) && key <= query + BigInt(within))
      .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
      .map(({ key, value }) => [i, key, value]),
  )
}

describe(`near keys (seed ${SEED})`, () => {
  test.each([
    ['u64', SEED],
    ['u32', SEED],
    ['u16', SEED],
    ['u64', 1],
    ['u32', 1],
  ])('of %s (seed %i) are as in a walk over all records, most in one visit', async (keyType, seed) => {
    const random = new Random(seed)
    const greatest = 2n ** BigInt(keyType.slice(1)) - 1n
    const options = {
      keyEncoding: keyType,
      valueEncoding: VALUES,
      bufferBytes: 2 ** 15,
      cacheBytes: 2 ** 22,
    }
    const parts = await openParts(newDisk(), options)
    const puts = clustered(random, 3000, greatest).map((key, value) => ({ key, value }))
    await putAll(parts, keyType, puts)
    const { committer, compactor } = parts.writer!
    await compactor.compactAll(signal => committer.exclusive(() => committer.seal(signal), signal), {})
    expect(parts.state.version.files.length).toBe(1)
    const near = [random.pick(puts), puts[0]!, puts[2]!].map(({ key }) => key)
    const picked = Array.from({ length: 300 }, () => random.pick(puts).key + BigInt(random.below(20)) - 10n)
    const queries = [...near, ...picked].filter(key => key >= 0n && key <= greatest)
    for (const within of [0, 1, 2, 16]) {
      await answers(parts, queries, within)
      const { found, general } = await answers(parts, queries, within)
      expect(found).toEqual(expected(puts, queries, within))
      // Those with few low bits a key, and those whose reach lies in two pages; with some seeds there are more.
      if (seed === 1) expect(general).toBeLessThan(queries.length / 8)
    }
    await closeParts(parts)
  })

  test('of keys with several records, some of which begin in one page and go on in the next, are all found', async () => {
    const random = new Random(SEED)
    const options = { keyEncoding: 'u64', valueEncoding: VALUES, bufferBytes: 2 ** 15, cacheBytes: 2 ** 22 }
    const parts = await openParts(newDisk(), options)
    const keys = clustered(random, 900, 2n ** 64n - 1n)
    const puts = Array.from({ length: 2731 }, (_, value) => ({ key: keys[value % 900]!, value }))
    await putAll(parts, 'u64', puts)
    await sealed(parts)
    for (const within of [0, 2]) {
      await answers(parts, keys, within)
      expect((await answers(parts, keys, within)).found).toEqual(expected(puts, keys, within))
    }
    await closeParts(parts)
  })

  test('in several files, in memtables and beside deletes are the same too', async () => {
    const random = new Random(SEED)
    const options = {
      keyEncoding: 'u64',
      valueEncoding: VALUES,
      bufferBytes: 2 ** 12,
      cacheBytes: 2 ** 22,
      fanout: 64,
    }
    const parts = await openParts(newDisk(), options)
    let puts = clustered(random, 1500, 2n ** 64n - 1n).map((key, value) => ({ key, value }))
    // Keys of a cluster come in several files.
    puts.sort((a, b) => (a.value % 7) - (b.value % 7))
    await putAll(parts, 'u64', puts)
    await sealed(parts)
    expect(parts.state.version.files.length).toBeGreaterThan(3)
    const queries = Array.from({ length: 300 }, () => random.pick(puts).key)
    const check = async (): Promise<number> => {
      await answers(parts, queries, 2)
      const { found, general } = await answers(parts, queries, 2)
      expect(found).toEqual(expected(puts, queries, 2))
      return general
    }
    await check()
    // A few values are hidden.
    const hidden = puts.slice(10, 14)
    for (const { value } of hidden) {
      const operations = new OperationBuffer(parts.schema.layout, 1)
      const deletes = [{ position: 0, lanes: [2], values: [value] }]
      await parts.writer!.committer.commit({ operations, deletes }, false)
    }
    puts = puts.filter(put => !hidden.includes(put))
    queries.push(...hidden.map(({ key }) => key))
    await check()
    // A key in the memtable goes the general way.
    const fresh = { key: queries[0]! + 1n, value: 1_000_000 }
    await putAll(parts, 'u64', [fresh])
    puts.push(fresh)
    expect(await check()).toBeGreaterThan(0)
    await closeParts(parts)
  })
})
