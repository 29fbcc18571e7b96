/**
 * Operations to the bytes of one WAL frame.
 *
 * Every put passes here: the encoder keeps one buffer and allocates nothing for a frame. It writes the columns raw or
 * packed, whichever is smaller: packing pays from a few records on. A few raw records make a small frame, with a header of
 * half the size. docs/file-format.md, WAL frames.
 *
 *     frame    header (see frame-layout.ts) | payload
 *     payload  columns | delete-where entries (see delete-where.ts)
 *     columns  raw:    row 0, row 1, ...: the low bytes of each lane | a u8 kind for each row, unless all are puts | zeros
 *              packed: a u32 base for each lane and the kinds | a u8 width each | zeros | one bit stream
 *     Each part is padded with zeros to a multiple of four bytes.
 */
import { assert } from '../base/assert.js'
import { isWide, type LaneColumn } from '../records/lane-columns.js'
import { DELETE_KEY, PUT } from '../records/operations.js'
import type { DeleteWhere, Operations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { bitWidth, packLane, wordsForBits } from './bits.js'
import { crc32Words } from './checksum-words.js'
import { deleteWhereBytes, deleteWhereBytesMax, writeDeleteWheres } from './delete-where.js'
import {
  DELETE_WHERE_COUNT_AT,
  DELETE_WHERE_COUNT_MAX,
  ENCODING_AT,
  FIRST_SEQUENCE_AT,
  FRAME_HEADER_BYTES,
  HEADER_CHECKSUM_AT,
  OPERATION_COUNT_AT,
  OPERATION_COUNT_MAX,
  PACKED_ENCODING,
  PAYLOAD_BYTES_AT,
  PAYLOAD_BYTES_MAX,
  PAYLOAD_CHECKSUM_AT,
  PAYLOAD_WORDS_AT,
  RAW_ENCODING,
  RAW_KINDS_ENCODING,
  SMALL_COUNT_MAX,
  SMALL_ENCODING,
  SMALL_FRAME_BYTES_MAX,
  SMALL_FRAME_HEADER_BYTES,
  SMALL_KINDS_ENCODING,
  SYNCED_DISTANCE_AT,
  SYNCED_DISTANCE_MAX,
  SYNCED_SEQUENCE_AT,
  alignFrame,
  packedTableBytes,
} from './frame-layout.js'
import { U48_MAX, viewOf, wordsOf, writeU48 } from './little-endian.js'

/** A larger buffer, which one large frame needed, is released with the next frame. */
const BUFFER_KEPT_BYTES = 4 * 1024 * 1024
const BUFFER_FIRST_BYTES = 64 * 1024

export class FrameEncoder {
  readonly #layout: RecordLayout
  readonly #paddingBytesMax: number
  /** Of each packed column: the base is subtracted from its values, the rest takes `width` bits. Kinds come last. */
  readonly #bases: Uint32Array
  readonly #widths: Uint8Array
  #bytes: Uint8Array = new Uint8Array(0)
  #words: Uint32Array = new Uint32Array(0)
  #view: DataView = new DataView(new ArrayBuffer(0))
  /** Columns that cannot be packed in place. */
  #scratch: Uint32Array = new Uint32Array(0)

  /** `paddingBytesMax`: the most zeros that {@link bytes} adds after a frame. */
  constructor(layout: RecordLayout, paddingBytesMax: number) {
    this.#layout = layout
    this.#paddingBytesMax = paddingBytesMax
    this.#bases = new Uint32Array(layout.laneCount + 1)
    this.#widths = new Uint8Array(layout.laneCount + 1)
    this.#reserve(0)
  }

  /** No frame of that many operations (with kinds, or all puts) and *delete where* entries is larger. */
  frameBytesMax(operationCount: number, hasKinds: boolean, deleteWhereCount: number): number {
    const columnBytes = alignFrame(operationCount * (this.#layout.recordBytes + (hasKinds ? 1 : 0)))
    return FRAME_HEADER_BYTES + columnBytes + deleteWhereBytesMax(this.#layout, deleteWhereCount)
  }

  /**
   * Encodes operations [from, to) and the entries as one frame; returns its size, a multiple of four. The bytes are
   * those of {@link bytes}, until the next call.
   *
   * Requires: the entries' sequence numbers ascend and lie within the frame's; `seed` is that of the position.
   */
  encode(
    operations: Operations,
    from: number,
    to: number,
    deletes: readonly DeleteWhere[],
    firstSequence: number,
    syncedSequence: number,
    seed: number,
  ): number {
    const count = to - from
    const endSequence = firstSequence + count + deletes.length
    assert(count >= 0 && endSequence > firstSequence, 'a frame holds an operation or a delete-where entry')
    assert(
      count <= OPERATION_COUNT_MAX && deletes.length <= DELETE_WHERE_COUNT_MAX,
      'the counts of a frame fit',
    )
    assert(
      syncedSequence <= firstSequence && endSequence <= U48_MAX,
      'sequence numbers only grow, within 48 bits',
    )

    const kinds = kindsOf(operations, from, to)
    const rawBytes = alignFrame(count * (this.#layout.recordBytes + (kinds === undefined ? 0 : 1)))
    const packedBytes = this.#planPacked(operations, kinds, from, to, rawBytes)
    const packed = packedBytes < rawBytes
    const columnBytes = packed ? packedBytes : rawBytes
    const payloadBytes = columnBytes + deleteWhereBytes(deletes)
    assert(payloadBytes <= PAYLOAD_BYTES_MAX, 'the payload of a frame fits')
    const small =
      !packed &&
      deletes.length === 0 &&
      count <= SMALL_COUNT_MAX &&
      payloadBytes <= SMALL_FRAME_BYTES_MAX - SMALL_FRAME_HEADER_BYTES &&
      firstSequence - syncedSequence <= SYNCED_DISTANCE_MAX
    const headerBytes = small ? SMALL_FRAME_HEADER_BYTES : FRAME_HEADER_BYTES
    const frameBytes = headerBytes + payloadBytes
    this.#reserve(frameBytes)

    if (packed) this.#writePacked(operations, kinds, from, to, columnBytes)
    else if (count > 0) this.#writeRaw(operations, kinds, from, to, headerBytes, columnBytes)
    if (deletes.length > 0) {
      assertAscending(deletes, firstSequence, endSequence)
      writeDeleteWheres(deletes, this.#layout, this.#view, FRAME_HEADER_BYTES + columnBytes)
    }

    const view = this.#view
    writeU48(view, FIRST_SEQUENCE_AT, firstSequence)
    if (small) {
      view.setUint8(ENCODING_AT, kinds === undefined ? SMALL_ENCODING : SMALL_KINDS_ENCODING)
      view.setUint8(PAYLOAD_WORDS_AT, payloadBytes / 4)
      view.setUint32(SYNCED_DISTANCE_AT, (firstSequence - syncedSequence) | (count << 24), true)
      view.setUint32(HEADER_CHECKSUM_AT, crc32Words(this.#words, ENCODING_AT / 4, frameBytes / 4, seed), true)
      return frameBytes
    }
    view.setUint8(
      ENCODING_AT,
      packed ? PACKED_ENCODING : kinds === undefined ? RAW_ENCODING : RAW_KINDS_ENCODING,
    )
    view.setUint8(PAYLOAD_WORDS_AT, 0)
    view.setUint32(OPERATION_COUNT_AT, count, true)
    view.setUint32(PAYLOAD_BYTES_AT, payloadBytes, true)
    writeU48(view, SYNCED_SEQUENCE_AT, syncedSequence)
    view.setUint16(DELETE_WHERE_COUNT_AT, deletes.length, true)
    const payloadWord = FRAME_HEADER_BYTES / 4
    view.setUint32(PAYLOAD_CHECKSUM_AT, crc32Words(this.#words, payloadWord, frameBytes / 4, seed), true)
    view.setUint32(HEADER_CHECKSUM_AT, crc32Words(this.#words, ENCODING_AT / 4, payloadWord, seed), true)
    return frameBytes
  }

  /** The frame of `frameBytes` that was encoded last, followed by zeros up to `length`. */
  bytes(frameBytes: number, length: number): Uint8Array {
    assert(length - frameBytes <= this.#paddingBytesMax, 'the padding after a frame fits its buffer')
    if (length > frameBytes) this.#bytes.fill(0, frameBytes, length)
    return this.#bytes.subarray(0, length)
  }

  #reserve(frameBytes: number): void {
    const needed = frameBytes + this.#paddingBytesMax
    const size = this.#bytes.byteLength
    if (needed <= size && (size <= BUFFER_KEPT_BYTES || needed > BUFFER_KEPT_BYTES)) return
    this.#bytes = new Uint8Array(2 ** Math.ceil(Math.log2(Math.max(needed, BUFFER_FIRST_BYTES))))
    this.#words = wordsOf(this.#bytes)
    this.#view = viewOf(this.#bytes)
  }

  /** Sets bases and widths; returns the bytes that the packed columns take, `Infinity` where raw is surely smaller. */
  #planPacked(
    operations: Operations,
    kinds: Uint8Array | undefined,
    from: number,
    to: number,
    rawBytes: number,
  ): number {
    const { laneCount, keyLaneCount } = this.#layout
    const count = to - from
    const tableBytes = packedTableBytes(this.#layout)
    if (rawBytes <= tableBytes) return Infinity
    for (let lane = 0; lane < laneCount; lane++) {
      const values = operations.lanes[lane]!
      if (kinds !== undefined && lane >= keyLaneCount) {
        const filler = values[firstLive(kinds, from, to)] ?? 0
        this.#measure(lane, this.#liveValues(values, kinds, from, to, filler), 0, count)
      } else this.#measure(lane, values, from, to)
    }
    if (kinds === undefined) this.#setWidth(laneCount, PUT, 0)
    else this.#measure(laneCount, kinds, from, to)

    let rowBits = 0
    for (const width of this.#widths) rowBits += width
    // On disk: OPERATIONS_PER_BYTE_MAX. A row takes a bit even where all lanes are constant.
    if (rowBits === 0) rowBits = this.#widths[0] = 1
    return tableBytes + wordsForBits(rowBits * count) * 4
  }

  /** Base and width of one column. */
  #measure(lane: number, values: LaneColumn, from: number, to: number): void {
    if (isWide(values)) {
      measure(values, from, to, bounds)
      this.#setWidth(lane, (bounds[0]! ^ 0x80000000) >>> 0, bitWidth(bounds[1]! - bounds[0]!))
    } else {
      measureNarrow(values, from, to, bounds)
      this.#setWidth(lane, bounds[0]!, bitWidth(bounds[1]! - bounds[0]!))
    }
  }

  #setWidth(lane: number, base: number, width: number): void {
    this.#bases[lane] = base
    this.#widths[lane] = width
  }

  #writePacked(
    operations: Operations,
    kinds: Uint8Array | undefined,
    from: number,
    to: number,
    columnBytes: number,
  ): void {
    const { laneCount, keyLaneCount } = this.#layout
    const count = to - from
    const words = this.#words
    const tableWord = FRAME_HEADER_BYTES / 4
    const streamWord = tableWord + packedTableBytes(this.#layout) / 4
    // Behind the widths and behind the last value there may be padding.
    words[streamWord - 1] = 0
    words[tableWord + columnBytes / 4 - 1] = 0
    words.set(this.#bases, tableWord)
    this.#bytes.set(this.#widths, FRAME_HEADER_BYTES + this.#bases.byteLength)

    let position = streamWord * 32
    for (let lane = 0; lane <= laneCount; lane++) {
      const base = this.#bases[lane]!
      const width = this.#widths[lane]!
      if (width === 0) continue
      const values = lane < laneCount ? operations.lanes[lane]! : kinds!
      const mayBeDead = kinds !== undefined && lane >= keyLaneCount && lane < laneCount
      if (!mayBeDead && isWide(values)) {
        position = packLane(words, position, values, from, to, base, width)
      } else {
        const copy = mayBeDead
          ? this.#liveValues(values, kinds, from, to, base)
          : this.#widened(values, from, to)
        position = packLane(words, position, copy, 0, count, base, width)
      }
    }
  }

  /** Row by row, the low bytes of each lane; then the kinds. */
  #writeRaw(
    operations: Operations,
    kinds: Uint8Array | undefined,
    from: number,
    to: number,
    headerBytes: number,
    columnBytes: number,
  ): void {
    const { laneCount, keyLaneCount, laneBytes } = this.#layout
    const bytes = this.#bytes
    // The last bytes may be padding.
    this.#words[(headerBytes + columnBytes) / 4 - 1] = 0
    let at = headerBytes
    for (let row = from; row < to; row++) {
      const lanesWithMeaning = kinds !== undefined && kinds[row] === DELETE_KEY ? keyLaneCount : laneCount
      for (let lane = 0; lane < laneCount; lane++) {
        let value = lane < lanesWithMeaning ? operations.lanes[lane]![row]! : 0
        for (let byte = laneBytes[lane]!; byte > 0; byte--) {
          bytes[at++] = value
          value >>>= 8
        }
      }
    }
    if (kinds !== undefined) bytes.set(kinds.subarray(from, to), at)
  }

  /** The values, with `filler` where the key is deleted: what stands there has no meaning and should cost no bits. */
  #liveValues(values: LaneColumn, kinds: Uint8Array, from: number, to: number, filler: number): Uint32Array {
    const scratch = this.#scratchOf(to - from)
    for (let row = from; row < to; row++) {
      scratch[row - from] = kinds[row] === DELETE_KEY ? filler : values[row]!
    }
    return scratch
  }

  /** The values as words: the loops over columns are for one kind of array, which V8 compiles best. */
  #widened(values: LaneColumn, from: number, to: number): Uint32Array {
    const scratch = this.#scratchOf(to - from)
    scratch.set(values.subarray(from, to))
    return scratch
  }

  #scratchOf(count: number): Uint32Array {
    if (this.#scratch.length < count || this.#scratch.byteLength > BUFFER_KEPT_BYTES) {
      this.#scratch = new Uint32Array(count)
    }
    return this.#scratch
  }
}

/** The least and the greatest value of the last column that was measured; those of a wide one as signed numbers: minus 2^31. */
const bounds = new Int32Array(2)

/**
 * Hot. Values are compared as signed numbers, which V8 does faster. Not a method: V8 compiled that one again and again
 * for columns in shared memory.
 */
function measure(values: Uint32Array, from: number, to: number, result: Int32Array): void {
  let min = 0x7fffffff
  let max = -0x80000000
  for (let i = from; i < to; i++) {
    const value = values[i]! ^ 0x80000000
    min = Math.min(min, value)
    max = Math.max(max, value)
  }
  result[0] = min
  result[1] = max
}

/** The same for a narrow column, whose values are small: as they are. A function of its own, so that V8 compiles both best. */
function measureNarrow(values: Uint8Array | Uint16Array, from: number, to: number, result: Int32Array): void {
  let min = 0xffff
  let max = 0
  for (let i = from; i < to; i++) {
    const value = values[i]!
    min = Math.min(min, value)
    max = Math.max(max, value)
  }
  result[0] = min
  result[1] = max
}

/** The column of kinds, `undefined` where all of [from, to) are puts. */
function kindsOf(operations: Operations, from: number, to: number): Uint8Array | undefined {
  const { kinds } = operations
  if (kinds === undefined) return undefined
  for (let row = from; row < to; row++) if (kinds[row] !== PUT) return kinds
  return undefined
}

/** The first row of [from, to) that is no *delete key*; `to` where all are. */
function firstLive(kinds: Uint8Array, from: number, to: number): number {
  let row = from
  while (row < to && kinds[row] === DELETE_KEY) row++
  return row
}

function assertAscending(deletes: readonly DeleteWhere[], firstSequence: number, endSequence: number): void {
  let least = firstSequence
  for (const { sequence } of deletes) {
    assert(sequence >= least && sequence < endSequence, 'sequence numbers of delete-where entries ascend')
    least = sequence + 1
  }
}
