import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crc32, positionSeed } from '../../../src/format/checksum.js'
import { wordsOf } from '../../../src/format/little-endian.js'
import { U48_MAX, viewOf } from '../../../src/format/little-endian.js'
import { DELETE_WHERE_PAGE, FENCE_PAGE, PAGE_HEADER_BYTES } from '../../../src/format/page-layout.js'
import {
  deleteWhereBytes,
  pageChecksums,
  readDeleteWheres,
  sectionPages,
  setPageChecksum,
  writeDeleteWheres,
  writeSectionPage,
} from '../../../src/format/section.js'
import { WordBuffer } from '../../../src/format/word-buffer.js'
import type { DeleteWhere } from '../../../src/records/operations.js'
import { Random } from '../../support/random.js'

const PAGE_BYTES = 4096
const KEY_LANES = 2
const LANES = 6

const entries: fc.Arbitrary<DeleteWhere[]> = fc.array(
  fc
    .record({
      sequence: fc.nat(U48_MAX),
      lanes: fc.uniqueArray(fc.integer({ min: KEY_LANES, max: LANES - 1 }), { minLength: 1 }),
    })
    .chain(({ sequence, lanes }) =>
      fc
        .array(fc.nat(0xffffffff), { minLength: lanes.length, maxLength: lanes.length })
        .map(values => ({ sequence, lanes: lanes.toSorted((a, b) => a - b), values })),
    ),
  { maxLength: 20 },
)

function bytesOf(entries: readonly DeleteWhere[]): Uint8Array {
  const bytes = new Uint8Array(deleteWhereBytes(entries))
  writeDeleteWheres(entries, bytes, 0)
  return bytes
}

describe('delete-where entries', () => {
  test('come back as they were, in just their bytes', () => {
    fc.assert(
      fc.property(entries, fc.nat(9), (entries, at) => {
        const bytes = new Uint8Array(at + deleteWhereBytes(entries))
        writeDeleteWheres(entries, bytes, at)
        const read = readDeleteWheres(bytes, at, entries.length, KEY_LANES, LANES)
        expect(read).toEqual({ entries, end: bytes.length })
      }),
    )
  })

  test('are refused where one is cut short', () => {
    fc.assert(
      fc.property(entries, entries => {
        const bytes = bytesOf(entries)
        for (let length = 0; length < bytes.length; length++) {
          const cut = bytes.subarray(0, length)
          expect(readDeleteWheres(cut, 0, entries.length, KEY_LANES, LANES)).toBeUndefined()
        }
      }),
      { numRuns: 20 },
    )
  })

  test.each([
    ['names a key lane', { sequence: 1, lanes: [1], values: [0] }],
    ['names a lane that no record has', { sequence: 1, lanes: [6], values: [0] }],
    ['names a lane twice', { sequence: 1, lanes: [3, 3], values: [0, 0] }],
    ['names lanes out of order', { sequence: 1, lanes: [4, 3], values: [0, 0] }],
    ['names no lane', { sequence: 1, lanes: [], values: [] }],
    [
      'names more lanes than there are',
      { sequence: 1, lanes: [2, 3, 4, 5, 6, 7, 8], values: Array(7).fill(0) },
    ],
  ])('are refused where one %s', (_, entry) => {
    const good: DeleteWhere = { sequence: 7, lanes: [2], values: [5] }
    expect(readDeleteWheres(bytesOf([good]), 0, 1, KEY_LANES, LANES)).toBeDefined()
    expect(readDeleteWheres(bytesOf([good, entry]), 0, 2, KEY_LANES, LANES)).toBeUndefined()
  })

  test('of random bytes are refused, or are of this layout', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), (bytes, count) => {
        const read = readDeleteWheres(bytes, 0, count, KEY_LANES, LANES)
        if (read === undefined) return
        expect(read.entries).toHaveLength(count)
        expect(read.end).toBeLessThanOrEqual(bytes.length)
      }),
    )
  })
})

describe('a section', () => {
  test.each([0, 4, 4084, 4088, 4092, 8176, 20_000])(
    'of %i bytes is cut into pages and put together again',
    bytes => {
      const content = new Random(bytes).bytes(bytes)
      const section = new WordBuffer()
      section.append(wordsOf(content))
      const pages = sectionPages(bytes, PAGE_BYTES)
      const payload = PAGE_BYTES - PAGE_HEADER_BYTES
      expect(pages).toBe(Math.ceil(bytes / payload))
      const joined = new Uint8Array(pages * payload)
      for (let piece = 0; piece < pages; piece++) {
        const page = new Uint8Array(PAGE_BYTES)
        writeSectionPage(section, piece, FENCE_PAGE, page)
        expect(page[4]).toBe(FENCE_PAGE)
        joined.set(page.subarray(PAGE_HEADER_BYTES), piece * payload)
      }
      expect(joined.subarray(0, bytes)).toEqual(content)
      expect(joined.subarray(bytes).every(byte => byte === 0)).toBe(true)
    },
  )
})

describe('the checksum of a page', () => {
  const page = new Random(1).bytes(PAGE_BYTES)
  page[4] = DELETE_WHERE_PAGE
  setPageChecksum(page, 0x1234, 5)
  const fits = (bytes: Uint8Array, seed: number, pageNumber: number): boolean => {
    const [found, expected] = pageChecksums(bytes, seed, pageNumber)
    return found === expected
  }

  test('is that of all bytes behind it, seeded with file and place', () => {
    expect(viewOf(page).getUint32(0, true)).toBe(crc32(page.subarray(4), positionSeed(0x1234, 5)))
    expect(fits(page, 0x1234, 5)).toBe(true)
  })

  test('finds every changed byte, another place and another file', () => {
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
