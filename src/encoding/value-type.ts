/**
 * The value of a record: none (a set), one field, or a struct of several.
 *
 * Whatever it is, columns see a list of named fields; a value that is not a struct is the column `value`.
 * docs/file-format.md, Lanes.
 */
import { describeValue } from '../base/describe-value.js'
import { invalidType } from '../base/errors.js'
import { wrongType, type FieldType, type Place } from './field-type.js'
import { structMaker, structWriter } from './struct-maker.js'
import type { StoredField, StoredValue } from './stored-schema.js'

/** A column of values. */
export interface Field {
  readonly name: string
  readonly type: FieldType
  /** Its first lane, counted from the first lane of the value. */
  readonly at: number
  readonly place: Place
}

/** The type of a table's values. Lanes are counted from `at`, the first lane of the value. */
export interface ValueType {
  readonly stored: StoredValue
  /** As it is written in a program. */
  readonly text: string
  readonly fields: readonly Field[]
  /** Natural width of each lane. */
  readonly laneBytes: readonly number[]
  /** Bytes of an encoded value. */
  readonly byteLength: number
  /**
   * Puts the value into the lanes from `lanes[at]` on; throws with `FLASHTABLE_INVALID_VALUE`. May run code of the
   * caller.
   */
  toLanes(value: unknown, lanes: Uint32Array, at: number): void
  fromLanes(lanes: readonly Uint32Array[], at: number, row: number): unknown
}

const VALUE: Place = { code: 'FLASHTABLE_INVALID_VALUE', what: 'the value' }

/** The value of a set. */
export const NO_VALUE: ValueType = {
  stored: null,
  text: 'no value',
  fields: [],
  laneBytes: [],
  byteLength: 0,
  toLanes(value) {
    if (value !== undefined) throw wrongType(VALUE, 'none, because this table is a set of keys', value)
  },
  fromLanes: () => undefined,
}

/** A value that is not a struct. */
export function singleValue(type: FieldType): ValueType {
  return {
    stored: type.stored,
    text: type.text,
    fields: [{ name: 'value', type, at: 0, place: VALUE }],
    laneBytes: type.laneBytes,
    byteLength: type.byteLength,
    toLanes(value, lanes, at) {
      type.toLanes(value, lanes, at, VALUE)
    },
    fromLanes: (lanes, at, row) => type.fromLanes(lanes, at, row),
  }
}

/** Requires: names are checked and distinct. */
export class StructValue implements ValueType {
  readonly stored: { readonly type: 'struct'; readonly fields: readonly StoredField[] }
  readonly text: string
  readonly fields: readonly Field[]
  readonly laneBytes: readonly number[]
  readonly byteLength: number
  readonly #names: ReadonlySet<string>
  readonly #write: (source: Readonly<Record<string, unknown>>, lanes: Uint32Array, at: number) => void
  readonly #make: (lanes: readonly Uint32Array[], at: number, row: number) => object

  constructor(types: readonly (readonly [name: string, type: FieldType])[]) {
    let lanes = 0
    this.fields = types.map(([name, type]) => {
      const at = lanes
      lanes += type.laneBytes.length
      return { name, type, at, place: { code: 'FLASHTABLE_INVALID_VALUE', what: `field '${name}'` } }
    })
    this.laneBytes = types.flatMap(([, type]) => type.laneBytes)
    this.byteLength = types.reduce((total, [, type]) => total + type.byteLength, 0)
    this.stored = { type: 'struct', fields: types.map(([name, type]) => ({ name, ...type.stored })) }
    this.text = `struct({ ${types.map(([name, type]) => `${name}: ${type.text}`).join(', ')} })`
    this.#names = new Set(types.map(([name]) => name))
    this.#write = structWriter(this.fields)
    this.#make = structMaker(this.fields)
  }

  toLanes(value: unknown, lanes: Uint32Array, at: number): void {
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) {
      throw wrongType(VALUE, this.text, value)
    }
    this.#checkNames(value)
    this.#write(value as Readonly<Record<string, unknown>>, lanes, at)
  }

  fromLanes(lanes: readonly Uint32Array[], at: number, row: number): unknown {
    return this.#make(lanes, at, row)
  }

  /** Refuses fields that would be lost. A missing field is noticed when it is read: it may be inherited. */
  #checkNames(value: object): void {
    const { fields } = this
    let place = 0
    // A loop over names allocates nothing; their array would.
    for (const name in value) {
      // Most objects have the fields in the order of the struct: the first comparison costs next to nothing.
      if (name === fields[place++]?.name || this.#names.has(name) || !Object.hasOwn(value, name)) continue
      throw invalidType(
        VALUE.code,
        `the value: expected ${this.text}, found another field ${describeValue(name)}`,
      )
    }
  }
}
