/**
 * A key as text: decimal or `0x...` for integers, two hexadecimal digits for each byte of bytes, and for `fixed` as its
 * encoding writes it.
 */
import type { BuiltInName, StoredFieldType } from '../../src/encoding/stored-schema.js'
import { inLine } from './output.js'
import { UsageError } from './usage.js'

/** Reads a key of a type; throws a {@link UsageError} that says what would fit. */
export function parseKey(text: string, type: StoredFieldType): unknown {
  switch (type.type) {
    case 'bytes':
      return parseBytes(text, type.bytes)
    case 'fixed':
      return parseEncoded(text, type.encoding, type.bytes)
    case 'custom':
      throw new UsageError(
        `the keys have the encoding "${type.encoding}", which only its own program can read`,
      )
    default:
      return parseInteger(text, type.type)
  }
}

/** Keys of 64 bits are a `bigint` for the table, all others a number. */
function parseInteger(text: string, type: string): bigint | number {
  if (!/^(\d+|0x[\da-f]+)$/i.test(text)) {
    throw new UsageError(`"${text}" is not a key: the keys are ${type}, written as 4660 or 0x1234`)
  }
  const key = BigInt(text)
  const limit = 2n ** BigInt(type.slice(1))
  if (key < limit) return type === 'u64' ? key : Number(key)
  throw new UsageError(`${text} does not fit: the keys are ${type}, 0 to ${limit - 1n}`)
}

function parseBytes(text: string, length: number): Uint8Array {
  const digits = text.replace(/^0x/i, '')
  if (digits.length === length * 2 && /^[\da-f]*$/i.test(digits)) {
    return Uint8Array.from(Buffer.from(digits, 'hex'))
  }
  throw new UsageError(
    `"${text}" is not a key: the keys have ${length} bytes, written as ${length * 2} hexadecimal digits`,
  )
}

function parseEncoded(text: string, encoding: BuiltInName, length: number): unknown {
  if (encoding === 'buffer' || encoding === 'view') return parseBytes(text, length)
  if (encoding !== 'json') return text
  try {
    return JSON.parse(text)
  } catch {
    throw new UsageError(`"${text}" is not a key: the keys are JSON`)
  }
}

/** As `get` takes it: integers in decimal, bytes in hex; within a line. */
export function formatKey(key: unknown): string {
  if (key instanceof Uint8Array) return Buffer.from(key).toString('hex')
  return inLine(typeof key === 'object' ? JSON.stringify(key) : String(key))
}
