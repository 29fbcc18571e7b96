/**
 * Pages of a bucket file besides the data pages: checksums for all, sections of bytes cut into pages, and the
 * *delete where* entries in them. docs/file-format.md, Pages.
 */
import type { DeleteWhere } from '../records/operations.js'
import { crc32, positionSeed } from './checksum.js'
import { readU48, viewOf, wordsOf, writeU48 } from './little-endian.js'
import { PAGE_HEADER_BYTES } from './page-layout.js'
import type { WordBuffer } from './word-buffer.js'

/** Seals a page: the checksum over all bytes behind it. `seed` is the file's. */
export function setPageChecksum(page: Uint8Array, seed: number, pageNumber: number): void {
  viewOf(page).setUint32(0, crc32(page.subarray(4), positionSeed(seed, pageNumber)), true)
}

/** The checksum found in the page and the one that its bytes have. */
export function pageChecksums(
  page: Uint8Array,
  seed: number,
  pageNumber: number,
): [found: number, expected: number] {
  return [viewOf(page).getUint32(0, true), crc32(page.subarray(4), positionSeed(seed, pageNumber))]
}

/** Pages that a section of `bytes` bytes takes. */
export function sectionPages(bytes: number, pageBytes: number): number {
  return Math.ceil(bytes / (pageBytes - PAGE_HEADER_BYTES))
}

/** Copies piece `piece` of a section into the zeroed page. */
export function writeSectionPage(section: WordBuffer, piece: number, kind: number, page: Uint8Array): void {
  const payload = wordsOf(page.subarray(PAGE_HEADER_BYTES))
  page[4] = kind
  section.copyTo(payload, piece * payload.length)
}

const DELETE_WHERE_HEADER_BYTES = 6 + 2

/** Bytes of the entries, in a frame as in a bucket file. */
export function deleteWhereBytes(entries: readonly DeleteWhere[]): number {
  return entries.reduce((sum, entry) => sum + DELETE_WHERE_HEADER_BYTES + entry.lanes.length * 8, 0)
}

/** Each entry: u48 sequence number, u16 lanes, then per lane u32 lane number and u32 value. */
export function writeDeleteWheres(entries: readonly DeleteWhere[], bytes: Uint8Array, at: number): void {
  const view = viewOf(bytes)
  for (const entry of entries) {
    writeU48(view, at, entry.sequence)
    view.setUint16(at + 6, entry.lanes.length, true)
    at += DELETE_WHERE_HEADER_BYTES
    for (let i = 0; i < entry.lanes.length; i++, at += 8) {
      view.setUint32(at, entry.lanes[i]!, true)
      view.setUint32(at + 4, entry.values[i]!, true)
    }
  }
}

/**
 * The `count` entries at `at`, and the offset behind them; `undefined` where they do not fit the bytes or the record
 * of `laneCount` lanes.
 */
export function readDeleteWheres(
  bytes: Uint8Array,
  at: number,
  count: number,
  keyLaneCount: number,
  laneCount: number,
): { entries: DeleteWhere[]; end: number } | undefined {
  const view = viewOf(bytes)
  const entries: DeleteWhere[] = []
  for (let n = 0; n < count; n++) {
    if (at + DELETE_WHERE_HEADER_BYTES > bytes.byteLength) return undefined
    const sequence = readU48(view, at)
    const lanesHere = view.getUint16(at + 6, true)
    at += DELETE_WHERE_HEADER_BYTES
    if (lanesHere === 0 || lanesHere > laneCount || at + lanesHere * 8 > bytes.byteLength) return undefined
    const lanes: number[] = []
    const values: number[] = []
    for (let i = 0; i < lanesHere; i++, at += 8) {
      const lane = view.getUint32(at, true)
      if (lane < keyLaneCount || lane >= laneCount || (i > 0 && lane <= lanes[i - 1]!)) return undefined
      lanes.push(lane)
      values.push(view.getUint32(at + 4, true))
    }
    entries.push({ sequence, lanes, values })
  }
  return { entries, end: at }
}
