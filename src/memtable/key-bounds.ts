/**
 * The least and the greatest key of the puts in a memtable, for statistics.
 *
 * Nothing keeps them up to date while rows come in. Each call pays for the rows that came since the last call, in
 * slices with a turn of the event loop between them. docs/api.md, Statistics.
 */
import { nextTurn } from '../async/turns.js'
import { compareKeyToRow } from '../records/compare.js'
import { PUT } from '../records/operations.js'
import type { Memtable } from './memtable.js'

/** Rows that are read in a turn of the event loop: less than a millisecond. */
const SLICE_ROWS = 2 ** 17

export interface KeyBounds {
  readonly least: Uint32Array
  readonly greatest: Uint32Array
}

/** What is known about the first `rows` rows. It never changes, so that a waiting call keeps what it began with. */
interface Known {
  readonly rows: number
  readonly bounds: KeyBounds | undefined
}

/** By memtable; collected with it. */
const known = new WeakMap<Memtable, Known>()

/**
 * The bounds of the rows below `length`; `undefined` if none is a put. Requires: the memtable keeps its memory
 * meanwhile.
 */
export async function keyBounds(memtable: Memtable, length: number): Promise<KeyBounds | undefined> {
  let { rows, bounds } = known.get(memtable) ?? { rows: 0, bounds: undefined }
  // Another call has asked for a later moment.
  if (rows > length) [rows, bounds] = [0, undefined]
  while (rows < length) {
    const end = Math.min(length, rows + SLICE_ROWS)
    bounds = extend(memtable, rows, end, bounds)
    rows = end
    if (rows < length) await nextTurn()
  }
  if (rows > (known.get(memtable)?.rows ?? 0)) known.set(memtable, { rows, bounds })
  return bounds
}

/** A plain loop over the first lane, which nearly always decides. */
function extend(
  { keyLanes: lanes, kinds }: Memtable,
  from: number,
  to: number,
  bounds: KeyBounds | undefined,
): KeyBounds | undefined {
  const keyOf = (row: number): Uint32Array => Uint32Array.from(lanes, lane => lane[row]!)
  const first = lanes[0]!
  let least = bounds?.least
  let greatest = bounds?.greatest
  for (let row = from; row < to; row++) {
    if (kinds !== undefined && kinds[row] !== PUT) continue
    const value = first[row]!
    if (least === undefined || greatest === undefined) least = greatest = keyOf(row)
    else if (value <= least[0]! && compareKeyToRow(least, lanes, row) > 0) least = keyOf(row)
    else if (value >= greatest[0]! && compareKeyToRow(greatest, lanes, row) < 0) greatest = keyOf(row)
  }
  return least === undefined || greatest === undefined ? undefined : { least, greatest }
}
