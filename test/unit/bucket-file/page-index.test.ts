import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PageIndex } from '../../../src/bucket-file/page-index.js'

/** What the spline and the gallop must find, by a walk. */
function lastPageFor(fences: readonly number[][], key: readonly number[]): number {
  const isAfter = (fence: readonly number[]): boolean => {
    const lane = fence.findIndex((value, i) => value !== key[i])
    return lane >= 0 && fence[lane]! > key[lane]!
  }
  return fences.filter(fence => !isAfter(fence)).length - 1
}

function indexOf(fences: readonly number[][], lanes: number): PageIndex {
  return new PageIndex(
    Array.from({ length: lanes }, (_, lane) => Uint32Array.from(fences, fence => fence[lane]!)),
  )
}

/** Lanes of which some are the same in all keys, some cluster, and some are anything. */
const lane = fc.oneof(fc.nat(3), fc.integer({ min: 1000, max: 1010 }), fc.nat(0xffffffff))

describe('the index of the pages of a file', () => {
  test('finds the last page that does not begin after a key, whatever the fences are', () => {
    const keys = fc
      .integer({ min: 1, max: 4 })
      .chain(lanes =>
        fc.tuple(
          fc.array(fc.array(lane, { minLength: lanes, maxLength: lanes }), { maxLength: 300 }),
          fc.constant(lanes),
        ),
      )
    fc.assert(
      fc.property(keys, fc.array(lane, { minLength: 4, maxLength: 4 }), ([fences, lanes], other) => {
        fences.sort((a, b) => a.map((value, i) => value - b[i]!).find(order => order !== 0) ?? 0)
        const index = indexOf(fences, lanes)
        for (const key of [...fences, other.slice(0, lanes)]) {
          for (const delta of [-1, 0, 1]) {
            const near = key.map((value, i) => (i === lanes - 1 ? (value + delta) >>> 0 : value))
            expect(index.lastPageFor(Uint32Array.from(near))).toBe(lastPageFor(fences, near))
          }
        }
      }),
      { numRuns: 300 },
    )
  })

  test('finds them by the first lane that is not the same in all fences, and tells keys with other lanes before it', () => {
    const fences = Array.from({ length: 200 }, (_, i) => [7, 9, i * 50])
    const index = indexOf(fences, 3)
    for (const key of [
      [7, 9, 4999],
      [6, 9, 4999],
      [8, 9, 0],
      [7, 8, 4999],
      [7, 10, 0],
    ])
      expect([key, index.lastPageFor(Uint32Array.from(key))]).toEqual([key, lastPageFor(fences, key)])
  })

  test('says how far a key is on its way to the next page', () => {
    const index = indexOf([[100], [200], [300]], 1)
    expect(index.shareOf(0, Uint32Array.of(100))).toBe(0)
    expect(index.shareOf(1, Uint32Array.of(250))).toBeCloseTo(0.5, 1)
    expect(index.shareOf(2, Uint32Array.of(0xffffffff))).toBe(0.5)
  })
})
