/**
 * The object behind `struct`, `bytes` and `fixed`: an encoding of level-transcoder that knows its type of value.
 *
 * A table asks it only for that type; `encode` and `decode` are for other users of level-transcoder. docs/api.md,
 * Encodings.
 */
import { describeValue, lengthOfTypedArray, typedArrayName } from '../base/describe-value.js'
import { invalidType, outOfRange } from '../base/errors.js'
import { INSPECT } from '../base/inspect.js'
import type { FieldType } from './field-type.js'
import { isScalarName } from './stored-schema.js'
import type { StructFields } from './types.js'
import { singleValue, type ValueType } from './value-type.js'

export class TableEncoding {
  readonly name: string
  readonly format = 'view'
  readonly byteLength: number
  readonly fields: StructFields | undefined
  // Own properties, not methods: level-transcoder copies them and binds them to its copy.
  readonly encode: (value: unknown) => Uint8Array
  readonly decode: (bytes: Uint8Array) => unknown
  readonly #value: ValueType
  readonly #field: FieldType | undefined

  private constructor(value: ValueType, field: FieldType | undefined, fields: StructFields | undefined) {
    this.name = field !== undefined && isScalarName(field.stored.type) ? field.stored.type : value.text
    this.byteLength = value.byteLength
    this.fields = fields
    this.encode = data => encodeBytes(value, data)
    this.decode = data => decodeBytes(value, data)
    this.#value = value
    this.#field = field
    Object.freeze(this)
  }

  static ofField(type: FieldType): TableEncoding {
    return new TableEncoding(singleValue(type), type, undefined)
  }

  static ofStruct(value: ValueType, fields: StructFields): TableEncoding {
    return new TableEncoding(value, undefined, Object.freeze(fields))
  }

  /** How `util.inspect` shows it: as it is written in a program. */
  [INSPECT](): string {
    return #value in this ? this.#value.text : 'TableEncoding {}'
  }

  /** The type that one of our own encodings stands for. */
  static valueOf(encoding: object): ValueType | undefined {
    return #value in encoding ? encoding.#value : undefined
  }

  /** The same, if it is the type of a single field. */
  static fieldOf(encoding: object): FieldType | undefined {
    return #field in encoding ? encoding.#field : undefined
  }
}

/** A column of one row is the value as little-endian bytes, so lanes need no other way to write numbers. */
function encodeBytes(value: ValueType, data: unknown): Uint8Array {
  const record = new Uint32Array(value.laneBytes.length)
  value.toLanes(data, record, 0)
  const lanes = Array.from(record, lane => Uint32Array.of(lane))
  const encoded = new Uint8Array(value.byteLength)
  let offset = 0
  for (const { type, at } of value.fields) {
    encoded.set(new Uint8Array(type.columnFromLanes(lanes, at, 0, 1).buffer), offset)
    offset += type.byteLength
  }
  return encoded
}

function decodeBytes(value: ValueType, data: unknown): unknown {
  if (typedArrayName(data) !== 'Uint8Array') {
    throw invalidType(
      'FLASHTABLE_INVALID_VALUE',
      `decode: expected a Uint8Array, found ${describeValue(data)}`,
    )
  }
  const encoded = data as Uint8Array
  if (lengthOfTypedArray(encoded) !== value.byteLength) {
    throw outOfRange(
      'FLASHTABLE_INVALID_VALUE',
      `decode: expected ${value.byteLength} bytes (${value.text}), found ${lengthOfTypedArray(encoded)}`,
    )
  }
  const lanes = value.laneBytes.map(() => new Uint32Array(1))
  let offset = 0
  for (const { type, at } of value.fields) {
    // A copy, because any typed array can begin at its start.
    const field = new Uint8Array(encoded.subarray(offset, offset + type.byteLength))
    type.columnToLanes(type.columnOfBytes(field), 1, lanes, at, 0)
    offset += type.byteLength
  }
  return value.fromLanes(lanes, 0, 0)
}
