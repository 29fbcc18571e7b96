/**
 * *Delete where* entries to bytes and back: they end the payload of a frame, and fill a section of a bucket file.
 * docs/file-format.md, Delete-where entries.
 *
 *     entry  sequence u48 | term count u16 | its terms, one after another
 *            0              6                8
 *     term   lane number u16 | range lanes u16 | the value of the lane, or lower bound and upper bound of as many lanes
 *            0                 2                 4
 */
import { assert } from '../base/assert.js'
import { compareLanes } from '../records/lane-ranges.js'
import type { DeleteWhere, LaneRange } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import type { ByteField } from './byte-field.js'
import { readU48, viewOf, writeU48 } from './little-endian.js'

const TERM_COUNT_AT = 6
const RANGE_LANES_AT = 2
const VALUE_AT = 4
const WORD_BYTES = 4

/** An entry begins with this; its terms follow. */
export const DELETE_WHERE_HEADER: readonly ByteField[] = [
  { name: 'sequence number', offset: 0, bytes: 6 },
  { name: 'term count', offset: TERM_COUNT_AT, bytes: 2 },
]
export const DELETE_WHERE_HEADER_BYTES = TERM_COUNT_AT + 2
/** A term begins with this; a value follows, or the bounds of a range. */
export const DELETE_WHERE_TERM: readonly ByteField[] = [
  { name: 'lane number', offset: 0, bytes: 2 },
  { name: 'range lanes', offset: RANGE_LANES_AT, bytes: 2 },
]
export const DELETE_WHERE_TERM_BYTES = VALUE_AT
const VALUE_TERM_BYTES = DELETE_WHERE_TERM_BYTES + WORD_BYTES

/** Bytes of the entries, in a frame as in a bucket file. */
export function deleteWhereBytes(entries: readonly DeleteWhere[]): number {
  let bytes = 0
  for (const { lanes, ranges = [] } of entries) {
    bytes += DELETE_WHERE_HEADER_BYTES + lanes.length * VALUE_TERM_BYTES
    for (const { lower } of ranges) bytes += rangeTermBytes(lower.length)
  }
  return bytes
}

/** The most bytes that `count` entries take: a range of each value lane, or one of the key. */
export function deleteWhereBytesMax({ keyLaneCount, laneCount }: RecordLayout, count: number): number {
  const valueBytes = (laneCount - keyLaneCount) * rangeTermBytes(1)
  return count * (DELETE_WHERE_HEADER_BYTES + Math.max(valueBytes, rangeTermBytes(keyLaneCount)))
}

function rangeTermBytes(laneCount: number): number {
  return DELETE_WHERE_TERM_BYTES + 2 * laneCount * WORD_BYTES
}

/** Writes the entries at `at`. */
export function writeDeleteWheres(
  entries: readonly DeleteWhere[],
  { keyLaneCount, laneCount }: RecordLayout,
  view: DataView,
  at: number,
): void {
  for (const { sequence, lanes, values, ranges = [] } of entries) {
    const termCount = lanes.length + ranges.length
    assert(
      termCount > 0 && lanes.length === values.length,
      'a delete-where entry has a value for each lane, or a range',
    )
    writeU48(view, at, sequence)
    view.setUint16(at + TERM_COUNT_AT, termCount, true)
    at += DELETE_WHERE_HEADER_BYTES
    let leastLane = 0
    for (let value = 0, range = 0; value + range < termCount;) {
      const isValue = range === ranges.length || lanes[value]! < ranges[range]!.lane
      const lane = isValue ? lanes[value]! : ranges[range]!.lane
      const end = lane + (isValue ? 1 : ranges[range]!.lower.length)
      assert(
        lane >= leastLane &&
          end <= laneCount &&
          (lane >= keyLaneCount || (!isValue && clears(keyLaneCount, lane, end, termCount))),
        'a delete-where entry names value lanes, ascending, or all lanes of the key and no others',
      )
      leastLane = end
      view.setUint16(at, lane, true)
      view.setUint16(at + RANGE_LANES_AT, isValue ? 0 : end - lane, true)
      if (isValue) {
        view.setUint32(at + VALUE_AT, values[value++]!, true)
        at += VALUE_TERM_BYTES
      } else {
        writeRange(ranges[range++]!, view, at)
        at += rangeTermBytes(end - lane)
      }
    }
  }
}

/** Whether a term about lanes of the key is a range of all of them, and the only term of its entry. */
function clears(keyLaneCount: number, lane: number, end: number, termCount: number): boolean {
  return lane === 0 && end === keyLaneCount && termCount === 1
}

function writeRange({ lower, upper }: LaneRange, view: DataView, at: number): void {
  assert(
    lower.length > 0 && lower.length === upper.length && compareLanes(lower, upper) <= 0,
    'a range of a delete-where entry has lanes, and bounds in order',
  )
  at += VALUE_AT
  for (const word of [...lower, ...upper]) {
    view.setUint32(at, word, true)
    at += WORD_BYTES
  }
}

/**
 * Reads `count` entries from `at` on, and tells where they end. `undefined` if they do not fit the bytes or a record of
 * this layout. Their order is for the caller to check.
 */
export function readDeleteWheres(
  bytes: Uint8Array,
  at: number,
  count: number,
  layout: RecordLayout,
): { entries: DeleteWhere[]; end: number } | undefined {
  const view = viewOf(bytes)
  const entries: DeleteWhere[] = []
  for (let n = 0; n < count; n++) {
    const read = readEntry(view, at, layout)
    if (read === undefined) return undefined
    entries.push(read.entry)
    at = read.end
  }
  return { entries, end: at }
}

function readEntry(
  view: DataView,
  at: number,
  { keyLaneCount, laneCount }: RecordLayout,
): { entry: DeleteWhere; end: number } | undefined {
  if (at + DELETE_WHERE_HEADER_BYTES > view.byteLength) return undefined
  const sequence = readU48(view, at)
  const termCount = view.getUint16(at + TERM_COUNT_AT, true)
  at += DELETE_WHERE_HEADER_BYTES
  if (termCount === 0) return undefined
  const lanes: number[] = []
  const values: number[] = []
  const ranges: LaneRange[] = []
  let leastLane = 0
  for (let term = 0; term < termCount; term++) {
    if (at + DELETE_WHERE_TERM_BYTES > view.byteLength) return undefined
    const lane = view.getUint16(at, true)
    const rangeLanes = view.getUint16(at + RANGE_LANES_AT, true)
    const termBytes = rangeLanes === 0 ? VALUE_TERM_BYTES : rangeTermBytes(rangeLanes)
    const end = lane + Math.max(1, rangeLanes)
    if (lane < leastLane || end > laneCount || at + termBytes > view.byteLength) return undefined
    if (lane < keyLaneCount && !(rangeLanes > 0 && clears(keyLaneCount, lane, end, termCount)))
      return undefined
    leastLane = end
    const word = (i: number) => view.getUint32(at + VALUE_AT + i * WORD_BYTES, true)
    if (rangeLanes === 0) {
      lanes.push(lane)
      values.push(word(0))
    } else {
      const lower = Array.from({ length: rangeLanes }, (_, i) => word(i))
      const upper = Array.from({ length: rangeLanes }, (_, i) => word(rangeLanes + i))
      if (compareLanes(lower, upper) > 0) return undefined
      ranges.push({ lane, lower, upper })
    }
    at += termBytes
  }
  const terms = { sequence, lanes, values }
  return { entry: ranges.length === 0 ? terms : { ...terms, ranges }, end: at }
}
