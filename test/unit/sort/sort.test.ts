import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareRows } from '../../../src/records/compare.js'
import { sortedOrder, sortRows } from '../../../src/sort/sort.js'
import { LANE_SPREADS, randomKeyColumns } from '../../support/key-columns.js'
import { Random } from '../../support/random.js'

const LANE_COUNTS = [1, 2, 3, 4, 5, 6, 7, 8]
const SPREADS = Object.entries(LANE_SPREADS)

/** The same by Array.prototype.sort, row numbers as the last word. */
function plainOrder(lanes: readonly Uint32Array[], from: number, to: number): Uint32Array {
  const rows = Array.from({ length: to - from }, (_, i) => from + i)
  return Uint32Array.from(rows.sort((a, b) => compareRows(lanes, a, lanes, b, lanes.length) || a - b))
}

/** Compares as one value: a failure names the seed, and not a hundred thousand rows. */
function expectSorted(lanes: readonly Uint32Array[], from: number, to: number): void {
  const order = sortedOrder(lanes, lanes.length, from, to)
  const expected = plainOrder(lanes, from, to)
  expect(order.length).toBe(expected.length)
  expect(order.findIndex((row, i) => row !== expected[i])).toBe(-1)
}

describe('sorted order equals that of Array.prototype.sort', () => {
  test.each(LANE_COUNTS)('for few rows of %i key lanes, whatever their spread', keyLaneCount => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(200), (seed, rows) => {
        expectSorted(randomKeyColumns(new Random(seed), keyLaneCount, rows), 0, rows)
      }),
      { numRuns: 300 },
    )
  })

  test.each(LANE_COUNTS)('for some thousand rows of %i key lanes, whatever their spread', keyLaneCount => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.integer({ min: 2000, max: 20000 }), (seed, rows) => {
        expectSorted(randomKeyColumns(new Random(seed), keyLaneCount, rows), 0, rows)
      }),
      { numRuns: 12 },
    )
  })

  // Up to 65,536 rows the sort is another one than above.
  test.each(SPREADS)('for 40,000 and 70,000 keys of two lanes, the first %s', (_, makeLane) => {
    for (const rows of [40_000, 70_000]) {
      for (const [, makeSecond] of SPREADS) {
        const random = new Random(1)
        expectSorted([makeLane(random, rows), makeSecond(random, rows)], 0, rows)
      }
    }
  })

  test.each([1, 24, 25, 65_535, 65_536, 65_537])('for %i rows out of more', rows => {
    const lanes = randomKeyColumns(new Random(rows), 2, rows + 100)
    expectSorted(lanes, 60, 60 + rows)
  })

  test('for keys of eight lanes that differ in the last alone', () => {
    const random = new Random(2)
    const same = Array.from({ length: 7 }, (_, lane) => new Uint32Array(50_000).fill(lane))
    expectSorted([...same, Uint32Array.from({ length: 50_000 }, () => random.next())], 0, 50_000)
  })

  test.each([50_000, 70_000])('for %i keys in clusters within clusters', rows => {
    const random = new Random(3)
    const depths = Uint8Array.from({ length: rows }, () => random.below(8))
    const lanes = Array.from({ length: 8 }, (_, lane) =>
      Uint32Array.from(depths, depth => (depth > lane ? 77 : random.next())),
    )
    expectSorted(lanes, 0, rows)
  })

  test.each([60_000, 70_000])('for %i rows, many of each key', rows => {
    const random = new Random(4)
    for (const keys of [1, 2, 100, 1000, 10_000]) {
      const high = Uint32Array.from({ length: keys }, () => random.next())
      const low = Uint32Array.from({ length: keys }, () => random.next())
      const chosen = Uint32Array.from({ length: rows }, () => random.below(keys))
      expectSorted([chosen.map(key => high[key]!), chosen.map(key => low[key]!)], 0, rows)
    }
  })

  test('for a stretch in the middle', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(300), fc.nat(300), (seed, a, b) => {
        const lanes = randomKeyColumns(new Random(seed), 2, 300)
        expectSorted(lanes, Math.min(a, b), Math.max(a, b))
      }),
    )
  })
})

test('lanes behind the key do not count', () => {
  const lanes = [Uint32Array.of(1, 1, 0), Uint32Array.of(9, 3, 9)]
  expect([...sortedOrder(lanes, 1, 0, 3)]).toEqual([2, 0, 1])
})

test('rows given in any order are sorted in place, and rows of one key stay in the order given', () => {
  fc.assert(
    fc.property(fc.nat(0xffffffff), fc.nat(300), (seed, count) => {
      const random = new Random(seed)
      const lanes = randomKeyColumns(random, 2, 100)
      const rows = Uint32Array.from({ length: count }, () => random.below(100))
      const expected = [...rows].sort((a, b) => compareRows(lanes, a, lanes, b, 2))
      sortRows(lanes, 2, rows)
      expect([...rows]).toEqual(expected)
    }),
  )
})
