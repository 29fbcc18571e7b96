/**
 * Keys of a page as distances from its first key: numbers of as many lanes as the key has, the first lane highest.
 * docs/file-format.md, Data page.
 */

const TWO_32 = 2 ** 32

/** Distances below it are exact as one number, and so is the floor of their quotients. */
export const EXACT_MAX = 2 ** 52

/** `offset` = key - first. False where the key is before it. */
export function subtractKey(
  key: ArrayLike<number>,
  first: Uint32Array,
  at: number,
  offset: Uint32Array,
): boolean {
  let borrow = 0
  for (let lane = offset.length - 1; lane >= 0; lane--) {
    const difference = key[lane]! - first[at + lane]! - borrow
    borrow = difference < 0 ? 1 : 0
    offset[lane] = difference
  }
  return borrow === 0
}

/** The distance as one number; `EXACT_MAX` or more where that is not exact. */
export function offsetNumber(offset: Uint32Array): number {
  let number = 0
  for (let lane = 0; lane < offset.length; lane++) number = number * TWO_32 + offset[lane]!
  return number
}

/** The distance without its lowest `lowBits` bits; 2^16 or more where it takes more than 16 bits. */
export function bucketOf(offset: Uint32Array, lowBits: number): number {
  const lanes = lowBits >>> 5
  const shift = lowBits & 31
  let bucket = 0
  for (let lane = 0; lane < offset.length - lanes; lane++) {
    if (bucket >= 2 ** 16) return bucket
    bucket = bucket * TWO_32 + offset[lane]!
  }
  // The lanes before hold less than 16 bits, so that it is exact.
  return Math.floor(bucket / 2 ** shift)
}

/** Shifts the distance to the right, in place; false if a bit that is not 0 falls out. */
export function shiftOut(offset: Uint32Array, shift: number): boolean {
  const lanes = shift >>> 5
  const bits = shift & 31
  const last = offset.length - 1
  for (let lane = last; lane > last - lanes; lane--) if (offset[lane] !== 0) return false
  if (bits > 0 && (offset[last - lanes]! & ((1 << bits) - 1)) !== 0) return false
  shiftRight(offset, shift)
  return true
}

/** Shifts the distance to the right, in place; what falls out is lost. */
export function shiftRight(offset: Uint32Array, shift: number): void {
  const lanes = shift >>> 5
  const bits = shift & 31
  for (let lane = offset.length - 1; lane >= 0; lane--) {
    const from = lane - lanes
    const low = from >= 0 ? offset[from]! >>> bits : 0
    const high = bits > 0 && from >= 1 ? offset[from - 1]! << (32 - bits) : 0
    offset[lane] = low | high
  }
}

/** Shifts the distance to the left, in place. Requires: no bit falls out. */
export function shiftLeft(offset: Uint32Array, shift: number): void {
  const lanes = shift >>> 5
  const bits = shift & 31
  for (let lane = 0; lane < offset.length; lane++) {
    const from = lane + lanes
    const high = from < offset.length ? offset[from]! << bits : 0
    const low = bits > 0 && from + 1 < offset.length ? offset[from + 1]! >>> (32 - bits) : 0
    offset[lane] = high | low
  }
}

/** Zeros at the end of the number. Requires: it is not 0. */
export function trailingZeros(lanes: Uint32Array): number {
  let zeros = 0
  let lane = lanes.length - 1
  for (; lanes[lane] === 0; lane--) zeros += 32
  return zeros + 31 - Math.clz32(lanes[lane]! & -lanes[lane]!)
}
