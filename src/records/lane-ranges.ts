/**
 * Ranges of lanes: what comparisons of a *delete where* entry come down to.
 *
 * Lanes of integers and bytes are in the order of their values already. A float is compared in its *ordered form*: its
 * bits, with the sign bit flipped where it is 0, and all bits flipped where it is 1. So -Infinity is least of the numbers,
 * Infinity is greatest, and every NaN is outside of both. docs/file-format.md, Delete-where entries.
 */
import type { LaneRange, WhereTerms } from './operations.js'
import type { RecordLayout } from './record-layout.js'

const SIGN_BIT = 0x80000000

/** Less than 0, 0 or more: as lists of unsigned numbers of one length, the first number highest. */
export function compareLanes(a: ArrayLike<number>, b: ArrayLike<number>): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! < b[i]! ? -1 : 1
  return 0
}

/** Reads the lanes as one number and returns the next one (`step` 1) or the one before (-1); `undefined` if there is none. */
export function neighbour(
  words: ArrayLike<number>,
  greatest: readonly number[],
  step: 1 | -1,
): number[] | undefined {
  const near = Array.from(words)
  for (let i = near.length - 1; i >= 0; i--) {
    const wraps = near[i] === (step === 1 ? greatest[i]! : 0)
    near[i] = wraps ? greatest[i]! - near[i]! : near[i]! + step
    if (!wraps) return near
  }
  return undefined
}

/** What is xored into the first word of a float to get its ordered form; the other words are flipped if it is -1. */
function flipOf(firstWord: number): number {
  return firstWord >= SIGN_BIT ? -1 : SIGN_BIT | 0
}

/** The words of a float, in its ordered form. */
export function orderedForm(words: readonly number[]): number[] {
  const flip = flipOf(words[0]!)
  return words.map((word, i) => (word ^ (i === 0 || flip === -1 ? flip : 0)) >>> 0)
}

/** The words of a float whose ordered form is this. */
export function wordsOfOrdered(ordered: readonly number[]): number[] {
  const isPositive = ordered[0]! >= SIGN_BIT
  return ordered.map((word, i) => (isPositive ? (i === 0 ? word - SIGN_BIT : word) : ~word >>> 0))
}

/** Whether the lanes of the range are those of one float. */
export function isFloatRange({ floats }: RecordLayout, { lane, lower }: LaneRange): boolean {
  return floats.some(float => float.lane === lane && float.laneCount === lower.length)
}

/** Whether some value is within all ranges of the terms. */
export function canMatch({ ranges = [] }: WhereTerms): boolean {
  return ranges.every(({ lower, upper }) => compareLanes(lower, upper) <= 0)
}

/** Whether each of the ranges holds all that the other one holds. Requires: they are of the same lanes. */
export function covers(ranges: readonly LaneRange[], others: readonly LaneRange[]): boolean {
  return ranges.every(
    ({ lower, upper }, i) =>
      compareLanes(lower, others[i]!.lower) <= 0 && compareLanes(upper, others[i]!.upper) >= 0,
  )
}

/** Whether the range holds row `row` of the lanes. Hot. */
export function holds(
  { lane, lower, upper }: LaneRange,
  isFloat: boolean,
  lanes: readonly ArrayLike<number>[],
  row: number,
): boolean {
  const count = lower.length
  const flip = isFloat ? flipOf(lanes[lane]![row]!) : 0
  // Whether the words so far are those of the bound.
  let atLower = true
  let atUpper = true
  for (let i = 0; i < count; i++) {
    const word = lanes[lane + i]![row]!
    const value = i === 0 || flip === -1 ? (word ^ flip) >>> 0 : word
    if (atLower && value !== lower[i]) {
      if (value < lower[i]!) return false
      atLower = false
    }
    if (atUpper && value !== upper[i]) {
      if (value > upper[i]!) return false
      atUpper = false
    }
    if (!atLower && !atUpper) return true
  }
  return true
}
