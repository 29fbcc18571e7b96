import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ALL_KEYS, rangeIsEmpty, rangeOverlaps, type KeyRange } from '../../../src/records/key-range.js'

/** Keys of two lanes, close to each other. */
const key = fc
  .tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 2 }))
  .map(key => Uint32Array.from(key))
const range: fc.Arbitrary<KeyRange> = fc.record({
  lower: fc.option(key, { nil: undefined }),
  lowerExclusive: fc.boolean(),
  upper: fc.option(key, { nil: undefined }),
  upperExclusive: fc.boolean(),
})

const numberOf = (key: Uint32Array) => key[0]! * 2 ** 32 + key[1]!

/** The definition. */
function contains(range: KeyRange, key: Uint32Array): boolean {
  const number = numberOf(key)
  const lower = range.lower === undefined ? -1 : numberOf(range.lower)
  const upper = range.upper === undefined ? Infinity : numberOf(range.upper)
  const aboveLower = range.lowerExclusive === true ? number > lower : number >= lower
  return aboveLower && (range.upperExclusive === true ? number < upper : number <= upper)
}

const everyKey = [0, 1, 2].flatMap(high => [0, 1, 2].map(low => Uint32Array.of(high, low)))

describe('a range', () => {
  test('that is called empty contains no key', () => {
    fc.assert(
      fc.property(range, range => {
        if (rangeIsEmpty(range)) expect(everyKey.filter(key => contains(range, key))).toEqual([])
      }),
    )
  })

  test('without bounds is not empty', () => {
    expect(rangeIsEmpty(ALL_KEYS)).toBe(false)
  })

  test('that ends before it starts is empty, and so is one of a single key that leaves this key out', () => {
    const low = Uint32Array.of(1, 1)
    const high = Uint32Array.of(1, 2)
    expect(rangeIsEmpty({ lower: high, upper: low })).toBe(true)
    expect(rangeIsEmpty({ lower: low, upper: low })).toBe(false)
    expect(rangeIsEmpty({ lower: low, upper: low, lowerExclusive: true })).toBe(true)
    expect(rangeIsEmpty({ lower: low, upper: low, upperExclusive: true })).toBe(true)
    expect(rangeIsEmpty({ lower: low, upper: high, lowerExclusive: true })).toBe(false)
  })

  test('overlaps a stretch of keys where it contains one of them, and not one that lies beside it', () => {
    fc.assert(
      fc.property(range, key, key, (range, a, b) => {
        const [first, last] = numberOf(a) <= numberOf(b) ? [a, b] : [b, a]
        const inside = everyKey.filter(
          key => numberOf(key) >= numberOf(first) && numberOf(key) <= numberOf(last),
        )
        if (inside.some(key => contains(range, key))) expect(rangeOverlaps(range, first, last)).toBe(true)
        const { lower: _lower, ...upTo } = range
        const { upper: _upper, ...from } = range
        if (!inside.some(key => contains(upTo, key))) expect(rangeOverlaps(range, first, last)).toBe(false)
        if (!inside.some(key => contains(from, key))) expect(rangeOverlaps(range, first, last)).toBe(false)
      }),
      { numRuns: 1000 },
    )
  })
})
