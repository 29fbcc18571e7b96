import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Memtable } from '../../../src/memtable/memtable.js'
import { layoutOf, memtableOf, randomOperations } from '../../support/memtables.js'
import { hashKey } from '../../../src/records/hash.js'
import { Random } from '../../support/random.js'

const LANE_COUNTS = [1, 2, 3, 4, 5, 6, 7, 8]

/** All rows below `length` that the memtable finds by the key, in its order. */
function found(memtable: Memtable, key: Uint32Array, length: number): number[] {
  const rows: number[] = []
  for (let row = memtable.findNewest(key, length); row >= 0; row = memtable.findOlder(row, key))
    rows.push(row)
  return rows
}

/** The keys of the rows below `length`, each with its rows, newest first. */
function rowsByKey(memtable: Memtable, length: number): Map<string, { key: Uint32Array; rows: number[] }> {
  const keyLanes = memtable.lanes.slice(0, memtable.layout.keyLaneCount)
  const byKey = new Map<string, { key: Uint32Array; rows: number[] }>()
  for (let row = 0; row < length; row++) {
    const key = Uint32Array.from(keyLanes, lane => lane[row]!)
    const known = byKey.get(key.join())
    if (known === undefined) byKey.set(key.join(), { key, rows: [row] })
    else known.rows.unshift(row)
  }
  return byKey
}

/** The keys for which the memtable finds other rows below `length` than a map of all rows. */
function wrongKeys(memtable: Memtable, length: number): string[] {
  return [...rowsByKey(memtable, length)]
    .filter(([, { key, rows }]) => found(memtable, key, length).join() !== rows.join())
    .map(([name]) => name)
}

describe('a lookup in a memtable', () => {
  test.each(LANE_COUNTS)('finds all rows of each key of %i lanes, newest first', keyLaneCount => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(400), (seed, rows) => {
        const random = new Random(seed)
        const memtable = memtableOf(random, randomOperations(random, keyLaneCount, rows, true))
        expect(wrongKeys(memtable, memtable.count)).toEqual([])
      }),
    )
  })

  test('finds the rows below any length, whatever has been indexed before', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.array(fc.nat(300), { maxLength: 5 }), (seed, lengths) => {
        const random = new Random(seed)
        const operations = randomOperations(random, 2, 300, false)
        const memtable = new Memtable(layoutOf(2), 300, 0)
        for (const length of lengths) {
          if (memtable.count < length) memtable.append(operations, memtable.count, length)
          expect(wrongKeys(memtable, length)).toEqual([])
        }
      }),
    )
  })

  test.each([1, 2, 3])(
    'finds 20,000 rows of %i key lanes among keys that share their places',
    keyLaneCount => {
      const random = new Random(keyLaneCount)
      const operations = randomOperations(random, keyLaneCount, 20_000, false)
      for (const lane of operations.lanes)
        for (let row = 0; row < 20_000; row++) lane[row] = random.below(300)
      const memtable = new Memtable(layoutOf(keyLaneCount), 20_000, 0)
      memtable.append(operations, 0, 9000)
      expect(wrongKeys(memtable, 9000)).toEqual([])
      memtable.append(operations, 9000, 20_000)
      expect(wrongKeys(memtable, 20_000)).toEqual([])
    },
  )

  test('finds nothing for a key that differs from others in one lane', () => {
    for (const keyLaneCount of LANE_COUNTS) {
      const memtable = memtableOf(new Random(1), randomOperations(new Random(1), keyLaneCount, 50, false))
      const byKey = rowsByKey(memtable, 50)
      for (const { key } of byKey.values()) {
        for (let lane = 0; lane < keyLaneCount; lane++) {
          const other = key.slice()
          other[lane]! ^= 0x10000
          if (!byKey.has(other.join())) expect(memtable.findNewest(other, 50)).toBe(-1)
        }
      }
    }
  })

  test.each([1, 2])(
    'finds nothing in an empty memtable, or below length 0, by %i key lanes',
    keyLaneCount => {
      const memtable = new Memtable(layoutOf(keyLaneCount), 10, 0)
      expect(memtable.findNewest(new Uint32Array(keyLaneCount), 0)).toBe(-1)
      memtable.append(randomOperations(new Random(2), keyLaneCount, 1, false), 0, 1)
      const key = Uint32Array.from(memtable.lanes.slice(0, keyLaneCount), lane => lane[0]!)
      expect(memtable.findNewest(key, 1)).toBe(0)
      expect(memtable.findNewest(key, 0)).toBe(-1)
    },
  )

  test.each(LANE_COUNTS)('says of many keys together what it says of each, by %i key lanes', keyLaneCount => {
    const random = new Random(3)
    const memtable = memtableOf(random, randomOperations(random, keyLaneCount, 3000, true))
    const lanes = memtable.lanes.slice(0, keyLaneCount)
    const count = 100
    // The first look indexes all rows: later ones meet rows that are newer than what they ask for.
    for (const length of [3000, 0, 1, 5, 500, 2999]) {
      // Of rows that are below the length, of others, and of no row.
      const keys = lanes.map(() => new Uint32Array(count))
      for (let i = 0; i < count; i++) {
        const row = random.below(3000)
        for (let lane = 0; lane < keyLaneCount; lane++)
          keys[lane]![i] = (lanes[lane]![row]! ^ (i % 3 === 0 ? 0x10000 : 0)) >>> 0
      }
      const hashes = Uint32Array.from({ length: count }, (_, i) => hashKey(keys, i, keyLaneCount))
      const has = new Uint8Array(count)
      memtable.hasEach(keys, hashes, count, length, has)
      const expected = Uint8Array.from({ length: count }, (_, i) => {
        const key = Uint32Array.from(keys, lane => lane[i]!)
        return memtable.findNewest(key, length) >= 0 ? 1 : 0
      })
      expect(has).toEqual(expected)
    }
  })
})
