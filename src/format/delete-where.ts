/**
 * *Delete where* entries to bytes and back: they end the payload of a frame, and fill a section of a bucket file.
 * docs/file-format.md, Delete-where entries.
 *
 *     entry  sequence u48 | lane count u16 | lane number u32, value u32 | lane number u32, value u32 | ...
 *            0              6                8
 */
import { assert } from '../base/assert.js'
import type { DeleteWhere } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import type { ByteField } from './byte-field.js'
import { readU48, viewOf, writeU48 } from './little-endian.js'

const LANE_COUNT_AT = 6
const VALUE_AT = 4

/** An entry begins with this; a lane number and a value for each of its lanes follow. */
export const DELETE_WHERE_HEADER: readonly ByteField[] = [
  { name: 'sequence number', offset: 0, bytes: 6 },
  { name: 'lane count', offset: LANE_COUNT_AT, bytes: 2 },
]
export const DELETE_WHERE_HEADER_BYTES = LANE_COUNT_AT + 2
export const DELETE_WHERE_LANE: readonly ByteField[] = [
  { name: 'lane number', offset: 0, bytes: 4 },
  { name: 'value', offset: VALUE_AT, bytes: 4 },
]
export const DELETE_WHERE_LANE_BYTES = VALUE_AT + 4

/** Bytes of the entries, in a frame as in a bucket file. */
export function deleteWhereBytes(entries: readonly DeleteWhere[]): number {
  let bytes = 0
  for (const { lanes } of entries) bytes += DELETE_WHERE_HEADER_BYTES + lanes.length * DELETE_WHERE_LANE_BYTES
  return bytes
}

/** The most bytes that `count` entries take. */
export function deleteWhereBytesMax({ keyLaneCount, laneCount }: RecordLayout, count: number): number {
  return count * (DELETE_WHERE_HEADER_BYTES + (laneCount - keyLaneCount) * DELETE_WHERE_LANE_BYTES)
}

/** Writes the entries at `at`. */
export function writeDeleteWheres(
  entries: readonly DeleteWhere[],
  { keyLaneCount, laneCount }: RecordLayout,
  view: DataView,
  at: number,
): void {
  for (const { sequence, lanes, values } of entries) {
    assert(
      lanes.length > 0 && lanes.length === values.length,
      'a delete-where entry has a value for each lane',
    )
    writeU48(view, at, sequence)
    view.setUint16(at + LANE_COUNT_AT, lanes.length, true)
    at += DELETE_WHERE_HEADER_BYTES
    let leastLane = keyLaneCount
    for (let i = 0; i < lanes.length; i++, at += DELETE_WHERE_LANE_BYTES) {
      const lane = lanes[i]!
      assert(lane >= leastLane && lane < laneCount, 'a delete-where entry names value lanes, ascending')
      leastLane = lane + 1
      view.setUint32(at, lane, true)
      view.setUint32(at + VALUE_AT, values[i]!, true)
    }
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
  { keyLaneCount, laneCount }: RecordLayout,
): { entries: DeleteWhere[]; end: number } | undefined {
  const view = viewOf(bytes)
  const entries: DeleteWhere[] = []
  for (let n = 0; n < count; n++) {
    if (at + DELETE_WHERE_HEADER_BYTES > bytes.byteLength) return undefined
    const sequence = readU48(view, at)
    const entryLanes = view.getUint16(at + LANE_COUNT_AT, true)
    at += DELETE_WHERE_HEADER_BYTES
    if (entryLanes === 0 || at + entryLanes * DELETE_WHERE_LANE_BYTES > bytes.byteLength) return undefined
    const lanes: number[] = []
    const values: number[] = []
    let leastLane = keyLaneCount
    for (let i = 0; i < entryLanes; i++, at += DELETE_WHERE_LANE_BYTES) {
      const lane = view.getUint32(at, true)
      if (lane < leastLane || lane >= laneCount) return undefined
      leastLane = lane + 1
      lanes.push(lane)
      values.push(view.getUint32(at + VALUE_AT, true))
    }
    entries.push({ sequence, lanes, values })
  }
  return { entries, end: at }
}
