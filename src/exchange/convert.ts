/**
 * Columns that come from elsewhere to columns of a table. What does not fit is not changed until it does: its row is marked.
 *
 * Hot: the loops are plain, and a value that fits is stored once and compared once.
 */
import { Buffer } from 'node:buffer'
import { typedArrayName } from '../base/describe-value.js'
import type { OwnColumn } from '../encoding/field-type.js'
import {
  COLUMN_OF,
  emptyColumn,
  scalarBytes,
  type SourceColumn,
  type SourceField,
  type TargetType,
} from './columns.js'

/** Is told each row whose value does not fit, and the value. */
export type Mark = (row: number, found: unknown) => void

/** The column as one of this field. Marked rows hold anything. */
export function convertColumn(
  column: SourceColumn,
  rows: number,
  from: SourceField,
  to: TargetType,
  mark: Mark,
): OwnColumn {
  if (isAlready(column, from, to)) return column
  const { type, byteLength } = to
  const values = valuesOf(column, rows, from)
  if (type === 'bytes') return toBytes(values, byteLength, mark)
  const target = emptyColumn(to, rows)
  if (type === 'u64' || type === 'i64') toBigIntegers(values, target as BigUint64Array, mark)
  else if (type === 'f32' || type === 'f64') toFloats(values, target as Float64Array, mark)
  else toIntegers(values, target as Int32Array, mark)
  return target
}

/** Whether it is a column of the table as it is. Parquet has narrow integers in wide arrays. */
function isAlready(column: SourceColumn, from: SourceField, to: TargetType): column is OwnColumn {
  if (!ArrayBuffer.isView(column) || from.type !== to.type) return false
  return to.type === 'bytes' ? from.byteLength === to.byteLength : column.constructor === COLUMN_OF[to.type]
}

/** Values one by one, which those of `bytes` in a row are not. */
function valuesOf(column: SourceColumn, rows: number, { type, byteLength }: SourceField): readonly unknown[] {
  if (type !== 'bytes' || !ArrayBuffer.isView(column)) return column as readonly unknown[]
  const bytes = column as Uint8Array
  return Array.from({ length: rows }, (_, row) => bytes.subarray(row * byteLength, (row + 1) * byteLength))
}

/** An assignment cuts a number down to the type: if it is another one then, it did not fit. */
function toIntegers(values: readonly unknown[], target: Int32Array, mark: Mark): void {
  for (let row = 0; row < values.length; row++) {
    const value = values[row]
    const number = typeof value === 'number' ? value : integerOf(value)
    target[row] = number
    if (target[row] !== number) mark(row, value)
  }
}

function toBigIntegers(values: readonly unknown[], target: BigUint64Array, mark: Mark): void {
  for (let row = 0; row < values.length; row++) {
    const value = values[row]
    const integer = typeof value === 'bigint' ? value : bigIntegerOf(value)
    if (integer === undefined) mark(row, value)
    else {
      target[row] = integer
      if (target[row] !== integer) mark(row, value)
    }
  }
}

/** Rounds to the type: who has a field of f32 asks for that. Numbers that become infinite do not fit. */
function toFloats(values: readonly unknown[], target: Float64Array, mark: Mark): void {
  for (let row = 0; row < values.length; row++) {
    const value = values[row]
    const number = typeof value === 'number' ? value : floatOf(value)
    if (number === undefined) mark(row, value)
    else {
      target[row] = number
      if (Number.isFinite(number) && !Number.isFinite(target[row])) mark(row, value)
    }
  }
}

function toBytes(values: readonly unknown[], byteLength: number, mark: Mark): OwnColumn {
  const target = Buffer.alloc(values.length * byteLength)
  for (let row = 0; row < values.length; row++) {
    const value = values[row]
    if (isBytes(value) && value.byteLength === byteLength) target.set(value, row * byteLength)
    else if (isHex(value, byteLength)) target.write(value.replace(/^0x/i, ''), row * byteLength, 'hex')
    else mark(row, value)
  }
  return new Uint8Array(target.buffer, target.byteOffset, target.byteLength)
}

/** From any realm. */
function isBytes(value: unknown): value is Uint8Array {
  return typedArrayName(value) === 'Uint8Array'
}

function isHex(value: unknown, byteLength: number): value is string {
  return (
    typeof value === 'string' &&
    /^(?:0x)?[\da-f]*$/i.test(value) &&
    value.replace(/^0x/i, '').length === 2 * byteLength
  )
}

/** `NaN`, which fits no integer type, if it is none. */
function integerOf(value: unknown): number {
  if (typeof value === 'string') return value.trim() === '' ? NaN : Number(value)
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : NaN
  return typeof value === 'boolean' ? Number(value) : NaN
}

function bigIntegerOf(value: unknown): bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined
  if (typeof value === 'boolean') return BigInt(value)
  if (typeof value !== 'string' || value.trim() === '') return undefined
  try {
    return BigInt(value)
  } catch {
    return undefined
  }
}

/** As JavaScript, Python and C write what is no finite number. */
const NO_NUMBERS: Readonly<Record<string, number>> = {
  nan: NaN,
  inf: Infinity,
  '+inf': Infinity,
  '-inf': -Infinity,
  infinity: Infinity,
  '+infinity': Infinity,
  '-infinity': -Infinity,
}

function floatOf(value: unknown): number | undefined {
  if (typeof value === 'bigint') return BigInt(Number(value)) === value ? Number(value) : undefined
  if (typeof value !== 'string' || value.trim() === '') return undefined
  const number = Number(value)
  return Number.isNaN(number) ? NO_NUMBERS[value.trim().toLowerCase()] : number
}

/** What a type takes, for messages. */
export function typeRange({ type, byteLength }: TargetType): string {
  if (type === 'bytes') return `bytes(${byteLength}), in text ${2 * byteLength} hexadecimal digits`
  if (type === 'f32' || type === 'f64') return `${type}, a number`
  const bits = BigInt(scalarBytes(type) * 8)
  const [least, above] = type.startsWith('u') ? [0n, 1n << bits] : [-(1n << (bits - 1n)), 1n << (bits - 1n)]
  return `${type}, an integer from ${least} to ${above - 1n}`
}
