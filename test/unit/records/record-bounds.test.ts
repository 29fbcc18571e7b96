/** Entries against the bounds of a file: what is said to match all, or nothing, does so. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DeleteWhereIndex } from '../../../src/records/delete-where-index.js'
import { compareLanes, orderedForm } from '../../../src/records/lane-ranges.js'
import type { WhereTerms } from '../../../src/records/operations.js'
import { recordLayout } from '../../../src/records/record-layout.js'
import { matchesAll, mayMatch } from '../../../src/records/record-bounds.js'

/** A key lane; an integer, an integer of two lanes, an f32 and an f64. */
const layout = recordLayout(
  [4],
  [4, 4, 4, 4, 4, 4],
  [
    { lane: 4, laneCount: 1 },
    { lane: 5, laneCount: 2 },
  ],
)

const word = fc.constantFrom(0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff)
const number = fc.constantFrom(-Infinity, -2.5, -1, -0, 0, 1, 2.5, Infinity, NaN)

function wordsOfDouble(value: number): number[] {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, value)
  return [view.getUint32(0), view.getUint32(4)]
}

function wordOfFloat(value: number): number {
  const view = new DataView(new ArrayBuffer(4))
  view.setFloat32(0, value)
  return view.getUint32(0)
}

const record = fc
  .tuple(word, word, word, number, number)
  .map(([a, b, c, f, d]) => [a, b, c, wordOfFloat(f), ...wordsOfDouble(d)])

/** A value, or a range, of each of the four fields, or of some. */
const terms: fc.Arbitrary<WhereTerms> = fc
  .tuple(record, record, fc.array(fc.constantFrom('none', 'value', 'range'), { minLength: 4, maxLength: 4 }))
  .map(([low, high, kinds]) => {
    const fields = [
      [1, 1],
      [2, 2],
      [4, 1],
      [5, 2],
    ] as const
    const valued = fields.filter((_, i) => kinds[i] === 'value')
    const lanes = valued.flatMap(([lane, count]) => Array.from({ length: count }, (_, i) => lane + i))
    const ranges = fields
      .filter((_, i) => kinds[i] === 'range')
      .map(([lane, count]) => {
        const ends = [low, high].map(words => {
          const own = words.slice(lane - 1, lane - 1 + count)
          return lane >= 4 ? orderedForm(own) : own
        })
        const [lower, upper] = ends.sort(compareLanes)
        return { lane, lower: lower!, upper: upper! }
      })
    return { lanes, values: lanes.map(lane => low[lane - 1]!), ranges }
  })
  .filter(({ lanes, ranges }) => lanes.length + ranges!.length > 0)

function boundsOf(records: readonly (readonly number[])[]) {
  const least = records[0]!.map((_, lane) => Math.min(...records.map(words => words[lane]!)))
  const greatest = records[0]!.map((_, lane) => Math.max(...records.map(words => words[lane]!)))
  return { records: records.length, firstKey: [0], lastKey: [0], minValues: least, maxValues: greatest }
}

function matched(where: WhereTerms, records: readonly (readonly number[])[]): boolean[] {
  const index = new DeleteWhereIndex(layout, [{ ...where, sequence: 1 }])
  return records.map(words =>
    index.hides(
      [0, ...words].map(value => Uint32Array.of(value)),
      0,
      0,
      2,
    ),
  )
}

describe('by the least and the greatest values', () => {
  test('an entry is said to match all records only if it does, and none only if it does not', () => {
    let all = 0
    let none = 0
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 4 }), terms, (records, where) => {
        const found = matched(where, records)
        const bounds = boundsOf(records)
        if (matchesAll(layout, where, bounds)) {
          all++
          expect(found).not.toContain(false)
        }
        if (!mayMatch(layout, where, bounds)) {
          none++
          expect(found).not.toContain(true)
        }
      }),
      { numRuns: 20_000 },
    )
    expect(all).toBeGreaterThan(200)
    expect(none).toBeGreaterThan(200)
  })

  test('an entry is said to match all of one record exactly if it does', () => {
    fc.assert(
      fc.property(record, terms, (words, where) => {
        const [found] = matched(where, [words])
        expect(matchesAll(layout, where, boundsOf([words]))).toBe(found)
      }),
      { numRuns: 5000 },
    )
  })

  test('a range of keys is compared with the first and the last key, and matches nothing where there is no record', () => {
    const bounds = (firstKey: number, lastKey: number, records = 1) => ({
      ...boundsOf([[0, 0, 0, 0, 0, 0]]),
      records,
      firstKey: [firstKey],
      lastKey: [lastKey],
    })
    const keys: WhereTerms = { lanes: [], values: [], ranges: [{ lane: 0, lower: [5], upper: [9] }] }
    expect(matchesAll(layout, keys, bounds(5, 9))).toBe(true)
    expect(matchesAll(layout, keys, bounds(4, 9))).toBe(false)
    expect(matchesAll(layout, keys, bounds(5, 10))).toBe(false)
    expect(mayMatch(layout, keys, bounds(9, 20))).toBe(true)
    expect(mayMatch(layout, keys, bounds(10, 20))).toBe(false)
    expect(mayMatch(layout, keys, bounds(0, 5))).toBe(true)
    expect(mayMatch(layout, keys, bounds(0, 4))).toBe(false)
    expect(mayMatch(layout, keys, bounds(5, 9, 0))).toBe(false)
  })

  test('positive and negative floats are told apart as numbers', () => {
    const below = (bound: number): WhereTerms => ({
      lanes: [],
      values: [],
      ranges: [
        { lane: 4, lower: orderedForm([wordOfFloat(-Infinity)]), upper: orderedForm([wordOfFloat(bound)]) },
      ],
    })
    const of = (...values: number[]) => boundsOf(values.map(value => [0, 0, 0, wordOfFloat(value), 0, 0]))
    expect(matchesAll(layout, below(5), of(1, 5))).toBe(true)
    expect(matchesAll(layout, below(4), of(1, 5))).toBe(false)
    expect(matchesAll(layout, below(-1), of(-5, -1))).toBe(true)
    expect(matchesAll(layout, below(-2), of(-5, -1))).toBe(false)
    expect(matchesAll(layout, below(Infinity), of(1, NaN))).toBe(false)
    expect(mayMatch(layout, below(-6), of(-5, -1))).toBe(false)
    expect(mayMatch(layout, below(0.5), of(1, 5))).toBe(false)
    expect(mayMatch(layout, below(-3), of(-5, 1))).toBe(true)
  })
})
