/** What a *delete where* entry matches, in the plainest way. */
import type { WhereTerms } from '../../src/records/operations.js'

/** Whether the record with these lanes matches. None of them are floats. */
export function matchesTerms(
  { lanes, values, ranges = [] }: WhereTerms,
  valueOf: (lane: number) => number | undefined,
): boolean {
  const number = (words: readonly (number | undefined)[]): bigint =>
    words.reduce((sum, word) => sum * 2n ** 32n + BigInt(word!), 0n)
  return (
    lanes.every((lane, i) => valueOf(lane) === values[i]) &&
    ranges.every(({ lane, lower, upper }) => {
      const found = number(lower.map((_, i) => valueOf(lane + i)))
      return found >= number(lower) && found <= number(upper)
    })
  )
}
