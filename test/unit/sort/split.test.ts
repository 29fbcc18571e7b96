import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareRows } from '../../../src/records/compare.js'
import { keyLanesOf } from '../../../src/records/operations.js'
import { splitByKey, type Parts } from '../../../src/sort/split.js'
import { LANE_SPREADS, randomKeyColumns } from '../../support/key-columns.js'
import { Random } from '../../support/random.js'
import { wideLayout } from '../../support/rows.js'

interface Split extends Parts {
  readonly lanes: readonly Uint32Array[]
}

/** Splits rows of these key lanes; a value lane holds their numbers, and they stand in larger columns. */
function split(
  keyLanes: readonly Uint32Array[],
  binBits: number,
  partRows: number,
  kinds?: Uint8Array,
): Split {
  const count = keyLanes[0]!.length
  const lanes = [...keyLanes, Uint32Array.from({ length: count + 3 }, (_, row) => row)]
  const layout = wideLayout(keyLanes.length, 1)
  const into = lanes.map(() => new Uint32Array(count + 7))
  return { ...splitByKey(layout, { count, lanes, kinds }, { binBits, partRows }, into), lanes }
}

const splits = fc
  .record({
    seed: fc.nat(0xffffffff),
    keyLaneCount: fc.integer({ min: 1, max: 4 }),
    rows: fc.integer({ min: 1, max: 3000 }),
    binBits: fc.integer({ min: 1, max: 12 }),
    partRows: fc.constantFrom(0, 50, 1000),
  })
  .map(({ seed, keyLaneCount, rows, binBits, partRows }) => ({
    keys: randomKeyColumns(new Random(seed), keyLaneCount, rows),
    binBits,
    partRows,
  }))

describe('rows split by key', () => {
  test('are all there, in the order in which they came, and no part is empty', () => {
    fc.assert(
      fc.property(splits, ({ keys, binBits, partRows }) => {
        const count = keys[0]!.length
        const kinds = Uint8Array.from({ length: count }, (_, row) => row % 251)
        const { rows, starts, lanes } = split(keys, binBits, partRows, kinds)
        expect(rows.count).toBe(count)
        expect(starts[0]).toBe(0)
        expect(starts.at(-1)).toBe(count)
        const numbers = rows.lanes.at(-1)!.subarray(0, count)
        expect([...numbers].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, row) => row))
        for (let part = 0; part + 1 < starts.length; part++) {
          expect(starts[part]).toBeLessThan(starts[part + 1]!)
          for (let row = starts[part]! + 1; row < starts[part + 1]!; row++) {
            if (numbers[row - 1]! >= numbers[row]!) throw new Error(`row ${row} came before the one in front`)
          }
        }
        const moved = [...lanes.keys()].find(lane =>
          numbers.some((number, row) => rows.lanes[lane]![row] !== lanes[lane]![number]),
        )
        expect(moved).toBeUndefined()
        expect(numbers.findIndex((number, row) => rows.kinds![row] !== kinds[number])).toBe(-1)
      }),
      { numRuns: 200 },
    )
  })

  test('lie within the first and last key of their part, and parts follow each other', () => {
    fc.assert(
      fc.property(splits, ({ keys, binBits, partRows }) => {
        const { rows, starts, firstKeys, lastKeys } = split(keys, binBits, partRows)
        const keyLanes = keyLanesOf(rows, keys.length)
        for (let part = 0; part + 1 < starts.length; part++) {
          for (let row = starts[part]!; row < starts[part + 1]!; row++) {
            const isWithin =
              compareRows(firstKeys, part, keyLanes, row, keys.length) <= 0 &&
              compareRows(keyLanes, row, lastKeys, part, keys.length) <= 0
            if (!isWithin) throw new Error(`row ${row} is outside part ${part}`)
          }
          if (part > 0) expect(compareRows(lastKeys, part - 1, firstKeys, part, keys.length)).toBeLessThan(0)
        }
      }),
      { numRuns: 200 },
    )
  })

  test('have parts of the size that was asked for where keys are spread, one bin each where none was', () => {
    const keys = [LANE_SPREADS['random']!(new Random(1), 20_000)]
    const sizes = (partRows: number): number[] => {
      const { starts } = split(keys, 8, partRows)
      return starts.slice(1).map((start, part) => start - starts[part]!)
    }
    expect(sizes(0)).toHaveLength(256)
    expect(Math.max(...sizes(1000))).toBeLessThanOrEqual(1000)
    // Two neighbours have more than that.
    expect(sizes(1000).length).toBeLessThan(40)
  })

  test('fall into the same bins as others that are spread alike', () => {
    const bins = (seed: number): number[] => {
      const { firstKeys } = split([LANE_SPREADS['random']!(new Random(seed), 20_000)], 6, 0)
      return [...firstKeys[0]!]
    }
    expect(bins(1)).toEqual(Array.from({ length: 64 }, (_, bin) => bin * 2 ** 26))
    expect(bins(2)).toEqual(bins(1))
  })

  test('are not split by no bit, which 32-bit shifts would take for all bits', () => {
    expect(() => split([Uint32Array.of(0, 0xffffffff)], 0, 0)).toThrow(/2 to 4,096 bins/)
  })

  test('of one key are one part', () => {
    const { starts, firstKeys, lastKeys } = split(
      [new Uint32Array(100).fill(5), new Uint32Array(100).fill(9)],
      3,
      0,
    )
    expect(starts).toEqual([0, 100])
    expect([firstKeys[0]![0], firstKeys[1]![0]]).toEqual([5, 9])
    expect([lastKeys[0]![0], lastKeys[1]![0]]).toEqual([5, 9])
  })
})
