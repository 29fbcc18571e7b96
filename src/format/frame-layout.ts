/**
 * Layout constants of WAL frames. docs/file-format.md is the only prose copy; a test compares the two.
 *
 *     0   header checksum u32 | encoding u8 | payload words u8 | first sequence number u48 | operation count u32
 *     16  payload bytes u32 | payload checksum u32 | synced sequence number u48 | delete-where count u16
 *     32  payload: the columns, then the delete-where entries
 *
 * A frame is a header and a payload; it begins at a multiple of four bytes. All numbers are little-endian, so that the
 * columns can be read as 32-bit words in place. A *small frame* has a few records and ends its header after 16 bytes: see
 * `SMALL_FRAME_HEADER`. Pages of bucket files: page-layout.ts.
 */
import type { RecordLayout } from '../records/record-layout.js'
import type { ByteField } from './byte-field.js'

/** Frames and their parts begin at multiples of this. */
export const FRAME_ALIGNMENT = 4

export const HEADER_CHECKSUM_AT = 0
export const ENCODING_AT = HEADER_CHECKSUM_AT + 4
export const PAYLOAD_WORDS_AT = ENCODING_AT + 1
export const FIRST_SEQUENCE_AT = PAYLOAD_WORDS_AT + 1
export const OPERATION_COUNT_AT = FIRST_SEQUENCE_AT + 6
export const PAYLOAD_BYTES_AT = OPERATION_COUNT_AT + 4
export const PAYLOAD_CHECKSUM_AT = PAYLOAD_BYTES_AT + 4
export const SYNCED_SEQUENCE_AT = PAYLOAD_CHECKSUM_AT + 4
export const DELETE_WHERE_COUNT_AT = SYNCED_SEQUENCE_AT + 6
export const FRAME_HEADER_BYTES = DELETE_WHERE_COUNT_AT + 2

/** The header of a frame. The header checksum covers everything after itself, the payload's checksum included. */
export const FRAME_HEADER: readonly ByteField[] = [
  { name: 'header checksum', offset: HEADER_CHECKSUM_AT, bytes: 4 },
  { name: 'encoding', offset: ENCODING_AT, bytes: 1 },
  { name: 'payload words', offset: PAYLOAD_WORDS_AT, bytes: 1 },
  { name: 'first sequence number', offset: FIRST_SEQUENCE_AT, bytes: 6 },
  { name: 'operation count', offset: OPERATION_COUNT_AT, bytes: 4 },
  { name: 'payload bytes', offset: PAYLOAD_BYTES_AT, bytes: 4 },
  { name: 'payload checksum', offset: PAYLOAD_CHECKSUM_AT, bytes: 4 },
  { name: 'synced sequence number', offset: SYNCED_SEQUENCE_AT, bytes: 6 },
  { name: 'delete-where count', offset: DELETE_WHERE_COUNT_AT, bytes: 2 },
]

export const SYNCED_DISTANCE_AT = OPERATION_COUNT_AT
export const SMALL_COUNT_AT = SYNCED_DISTANCE_AT + 3
export const SMALL_FRAME_HEADER_BYTES = SMALL_COUNT_AT + 1

/** The header of a small frame. Its checksum covers all that follows it, the payload included. */
export const SMALL_FRAME_HEADER: readonly ByteField[] = [
  { name: 'checksum', offset: HEADER_CHECKSUM_AT, bytes: 4 },
  { name: 'encoding', offset: ENCODING_AT, bytes: 1 },
  { name: 'payload words', offset: PAYLOAD_WORDS_AT, bytes: 1 },
  { name: 'first sequence number', offset: FIRST_SEQUENCE_AT, bytes: 6 },
  { name: 'synced distance', offset: SYNCED_DISTANCE_AT, bytes: 3 },
  { name: 'operation count', offset: SMALL_COUNT_AT, bytes: 1 },
]

/** No small frame is larger. */
export const SMALL_FRAME_BYTES_MAX = SMALL_FRAME_HEADER_BYTES + 4 * 0xff
/** Operations of a small frame. */
export const SMALL_COUNT_MAX = 0xff
/** A small frame says how far its first sequence number is from the synced one, in 24 bits. */
export const SYNCED_DISTANCE_MAX = 0xff_ffff

/** Encoding: rows of bytes, each lane in its natural width. */
export const RAW_ENCODING = 0
/** Encoding: such rows, and then a column of operation kinds, one byte a row. */
export const RAW_KINDS_ENCODING = 1
/** Encoding: a base and a bit width for each lane, then the offsets of each lane as one bit stream. */
export const PACKED_ENCODING = 2
/** Encodings of small frames: as the raw ones. */
export const SMALL_ENCODING = 3
export const SMALL_KINDS_ENCODING = 4

/** The table of a packed payload: for each lane, and for the kinds after them, its base and its width. */
export const PACKED_BASE_BYTES = 4
export const PACKED_WIDTH_BYTES = 1

/** Bytes of the bases and widths that precede the bit stream of a packed payload. */
export function packedTableBytes(layout: RecordLayout): number {
  return alignFrame((layout.laneCount + 1) * (PACKED_BASE_BYTES + PACKED_WIDTH_BYTES))
}

/** `bytes` rounded up to where a frame, or a part of one, may begin. */
export function alignFrame(bytes: number): number {
  return Math.ceil(bytes / FRAME_ALIGNMENT) * FRAME_ALIGNMENT
}

/**
 * Operations that one byte of a packed payload stands for at most: where all lanes are constant the first still takes
 * a bit a row, so that no count is believed that its file could not hold.
 */
export const OPERATIONS_PER_BYTE_MAX = 8

/** *Delete where* entries of one frame; the header counts them in 16 bits. */
export const DELETE_WHERE_COUNT_MAX = 0xffff

/** Operations of one frame; the header counts them in 32 bits. */
export const OPERATION_COUNT_MAX = 0xffff_ffff
/** Payload of one frame: below the 2 GiB that one system call transfers. */
export const PAYLOAD_BYTES_MAX = 0x7fff_0000
