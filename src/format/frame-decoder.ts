/**
 * The bytes of a WAL frame to operations: first its header, then its payload.
 *
 * Bytes may be anything: torn, left by an older life of the file, hostile. No length is believed before the header's
 * checksum fits, nothing is decoded before the payload's does, and nothing is made that the payload could not hold.
 * docs/file-format.md, WAL frames.
 */
import { KIND_COUNT, PUT } from '../records/operations.js'
import type { DeleteWhere, OperationBuffer } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { unpackLane, wordsForBits } from './bits.js'
import { seedFor } from './checksum-seed.js'
import { crc32Words } from './checksum-words.js'
import { alignFrame, packedTableBytes } from './frame-encoder.js'
import {
  DELETE_WHERE_COUNT_AT,
  DELETE_WHERE_HEADER_BYTES,
  DELETE_WHERE_LANE_BYTES,
  ENCODING_AT,
  FIRST_SEQUENCE_AT,
  FLAGS_AT,
  FRAME_HEADER_BYTES,
  HEADER_CHECKSUM_AT,
  KINDS_FLAG,
  OPERATION_COUNT_AT,
  OPERATIONS_PER_BYTE_MAX,
  PACKED_BASE_BYTES,
  PACKED_ENCODING,
  PAYLOAD_BYTES_AT,
  PAYLOAD_BYTES_MAX,
  PAYLOAD_CHECKSUM_AT,
  RAW_ENCODING,
  SYNCED_SEQUENCE_AT,
} from './frame-layout.js'
import { readU48, U48_MAX, viewOf, wordsOf } from './little-endian.js'

/** Bytes with frames in them, seen in the ways that reading them takes. Requires: they begin at a multiple of 4. */
export interface FrameBytes {
  readonly bytes: Uint8Array
  readonly words: Uint32Array
  readonly view: DataView
}

export function frameBytesOf(bytes: Uint8Array): FrameBytes {
  return { bytes, words: wordsOf(bytes), view: viewOf(bytes) }
}

/** A header whose checksum fits and whose numbers can be. */
export interface FrameHeader {
  readonly payloadChecksum: number
  readonly payloadBytes: number
  readonly operationCount: number
  readonly deleteWhereCount: number
  readonly firstSequence: number
  /** Every operation and every *delete where* entry has taken a sequence number. */
  readonly endSequence: number
  /** All below it was synced when the frame was written. */
  readonly syncedSequence: number
  readonly packed: boolean
  readonly hasKinds: boolean
}

/**
 * The header at `offset`, `undefined` where there is none. `seed` is that of its position.
 *
 * Requires: `offset` is a multiple of 4 and the bytes of a header are there.
 */
export function readFrameHeader(source: FrameBytes, offset: number, seed: number): FrameHeader | undefined {
  const at = offset / 4
  const checksum = crc32Words(source.words, at + PAYLOAD_CHECKSUM_AT / 4, at + FRAME_HEADER_BYTES / 4, seed)
  if (source.view.getUint32(offset + HEADER_CHECKSUM_AT, true) !== checksum) return undefined
  return possibleHeader(source, offset)
}

/** The seed for which the checksum of the header at `offset` fits, whatever is there. Requires: as above. */
export function headerSeed({ bytes, view }: FrameBytes, offset: number): number {
  const checksum = view.getUint32(offset + HEADER_CHECKSUM_AT, true)
  return seedFor(bytes, offset + PAYLOAD_CHECKSUM_AT, offset + FRAME_HEADER_BYTES, checksum)
}

/** What stands at `offset` read as a header, its checksum not checked; `undefined` where that cannot be one. */
export function possibleHeader(source: FrameBytes, offset: number): FrameHeader | undefined {
  const { view } = source
  const operationCount = view.getUint32(offset + OPERATION_COUNT_AT, true)
  const deleteWhereCount = view.getUint16(offset + DELETE_WHERE_COUNT_AT, true)
  const firstSequence = readU48(view, offset + FIRST_SEQUENCE_AT)
  const encoding = view.getUint8(offset + ENCODING_AT)
  const flags = view.getUint8(offset + FLAGS_AT)
  const header: FrameHeader = {
    payloadChecksum: view.getUint32(offset + PAYLOAD_CHECKSUM_AT, true),
    payloadBytes: view.getUint32(offset + PAYLOAD_BYTES_AT, true),
    operationCount,
    deleteWhereCount,
    firstSequence,
    endSequence: firstSequence + operationCount + deleteWhereCount,
    syncedSequence: readU48(view, offset + SYNCED_SEQUENCE_AT),
    packed: encoding === PACKED_ENCODING,
    hasKinds: flags === KINDS_FLAG,
  }
  const knownEncoding =
    encoding === PACKED_ENCODING ? flags === 0 : encoding === RAW_ENCODING && (flags & ~KINDS_FLAG) === 0
  return knownEncoding && canBe(header) ? header : undefined
}

/** What no writer of ours breaks, so what breaks it is no header. */
function canBe(header: FrameHeader): boolean {
  const { payloadBytes, operationCount, firstSequence, endSequence } = header
  return (
    payloadBytes > 0 &&
    payloadBytes <= PAYLOAD_BYTES_MAX &&
    payloadBytes % 4 === 0 &&
    operationCount <= payloadBytes * OPERATIONS_PER_BYTE_MAX &&
    endSequence > firstSequence &&
    endSequence <= U48_MAX &&
    header.syncedSequence <= firstSequence
  )
}

/** Whether the payload at `offset` is the one that the header was written for. Requires: all its bytes are there. */
export function payloadFits(source: FrameBytes, offset: number, header: FrameHeader, seed: number): boolean {
  const from = offset / 4
  return crc32Words(source.words, from, from + header.payloadBytes / 4, seed) === header.payloadChecksum
}

/**
 * Appends the frame's operations and *delete where* entries, from the payload at `offset`.
 *
 * Returns `undefined`, or what is wrong with the payload (then nothing is appended). Wrong in spite of both checksums:
 * made so, by a bug or on purpose.
 *
 * Requires: the payload fits, and was written for this layout.
 */
export function decodePayload(
  source: FrameBytes,
  offset: number,
  header: FrameHeader,
  layout: RecordLayout,
  into: OperationBuffer,
  deletes: DeleteWhere[],
): string | undefined {
  const { operationCount, payloadBytes } = header
  const columnBytes = header.packed
    ? packedColumnBytes(source, offset, operationCount, layout)
    : alignFrame(operationCount * (layout.recordBytes + (header.hasKinds ? 1 : 0)))
  if (columnBytes === undefined) return 'a bit width above 32'
  if (columnBytes > payloadBytes) return `${operationCount} operations in ${payloadBytes} bytes`
  // Written for a record of another size: repair may be given the wrong schema.
  if (!header.packed && isPadded(source, offset, header, layout, columnBytes))
    return 'something in the padding of the operations'
  into.reserve(operationCount)
  const kindsKnown = header.packed
    ? decodePacked(source, offset, operationCount, layout, into)
    : decodeRaw(source, offset, header, layout, into)
  if (!kindsKnown) return 'an unknown operation kind'
  const deletesBefore = deletes.length
  if (!readDeletes(source.view, offset + columnBytes, offset + payloadBytes, header, layout, deletes)) {
    deletes.length = deletesBefore
    return 'malformed delete-where entries'
  }
  // Only now do the rows count.
  into.count += operationCount
  return undefined
}

/** Whether there is anything but zeros between the rows of a raw payload and the end of their columns. */
function isPadded(
  { bytes }: FrameBytes,
  offset: number,
  { operationCount, hasKinds }: FrameHeader,
  { recordBytes }: RecordLayout,
  columnBytes: number,
): boolean {
  for (let at = operationCount * (recordBytes + (hasKinds ? 1 : 0)); at < columnBytes; at++)
    if (bytes[offset + at] !== 0) return true
  return false
}

/** `undefined` where a width is impossible. */
function packedColumnBytes(
  source: FrameBytes,
  offset: number,
  count: number,
  layout: RecordLayout,
): number | undefined {
  const tableBytes = packedTableBytes(layout)
  const widthsAt = offset + (layout.laneCount + 1) * PACKED_BASE_BYTES
  // A table that does not fit the payload is noticed behind, by its size; the next bytes may not be there to be read.
  if (widthsAt + layout.laneCount >= source.bytes.byteLength) return Infinity
  let rowBits = 0
  for (let lane = 0; lane <= layout.laneCount; lane++) {
    const width = source.bytes[widthsAt + lane]!
    if (width > 32) return undefined
    rowBits += width
  }
  return tableBytes + wordsForBits(rowBits * count) * 4
}

/** Writes the columns behind the rows that count; false where a kind is not known. */
function decodePacked(
  source: FrameBytes,
  offset: number,
  count: number,
  layout: RecordLayout,
  into: OperationBuffer,
): boolean {
  const { laneCount } = layout
  const { bytes, words } = source
  const tableWord = offset / 4
  const widthsAt = offset + (laneCount + 1) * PACKED_BASE_BYTES
  const streamWord = tableWord + packedTableBytes(layout) / 4
  let position = 0
  for (let lane = 0; lane < laneCount; lane++) {
    const base = words[tableWord + lane]!
    const width = bytes[widthsAt + lane]!
    position = unpackLane(words, streamWord, position, width, base, count, into.lanes[lane]!, into.count)
  }
  const base = words[tableWord + laneCount]!
  const width = bytes[widthsAt + laneCount]!
  if (base === PUT && width === 0) {
    into.kinds?.fill(PUT, into.count, into.count + count)
    return true
  }
  const kinds = new Uint32Array(count)
  unpackLane(words, streamWord, position, width, base, count, kinds, 0)
  if (!kinds.every(kind => kind < KIND_COUNT)) return false
  into.ensureKinds().set(kinds, into.count)
  return true
}

/** As {@link decodePacked}, of a raw payload. */
function decodeRaw(
  source: FrameBytes,
  offset: number,
  header: FrameHeader,
  layout: RecordLayout,
  into: OperationBuffer,
): boolean {
  const { laneCount, laneBytes, recordBytes } = layout
  const { bytes } = source
  const count = header.operationCount
  let laneAt = offset
  for (let lane = 0; lane < laneCount; lane++) {
    const column = into.lanes[lane]!
    const width = laneBytes[lane]!
    let at = laneAt
    for (let row = into.count; row < into.count + count; row++) {
      let value = bytes[at]!
      for (let byte = 1; byte < width; byte++) value |= bytes[at + byte]! << (8 * byte)
      column[row] = value
      at += recordBytes
    }
    laneAt += width
  }
  if (!header.hasKinds) {
    into.kinds?.fill(PUT, into.count, into.count + count)
    return true
  }
  const kinds = bytes.subarray(offset + count * recordBytes, offset + count * (recordBytes + 1))
  if (!kinds.every(kind => kind < KIND_COUNT)) return false
  into.ensureKinds().set(kinds, into.count)
  return true
}

/** Reads the entries from `at` to exactly `end`; false where they are not what a writer makes. */
function readDeletes(
  view: DataView,
  at: number,
  end: number,
  header: FrameHeader,
  layout: RecordLayout,
  deletes: DeleteWhere[],
): boolean {
  let leastSequence = header.firstSequence
  for (let entry = 0; entry < header.deleteWhereCount; entry++) {
    if (end - at < DELETE_WHERE_HEADER_BYTES) return false
    const sequence = readU48(view, at)
    const laneCount = view.getUint16(at + 6, true)
    at += DELETE_WHERE_HEADER_BYTES
    if (sequence < leastSequence || sequence >= header.endSequence) return false
    if (laneCount === 0 || end - at < laneCount * DELETE_WHERE_LANE_BYTES) return false
    leastSequence = sequence + 1
    const lanes: number[] = []
    const values: number[] = []
    let leastLane = layout.keyLaneCount
    for (let i = 0; i < laneCount; i++) {
      const lane = view.getUint32(at, true)
      if (lane < leastLane || lane >= layout.laneCount) return false
      leastLane = lane + 1
      lanes.push(lane)
      values.push(view.getUint32(at + 4, true))
      at += DELETE_WHERE_LANE_BYTES
    }
    deletes.push({ sequence, lanes, values })
  }
  return at === end
}
