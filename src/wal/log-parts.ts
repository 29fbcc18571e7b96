/**
 * Which intact frames of a damaged log count, and which operations are missing: pure functions on sequence numbers.
 *
 * For verify and repair, which get the frames from survey.ts. docs/durability.md, Repair.
 */
import { assert } from '../base/assert.js'

/** Neighbouring frames of a segment without a gap in their sequence numbers. */
export interface FrameRun {
  /** Number of the segment. */
  readonly segment: number
  readonly path: string
  /** The frames are in bytes [from, to). Between them there may be padding and frames that are not whole. */
  readonly from: number
  to: number
  readonly firstSequence: number
  endSequence: number
  frames: number
}

/** The part of a run that counts: operations [firstSequence, endSequence). */
export interface RunPart {
  readonly run: FrameRun
  readonly firstSequence: number
  readonly endSequence: number
}

/** Operations that are missing in the log. */
export interface LogGap {
  readonly path: string
  readonly offset: number
  readonly firstSequence: number
  readonly endSequence: number
  /** The segment has no file. */
  readonly noFile: boolean
}

/** Sequence numbers that the log must hold, and the segment in which they belong. */
export interface ExpectedRange {
  readonly path: string
  readonly firstSequence: number
  readonly endSequence: number
  readonly noFile: boolean
}

/** The runs of one segment. */
export interface SegmentRuns {
  readonly number: number
  readonly runs: readonly FrameRun[]
}

/**
 * The parts of runs that count, by ascending sequence number, without overlaps. `rangeOf` is what a segment may hold.
 *
 * Segments are written in turn. So frames of one segment that reach beyond the start of a later one are left over from a
 * log that was torn there: what replaced them is newer.
 *
 * Requires: `segments` ascend by number.
 */
export function partsOf<T extends SegmentRuns>(
  segments: readonly T[],
  rangeOf: (segment: T) => { readonly first: number; readonly end: number },
): RunPart[] {
  assert(
    segments.every(({ number }, i) => i === 0 || segments[i - 1]!.number < number),
    'segments ascend by number',
  )
  const parts: RunPart[] = []
  let limit = Infinity
  for (const segment of segments.toReversed()) {
    const range = rangeOf(segment)
    const end = Math.min(limit, range.end)
    for (const run of segment.runs) {
      const part = clip({ run, ...run }, range.first, end)
      if (part === undefined) continue
      parts.push(part)
      limit = Math.min(limit, part.firstSequence)
    }
  }
  parts.sort((a, b) => a.firstSequence - b.firstSequence)
  let expected = 0
  return parts.flatMap(part => {
    const rest = clip(part, expected, Infinity)
    expected = Math.max(expected, part.endSequence)
    return rest ?? []
  })
}

/** The part without its operations before `first` and from `end` on; `undefined` if nothing is left. */
export function clip(part: RunPart, first: number, end: number): RunPart | undefined {
  const firstSequence = Math.max(part.firstSequence, first)
  const endSequence = Math.min(part.endSequence, end)
  return firstSequence < endSequence ? { run: part.run, firstSequence, endSequence } : undefined
}

/** The operations of the expected ranges that no part holds. Requires: both lists ascend without overlaps. */
export function gapsOf(parts: readonly RunPart[], ranges: readonly ExpectedRange[]): LogGap[] {
  assert(ascend(parts) && ascend(ranges), 'parts and expected ranges ascend without overlaps')
  const gaps: LogGap[] = []
  for (const { path, noFile, firstSequence, endSequence } of ranges) {
    let expected = firstSequence
    let position = { path, offset: 0 }
    for (const part of parts.flatMap(part => clip(part, firstSequence, endSequence) ?? [])) {
      if (part.firstSequence > expected) {
        gaps.push({ ...position, noFile, firstSequence: expected, endSequence: part.firstSequence })
      }
      expected = part.endSequence
      position = { path: part.run.path, offset: part.run.to }
    }
    if (expected < endSequence) gaps.push({ ...position, noFile, firstSequence: expected, endSequence })
  }
  return gaps
}

function ascend(
  ranges: readonly { readonly firstSequence: number; readonly endSequence: number }[],
): boolean {
  return ranges.every(({ firstSequence }, i) => i === 0 || ranges[i - 1]!.endSequence <= firstSequence)
}
