/** The last page of a bucket file: what is where, counts, sequence range, bounds. docs/file-format.md, Footer. */
import type { RecordLayout } from '../records/record-layout.js'
import { TABLE_ID_BYTES } from './checksum.js'
import { readU48, viewOf, writeU48 } from './little-endian.js'
import { BUCKET_FORMAT_VERSION, BUCKET_MAGIC, FOOTER, FOOTER_PAGE, PAGE_KIND_AT } from './page-layout.js'

export interface Footer {
  readonly tableId: Uint8Array
  readonly epoch: number
  readonly fileNumber: number
  readonly pageBytes: number
  readonly keyLaneCount: number
  readonly laneCount: number
  readonly dataPages: number
  readonly filterPages: number
  readonly deleteWherePages: number
  readonly fencePages: number
  readonly deleteWhereCount: number
  /** Puts. */
  readonly records: number
  readonly deleteKeys: number
  readonly deleteRecords: number
  readonly distinctKeys: number
  readonly filterProbes: number
  readonly firstSequence: number
  readonly endSequence: number
  readonly firstKey: Uint32Array
  readonly lastKey: Uint32Array
  /** Of puts and *delete record*s, a value lane each; min > max where there is none. */
  readonly minValues: Uint32Array
  readonly maxValues: Uint32Array
}

/** Bytes that the footer takes of its page. */
export function footerBytes(layout: RecordLayout): number {
  const { keyLaneCount, laneCount } = layout
  return FOOTER.bounds + 4 * (2 * keyLaneCount + 2 * (laneCount - keyLaneCount))
}

/** Writes the footer into the zeroed page. */
export function writeFooter(footer: Footer, page: Uint8Array): void {
  const view = viewOf(page)
  page[PAGE_KIND_AT] = FOOTER_PAGE
  view.setUint32(FOOTER.magic, BUCKET_MAGIC, true)
  view.setUint32(FOOTER.version, BUCKET_FORMAT_VERSION, true)
  page.set(footer.tableId, FOOTER.tableId)
  writeU48(view, FOOTER.epoch, footer.epoch)
  view.setUint16(FOOTER.keyLaneCount, footer.keyLaneCount, true)
  writeU48(view, FOOTER.fileNumber, footer.fileNumber)
  view.setUint16(FOOTER.laneCount, footer.laneCount, true)
  view.setUint32(FOOTER.pageBytes, footer.pageBytes, true)
  view.setUint32(FOOTER.dataPages, footer.dataPages, true)
  view.setUint32(FOOTER.filterPages, footer.filterPages, true)
  view.setUint32(FOOTER.deleteWherePages, footer.deleteWherePages, true)
  view.setUint32(FOOTER.fencePages, footer.fencePages, true)
  view.setUint32(FOOTER.deleteWhereCount, footer.deleteWhereCount, true)
  writeU48(view, FOOTER.records, footer.records)
  view.setUint16(FOOTER.filterProbes, footer.filterProbes, true)
  writeU48(view, FOOTER.deleteKeys, footer.deleteKeys)
  writeU48(view, FOOTER.deleteRecords, footer.deleteRecords)
  writeU48(view, FOOTER.firstSequence, footer.firstSequence)
  writeU48(view, FOOTER.endSequence, footer.endSequence)
  writeU48(view, FOOTER.distinctKeys, footer.distinctKeys)
  let at: number = FOOTER.bounds
  for (const bounds of [footer.firstKey, footer.lastKey, footer.minValues, footer.maxValues]) {
    for (const value of bounds) {
      view.setUint32(at, value, true)
      at += 4
    }
  }
}

/** What the page says of itself before anything else in it is believed. */
export function footerIdentity(page: Uint8Array): { magic: number; version: number } {
  const view = viewOf(page)
  return { magic: view.getUint32(FOOTER.magic, true), version: view.getUint32(FOOTER.version, true) }
}

/** Reads the footer. Requires: checksum, magic and version fit. */
export function readFooter(page: Uint8Array, layout: RecordLayout): Footer {
  const view = viewOf(page)
  const { keyLaneCount, laneCount } = layout
  let at: number = FOOTER.bounds
  const bounds = (length: number): Uint32Array => {
    const values = Uint32Array.from({ length }, (_, i) => view.getUint32(at + 4 * i, true))
    at += 4 * length
    return values
  }
  return {
    tableId: page.slice(FOOTER.tableId, FOOTER.tableId + TABLE_ID_BYTES),
    epoch: readU48(view, FOOTER.epoch),
    fileNumber: readU48(view, FOOTER.fileNumber),
    pageBytes: view.getUint32(FOOTER.pageBytes, true),
    keyLaneCount: view.getUint16(FOOTER.keyLaneCount, true),
    laneCount: view.getUint16(FOOTER.laneCount, true),
    dataPages: view.getUint32(FOOTER.dataPages, true),
    filterPages: view.getUint32(FOOTER.filterPages, true),
    deleteWherePages: view.getUint32(FOOTER.deleteWherePages, true),
    fencePages: view.getUint32(FOOTER.fencePages, true),
    deleteWhereCount: view.getUint32(FOOTER.deleteWhereCount, true),
    records: readU48(view, FOOTER.records),
    filterProbes: view.getUint16(FOOTER.filterProbes, true),
    deleteKeys: readU48(view, FOOTER.deleteKeys),
    deleteRecords: readU48(view, FOOTER.deleteRecords),
    firstSequence: readU48(view, FOOTER.firstSequence),
    endSequence: readU48(view, FOOTER.endSequence),
    distinctKeys: readU48(view, FOOTER.distinctKeys),
    firstKey: bounds(keyLaneCount),
    lastKey: bounds(keyLaneCount),
    minValues: bounds(laneCount - keyLaneCount),
    maxValues: bounds(laneCount - keyLaneCount),
  }
}
