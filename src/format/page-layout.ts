/**
 * Layout constants of bucket files. docs/file-format.md is the only prose copy; a test compares the two.
 *
 * A bucket file is pages alone: data pages, filter pages, delete-where pages, fence pages, one footer page.
 */
import type { RecordLayout } from '../records/record-layout.js'

/** Version of the bucket file format, in its footer. */
export const BUCKET_FORMAT_VERSION = 1

/** ASCII `FTBK`, little-endian. */
export const BUCKET_MAGIC = 0x4b425446

/** What a page holds, in its fifth byte. */
export const DATA_PAGE = 1
export const FILTER_PAGE = 2
export const DELETE_WHERE_PAGE = 3
export const FENCE_PAGE = 4
export const FOOTER_PAGE = 5

/** Every page: u32 checksum of the bytes behind it, u8 kind, u8 zero, u16 row count (data pages, else zero). */
export const PAGE_HEADER_BYTES = 8

/** Rows between two restarts of the delta-coded key. */
export const RESTART_INTERVAL = 32

/** A page holds no more rows, however well they pack. */
export const PAGE_ROWS_MAX = 32_767

/** Offsets in the footer page. All counts are u48 with two zero bytes behind where nothing else is said. */
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
  /** Value lanes and, behind them, the lane of operation kinds. */
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
