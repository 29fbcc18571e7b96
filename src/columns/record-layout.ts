/**
 * How a record looks inside the engine: a row of unsigned 32-bit lanes, key lanes first.
 *
 * A field of up to 32 bits is one lane, a 64-bit field two (high half first), `bytes(n)` one lane for each four
 * bytes (big-endian; the last lane holds the rest, right-aligned). Keys so compare lane by lane as unsigned
 * numbers. Everything below `encoding/` sees lanes alone. docs/file-format.md, Lanes.
 */
export interface RecordLayout {
  /** Lanes of the key, 1 to 8. */
  readonly keyLaneCount: number
  /** Lanes of key and value. */
  readonly laneCount: number
  /** Bytes that each lane takes in a raw record, 1 to 4. */
  readonly laneBytes: readonly number[]
  /** Bytes of a raw record: the sum of `laneBytes`. */
  readonly recordBytes: number
}

/** The layout of a record whose lanes have these natural widths. */
export function recordLayout(
  keyLaneBytes: readonly number[],
  valueLaneBytes: readonly number[],
): RecordLayout {
  const laneBytes = [...keyLaneBytes, ...valueLaneBytes]
  return {
    keyLaneCount: keyLaneBytes.length,
    laneCount: laneBytes.length,
    laneBytes,
    recordBytes: laneBytes.reduce((sum, bytes) => sum + bytes, 0),
  }
}
