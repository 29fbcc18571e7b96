import { describe, expect, test } from 'vitest'
import { crc32, positionSeed } from '../../../src/format/checksum.js'
import { viewOf, wordsOf } from '../../../src/format/little-endian.js'
import {
  DELETE_WHERE_PAGE,
  FENCE_PAGE,
  FILTER_PAGE,
  PAGE_HEADER_BYTES,
  PAGE_KIND_AT,
} from '../../../src/format/page-layout.js'
import {
  pageChecksums,
  sectionPages,
  sectionStart,
  setPageChecksum,
  writeSectionPage,
} from '../../../src/format/section.js'
import { WordBuffer } from '../../../src/format/word-buffer.js'
import { Random } from '../../support/random.js'

const PAGE_BYTES = 4096

describe('a section', () => {
  test.each(
    [0, 4, 4084, 4088, 4092, 8176, 20_000].flatMap(bytes => [
      { bytes, what: 'fences', kind: FENCE_PAGE, start: PAGE_HEADER_BYTES },
      { bytes, what: 'filter', kind: FILTER_PAGE, start: 64 },
    ]),
  )('a section of $bytes bytes is cut into pages and put together again: $what', ({ bytes, kind, start }) => {
    const content = new Random(bytes).bytes(bytes)
    const section = new WordBuffer()
    section.append(wordsOf(content))
    expect(sectionStart(kind)).toBe(start)
    const pages = sectionPages(bytes, kind, PAGE_BYTES)
    const payload = PAGE_BYTES - start
    expect(pages).toBe(Math.ceil(bytes / payload))
    const joined = new Uint8Array(pages * payload)
    for (let piece = 0; piece < pages; piece++) {
      const page = new Uint8Array(PAGE_BYTES)
      writeSectionPage(section, piece, kind, page)
      expect(page[PAGE_KIND_AT]).toBe(kind)
      joined.set(page.subarray(start), piece * payload)
    }
    expect(joined.subarray(0, bytes)).toEqual(content)
    expect(joined.subarray(bytes).every(byte => byte === 0)).toBe(true)
  })
})

describe('the checksum of a page', () => {
  const page = new Random(1).bytes(PAGE_BYTES)
  page[PAGE_KIND_AT] = DELETE_WHERE_PAGE
  setPageChecksum(page, 0x1234, 5)
  const fits = (bytes: Uint8Array, seed: number, pageNumber: number): boolean => {
    const [found, expected] = pageChecksums(bytes, seed, pageNumber)
    return found === expected
  }

  test('the checksum of a page covers all bytes after it, seeded with file and page number', () => {
    expect(viewOf(page).getUint32(0, true)).toBe(crc32(page.subarray(4), positionSeed(0x1234, 5)))
    expect(fits(page, 0x1234, 5)).toBe(true)
  })

  test('the checksum of a page finds every changed byte, another page number and another file', () => {
    for (let at = 0; at < PAGE_BYTES; at++) {
      const damaged = page.slice()
      damaged[at]! ^= 1 << (at % 8)
      expect(fits(damaged, 0x1234, 5)).toBe(false)
    }
    for (let other = 0; other < 1000; other++) {
      if (other !== 5) expect(fits(page, 0x1234, other)).toBe(false)
      if (other !== 0x234) expect(fits(page, 0x1000 + other, 5)).toBe(false)
    }
  })
})
