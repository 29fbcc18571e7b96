/**
 * What writes one value of a column as text. A writer is made once for each column and batch, so that nothing about its
 * type is asked for each value.
 */
import type { OwnColumn } from '../../../src/encoding/field-type.js'
import type { StoredFieldType } from '../../../src/encoding/stored-schema.js'
import {
  writeAscii,
  writeHex,
  writeInteger,
  writeSigned64,
  writeUnsigned,
  writeUnsigned64,
} from './digits.js'

/** Writes the value of a row at a place; returns where it ends. */
export type WriteCell = (bytes: Buffer, at: number, row: number) => number

/** How a format writes what is not a plain number. All of it fits in one line. */
export interface CellStyle {
  /** Around 64-bit integers: `"` or nothing. */
  readonly quote64: '"' | ''
  /** Around bytes, and around numbers that are not finite: `"` or nothing. */
  readonly quote: '"' | ''
  /** Writes NaN with other bits than the usual ones with its bits: `NaN:fff8000000000000`. */
  readonly keepsNaN?: boolean
  /** The text of a `fixed` encoding; `isJson`: it is JSON. Without it, the encoded bytes are written. */
  readonly text?: (text: string, isJson: boolean) => string
}

/** Writes the values of columns of one type. */
export interface CellType {
  /** The most bytes that a value takes. */
  readonly maxBytes: number
  writer(column: OwnColumn): WriteCell
}

const SCALAR_BYTES = { u8: 3, u16: 5, u32: 10, u64: 22, i8: 4, i16: 6, i32: 11, i64: 22, f32: 26, f64: 26 }
/** A byte of text may become `\u001b`. */
const TEXT_BYTES = 6

/** NaN as programs make it, as bits from the lowest word on. */
const USUAL_NAN = { f32: [0x7fc00000], f64: [0, 0x7ff80000] } as const

export function cellType(type: StoredFieldType, style: CellStyle): CellType {
  switch (type.type) {
    case 'u8':
    case 'u16':
    case 'u32':
      return plain(type.type, column => {
        const values = column as Uint32Array
        return (bytes, at, row) => writeUnsigned(bytes, at, values[row]!)
      })
    case 'i8':
    case 'i16':
    case 'i32':
      return plain(type.type, column => {
        const values = column as Int32Array
        return (bytes, at, row) => writeInteger(bytes, at, values[row]!)
      })
    case 'u64':
      return plain(type.type, column => halvesWriter(column, writeUnsigned64, style.quote64))
    case 'i64':
      return plain(type.type, column => halvesWriter(column, writeSigned64, style.quote64))
    case 'f32':
    case 'f64': {
      const name = type.type
      return plain(name, column => floatWriter(column as Float64Array, name, style))
    }
    default:
      return byteStrings(type, style)
  }
}

function plain(name: keyof typeof SCALAR_BYTES, writer: CellType['writer']): CellType {
  return { maxBytes: SCALAR_BYTES[name], writer }
}

function halvesWriter(column: OwnColumn, write: typeof writeUnsigned64, quote: string): WriteCell {
  const halves = new Uint32Array(column.buffer, column.byteOffset, column.length * 2)
  if (quote === '') return (bytes, at, row) => write(bytes, at, halves[2 * row]!, halves[2 * row + 1]!)
  return (bytes, at, row) => {
    bytes[at] = QUOTE
    const end = write(bytes, at + 1, halves[2 * row]!, halves[2 * row + 1]!)
    bytes[end] = QUOTE
    return end + 1
  }
}

const QUOTE = 34

/** The shortest text that reads as the same number. */
function floatWriter(column: Float64Array | Float32Array, name: 'f32' | 'f64', style: CellStyle): WriteCell {
  const words = new Uint32Array(column.buffer, column.byteOffset, column.byteLength / 4)
  return (bytes, at, row) => {
    const value = column[row]!
    if (Number.isFinite(value)) return writeAscii(bytes, at, Object.is(value, -0) ? '-0' : String(value))
    const text =
      style.keepsNaN === true && Number.isNaN(value) ? textOfNaN(words, row, USUAL_NAN[name]) : String(value)
    return writeAscii(bytes, at, `${style.quote}${text}${style.quote}`)
  }
}

function textOfNaN(words: Uint32Array, row: number, usual: readonly number[]): string {
  const bits = words.subarray(row * usual.length, (row + 1) * usual.length)
  if (bits.every((word, i) => word === usual[i])) return 'NaN'
  return `NaN:${[...bits]
    .reverse()
    .map(word => word.toString(16).padStart(8, '0'))
    .join('')}`
}

function byteStrings(type: StoredFieldType & { readonly bytes: number }, style: CellStyle): CellType {
  const { bytes: width } = type
  const text = textOf(type, style)
  if (text === undefined) {
    return {
      maxBytes: 2 * width + 2,
      writer: column => {
        const values = column as Uint8Array
        return (bytes, at, row) => {
          const start = writeAscii(bytes, at, style.quote)
          return writeAscii(
            bytes,
            writeHex(bytes, start, values, row * width, (row + 1) * width),
            style.quote,
          )
        }
      },
    }
  }
  return {
    maxBytes: TEXT_BYTES * width + 2,
    writer: column => {
      const values = Buffer.from(column.buffer, column.byteOffset, column.byteLength)
      return (bytes, at, row) => at + bytes.write(text(values, row * width, (row + 1) * width), at)
    },
  }
}

/** The text of an encoded value; `undefined`: its bytes are shown. */
function textOf(
  type: StoredFieldType,
  { text }: CellStyle,
): ((bytes: Buffer, start: number, end: number) => string) | undefined {
  if (type.type !== 'fixed' || text === undefined) return undefined
  switch (type.encoding) {
    case 'utf8':
      return (bytes, start, end) => text(bytes.toString('utf8', start, end), false)
    case 'json':
      return (bytes, start, end) => text(bytes.toString('utf8', start, end), true)
    case 'base64':
      return (bytes, start, end) => text(bytes.toString('base64', start, end), false)
    default:
      return undefined
  }
}
