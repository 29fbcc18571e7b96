import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PageIndex } from '../../../src/bucket-file/page-index.js'

const GREATEST = 0xffffffff

/** Keys of few and of many values, so that fences are equal, crowded at one end, or far apart. */
const lane = fc.oneof(
  fc.nat(3),
  fc.nat(1000),
  fc.nat(GREATEST),
  fc.integer({ min: GREATEST - 3, max: GREATEST }),
)

function compareKeys(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!
  return 0
}

function indexOf(keys: readonly number[][], lanes: number): PageIndex {
  return new PageIndex(Array.from({ length: lanes }, (_, i) => Uint32Array.from(keys, key => key[i]!)))
}

describe('the page index', () => {
  test('names the pages that a walk over all fences names, whatever the keys', () => {
    const tables = fc.integer({ min: 1, max: 3 }).chain(lanes => {
      const key = fc.array(lane, { minLength: lanes, maxLength: lanes })
      return fc.tuple(fc.constant(lanes), fc.array(key, { maxLength: 80 }), fc.array(key, { minLength: 1 }))
    })
    fc.assert(
      fc.property(tables, ([lanes, fences, others]) => {
        const sorted = fences.toSorted(compareKeys)
        const index = indexOf(sorted, lanes)
        for (const key of [...sorted, ...others]) {
          const given = Uint32Array.from(key)
          expect(index.lastPageFor(given)).toBe(sorted.findLastIndex(fence => compareKeys(fence, key) <= 0))
          const from = sorted.findIndex(fence => compareKeys(fence, key) >= 0)
          expect(index.firstPageFor(given)).toBe(Math.max(0, (from < 0 ? sorted.length : from) - 1))
        }
      }),
      { numRuns: 500 },
    )
  })

  test('takes keys that are spread evenly, and those at both ends', () => {
    const fences = Array.from({ length: 10_000 }, (_, page) => [Math.floor((page * 2 ** 32) / 10_000), 7])
    const index = indexOf(fences, 2)
    for (const [page, fence] of fences.entries()) {
      expect(index.lastPageFor(Uint32Array.of(fence[0]!, 7))).toBe(page)
      expect(index.lastPageFor(Uint32Array.of(fence[0]!, 6))).toBe(page - 1)
    }
    expect(index.lastPageFor(Uint32Array.of(GREATEST, GREATEST))).toBe(fences.length - 1)
  })
})
