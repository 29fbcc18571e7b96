import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  compareKeys,
  compareKeyToRow,
  compareRows,
  lowerBound,
  upperBound,
} from '../../../src/records/compare.js'

const LANE_COUNTS = [1, 2, 3, 4, 5, 6, 7, 8]
const lane = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0xfffffffd, max: 0xffffffff }))

/** Keys that share most of their lanes. */
function keysOf(laneCount: number, minLength = 1): fc.Arbitrary<number[][]> {
  return fc.array(fc.array(lane, { minLength: laneCount, maxLength: laneCount }), {
    minLength,
    maxLength: 40,
  })
}

function columnsOf(keys: readonly number[][], laneCount: number): Uint32Array[] {
  return Array.from({ length: laneCount }, (_, lane) => Uint32Array.from(keys, key => key[lane]!))
}

/** The key as one big-endian number. */
function numberOf(key: readonly number[]): bigint {
  return key.reduce((number, lane) => (number << 32n) | BigInt(lane), 0n)
}

const signOf = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0)

test.each(LANE_COUNTS)('keys of %i lanes compare as big-endian unsigned numbers', laneCount => {
  fc.assert(
    fc.property(keysOf(laneCount, 2), keys => {
      const lanes = columnsOf(keys, laneCount)
      const a = Uint32Array.from(keys[0]!)
      const b = Uint32Array.from(keys[1]!)
      const expected = signOf(numberOf(keys[0]!), numberOf(keys[1]!))
      expect(Math.sign(compareKeys(a, b))).toBe(expected)
      expect(Math.sign(compareKeyToRow(a, lanes, 1))).toBe(expected)
      expect(Math.sign(compareRows(lanes, 0, lanes, 1, laneCount))).toBe(expected)
    }),
  )
})

test('rows of two sets of columns compare by their keys alone', () => {
  const a = [Uint32Array.of(9, 1), Uint32Array.of(9, 2), Uint32Array.of(9, 7)]
  const b = [Uint32Array.of(1), Uint32Array.of(2), Uint32Array.of(8)]
  expect(compareRows(a, 1, b, 0, 2)).toBe(0)
  expect(compareRows(a, 1, b, 0, 3)).toBeLessThan(0)
})

test.each(LANE_COUNTS)(
  'the bounds of a key of %i lanes in sorted rows are where a filter finds them',
  laneCount => {
    fc.assert(
      fc.property(keysOf(laneCount), fc.nat(5), fc.nat(5), (keys, skipFirst, skipLast) => {
        const sorted = keys.slice(1).sort((a, b) => signOf(numberOf(a), numberOf(b)))
        const lanes = columnsOf(sorted, laneCount)
        const from = Math.min(skipFirst, sorted.length)
        const to = Math.max(from, sorted.length - skipLast)
        const part = sorted.slice(from, to)
        const wanted = numberOf(keys[0]!)
        const key = Uint32Array.from(keys[0]!)
        expect(lowerBound(lanes, from, to, key)).toBe(
          from + part.filter(key => numberOf(key) < wanted).length,
        )
        expect(upperBound(lanes, from, to, key)).toBe(
          from + part.filter(key => numberOf(key) <= wanted).length,
        )
      }),
    )
  },
)
