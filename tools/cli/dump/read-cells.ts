/** Reads the fields of a line of a dump into columns, straight from its bytes. */
import type { OwnColumn } from '../../../src/encoding/field-type.js'
import type { StoredFieldType } from '../../../src/encoding/stored-schema.js'

/** Reads the value at a place into a row of its column; returns where the text ends, or -1 if it is no such value. */
export type ReadCell = (bytes: Uint8Array, at: number, row: number) => number

/** A column, and what fills it. */
export interface FilledColumn {
  readonly column: OwnColumn
  readonly read: ReadCell
}

const ZERO = 48
const MINUS = 45
const WORD = 2 ** 32
/** A number of 20 digits is `top * 10^10 + bottom`; 10^10 is `2 * 2^32 + LOW_OF_TEN_DIGITS`. */
const TEN_DIGITS = 10
const LOW_OF_TEN_DIGITS = 1_410_065_408
/** The first ten digits of 2^64 - 1. */
const GREATEST_TOP = 1_844_674_407

const INTEGER_COLUMNS = {
  u8: Uint8Array,
  u16: Uint16Array,
  u32: Uint32Array,
  i8: Int8Array,
  i16: Int16Array,
  i32: Int32Array,
} as const

/** Makes a column of this many rows. */
export function filledColumn(type: StoredFieldType, rows: number): FilledColumn {
  switch (type.type) {
    case 'u64':
    case 'i64':
      return integers64(type.type, rows)
    case 'f32':
    case 'f64':
      return floats(type.type, rows)
    case 'bytes':
    case 'fixed':
    case 'custom':
      return byteStrings(type.bytes, rows)
    default:
      return integers(type.type, rows)
  }
}

function integers(type: keyof typeof INTEGER_COLUMNS, rows: number): FilledColumn {
  const column = new INTEGER_COLUMNS[type](rows)
  const values = 2 ** Number(type.slice(1))
  const least = type.startsWith('i') ? -values / 2 : 0
  const greatest = least + values - 1
  return {
    column,
    read(bytes, start, row) {
      const isNegative = bytes[start] === MINUS
      let at = isNegative ? start + 1 : start
      const first = at
      let value = 0
      for (; at < first + TEN_DIGITS; at++) {
        const digit = bytes[at]! - ZERO
        if (!(digit >= 0 && digit <= 9)) break
        value = value * 10 + digit
      }
      if (isNegative) value = -value
      if (at === first || value < least || value > greatest) return -1
      column[row] = value
      return at
    },
  }
}

function integers64(type: 'u64' | 'i64', rows: number): FilledColumn {
  const column = type === 'u64' ? new BigUint64Array(rows) : new BigInt64Array(rows)
  const halves = new Uint32Array(column.buffer)
  return {
    column,
    read(bytes, start, row) {
      const isNegative = bytes[start] === MINUS
      const first = isNegative ? start + 1 : start
      let at = first
      while (bytes[at]! >= ZERO && bytes[at]! <= ZERO + 9) at++
      if (at === first || at > first + 2 * TEN_DIGITS || (isNegative && type === 'u64')) return -1
      const middle = Math.max(first, at - TEN_DIGITS)
      const top = numberOf(bytes, first, middle)
      const bottom = numberOf(bytes, middle, at)
      if (top > GREATEST_TOP) return -1
      // top * 10^10 + bottom, 16 bits of top at a time: all numbers stay below 2^53.
      const upper = (top >>> 16) * LOW_OF_TEN_DIGITS
      const lower = (top & 0xffff) * LOW_OF_TEN_DIGITS + bottom + (upper % 65_536) * 65_536
      const high = 2 * top + Math.floor(upper / 65_536) + Math.floor(lower / WORD)
      const low = lower % WORD
      if (high >= WORD || (type === 'i64' && isTooGreat(low, high, isNegative))) return -1
      halves[2 * row] = isNegative ? -low : low
      halves[2 * row + 1] = isNegative ? ~high + (low === 0 ? 1 : 0) : high
      return at
    },
  }
}

/** Whether it is beyond 2^63 - 1, or if it is negative beyond 2^63. */
function isTooGreat(low: number, high: number, isNegative: boolean): boolean {
  return high >= WORD / 2 && !(isNegative && high === WORD / 2 && low === 0)
}

/** Requires: digits, at most ten. */
function numberOf(bytes: Uint8Array, from: number, to: number): number {
  let value = 0
  for (let at = from; at < to; at++) value = value * 10 + bytes[at]! - ZERO
  return value
}

function floats(type: 'f32' | 'f64', rows: number): FilledColumn {
  const column = type === 'f32' ? new Float32Array(rows) : new Float64Array(rows)
  const width = column.BYTES_PER_ELEMENT
  const view = new DataView(column.buffer)
  return {
    column,
    read(bytes, start, row) {
      let at = start
      // All that a number, `Infinity` and `NaN:fff80000` have: digits, letters, signs, the point and the colon.
      while (isOfFloat(bytes[at]!)) at++
      const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, at - start).toString('latin1')
      const value = Number(text)
      if (text !== '' && !Number.isNaN(value)) {
        column[row] = value
        return column[row] === value ? at : -1
      }
      if (text === 'NaN') column[row] = NaN
      else if (!new RegExp(`^NaN:[\\da-f]{${2 * width}}$`).test(text)) return -1
      else if (type === 'f32') view.setUint32(row * width, parseInt(text.slice(4), 16), true)
      else view.setBigUint64(row * width, BigInt(`0x${text.slice(4)}`), true)
      return Number.isNaN(column[row]) ? at : -1
    },
  }
}

function isOfFloat(byte: number): boolean {
  return (byte >= ZERO && byte <= 58) || (byte | 32) >= 97
    ? byte !== 123
    : byte === 43 || byte === 45 || byte === 46
}

function byteStrings(width: number, rows: number): FilledColumn {
  const column = new Uint8Array(width * rows)
  return {
    column,
    read(bytes, start, row) {
      let at = start
      for (let to = row * width; to < (row + 1) * width; to++, at += 2) {
        const high = hexDigit(bytes[at]!)
        const low = hexDigit(bytes[at + 1]!)
        if (high < 0 || low < 0) return -1
        column[to] = high * 16 + low
      }
      return at
    },
  }
}

function hexDigit(byte: number): number {
  if (byte >= ZERO && byte <= ZERO + 9) return byte - ZERO
  const letter = byte | 32
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}
