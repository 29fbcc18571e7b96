/**
 * Layout constants of bucket files. docs/file-format.md is the only prose copy; a test compares the two.
 *
 * A bucket file consists of pages of one size:
 *
 *     data pages          operations, sorted by key
 *     filter pages        a Bloom filter for each data page
 *     delete-where pages  entries that hide records of older files
 *     fence pages         the first key of each data page, and the end of its filter
 *     footer              one page: counts, sizes of the sections, bounds
 */
import type { RecordLayout } from '../records/record-layout.js'
import type { ByteField } from './byte-field.js'
import { directoryBits } from './elias-fano.js'

/** Version of the bucket file format, in its footer. */
export const BUCKET_FORMAT_VERSION = 2

/** ASCII `FTBK`, little-endian. */
export const BUCKET_MAGIC = 0x4b425446

/** The kinds of pages. */
export const DATA_PAGE = 1
export const FILTER_PAGE = 2
export const DELETE_WHERE_PAGE = 3
export const FENCE_PAGE = 4
export const FOOTER_PAGE = 5

export const PAGE_CHECKSUM_AT = 0
export const PAGE_KIND_AT = PAGE_CHECKSUM_AT + 4
export const LOW_BITS_AT = PAGE_KIND_AT + 1
export const ROW_COUNT_AT = LOW_BITS_AT + 1
export const PAGE_HEADER_BYTES = ROW_COUNT_AT + 2

/**
 * Every page begins so. The checksum covers everything after itself; low bits and row count are those of a data page,
 * else zero.
 */
export const PAGE_HEADER: readonly ByteField[] = [
  { name: 'checksum', offset: PAGE_CHECKSUM_AT, bytes: 4 },
  { name: 'page kind', offset: PAGE_KIND_AT, bytes: 1 },
  { name: 'low bits', offset: LOW_BITS_AT, bytes: 1 },
  { name: 'row count', offset: ROW_COUNT_AT, bytes: 2 },
]

/** Kind, low bits and row count are read as one word: its lowest byte, the next one, its upper half. */
export const KIND_WORD = PAGE_KIND_AT / 4

export function kindIn(word: number): number {
  return word & 0xff
}

export function lowBitsIn(word: number): number {
  return (word >>> 8) & 0xff
}

export function rowCountIn(word: number): number {
  return word >>> 16
}

/** A page holds no more rows, however well they pack. */
export const PAGE_ROWS_MAX = 32_767

/** Offsets in the footer page. Fields without a comment are followed by the next one or by two zero bytes. */
export const FOOTER = {
  magic: 8,
  version: 12,
  tableId: 16,
  epoch: 32,
  keyLaneCount: 38,
  fileNumber: 40,
  laneCount: 46,
  pageBytes: 48,
  dataPages: 52,
  filterPages: 56,
  deleteWherePages: 60,
  fencePages: 64,
  deleteWhereCount: 68,
  records: 72,
  filterProbes: 78,
  deleteKeys: 80,
  deleteRecords: 88,
  firstSequence: 96,
  endSequence: 104,
  distinctKeys: 112,
  /** First key, last key, then the least and the greatest value of every value lane: u32 each. */
  bounds: 120,
} as const

/** Where the parts of a data page begin, in 32-bit words from the start of the page. */
export interface DataPageLayout {
  readonly keyLaneCount: number
  /** The value lanes, then the lane of operation kinds. */
  readonly packedLaneCount: number
  readonly firstKeyWord: number
  /** The number of buckets is its lower half, the bits of a row are its upper half. */
  readonly bucketsWord: number
  /** Its first byte is the shift; the widths of the packed lanes follow. */
  readonly widthsWord: number
  readonly basesWord: number
  readonly directoryWord: number
  /** Bits that directory and rows of a page of `pageBytes` may take. */
  readonly freeBits: number
}

export function dataPageLayout(layout: RecordLayout, pageBytes: number): DataPageLayout {
  const { keyLaneCount } = layout
  const packedLaneCount = layout.laneCount - keyLaneCount + 1
  const firstKeyWord = PAGE_HEADER_BYTES / 4
  const bucketsWord = firstKeyWord + keyLaneCount
  const widthsWord = bucketsWord + 1
  const basesWord = widthsWord + Math.ceil((packedLaneCount + 1) / 4)
  const directoryWord = basesWord + packedLaneCount
  return {
    keyLaneCount,
    packedLaneCount,
    firstKeyWord,
    bucketsWord,
    widthsWord,
    basesWord,
    directoryWord,
    freeBits: (pageBytes / 4 - directoryWord) * 32,
  }
}

/** Words of the directory of a page with even keys: the distance of two keys, low half and high half. */
export const EVEN_DIRECTORY_WORDS = 2

/** Words of the directory, also that of even keys. */
export function directoryWords(rows: number, buckets: number): number {
  return buckets === 0 ? EVEN_DIRECTORY_WORDS : (directoryBits(rows, buckets) + 31) >>> 5
}
