/**
 * `bytes(n)` and `fixed(encoding, n)`: convert between byte strings of one width and big-endian lanes.
 *
 * Lanes are big-endian, so that keys compare lane by lane as their bytes do; the last lane holds the rest.
 * docs/file-format.md, Lanes.
 */
import type { LaneColumn } from '../records/lane-columns.js'
import { describeValue, lengthOfTypedArray, typedArrayName } from '../base/describe-value.js'
import { outOfRange } from '../base/errors.js'
import { outOfBounds, wrongType, type FieldType, type OwnColumn, type Place } from './field-type.js'
import type { ByteCodec } from './level-encoding.js'
import type { StoredFieldType } from './stored-schema.js'

/** `bytes(n)`. */
export class BytesType implements FieldType {
  readonly stored: StoredFieldType
  readonly text: string
  readonly laneBytes: readonly number[]
  readonly byteLength: number
  readonly columnName = 'Uint8Array'
  readonly rowLength: number

  constructor(byteLength: number) {
    this.stored = { type: 'bytes', bytes: byteLength }
    this.text = `bytes(${byteLength})`
    this.byteLength = byteLength
    this.rowLength = byteLength
    this.laneBytes = Array.from({ length: Math.ceil(byteLength / 4) }, (_, lane) =>
      Math.min(4, byteLength - lane * 4),
    )
  }

  toLanes(value: unknown, lanes: Uint32Array, at: number, place: Place): void {
    if (typedArrayName(value) !== 'Uint8Array') {
      throw wrongType(place, `a Uint8Array of ${this.byteLength} bytes`, value)
    }
    const bytes = value as Uint8Array
    if (lengthOfTypedArray(bytes) !== this.byteLength) {
      throw outOfBounds(place, `a Uint8Array of ${this.byteLength} bytes`, value)
    }
    this.bytesToLanes(bytes, lanes, at)
  }

  /** Requires: `bytes` has `byteLength` bytes. */
  bytesToLanes(bytes: Uint8Array, lanes: Uint32Array, at: number): void {
    for (let lane = 0, offset = 0; lane < this.laneBytes.length; lane++, offset += 4) {
      lanes[at + lane] = readWord(bytes, offset, this.laneBytes[lane]!)
    }
  }

  fromLanes(lanes: readonly Uint32Array[], at: number, row: number): unknown {
    return this.bytesOf(lanes, at, row)
  }

  /** A copy of the bytes of row `row`. */
  bytesOf(lanes: readonly Uint32Array[], at: number, row: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.byteLength)
    for (let lane = 0, offset = 0; lane < this.laneBytes.length; lane++, offset += 4) {
      writeWord(bytes, offset, this.laneBytes[lane]!, lanes[at + lane]![row]!)
    }
    return bytes
  }

  columnToLanes(
    column: Uint8Array,
    rows: number,
    lanes: readonly LaneColumn[],
    at: number,
    row: number,
  ): void {
    for (const [number, width] of this.laneBytes.entries()) {
      const lane = lanes[at + number]!
      let offset = number * 4
      for (let i = row; i < row + rows; i++, offset += this.byteLength)
        lane[i] = readWord(column, offset, width)
    }
  }

  columnFromLanes(
    lanes: readonly Uint32Array[],
    at: number,
    from: number,
    to: number,
  ): Uint8Array<ArrayBuffer> {
    const column = new Uint8Array((to - from) * this.byteLength)
    for (const [number, width] of this.laneBytes.entries()) {
      const lane = lanes[at + number]!
      let offset = number * 4
      for (let i = from; i < to; i++, offset += this.byteLength) writeWord(column, offset, width, lane[i]!)
    }
    return column
  }

  columnOfBytes(bytes: Uint8Array<ArrayBuffer>): OwnColumn {
    return bytes
  }
}

/** `fixed(encoding, n)`: bytes in lanes and columns, the encoding's own type as a value. */
export class FixedType extends BytesType {
  override readonly stored: StoredFieldType
  override readonly text: string
  readonly #codec: ByteCodec

  constructor(codec: ByteCodec, byteLength: number) {
    super(byteLength)
    this.#codec = codec
    this.stored = storedFixedType(codec, byteLength)
    this.text = `fixed(${codec.custom ? `<${codec.name}>` : `'${codec.name}'`}, ${byteLength})`
  }

  override toLanes(value: unknown, lanes: Uint32Array, at: number, place: Place): void {
    const bytes = this.#codec.encode(value, place)
    const length = lengthOfTypedArray(bytes)
    if (length !== this.byteLength) {
      throw outOfRange(
        place.code,
        `${place.what}: expected ${this.byteLength} bytes of ${this.#codec.name}, ` +
          `found ${length} bytes in ${describeValue(value)}`,
      )
    }
    this.bytesToLanes(bytes, lanes, at)
  }

  override fromLanes(lanes: readonly Uint32Array[], at: number, row: number): unknown {
    return this.#codec.decode(this.bytesOf(lanes, at, row))
  }
}

function storedFixedType(codec: ByteCodec, bytes: number): StoredFieldType {
  return codec.custom
    ? { type: 'custom', encoding: codec.name, bytes }
    : { type: 'fixed', encoding: codec.name, bytes }
}

/** The big-endian number of `width` bytes. Four bytes, as in all lanes but the last, need no loop. */
function readWord(bytes: Uint8Array, offset: number, width: number): number {
  if (width === 4) {
    return (
      (bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!
    )
  }
  let word = 0
  for (let byte = offset; byte < offset + width; byte++) word = (word << 8) | bytes[byte]!
  return word
}

function writeWord(bytes: Uint8Array, offset: number, width: number, word: number): void {
  if (width === 4) {
    bytes[offset] = word >>> 24
    bytes[offset + 1] = word >>> 16
    bytes[offset + 2] = word >>> 8
    bytes[offset + 3] = word
    return
  }
  for (let byte = offset + width - 1; byte >= offset; byte--, word >>>= 8) bytes[byte] = word
}
