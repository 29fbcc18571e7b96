/**
 * Keys as unsigned big-endian numbers, which measure "at most r away". Lanes of fewer than four bytes count with their
 * own width.
 */
import type { RecordLayout } from './record-layout.js'

/** The key in row `row` as a number. */
export function keyNumber(lanes: readonly Uint32Array[], row: number, layout: RecordLayout): bigint {
  let number = 0n
  for (let lane = 0; lane < layout.keyLaneCount; lane++) {
    number = (number << BigInt(8 * layout.laneBytes[lane]!)) | BigInt(lanes[lane]![row]!)
  }
  return number
}

/** The greatest key. */
export function greatestKeyNumber(layout: RecordLayout): bigint {
  let bits = 0
  for (let lane = 0; lane < layout.keyLaneCount; lane++) bits += 8 * layout.laneBytes[lane]!
  return (1n << BigInt(bits)) - 1n
}

/** The lanes of the key that is this number. Requires: it is not above the greatest. */
export function keyOfNumber(number: bigint, layout: RecordLayout): Uint32Array {
  const key = new Uint32Array(layout.keyLaneCount)
  for (let lane = layout.keyLaneCount - 1; lane >= 0; lane--) {
    const bits = 8 * layout.laneBytes[lane]!
    key[lane] = Number(BigInt.asUintN(bits, number))
    number >>= BigInt(bits)
  }
  return key
}

/** Moves the key on to the next number, in place. */
export function incrementKey(key: Uint32Array, layout: RecordLayout): void {
  for (let lane = layout.keyLaneCount - 1; lane >= 0; lane--) {
    if (key[lane]! < 2 ** (8 * layout.laneBytes[lane]!) - 1) {
      key[lane]!++
      return
    }
    key[lane] = 0
  }
}
