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

/** Version of the bucket file format, in its footer. */
export const BUCKET_FORMAT_VERSION = 1

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
export const ROW_COUNT_AT = PAGE_KIND_AT + 2
export const PAGE_HEADER_BYTES = ROW_COUNT_AT + 2

/** Every page begins so. The checksum covers everything after itself; the row count is that of a data page, else zero. */
export const PAGE_HEADER: readonly ByteField[] = [
  { name: 'checksum', offset: PAGE_CHECKSUM_AT, bytes: 4 },
  { name: 'page kind', offset: PAGE_KIND_AT, bytes: 1 },
  { name: 'zero', offset: PAGE_KIND_AT + 1, bytes: 1 },
  { name: 'row count', offset: ROW_COUNT_AT, bytes: 2 },
]

/** Kind and row count are read as one word: the kind is its lowest byte, the row count its upper half. */
export const KIND_AND_ROWS_WORD = PAGE_KIND_AT / 4

export function kindIn(kindAndRows: number): number {
  return kindAndRows & 0xff
}

export function rowCountIn(kindAndRows: number): number {
  return kindAndRows >>> 16
}

/** Rows between two restarts of the delta-coded key. */
export const RESTART_INTERVAL = 32

/** A page holds no more rows, however well they pack. */
export const PAGE_ROWS_MAX = 32_767

/** Deltas between two restarts: a restart has none. */
export const GROUP_DELTAS = RESTART_INTERVAL - 1

/** Restarts of a page of `rows` rows, the first row included. */
export function restartCount(rows: number): number {
  return Math.ceil(rows / RESTART_INTERVAL)
}

/** The index of the delta of `row`. Requires: the row is no restart. */
export function deltaIndex(row: number): number {
  return row - Math.floor(row / RESTART_INTERVAL) - 1
}

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

/** Where the parts of a data page begin. */
export interface DataPageLayout {
  readonly keyLaneCount: number
  /** The value lanes, then the lane of operation kinds. */
  readonly packedLaneCount: number
  /** In 32-bit words from the start of the page. */
  readonly firstKeyWord: number
  readonly basesWord: number
  readonly widthsWord: number
  readonly streamWord: number
  /** Bits that the packed columns of a page of `pageBytes` may take. */
  readonly streamBits: number
}

export function dataPageLayout(layout: RecordLayout, pageBytes: number): DataPageLayout {
  const { keyLaneCount } = layout
  const packedLaneCount = layout.laneCount - keyLaneCount + 1
  const firstKeyWord = PAGE_HEADER_BYTES / 4
  const basesWord = firstKeyWord + keyLaneCount
  const widthsWord = basesWord + packedLaneCount
  // One byte each: restart widths, delta widths, widths of the packed lanes.
  const streamWord = widthsWord + Math.ceil((2 * keyLaneCount + packedLaneCount) / 4)
  return {
    keyLaneCount,
    packedLaneCount,
    firstKeyWord,
    basesWord,
    widthsWord,
    streamWord,
    streamBits: (pageBytes / 4 - streamWord) * 32,
  }
}
