/**
 * Floats among lanes: what counts as one value when records are compared.
 *
 * Floats are stored with all their bits, and read as they were given. A delete compares them as SameValueZero does: all
 * NaN are one value, 0 and -0 are one value. Compared by bits, a program might hold no value that matches a stored NaN.
 * docs/file-format.md, Equal records.
 */
import type { FloatLanes, RecordLayout } from './record-layout.js'

const WITHOUT_SIGN = 0x7fffffff
const INFINITY_32 = 0x7f800000
const NAN_32 = 0x7fc00000
const INFINITY_64_HIGH = 0x7ff00000
const NAN_64_HIGH = 0x7ff80000

/** The floats among `lanes`, which are lane numbers in ascending order: `lane` is a position in them. */
export function floatsAmong(layout: RecordLayout, lanes: readonly number[]): readonly FloatLanes[] {
  return layout.floats.flatMap(({ lane, laneCount }) => {
    const at = lanes.indexOf(lane)
    // Half of a float, which no entry of ours has, is compared by its bits.
    const isWhole = at >= 0 && (laneCount === 1 || lanes[at + 1] === lane + 1)
    return isWhole ? [{ lane: at, laneCount }] : []
  })
}

/** Gives floats among the values the same bits if they count as one value. */
export function normalizeFloats(values: number[], floats: readonly FloatLanes[]): void {
  for (const { lane, laneCount } of floats) {
    if (laneCount === 1) values[lane] = normalFloat32(values[lane]!)
    else {
      const high = values[lane]!
      const low = values[lane + 1]!
      const size = high & WITHOUT_SIGN
      const isNaN = size > INFINITY_64_HIGH || (size === INFINITY_64_HIGH && low !== 0)
      if (isNaN) values[lane] = NAN_64_HIGH
      else if (size === 0 && low === 0) values[lane] = 0
      if (isNaN) values[lane + 1] = 0
    }
  }
}

/** The form of an f32. */
export function normalFloat32(bits: number): number {
  const size = bits & WITHOUT_SIGN
  if (size > INFINITY_32) return NAN_32
  return size === 0 ? 0 : bits
}

/** Whether values with other bits are the same as the float at `values[lane]`: a NaN, or a zero. */
export function hasOtherForms(values: readonly number[], { lane, laneCount }: FloatLanes): boolean {
  const flipped = values.slice(lane, lane + laneCount)
  flipped[0] = (flipped[0]! ^ 0x80000000) >>> 0
  const own = values.slice(lane, lane + laneCount)
  const whole = [{ lane: 0, laneCount }]
  normalizeFloats(flipped, whole)
  normalizeFloats(own, whole)
  return flipped.every((word, i) => word === own[i])
}
