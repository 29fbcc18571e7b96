/**
 * Converts integers and floats between JavaScript values or typed arrays and lanes.
 *
 * Hot: the loops over columns are plain, and no value of a key allocates when it is encoded. Lanes of signed integers
 * are biased, so that close values have close lanes; floats keep their bits. docs/file-format.md, Lanes.
 */
import type { LaneColumn } from '../records/lane-columns.js'
import { outOfBounds, wrongType, type FieldType, type OwnColumn, type Place } from './field-type.js'
import type { ScalarKeyName, ScalarName } from './stored-schema.js'

const SIGN_BIT = 0x80000000
const TWO_32 = 2 ** 32

/** The bits of a number as words, the low one first: what is written as one is read as the other. */
const bitsCell = new ArrayBuffer(8)
const words = new Uint32Array(bitsCell)
const unsigned64 = new BigUint64Array(bitsCell)
const signed64 = new BigInt64Array(bitsCell)
const float64 = new Float64Array(bitsCell)
const float32 = new Float32Array(bitsCell)

interface ColumnConstructor<C> {
  new (length: number): C
  new (bytes: ArrayBuffer): C
  readonly name: string
  readonly BYTES_PER_ELEMENT: number
}

/** The columns of up to 32 bits per element that are not floats. */
type SmallInteger<B extends ArrayBufferLike> =
  Uint8Array<B> | Uint16Array<B> | Uint32Array<B> | Int8Array<B> | Int16Array<B> | Int32Array<B>

/** u8 to u32 and i8 to i32: one lane, the number plus 2^(bits-1) if it is signed. */
class IntegerType implements FieldType {
  readonly stored: { readonly type: ScalarName }
  readonly text: string
  readonly laneBytes: readonly number[]
  readonly byteLength: number
  readonly columnName: string
  readonly rowLength = 1
  readonly #Column: ColumnConstructor<SmallInteger<ArrayBuffer>>
  readonly bias: number
  readonly #max: number
  /** The low bits that are the lane. */
  readonly #mask: number

  constructor(name: ScalarName, Column: ColumnConstructor<SmallInteger<ArrayBuffer>>) {
    const bits = Column.BYTES_PER_ELEMENT * 8
    this.stored = { type: name }
    this.text = `'${name}'`
    this.laneBytes = [Column.BYTES_PER_ELEMENT]
    this.byteLength = Column.BYTES_PER_ELEMENT
    this.columnName = Column.name
    this.#Column = Column
    this.bias = name.startsWith('i') ? 2 ** (bits - 1) : 0
    this.#max = 2 ** bits - 1 - this.bias
    this.#mask = 2 ** bits - 1
  }

  toLanes(value: unknown, lanes: Uint32Array, at: number, place: Place): void {
    if (typeof value !== 'number') throw wrongType(place, this.#expected(), value)
    if (!Number.isInteger(value) || value > this.#max || value < -this.bias) {
      throw outOfBounds(place, this.#expected(), value)
    }
    lanes[at] = value + this.bias
  }

  fromLanes(lanes: readonly Uint32Array[], at: number, row: number): number {
    return lanes[at]![row]! - this.bias
  }

  columnToLanes(
    column: SmallInteger<ArrayBufferLike>,
    rows: number,
    lanes: readonly LaneColumn[],
    at: number,
    row: number,
  ): void {
    const lane = lanes[at]!
    // `set` converts whole arrays, twenty times faster than a loop; signed integers come out sign-extended if the lane has
    // room for that.
    lane.set(column, row)
    if (this.bias === 0) return
    // Adding the bias is flipping the highest bit of the field.
    const flip = this.bias | 0
    const mask = this.#mask | 0
    for (let i = row; i < row + rows; i++) lane[i] = (lane[i]! ^ flip) & mask
  }

  columnFromLanes(
    lanes: readonly Uint32Array[],
    at: number,
    from: number,
    to: number,
  ): SmallInteger<ArrayBuffer> {
    const column = new this.#Column(to - from)
    column.set(lanes[at]!.subarray(from, to))
    if (this.bias === 0) return column
    const flip = this.bias | 0
    for (let i = 0; i < column.length; i++) column[i]! ^= flip
    return column
  }

  columnOfBytes(bytes: Uint8Array<ArrayBuffer>): OwnColumn {
    return new this.#Column(bytes.buffer)
  }

  #expected(): string {
    return `an integer from ${-this.bias} to ${this.#max} (${this.stored.type})`
  }
}

/** The columns of 64 bits per element. */
type LongColumn<B extends ArrayBufferLike> = BigUint64Array<B> | BigInt64Array<B> | Float64Array<B>

/** u64, i64 and f64: two lanes, the high word first; `flip` is xored into the high word. */
abstract class TwoLaneType implements FieldType {
  readonly stored: { readonly type: ScalarName }
  readonly text: string
  readonly laneBytes: readonly number[] = [4, 4]
  readonly byteLength = 8
  readonly columnName: string
  readonly rowLength = 1
  readonly #Column: ColumnConstructor<LongColumn<ArrayBuffer>>
  readonly #flip: number

  constructor(name: ScalarName, Column: ColumnConstructor<LongColumn<ArrayBuffer>>, flip: number) {
    this.stored = { type: name }
    this.text = `'${name}'`
    this.columnName = Column.name
    this.#Column = Column
    this.#flip = flip
  }

  abstract toLanes(value: unknown, lanes: Uint32Array, at: number, place: Place): void
  abstract fromLanes(lanes: readonly Uint32Array[], at: number, row: number): unknown

  columnToLanes(
    column: LongColumn<ArrayBufferLike>,
    rows: number,
    lanes: readonly LaneColumn[],
    at: number,
    row: number,
  ): void {
    const source = new Uint32Array(column.buffer, column.byteOffset, rows * 2)
    const high = lanes[at]!
    const low = lanes[at + 1]!
    const flip = this.#flip
    for (let i = row, word = 0; i < row + rows; i++, word += 2) {
      low[i] = source[word]!
      high[i] = source[word + 1]! ^ flip
    }
  }

  columnFromLanes(lanes: readonly Uint32Array[], at: number, from: number, to: number): OwnColumn {
    const column = new this.#Column(to - from)
    const target = new Uint32Array(column.buffer)
    const high = lanes[at]!
    const low = lanes[at + 1]!
    const flip = this.#flip
    for (let i = from, word = 0; i < to; i++, word += 2) {
      target[word] = low[i]!
      target[word + 1] = high[i]! ^ flip
    }
    return column
  }

  columnOfBytes(bytes: Uint8Array<ArrayBuffer>): OwnColumn {
    return new this.#Column(bytes.buffer)
  }
}

const U64_MAX = 2n ** 64n - 1n
const I64_MIN = -(2n ** 63n)
const I64_MAX = 2n ** 63n - 1n
const U64 = `a bigint from 0n to ${U64_MAX}n (u64)`
const U64_KEY = `a bigint from 0n to ${U64_MAX}n or a safe integer (u64)`
const I64 = `a bigint from ${I64_MIN}n to ${I64_MAX}n (i64)`

class Unsigned64Type extends TwoLaneType {
  constructor() {
    super('u64', BigUint64Array, 0)
  }

  override toLanes(value: unknown, lanes: Uint32Array, at: number, place: Place): void {
    if (typeof value !== 'bigint') throw wrongType(place, U64, value)
    if (value < 0n || value > U64_MAX) throw outOfBounds(place, U64, value)
    unsigned64[0] = value
    lanes[at] = words[1]!
    lanes[at + 1] = words[0]!
  }

  override fromLanes(lanes: readonly Uint32Array[], at: number, row: number): bigint {
    words[1] = lanes[at]![row]!
    words[0] = lanes[at + 1]![row]!
    return unsigned64[0]!
  }
}

/** u64 as a key: safe integers are accepted too. */
class Unsigned64KeyType extends Unsigned64Type {
  override toLanes(value: unknown, lanes: Uint32Array, at: number, place: Place): void {
    if (typeof value === 'bigint') {
      super.toLanes(value, lanes, at, place)
      return
    }
    if (typeof value !== 'number') throw wrongType(place, U64_KEY, value)
    if (!Number.isSafeInteger(value) || value < 0) throw outOfBounds(place, U64_KEY, value)
    // A store to a Uint32Array keeps the low 32 bits of the integer part.
    lanes[at] = value / TWO_32
    lanes[at + 1] = value
  }
}

class Signed64Type extends TwoLaneType {
  constructor() {
    super('i64', BigInt64Array, SIGN_BIT)
  }

  override toLanes(value: unknown, lanes: Uint32Array, at: number, place: Place): void {
    if (typeof value !== 'bigint') throw wrongType(place, I64, value)
    if (value < I64_MIN || value > I64_MAX) throw outOfBounds(place, I64, value)
    signed64[0] = value
    lanes[at] = words[1]! ^ SIGN_BIT
    lanes[at + 1] = words[0]!
  }

  override fromLanes(lanes: readonly Uint32Array[], at: number, row: number): bigint {
    words[1] = lanes[at]![row]! ^ SIGN_BIT
    words[0] = lanes[at + 1]![row]!
    return signed64[0]!
  }
}

/**
 * Every NaN that is given as a value becomes this one: the machine may give each of them other bits, and records are
 * compared by bits. The NaNs of a column keep their bits.
 */
const NAN_64 = 0x7ff80000
const NAN_32 = 0x7fc00000

class Float64Type extends TwoLaneType {
  constructor() {
    super('f64', Float64Array, 0)
  }

  override toLanes(value: unknown, lanes: Uint32Array, at: number, place: Place): void {
    if (typeof value !== 'number') throw wrongType(place, 'a number (f64)', value)
    float64[0] = value
    lanes[at] = Number.isNaN(value) ? NAN_64 : words[1]!
    lanes[at + 1] = Number.isNaN(value) ? 0 : words[0]!
  }

  override fromLanes(lanes: readonly Uint32Array[], at: number, row: number): number {
    words[1] = lanes[at]![row]!
    words[0] = lanes[at + 1]![row]!
    return float64[0]!
  }
}

class Float32Type implements FieldType {
  readonly stored = { type: 'f32' } as const
  readonly text = "'f32'"
  readonly laneBytes: readonly number[] = [4]
  readonly byteLength = 4
  readonly columnName = 'Float32Array'
  readonly rowLength = 1

  /** Rounds to the nearest float, as a `Float32Array` does; a finite number outside the range of floats is refused. */
  toLanes(value: unknown, lanes: Uint32Array, at: number, place: Place): void {
    if (typeof value !== 'number') throw wrongType(place, 'a number (f32)', value)
    float32[0] = value
    if (Number.isFinite(value) && !Number.isFinite(float32[0])) {
      throw outOfBounds(place, 'a number within the range of f32', value)
    }
    lanes[at] = Number.isNaN(value) ? NAN_32 : words[0]!
  }

  fromLanes(lanes: readonly Uint32Array[], at: number, row: number): number {
    words[0] = lanes[at]![row]!
    return float32[0]!
  }

  columnToLanes(
    column: Float32Array,
    rows: number,
    lanes: readonly LaneColumn[],
    at: number,
    row: number,
  ): void {
    lanes[at]!.set(new Uint32Array(column.buffer, column.byteOffset, rows), row)
  }

  columnFromLanes(lanes: readonly Uint32Array[], at: number, from: number, to: number): OwnColumn {
    const bits = new Uint32Array(to - from)
    bits.set(lanes[at]!.subarray(from, to))
    return new Float32Array(bits.buffer)
  }

  columnOfBytes(bytes: Uint8Array<ArrayBuffer>): OwnColumn {
    return new Float32Array(bytes.buffer)
  }
}

/** The types of value fields by name. */
export const SCALAR_TYPES: { readonly [N in ScalarName]: FieldType } = {
  u8: new IntegerType('u8', Uint8Array),
  u16: new IntegerType('u16', Uint16Array),
  u32: new IntegerType('u32', Uint32Array),
  u64: new Unsigned64Type(),
  i8: new IntegerType('i8', Int8Array),
  i16: new IntegerType('i16', Int16Array),
  i32: new IntegerType('i32', Int32Array),
  i64: new Signed64Type(),
  f32: new Float32Type(),
  f64: new Float64Type(),
}

/** The types of keys by name. */
export const SCALAR_KEY_TYPES: { readonly [N in ScalarKeyName]: FieldType } = {
  u8: SCALAR_TYPES.u8,
  u16: SCALAR_TYPES.u16,
  u32: SCALAR_TYPES.u32,
  u64: new Unsigned64KeyType(),
}
