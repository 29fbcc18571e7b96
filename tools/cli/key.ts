/**
 * Keys and values as text: decimal or `0x...` for integers, two hexadecimal digits for each byte of bytes, and for `fixed`
 * as its encoding writes it.
 */
import type { BuiltInName, StoredFieldType } from '../../src/encoding/stored-schema.js'
import { inLine } from './output.js'
import { UsageError } from './usage.js'

/** Reads a key of a type; throws a {@link UsageError} that says what would fit. */
export function parseKey(text: string, type: StoredFieldType): unknown {
  return parseField(text, type, 'the key')
}

/** Reads a value of a type. `what`: how errors call it. */
export function parseField(text: string, type: StoredFieldType, what: string): unknown {
  switch (type.type) {
    case 'bytes':
      return parseBytes(text, type.bytes, what)
    case 'fixed':
      return parseEncoded(text, type.encoding, type.bytes, what)
    case 'custom':
      throw new UsageError(`${what} has the encoding "${type.encoding}", which only its own program can read`)
    case 'f32':
    case 'f64':
      return parseFloatText(text, type.type, what)
    default:
      return parseInteger(text, type.type, what)
  }
}

/** Two hexadecimal digits for each byte; `length`: how many bytes there are, or at most with `isPrefix`. */
export function parseBytes(text: string, length: number, what: string, isPrefix = false): Uint8Array {
  const digits = text.replace(/^0x/i, '')
  const fits = isPrefix
    ? digits.length % 2 === 0 && digits.length <= length * 2
    : digits.length === length * 2
  if (fits && /^[\da-f]*$/i.test(digits)) return Uint8Array.from(Buffer.from(digits, 'hex'))
  const most = isPrefix ? 'at most ' : ''
  throw new UsageError(
    `"${text}" does not fit ${what}: it has ${most}${length} bytes, written as ${most}${length * 2} hexadecimal digits`,
  )
}

/** Integers of 64 bits are a `bigint` for the table, all others a number. */
function parseInteger(text: string, type: string, what: string): bigint | number {
  const isSigned = type.startsWith('i')
  const [, minus, digits] = /^(-?)(\d+|0x[\da-f]+)$/i.exec(text) ?? []
  if (digits === undefined || (minus === '-' && !isSigned))
    throw new UsageError(`"${text}" does not fit ${what}: it is ${type}, written as 4660 or 0x1234`)
  const integer = minus === '-' ? -BigInt(digits) : BigInt(digits)
  const values = 2n ** BigInt(type.slice(1))
  const least = isSigned ? -values / 2n : 0n
  const greatest = least + values - 1n
  if (integer < least || integer > greatest)
    throw new UsageError(`${text} does not fit ${what}: it is ${type}, ${least} to ${greatest}`)
  return type.endsWith('64') ? integer : Number(integer)
}

function parseFloatText(text: string, type: string, what: string): number {
  const number = text.trim() === '' ? NaN : Number(text)
  if (!Number.isNaN(number) || text === 'NaN') return number
  throw new UsageError(`"${text}" does not fit ${what}: it is ${type}, written as -1.5e3, Infinity or NaN`)
}

function parseEncoded(text: string, encoding: BuiltInName, length: number, what: string): unknown {
  if (encoding === 'buffer' || encoding === 'view') return parseBytes(text, length, what)
  if (encoding !== 'json') return text
  try {
    return JSON.parse(text)
  } catch {
    throw new UsageError(`"${text}" does not fit ${what}: it is JSON`)
  }
}

/** As `get` takes it: integers in decimal, bytes in hex; within a line. */
export function formatKey(key: unknown): string {
  if (key instanceof Uint8Array) return Buffer.from(key).toString('hex')
  return inLine(typeof key === 'object' ? JSON.stringify(key) : String(key))
}
