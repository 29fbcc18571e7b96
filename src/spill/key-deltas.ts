/**
 * Stores the keys of a sorted piece as differences from the key before, which take fewer bits. So records that wait on
 * the disk take about as much there as in the table, where keys are stored alike. docs/file-format.md, Spills.
 *
 * `laneBytes`: natural widths of the key's lanes. Differences keep to them, as encoded values must. Lanes are done one
 * by one, the last one first; each row may have a carry to the next lane.
 */
import { assert } from '../base/assert.js'

/** The most rows of a piece. */
const ROWS_MAX = 2 ** 11
/** The carry of each row of the current piece, 0 or 1. */
const carries = new Uint8Array(ROWS_MAX)

/** Fills the columns with the differences of the sorted keys [from, to) from the keys before; the first one is 0. */
export function keysToDeltas(
  keyLanes: readonly Uint32Array[],
  laneBytes: readonly number[],
  from: number,
  to: number,
  deltas: readonly Uint32Array[],
): void {
  assert(to - from <= ROWS_MAX, 'a piece has few rows')
  carries.fill(0, 0, to - from)
  for (let lane = keyLanes.length - 1; lane >= 0; lane--) {
    deltas[lane]![0] = 0
    subtract(keyLanes[lane]!, from, to, maskOf(laneBytes[lane]!), deltas[lane]!)
  }
}

/** Turns the differences in rows [from, to) back into keys; row `first` of `firstKeys` is the first key. */
export function deltasToKeys(
  lanes: readonly Uint32Array[],
  laneBytes: readonly number[],
  from: number,
  to: number,
  firstKeys: readonly Uint32Array[],
  first: number,
): void {
  assert(to - from <= ROWS_MAX, 'a piece has few rows')
  carries.fill(0, 0, to - from)
  for (let lane = firstKeys.length - 1; lane >= 0; lane--) {
    lanes[lane]![from] = firstKeys[lane]![first]!
    addUp(lanes[lane]!, from, to, maskOf(laneBytes[lane]!))
  }
}

/** The largest value with this many bytes. */
function maskOf(bytes: number): number {
  return 0xffffffff >>> (32 - 8 * bytes)
}

function subtract(column: Uint32Array, from: number, to: number, mask: number, deltas: Uint32Array): void {
  for (let row = from + 1; row < to; row++) {
    const value = column[row]!
    const before = column[row - 1]!
    const borrow = carries[row - from]!
    deltas[row - from] = (value - before - borrow) & mask
    carries[row - from] = value < before || (value === before && borrow === 1) ? 1 : 0
  }
}

function addUp(column: Uint32Array, from: number, to: number, mask: number): void {
  for (let row = from + 1; row < to; row++) {
    const before = column[row - 1]!
    const carry = carries[row - from]!
    const value = ((column[row]! + before + carry) & mask) >>> 0
    column[row] = value
    carries[row - from] = value < before || (value === before && carry === 1) ? 1 : 0
  }
}
