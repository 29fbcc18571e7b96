/**
 * Layout constants of WAL frames. docs/file-format.md is the only prose copy; a test compares the two.
 *
 *     0   header checksum u32 | payload checksum u32 | payload bytes u32 | operation count u32
 *     16  first sequence number u48 | synced sequence number u48 | encoding u8 | flags u8 | delete-where count u16
 *     32  payload: the columns, then the delete-where entries
 *
 * A frame is a header and a payload; it begins at a multiple of four bytes. All numbers are little-endian, so that the
 * columns can be read as 32-bit words in place. Pages of bucket files: page-layout.ts.
 */
import type { RecordLayout } from '../records/record-layout.js'
import type { ByteField } from './byte-field.js'

/** Frames and their parts begin at multiples of this. */
export const FRAME_ALIGNMENT = 4

export const HEADER_CHECKSUM_AT = 0
export const PAYLOAD_CHECKSUM_AT = HEADER_CHECKSUM_AT + 4
export const PAYLOAD_BYTES_AT = PAYLOAD_CHECKSUM_AT + 4
export const OPERATION_COUNT_AT = PAYLOAD_BYTES_AT + 4
export const FIRST_SEQUENCE_AT = OPERATION_COUNT_AT + 4
export const SYNCED_SEQUENCE_AT = FIRST_SEQUENCE_AT + 6
export const ENCODING_AT = SYNCED_SEQUENCE_AT + 6
export const FLAGS_AT = ENCODING_AT + 1
export const DELETE_WHERE_COUNT_AT = FLAGS_AT + 1
export const FRAME_HEADER_BYTES = DELETE_WHERE_COUNT_AT + 2

/** The header of a frame. The header checksum covers everything after itself, the payload's checksum included. */
export const FRAME_HEADER: readonly ByteField[] = [
  { name: 'header checksum', offset: HEADER_CHECKSUM_AT, bytes: 4 },
  { name: 'payload checksum', offset: PAYLOAD_CHECKSUM_AT, bytes: 4 },
  { name: 'payload bytes', offset: PAYLOAD_BYTES_AT, bytes: 4 },
  { name: 'operation count', offset: OPERATION_COUNT_AT, bytes: 4 },
  { name: 'first sequence number', offset: FIRST_SEQUENCE_AT, bytes: 6 },
  { name: 'synced sequence number', offset: SYNCED_SEQUENCE_AT, bytes: 6 },
  { name: 'encoding', offset: ENCODING_AT, bytes: 1 },
  { name: 'flags', offset: FLAGS_AT, bytes: 1 },
  { name: 'delete-where count', offset: DELETE_WHERE_COUNT_AT, bytes: 2 },
]

/** Encoding: rows of bytes, each lane in its natural width. */
export const RAW_ENCODING = 0
/** Encoding: a base and a bit width for each lane, then the offsets of each lane as one bit stream. */
export const PACKED_ENCODING = 1

/** Flag: a raw payload ends with a column of operation kinds, one byte a row. */
export const KINDS_FLAG = 1

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
