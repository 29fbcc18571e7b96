/**
 * How a record looks inside the engine: a row of unsigned 32-bit lanes, key lanes first.
 *
 * A field of up to 32 bits is one lane, a 64-bit field two (high half first), `bytes(n)` one lane for each four
 * bytes (big-endian; the last lane holds the rest, right-aligned). So keys compare lane by lane as unsigned
 * numbers. Everything below `encoding/` sees only lanes. docs/file-format.md, Lanes.
 */

import type { CombineOperator } from '../options/options.js'

/** A float: its first lane, which is the high word if there are two. */
export interface FloatLanes {
  readonly lane: number
  readonly laneCount: number
}

/** How a field of the records of one key is combined. */
export interface CombineRule {
  readonly operator: CombineOperator
  /** Its first lane within the record. */
  readonly lane: number
  readonly laneCount: number
  /** `undefined`: bytes, of which the first or the last are kept. */
  readonly number: 'unsigned' | 'signed' | 'float' | undefined
}

/** The lanes of a record; plain data, which worker threads get too. */
export interface RecordLayout {
  /** Lanes of the key, 1 to 8. */
  readonly keyLaneCount: number
  /** Lanes of key and value. */
  readonly laneCount: number
  /** Bytes that each lane takes in a raw record, 1 to 4. */
  readonly laneBytes: readonly number[]
  /** Bytes of a raw record: the sum of `laneBytes`. */
  readonly recordBytes: number
  /** The lanes that are floats: they are compared by value, all others by their bits. */
  readonly floats: readonly FloatLanes[]
  /** How the records of a key become one, a rule for each field; `undefined`: they do not. */
  readonly combine?: readonly CombineRule[] | undefined
}

/** The layout of a record whose lanes have these natural widths; `floats` are among those of the value. */
export function recordLayout(
  keyLaneBytes: readonly number[],
  valueLaneBytes: readonly number[],
  floats: readonly FloatLanes[] = [],
  combine?: readonly CombineRule[],
): RecordLayout {
  const laneBytes = [...keyLaneBytes, ...valueLaneBytes]
  return {
    keyLaneCount: keyLaneBytes.length,
    laneCount: laneBytes.length,
    laneBytes,
    recordBytes: laneBytes.reduce((sum, bytes) => sum + bytes, 0),
    floats,
    combine,
  }
}
