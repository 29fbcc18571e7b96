/**
 * Writes numbers as text straight into bytes: no string is made for each value, which is what would take the time.
 *
 * Each function returns where the text ends. Requires: there is room.
 */

const ZERO = 48
const MINUS = 45
const BILLION = 1_000_000_000
/** High words below this make numbers that a double has exactly: 53 bits. */
const EXACT_HIGH = 2 ** 21

/** The two hexadecimal digits of each byte. */
const HEX = Uint16Array.from({ length: 256 }, (_, byte) => {
  const digits = byte.toString(16).padStart(2, '0')
  return digits.charCodeAt(0) | (digits.charCodeAt(1) << 8)
})

/** A whole number from 0 to 2^32 - 1. */
export function writeUnsigned(bytes: Uint8Array, at: number, value: number): number {
  return writePadded(bytes, at, value, digitCount(value))
}

/** A whole number from -(2^31) to 2^32 - 1. */
export function writeInteger(bytes: Uint8Array, at: number, value: number): number {
  if (value >= 0) return writeUnsigned(bytes, at, value)
  bytes[at] = MINUS
  return writeUnsigned(bytes, at + 1, -value)
}

/** An unsigned number of 64 bits, as two halves. */
export function writeUnsigned64(bytes: Uint8Array, at: number, low: number, high: number): number {
  if (high === 0) return writeUnsigned(bytes, at, low)
  let quotient: number
  let rest: number
  if (high < EXACT_HIGH) {
    const value = high * 2 ** 32 + low
    quotient = Math.floor(value / BILLION)
    rest = value - quotient * BILLION
  } else {
    // Long division by a billion, 16 bits at a time: all numbers stay below 2^53.
    const first = Math.floor(high / BILLION)
    const middle = (high - first * BILLION) * 65_536 + (low >>> 16)
    const second = Math.floor(middle / BILLION)
    const last = (middle - second * BILLION) * 65_536 + (low & 0xffff)
    const third = Math.floor(last / BILLION)
    quotient = (first * 65_536 + second) * 65_536 + third
    rest = last - third * BILLION
  }
  if (quotient === 0) return writeUnsigned(bytes, at, rest)
  const top = Math.floor(quotient / BILLION)
  let end = at
  if (top > 0) {
    end = writeUnsigned(bytes, end, top)
    end = writePadded(bytes, end, quotient - top * BILLION, 9)
  } else end = writeUnsigned(bytes, end, quotient)
  return writePadded(bytes, end, rest, 9)
}

/** A signed number of 64 bits, as two halves. */
export function writeSigned64(bytes: Uint8Array, at: number, low: number, high: number): number {
  if (high >>> 31 === 0) return writeUnsigned64(bytes, at, low, high)
  bytes[at] = MINUS
  const positiveLow = -low >>> 0
  return writeUnsigned64(bytes, at + 1, positiveLow, (~high + (positiveLow === 0 ? 1 : 0)) >>> 0)
}

/** Two digits for each byte of `from`. */
export function writeHex(
  bytes: Uint8Array,
  at: number,
  from: Uint8Array,
  start: number,
  end: number,
): number {
  let to = at
  for (let i = start; i < end; i++) {
    const digits = HEX[from[i]!]!
    bytes[to++] = digits & 0xff
    bytes[to++] = digits >>> 8
  }
  return to
}

/** Text of characters below 128. */
export function writeAscii(bytes: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i)
  return at + text.length
}

function writePadded(bytes: Uint8Array, at: number, value: number, digits: number): number {
  let rest = value
  for (let i = at + digits - 1; i >= at; i--) {
    const next = (rest / 10) | 0
    bytes[i] = ZERO + rest - next * 10
    rest = next
  }
  return at + digits
}

function digitCount(value: number): number {
  if (value < 100_000) {
    if (value < 100) return value < 10 ? 1 : 2
    return value < 1000 ? 3 : value < 10_000 ? 4 : 5
  }
  if (value < 10_000_000) return value < 1_000_000 ? 6 : 7
  return value < 100_000_000 ? 8 : value < BILLION ? 9 : 10
}
