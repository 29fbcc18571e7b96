/**
 * The bytes of a WAL frame to operations: first its header, then its payload.
 *
 * The bytes may be torn, left by an older life of the file, or hostile. No length is believed before the header's
 * checksum fits, nothing is decoded before the payload's fits, and nothing larger than the payload can hold is allocated.
 * The picture of a frame is in frame-encoder.ts. docs/file-format.md, WAL frames.
 */
import { KIND_COUNT, PUT } from '../records/operations.js'
import type { DeleteWhere, OperationBuffer } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { unpackLane, wordsForBits } from './bits.js'
import { seedFor } from './checksum-seed.js'
import { crc32Words } from './checksum-words.js'
import { readDeleteWheres } from './delete-where.js'
import {
  DELETE_WHERE_COUNT_AT,
  ENCODING_AT,
  FIRST_SEQUENCE_AT,
  FRAME_HEADER_BYTES,
  HEADER_CHECKSUM_AT,
  OPERATION_COUNT_AT,
  OPERATIONS_PER_BYTE_MAX,
  PACKED_BASE_BYTES,
  PACKED_ENCODING,
  PAYLOAD_BYTES_AT,
  PAYLOAD_BYTES_MAX,
  PAYLOAD_CHECKSUM_AT,
  PAYLOAD_WORDS_AT,
  RAW_KINDS_ENCODING,
  SMALL_COUNT_AT,
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

/** A header whose checksum fits and whose numbers are possible. */
export interface FrameHeader {
  /** Its size; the payload follows. */
  readonly headerBytes: number
  /** `undefined` in a small frame: the checksum of the header covers the payload too. */
  readonly payloadChecksum: number | undefined
  readonly payloadBytes: number
  readonly operationCount: number
  readonly deleteWhereCount: number
  readonly firstSequence: number
  /** Every operation and every *delete where* entry has taken a sequence number. */
  readonly endSequence: number
  /** Everything below it had been synced when the frame was written. */
  readonly syncedSequence: number
  readonly packed: boolean
  readonly hasKinds: boolean
}

/**
 * The header at `offset`, `undefined` where there is none. `seed` is that of its position. A small frame counts as a
 * header: it is there as a whole or not at all.
 *
 * Requires: `offset` is a multiple of 4, and {@link FRAME_START_BYTES} are there, or all up to `end`, where the file ends.
 */
export function readFrameHeader(
  source: FrameBytes,
  offset: number,
  end: number,
  seed: number,
): FrameHeader | undefined {
  const header = possibleHeader(source, offset, end)
  if (header === undefined) return undefined
  const checksum = crc32Words(source.words, (offset + ENCODING_AT) / 4, checkedEnd(header, offset) / 4, seed)
  return source.view.getUint32(offset + HEADER_CHECKSUM_AT, true) === checksum ? header : undefined
}

/** Bytes that tell whether a frame begins with them. */
export const FRAME_START_BYTES = SMALL_FRAME_BYTES_MAX

/** Where the bytes end that the checksum of the header covers. */
function checkedEnd({ headerBytes, payloadBytes, payloadChecksum }: FrameHeader, offset: number): number {
  return offset + headerBytes + (payloadChecksum === undefined ? payloadBytes : 0)
}

/** The seed for which the checksum of this header at `offset` fits; any bytes have one. Requires: as above. */
export function headerSeed({ bytes, view }: FrameBytes, offset: number, header: FrameHeader): number {
  const checksum = view.getUint32(offset + HEADER_CHECKSUM_AT, true)
  return seedFor(bytes, offset + ENCODING_AT, checkedEnd(header, offset), checksum)
}

/** Reads the bytes at `offset` as a header without checking its checksum; `undefined` if they cannot be one. */
export function possibleHeader(source: FrameBytes, offset: number, end: number): FrameHeader | undefined {
  if (offset + SMALL_FRAME_HEADER_BYTES > end) return undefined
  const encoding = source.bytes[offset + ENCODING_AT]!
  const isSmall = encoding === SMALL_ENCODING || encoding === SMALL_KINDS_ENCODING
  const header = isSmall ? smallHeader(source, offset) : largeHeader(source, offset, end)
  if (header === undefined || !canBe(header)) return undefined
  return !isSmall || offset + header.headerBytes + header.payloadBytes <= end ? header : undefined
}

function smallHeader({ view, bytes }: FrameBytes, offset: number): FrameHeader {
  const firstSequence = readU48(view, offset + FIRST_SEQUENCE_AT)
  const operationCount = bytes[offset + SMALL_COUNT_AT]!
  return {
    headerBytes: SMALL_FRAME_HEADER_BYTES,
    payloadChecksum: undefined,
    payloadBytes: 4 * bytes[offset + PAYLOAD_WORDS_AT]!,
    operationCount,
    deleteWhereCount: 0,
    firstSequence,
    endSequence: firstSequence + operationCount,
    syncedSequence: firstSequence - (view.getUint32(offset + SYNCED_DISTANCE_AT, true) & SYNCED_DISTANCE_MAX),
    packed: false,
    hasKinds: bytes[offset + ENCODING_AT] === SMALL_KINDS_ENCODING,
  }
}

function largeHeader({ view, bytes }: FrameBytes, offset: number, end: number): FrameHeader | undefined {
  if (offset + FRAME_HEADER_BYTES > end) return undefined
  const operationCount = view.getUint32(offset + OPERATION_COUNT_AT, true)
  const deleteWhereCount = view.getUint16(offset + DELETE_WHERE_COUNT_AT, true)
  const firstSequence = readU48(view, offset + FIRST_SEQUENCE_AT)
  const encoding = bytes[offset + ENCODING_AT]!
  if (encoding > PACKED_ENCODING || bytes[offset + PAYLOAD_WORDS_AT] !== 0) return undefined
  return {
    headerBytes: FRAME_HEADER_BYTES,
    payloadChecksum: view.getUint32(offset + PAYLOAD_CHECKSUM_AT, true),
    payloadBytes: view.getUint32(offset + PAYLOAD_BYTES_AT, true),
    operationCount,
    deleteWhereCount,
    firstSequence,
    endSequence: firstSequence + operationCount + deleteWhereCount,
    syncedSequence: readU48(view, offset + SYNCED_SEQUENCE_AT),
    packed: encoding === PACKED_ENCODING,
    hasKinds: encoding === RAW_KINDS_ENCODING,
  }
}

/** Every frame that we write keeps to this; bytes that do not are no header. */
function canBe(header: FrameHeader): boolean {
  const { payloadBytes, operationCount, firstSequence, endSequence } = header
  return (
    payloadBytes > 0 &&
    payloadBytes <= PAYLOAD_BYTES_MAX &&
    payloadBytes % 4 === 0 &&
    operationCount <= payloadBytes * OPERATIONS_PER_BYTE_MAX &&
    endSequence > firstSequence &&
    endSequence <= U48_MAX &&
    header.syncedSequence >= 0 &&
    header.syncedSequence <= firstSequence
  )
}

/**
 * Whether the payload at `offset` is the one that the header before it was written for. Requires: all its bytes are there.
 */
export function payloadFits(source: FrameBytes, offset: number, header: FrameHeader, seed: number): boolean {
  const { payloadChecksum, payloadBytes, headerBytes } = header
  const end = (offset + payloadBytes) / 4
  if (payloadChecksum !== undefined)
    return crc32Words(source.words, offset / 4, end, seed) === payloadChecksum
  const start = offset - headerBytes
  const checksum = crc32Words(source.words, (start + ENCODING_AT) / 4, end, seed)
  return source.view.getUint32(start + HEADER_CHECKSUM_AT, true) === checksum
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
  if (header.deleteWhereCount > 0 || columnBytes < payloadBytes) {
    const payload = source.bytes.subarray(offset, offset + payloadBytes)
    const entries = deletesOf(payload, columnBytes, header, layout)
    if (entries === undefined) return 'malformed delete-where entries'
    for (const entry of entries) deletes.push(entry)
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
  // The caller notices by its size that the table does not fit the payload; reading it here could pass the end of the bytes.
  if (widthsAt + layout.laneCount >= source.bytes.byteLength) return Infinity
  let rowBits = 0
  for (let lane = 0; lane <= layout.laneCount; lane++) {
    const width = source.bytes[widthsAt + lane]!
    if (width > 32) return undefined
    rowBits += width
  }
  return tableBytes + wordsForBits(rowBits * count) * 4
}

/** Writes the columns after the rows of `into`; false if a kind is unknown. */
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

/** Does the same as {@link decodePacked} for a raw payload. */
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

/** The entries that end the payload; `undefined` if they are not what a writer makes. */
function deletesOf(
  payload: Uint8Array,
  columnBytes: number,
  header: FrameHeader,
  layout: RecordLayout,
): readonly DeleteWhere[] | undefined {
  const read = readDeleteWheres(payload, columnBytes, header.deleteWhereCount, layout)
  if (read === undefined || read.end !== payload.byteLength) return undefined
  let leastSequence = header.firstSequence
  for (const { sequence } of read.entries) {
    if (sequence < leastSequence || sequence >= header.endSequence) return undefined
    leastSequence = sequence + 1
  }
  return read.entries
}
