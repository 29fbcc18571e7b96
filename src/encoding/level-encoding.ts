/**
 * The encodings of level-transcoder, made safe for a fixed width: for `fixed(encoding, n)`.
 *
 * What an encoding would silently change is refused here: the built-in ones cut a hex string at its first odd
 * character, skip what is not base64, and take any object as text. docs/decisions/level-transcoder.md.
 */
import { Buffer } from 'node:buffer'
import type { MixedEncoding } from 'level-transcoder'
import { describeValue, typedArrayName } from '../base/describe-value.js'
import { invalidType } from '../base/errors.js'
import { outOfBounds, wrongType, type Place } from './field-type.js'
import { ENCODING_NAME_RULE, isBuiltInName, isEncodingName, type BuiltInName } from './stored-schema.js'
import { Transcoder } from './transcoder.js'

/** An encoding to and from bytes of any length. */
export type ByteCodec = {
  encode(value: unknown, place: Place): Uint8Array
  /** Requires: the encoding may keep the bytes. */
  decode(bytes: Uint8Array<ArrayBuffer>): unknown
} & (
  | { readonly custom: false; readonly name: BuiltInName }
  /** It came from the caller: the file only knows its name. */
  | { readonly custom: true; readonly name: string }
)

interface BuiltIn {
  readonly accepts: string
  readonly takes: (value: unknown) => boolean
  /** Whether `bytes` hold all of `text`. */
  readonly holds: (bytes: Buffer, text: string) => boolean
}

const isTextOrBytes = (value: unknown): boolean =>
  typeof value === 'string' || typedArrayName(value) === 'Uint8Array'
// The text of a byte array that is not a Buffer would be read as hex or base64 digits.
const isTextOrBuffer = (value: unknown): boolean => typeof value === 'string' || Buffer.isBuffer(value)
const holdsUtf8 = (bytes: Buffer, text: string): boolean => bytes.toString('utf8') === text

const BUILT_IN: { readonly [N in BuiltInName]: BuiltIn } = {
  hex: {
    accepts: 'hex digits, two per byte, or a Buffer',
    takes: isTextOrBuffer,
    holds: (bytes, text) => bytes.toString('hex') === text.toLowerCase(),
  },
  base64: {
    accepts: 'base64 text or a Buffer',
    takes: isTextOrBuffer,
    holds: (bytes, text) =>
      bytes.toString('base64url') === text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, ''),
  },
  utf8: {
    accepts: 'well-formed text without a byte order mark, or a Uint8Array',
    takes: isTextOrBytes,
    holds: (bytes, text) => !text.startsWith('\uFEFF') && holdsUtf8(bytes, text),
  },
  view: { accepts: 'a Uint8Array or well-formed text', takes: isTextOrBytes, holds: holdsUtf8 },
  buffer: { accepts: 'a Uint8Array or well-formed text', takes: isTextOrBytes, holds: holdsUtf8 },
  json: { accepts: 'a JSON value', takes: value => value !== undefined, holds: () => true },
}

const ALIASES: { readonly [name: string]: BuiltInName } = { binary: 'buffer', 'utf-8': 'utf8' }

/** The built-in encoding with this name or alias in level-transcoder. */
export function builtInName(name: string): BuiltInName | undefined {
  if (isBuiltInName(name)) return name
  return Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined
}

export function builtInCodec(name: BuiltInName): ByteCodec {
  const { accepts, takes, holds } = BUILT_IN[name]
  const encoding = new Transcoder<Uint8Array>(['view']).encoding(name)
  return {
    name,
    custom: false,
    encode(value, place) {
      if (!takes(value)) throw wrongType(place, accepts, value)
      const bytes = encodeWith(encoding.encode, value, place)
      if (typeof value === 'string' && !holds(bufferOf(bytes), value))
        throw outOfBounds(place, accepts, value)
      return bytes
    },
    decode: encoding.decode,
  }
}

/** A custom encoding, in any of the shapes that level-transcoder takes. */
export function customCodec(given: object): ByteCodec {
  const name: unknown = 'name' in given ? given.name : undefined
  if (typeof name !== 'string' || !isEncodingName(name)) {
    throw invalidType(
      'FLASHTABLE_INVALID_OPTION',
      `a custom encoding needs ${ENCODING_NAME_RULE}, by which the table knows it: found ${describeValue(name)}`,
    )
  }
  let encoding
  try {
    // A separate Transcoder: each keeps encodings by name, so a custom 'hex' would replace the built-in one.
    encoding = new Transcoder<Uint8Array>(['view']).encoding(
      given as MixedEncoding<unknown, unknown, unknown>,
    )
  } catch (cause) {
    throw withCause(
      invalidType(
        'FLASHTABLE_INVALID_OPTION',
        `level-transcoder refused the encoding ${describeValue(name)}`,
      ),
      cause,
    )
  }
  const { encode, decode } = encoding
  return {
    name,
    custom: true,
    encode: (value, place) => encodeWith(encode, value, place),
    decode,
  }
}

/** Stands in if the table is opened without a custom encoding: columns and lanes work, values do not. */
export function missingCodec(name: string): ByteCodec {
  const fail = (): never => {
    throw invalidType(
      'FLASHTABLE_INVALID_OPTION',
      `the table was created with the custom encoding ${describeValue(name)}: ` +
        'open it with its keyEncoding and valueEncoding to read and write values, or use columns',
    )
  }
  return { name, custom: true, encode: fail, decode: fail }
}

function encodeWith(encode: (value: unknown) => unknown, value: unknown, place: Place): Uint8Array {
  let encoded: unknown
  try {
    encoded = encode(value)
    // Any view passes through the encodings 'view' and 'buffer' as it is; a detached one throws here.
    if (ArrayBuffer.isView(encoded))
      return typedArrayName(encoded) === 'Uint8Array' ? (encoded as Uint8Array) : bufferOf(encoded)
  } catch (cause) {
    throw withCause(wrongType(place, 'a value that its encoding takes', value), cause)
  }
  throw wrongType(place, 'an encoding that encodes to bytes', encoded)
}

function bufferOf(view: ArrayBufferView): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength)
}

function withCause<E extends Error>(error: E, cause: unknown): E {
  error.cause = cause
  return error
}
