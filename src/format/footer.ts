/**
 * The last page of a bucket file: what is where, counts, sequence range, bounds. docs/file-format.md, Footer.
 *
 *     8    magic u32 | version u32 | table id of 16 bytes
 *     32   epoch u48 | key lanes u16 | file number u48 | lanes u16
 *     48   page bytes u32 | data pages u32 | filter pages u32 | delete-where pages u32
 *     64   fence pages u32 | delete-where entries u32 | records u48 | filter probes u16
 *     80   delete keys u48 | 0 u16 | delete records u48 | 0 u16
 *     96   first sequence u48 | 0 u16 | end sequence u48 | 0 u16
 *     112  distinct keys u48 | 0 u16 | bounds, see `BOUNDS`
 */
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

type NumberField = { [Name in keyof Footer]: Footer[Name] extends number ? Name : never }[keyof Footer]

/** The numbers of the footer, each with its size in bytes. Writing and reading go by this list. */
const NUMBERS: Readonly<Record<NumberField, 2 | 4 | 6>> = {
  epoch: 6,
  keyLaneCount: 2,
  fileNumber: 6,
  laneCount: 2,
  pageBytes: 4,
  dataPages: 4,
  filterPages: 4,
  deleteWherePages: 4,
  fencePages: 4,
  deleteWhereCount: 4,
  records: 6,
  filterProbes: 2,
  deleteKeys: 6,
  deleteRecords: 6,
  firstSequence: 6,
  endSequence: 6,
  distinctKeys: 6,
}
const NUMBER_FIELDS = Object.entries(NUMBERS) as [NumberField, 2 | 4 | 6][]

/** The arrays at the end, u32 each. Of values, a lane each. */
const BOUNDS = ['firstKey', 'lastKey', 'minValues', 'maxValues'] as const

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
  for (const [name, bytes] of NUMBER_FIELDS) writeNumber(view, FOOTER[name], bytes, footer[name])
  let at: number = FOOTER.bounds
  for (const name of BOUNDS) {
    for (const value of footer[name]) {
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
  const numbers = Object.fromEntries(
    NUMBER_FIELDS.map(([name, bytes]) => [name, readNumber(view, FOOTER[name], bytes)]),
  ) as Record<NumberField, number>
  let at: number = FOOTER.bounds
  const bounds = BOUNDS.map(name => {
    const length = name.endsWith('Key') ? keyLaneCount : laneCount - keyLaneCount
    const values = Uint32Array.from({ length }, (_, i) => view.getUint32(at + 4 * i, true))
    at += 4 * length
    return [name, values]
  })
  return {
    ...numbers,
    ...(Object.fromEntries(bounds) as Record<(typeof BOUNDS)[number], Uint32Array>),
    tableId: page.slice(FOOTER.tableId, FOOTER.tableId + TABLE_ID_BYTES),
  }
}

function writeNumber(view: DataView, at: number, bytes: 2 | 4 | 6, value: number): void {
  if (bytes === 2) view.setUint16(at, value, true)
  else if (bytes === 4) view.setUint32(at, value, true)
  else writeU48(view, at, value)
}

function readNumber(view: DataView, at: number, bytes: 2 | 4 | 6): number {
  if (bytes === 2) return view.getUint16(at, true)
  return bytes === 4 ? view.getUint32(at, true) : readU48(view, at)
}
