/** Cleared ranges of keys against a plain list of them. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ClearedKeys, NEVER_CLEARED } from '../../../src/records/cleared-keys.js'
import { recordLayout } from '../../../src/records/record-layout.js'

/** Keys of two lanes, the second of one byte: so neighbours carry from lane to lane. */
const layout = recordLayout([4, 1], [4])
const KEYS_MAX = 2 ** 40 - 1
/** The keys that are asked for: around the carry, and at both ends. */
const keys = [0, 1, 2, 253, 254, 255, 256, 257, 258, 511, 512, KEYS_MAX - 256, KEYS_MAX - 1, KEYS_MAX]

const lanesOf = (key: number): number[] => [Math.floor(key / 256), key % 256]
const numberOf = (lanes: ArrayLike<number> | undefined): number | undefined =>
  lanes && lanes[0]! * 256 + lanes[1]!

interface Clear {
  readonly sequence: number
  readonly lower: number
  readonly upper: number
}

const key = fc.constantFrom(...keys)
const clears: fc.Arbitrary<Clear[]> = fc
  .array(fc.tuple(key, key), { maxLength: 12 })
  .map(ends =>
    ends.map(([a, b], i) => ({ sequence: 10 * (i + 1), lower: Math.min(a, b), upper: Math.max(a, b) })),
  )

function clearedBy(given: readonly Clear[]): ClearedKeys {
  const cleared = new ClearedKeys(layout)
  for (const { sequence, lower, upper } of given)
    cleared.add(sequence, { lower: lanesOf(lower), upper: lanesOf(upper) })
  return cleared
}

function newestOf(given: readonly Clear[], asked: number, before: number): number {
  const found = given.filter(
    ({ sequence, lower, upper }) => sequence < before && lower <= asked && asked <= upper,
  )
  return Math.max(NEVER_CLEARED, ...found.map(({ sequence }) => sequence))
}

/** How far all keys from `from` on were cleared, downwards with `step` -1. */
function runFrom(given: readonly Clear[], from: number, sequence: number, before: number, step: 1 | -1) {
  const counted = given.filter(clear => clear.sequence > sequence && clear.sequence < before)
  let end: number | undefined
  for (let next = from; ;) {
    const holding = counted.filter(({ lower, upper }) => lower <= next && next <= upper)
    if (holding.length === 0) return end
    end =
      step === 1
        ? Math.max(...holding.map(({ upper }) => upper))
        : Math.min(...holding.map(({ lower }) => lower))
    next = end + step
  }
}

const sequence = fc.constantFrom(0, 10, 15, 30, 60, 100, 200)

describe('cleared keys', () => {
  test('the newest clear of a key is found, also for those who do not see the newest ones', () => {
    fc.assert(
      fc.property(clears, sequence, (given, before) => {
        const cleared = clearedBy(given)
        expect(cleared.size).toBe(given.length)
        for (const asked of keys)
          expect(cleared.newestOf(lanesOf(asked), before)).toBe(newestOf(given, asked, before))
        for (const asked of keys.toReversed()) {
          const row = [
            [0, lanesOf(asked)[0]!],
            [0, lanesOf(asked)[1]!],
          ]
          expect(cleared.newestOfRow(row, 1, Infinity)).toBe(newestOf(given, asked, Infinity))
        }
      }),
      { numRuns: 5000 },
    )
  })

  test('clears may come in any order', () => {
    fc.assert(
      fc.property(clears, fc.func(fc.nat()), sequence, (given, rank, before) => {
        const cleared = clearedBy(given.toSorted((a, b) => rank(a.sequence) - rank(b.sequence)))
        for (const asked of keys)
          expect(cleared.newestOf(lanesOf(asked), before)).toBe(newestOf(given, asked, before))
      }),
      { numRuns: 1000 },
    )
  })

  test('it is told how far all keys were cleared, and whether all of a span were', () => {
    fc.assert(
      fc.property(clears, sequence, sequence, (given, above, before) => {
        const cleared = clearedBy(given)
        for (const asked of keys) {
          const end = runFrom(given, asked, above, before, 1)
          expect(numberOf(cleared.runEnd(lanesOf(asked), above, before))).toBe(end)
          expect(numberOf(cleared.runStart(lanesOf(asked), above, before))).toBe(
            runFrom(given, asked, above, before, -1),
          )
          for (const last of keys.filter(other => other >= asked))
            expect(cleared.covers(lanesOf(asked), lanesOf(last), above, before)).toBe((end ?? -1) >= last)
        }
      }),
      { numRuns: 2000 },
    )
  })

  test('the ranges of a span are those that were cleared in it', () => {
    fc.assert(
      fc.property(clears, key, key, sequence, sequence, (given, a, b, above, before) => {
        const [first, last] = [Math.min(a, b), Math.max(a, b)]
        const expected: (number | undefined)[][] = []
        // A run begins at the start of the span or of a clear.
        for (let from = first; from <= last;) {
          const end = runFrom(given, from, above, before, 1)
          if (end !== undefined) expected.push([from, Math.min(end, last)])
          const starts = given.map(({ lower }) => lower).filter(lower => lower > (end ?? from))
          from = Math.min(...starts)
        }
        const runs = [...clearedBy(given).runs(lanesOf(first), lanesOf(last), above, before)]
        expect(runs.map(({ lower, upper }) => [numberOf(lower), Math.min(numberOf(upper)!, last)])).toEqual(
          expected,
        )
      }),
      { numRuns: 3000 },
    )
  })

  test('ten thousand clears of one range after the other are as quick to search as one', () => {
    const cleared = new ClearedKeys(layout)
    for (let n = 1; n <= 10_000; n++) cleared.add(n, { lower: lanesOf(0), upper: lanesOf(n) })
    expect(cleared.newestOf(lanesOf(5), Infinity)).toBe(10_000)
    expect(cleared.newestOf(lanesOf(5), 10)).toBe(9)
    expect(cleared.newestOf(lanesOf(5), 5)).toBe(NEVER_CLEARED)
    expect(cleared.newestOf(lanesOf(10_001), Infinity)).toBe(NEVER_CLEARED)
  })
})
