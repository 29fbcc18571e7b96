/**
 * The encodings that a program declares a table with: `struct`, `bytes`, `fixed` and the integers and floats by name.
 *
 * They are encodings of level-transcoder (`new Transcoder(['view']).encoding(struct({ ... }))`) that know the width of
 * what they encode. The table itself only asks them for their types, and writes lanes. docs/api.md, Encodings.
 */
import { describeValue } from '../base/describe-value.js'
import { invalidType, outOfRange } from '../base/errors.js'
import { firstOther, refuseExtra } from '../options/arguments.js'
import { BytesType, FixedType } from './bytes.js'
import type { FieldType } from './field-type.js'
import { builtInCodec, builtInName, customCodec } from './level-encoding.js'
import { checkByteLength, checkRecordBytes, fieldTypeOf } from './resolve.js'
import { SCALAR_TYPES } from './scalars.js'
import {
  BUILT_IN_NAMES,
  FIELD_NAME_RULE,
  isFieldName,
  MAX_FIELDS,
  SCALAR_NAMES,
  type ReservedName,
  type ScalarName,
} from './stored-schema.js'
import { TableEncoding } from './table-encoding.js'
import type { ScalarEncoding, SizedEncoding, StructEncoding, StructFields } from './types.js'
import { StructValue } from './value-type.js'

/** The names that level-transcoder knows encodings by. */
export type LevelEncodingName = keyof LevelValues | keyof LevelAliases

interface LevelAliases {
  binary: 'buffer'
  'utf-8': 'utf8'
}

type LevelName<N extends LevelEncodingName> = N extends keyof LevelAliases ? LevelAliases[N] : N
type LevelIn<N> = N extends keyof LevelValues ? LevelValues[N][0] : never
type LevelOut<N> = N extends keyof LevelValues ? LevelValues[N][1] : never

/**
 * What the encodings take, and what they give. Declared here again, because the types of level-transcoder need
 * `@types/node`.
 */
interface LevelValues {
  readonly utf8: readonly [string | Uint8Array, string]
  readonly buffer: readonly [Uint8Array | string, NodeBuffer]
  readonly view: readonly [Uint8Array | string, Uint8Array]
  readonly json: readonly [unknown, unknown]
  readonly hex: readonly [NodeBuffer | string, string]
  readonly base64: readonly [NodeBuffer | string, string]
}

/** `Buffer`, if there are types of Node. */
type NodeBuffer = typeof globalThis extends {
  readonly Buffer: { readonly isBuffer: (value: unknown) => value is infer B extends Uint8Array }
}
  ? B
  : Uint8Array

/** A custom encoding, in any of the shapes that level-transcoder takes. */
interface GivenEncoding<In, Format, Out> {
  readonly encode: (value: In) => Format
  readonly decode: (data: Format) => Out
  readonly name?: string | undefined
  readonly format?: 'buffer' | 'view' | 'utf8' | undefined
  readonly buffer?: boolean | undefined
  readonly type?: unknown
  readonly code?: unknown
}

/** Names that a field cannot have are compile errors too, if they are known. */
type WithoutReserved<F> = string extends keyof F ? unknown : { readonly [N in keyof F & ReservedName]: never }

/**
 * The encoding of a value with several fields, stored in the order in which they are given.
 *
 * Fields are integers and floats by name, `bytes(n)` or `fixed(encoding, n)`; 1 to 64 of them. Their names are
 * identifiers other than `key`, `query` and `value`. Encoded bytes are packed, little-endian.
 *
 * Throws a `TypeError` or `RangeError` with `FLASHTABLE_INVALID_OPTION`.
 */
export function struct<const F extends StructFields>(
  fields: F & WithoutReserved<F>,
  ...extra: never[]
): StructEncoding<F> {
  refuseExtra('struct', extra)
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
    throw invalidOption(`struct: expected an object of fields, found ${describeValue(fields)}`)
  }
  const given = Object.entries<unknown>(fields)
  const other = firstOther(fields, Object.fromEntries(given))
  if (other !== undefined) {
    throw invalidOption(
      `struct: expected fields that the object has itself, by name; found ${describeValue(other)}`,
    )
  }
  if (given.length < 1 || given.length > MAX_FIELDS) {
    throw outOfRange(
      'FLASHTABLE_INVALID_OPTION',
      `struct: expected 1 to ${MAX_FIELDS} fields, found ${given.length}`,
    )
  }
  for (const [name] of given) {
    if (!isFieldName(name))
      throw invalidOption(`struct: expected ${FIELD_NAME_RULE}, found ${describeValue(name)}`)
  }
  const types = given.map(([name, encoding]) => [name, fieldTypeOf(encoding, `field '${name}'`)] as const)
  const value = new StructValue(types)
  checkRecordBytes('struct', value.byteLength)
  const encoding = TableEncoding.ofStruct(value, Object.fromEntries(given) as StructFields)
  return encoding as unknown as StructEncoding<F>
}

/**
 * The encoding of byte strings of exactly `byteLength` bytes: `Uint8Array`s, which are ordered byte by byte.
 *
 * `byteLength` is 1 to 32 in a key, otherwise up to 1024 minus the rest of the record. Throws a `RangeError` with
 * `FLASHTABLE_INVALID_OPTION`.
 */
export function bytes(
  byteLength: number,
  ...extra: never[]
): SizedEncoding<Uint8Array, Uint8Array<ArrayBuffer>> {
  refuseExtra('bytes', extra)
  checkByteLength('bytes', byteLength)
  return fieldEncoding(new BytesType(byteLength))
}

/**
 * Gives an encoding of level-transcoder a declared width: a value that it encodes to another length is an error, and
 * nothing is padded or cut. `fixed('hex', 20)` takes 40 hex digits.
 *
 * `encoding` is a name (`'hex'`, `'utf8'`, `'base64'`, `'json'`, `'view'`, `'buffer'`) or a custom encoding with a
 * name. A custom one must be given again whenever the table is opened, or its values cannot be read; columns hold the
 * encoded bytes in any case. Throws a `TypeError` or `RangeError` with `FLASHTABLE_INVALID_OPTION`.
 */
export function fixed<N extends LevelEncodingName>(
  encoding: N,
  byteLength: number,
): SizedEncoding<LevelIn<LevelName<N>>, LevelOut<LevelName<N>>>
export function fixed<In, Format, Out>(
  encoding: GivenEncoding<In, Format, Out>,
  byteLength: number,
): SizedEncoding<In, Out>
export function fixed(
  encoding: unknown,
  byteLength: number,
  ...extra: unknown[]
): SizedEncoding<never, unknown> {
  refuseExtra('fixed', extra)
  checkByteLength('fixed', byteLength)
  if (typeof encoding === 'object' && encoding !== null) {
    checkWidth(encoding, byteLength)
    return fieldEncoding(new FixedType(customCodec(encoding), byteLength))
  }
  const name = typeof encoding === 'string' ? builtInName(encoding) : undefined
  if (name === undefined) {
    throw invalidOption(
      `fixed: expected ${BUILT_IN_NAMES.join(', ')} or an encoding object, found ${describeValue(encoding)}`,
    )
  }
  return fieldEncoding(new FixedType(builtInCodec(name), byteLength))
}

/** Refuses an encoding that has another width, or one of ours, which needs none. */
function checkWidth(encoding: object, byteLength: number): void {
  const own = TableEncoding.valueOf(encoding)
  if (own !== undefined) throw invalidOption(`fixed: ${own.text} has its own width; use it as it is`)
  const width: unknown = 'byteLength' in encoding ? encoding.byteLength : undefined
  if (typeof width !== 'number' || width === byteLength) return
  throw outOfRange(
    'FLASHTABLE_INVALID_OPTION',
    `fixed: expected ${width} bytes, as the encoding declares, found ${byteLength}`,
  )
}

function fieldEncoding<In, Out>(type: FieldType): SizedEncoding<In, Out> {
  return TableEncoding.ofField(type) as unknown as SizedEncoding<In, Out>
}

/** The integers and floats as encoding objects, for use with level-transcoder; a table takes the names as well. */
export const encodings = Object.freeze(
  Object.fromEntries(SCALAR_NAMES.map(name => [name, fieldEncoding(SCALAR_TYPES[name])])),
) as unknown as { readonly [N in ScalarName]: ScalarEncoding<N> }

function invalidOption(message: string): TypeError {
  return invalidType('FLASHTABLE_INVALID_OPTION', message)
}
