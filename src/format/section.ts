/**
 * The checksum of every page of a bucket file, and sections: bytes cut into pages. docs/file-format.md, Pages.
 *
 *     page  checksum u32 | kind u8 | 0 u8 | 0 u16 | pageBytes - 8 bytes of the section, zeros after its end
 *           0              4         5      6       8
 */
import { WORDS_PER_LINE } from './cache-line.js'
import { crc32, positionSeed } from './checksum.js'
import { viewOf, wordsOf } from './little-endian.js'
import { FILTER_PAGE, PAGE_CHECKSUM_AT, PAGE_HEADER_BYTES, PAGE_KIND_AT } from './page-layout.js'
import type { WordBuffer } from './word-buffer.js'

const CHECKED_FROM = PAGE_CHECKSUM_AT + 4

/** Completes a page with the checksum of all bytes that follow it. `seed` is the file's. */
export function setPageChecksum(page: Uint8Array, seed: number, pageNumber: number): void {
  viewOf(page).setUint32(
    PAGE_CHECKSUM_AT,
    crc32(page.subarray(CHECKED_FROM), positionSeed(seed, pageNumber)),
    true,
  )
}

/** The checksum that the page has, and the one that fits its bytes. */
export function pageChecksums(
  page: Uint8Array,
  seed: number,
  pageNumber: number,
): [found: number, expected: number] {
  return [
    viewOf(page).getUint32(PAGE_CHECKSUM_AT, true),
    crc32(page.subarray(CHECKED_FROM), positionSeed(seed, pageNumber)),
  ]
}

/**
 * Where the bytes of a section begin in its pages: after the page header. Those of the filter begin with the next line of 64
 * bytes, so that no line of it lies in two pages.
 */
export function sectionStart(kind: number): number {
  return kind === FILTER_PAGE ? 4 * WORDS_PER_LINE : PAGE_HEADER_BYTES
}

/** The number of pages that a section of `bytes` bytes takes. */
export function sectionPages(bytes: number, kind: number, pageBytes: number): number {
  return Math.ceil(bytes / (pageBytes - sectionStart(kind)))
}

/** Writes page `index` of a section, counted within the section, into the zeroed `page`. */
export function writeSectionPage(section: WordBuffer, index: number, kind: number, page: Uint8Array): void {
  const payload = wordsOf(page.subarray(sectionStart(kind)))
  page[PAGE_KIND_AT] = kind
  section.copyTo(payload, index * payload.length)
}
