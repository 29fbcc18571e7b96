/**
 * *Delete where* entries against the least and the greatest keys and values of a bucket file: whether they match some of
 * its records, or all. The answers are sure where they say "none" and "all"; nothing is read for them.
 *
 * Each lane has its own bounds. Take the least value of each lane: these lanes together are not above those of any record,
 * in the order in which several lanes are compared. The greatest values together are not below any. docs/internals.md,
 * Hidden data.
 */
import { floatsAmong, hasOtherForms, normalizeFloats } from './float-lanes.js'
import { compareLanes, isFloatRange, orderedForm } from './lane-ranges.js'
import type { LaneRange, WhereTerms } from './operations.js'
import type { RecordLayout } from './record-layout.js'

const SIGN_BIT = 0x80000000

/** Bounds of records, both included. Those of values: one number for each lane. */
export interface RecordBounds {
  /** How many records there are. */
  readonly records: number
  readonly firstKey: ArrayLike<number>
  readonly lastKey: ArrayLike<number>
  readonly minValues: ArrayLike<number>
  readonly maxValues: ArrayLike<number>
}

/** Whether some record within the bounds may match. */
export function mayMatch(layout: RecordLayout, terms: WhereTerms, bounds: RecordBounds): boolean {
  if (bounds.records === 0) return false
  const { lanes, values, ranges = [] } = terms
  const { minValues, maxValues } = bounds
  // The bounds are bits: NaN and zero have several forms, and one may lie within the bounds while another does not.
  const floats = floatsAmong(layout, lanes).filter(float => hasOtherForms(values, float))
  const isAnywhere = (i: number) => floats.some(({ lane, laneCount }) => i >= lane && i < lane + laneCount)
  const equal = lanes.every((lane, i) => {
    if (isAnywhere(i)) return true
    const valueLane = lane - layout.keyLaneCount
    return values[i]! >= minValues[valueLane]! && values[i]! <= maxValues[valueLane]!
  })
  if (!equal) return false
  return ranges.every(range => {
    const { least, greatest } = boundsOf(layout, range, bounds)
    return compareLanes(greatest, range.lower) >= 0 && compareLanes(least, range.upper) <= 0
  })
}

/** Whether all records within the bounds match. */
export function matchesAll(layout: RecordLayout, terms: WhereTerms, bounds: RecordBounds): boolean {
  const { lanes, values, ranges = [] } = terms
  const { minValues, maxValues } = bounds
  // A loop: a table may have a hundred thousand entries, of which hardly one matches a whole file.
  for (let i = 0; i < lanes.length; i++) {
    const at = lanes[i]! - layout.keyLaneCount
    if (minValues[at] !== maxValues[at]) return false
  }
  const only = lanes.map(lane => minValues[lane - layout.keyLaneCount]!)
  const wanted = [...values]
  const floats = floatsAmong(layout, lanes)
  normalizeFloats(only, floats)
  normalizeFloats(wanted, floats)
  if (compareLanes(only, wanted) !== 0) return false
  return ranges.every(range => {
    const { least, greatest } = boundsOf(layout, range, bounds)
    return compareLanes(least, range.lower) >= 0 && compareLanes(greatest, range.upper) <= 0
  })
}

/** The bounds of the lanes of a range, in the form in which it compares them. */
function boundsOf(
  layout: RecordLayout,
  range: LaneRange,
  { firstKey, lastKey, minValues, maxValues }: RecordBounds,
): { readonly least: ArrayLike<number>; readonly greatest: ArrayLike<number> } {
  if (range.lane < layout.keyLaneCount) return { least: firstKey, greatest: lastKey }
  const at = range.lane - layout.keyLaneCount
  const least = range.lower.map((_, i) => minValues[at + i]!)
  const greatest = range.lower.map((_, i) => maxValues[at + i]!)
  if (!isFloatRange(layout, range)) return { least, greatest }
  const areNegative = least[0]! >= SIGN_BIT
  const areMixed = !areNegative && greatest[0]! >= SIGN_BIT
  // Bits of negative numbers are the greater ones, and the greater, the less the number.
  if (areNegative) return { least: orderedForm(greatest), greatest: orderedForm(least) }
  if (!areMixed) return { least: orderedForm(least), greatest: orderedForm(greatest) }
  return {
    least: orderedForm(greatest),
    greatest: orderedForm([SIGN_BIT - 1, ...greatest.slice(1)]),
  }
}
