import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  footerBytes,
  footerIdentity,
  readFooter,
  writeFooter,
  type Footer,
} from '../../../src/format/footer.js'
import { U48_MAX } from '../../../src/format/little-endian.js'
import {
  BUCKET_FORMAT_VERSION,
  BUCKET_MAGIC,
  FOOTER,
  FOOTER_PAGE,
  PAGE_HEADER_BYTES,
} from '../../../src/format/page-layout.js'
import { wideLayout } from '../../support/rows.js'

const u16 = fc.nat(0xffff)
const u32 = fc.oneof(fc.nat(0xffffffff), fc.constantFrom(0, 0xffffffff))
const u48 = fc.oneof(fc.nat(U48_MAX), fc.constantFrom(0, 2 ** 32, U48_MAX))
const lanes = (count: number) => fc.uint32Array({ minLength: count, maxLength: count })

const footers: fc.Arbitrary<Footer> = fc
  .tuple(fc.integer({ min: 1, max: 8 }), fc.nat(20))
  .chain(([keyLaneCount, valueLaneCount]) =>
    fc.record({
      tableId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
      epoch: u48,
      fileNumber: u48,
      pageBytes: u32,
      keyLaneCount: fc.constant(keyLaneCount),
      laneCount: fc.constant(keyLaneCount + valueLaneCount),
      dataPages: u32,
      filterPages: u32,
      deleteWherePages: u32,
      fencePages: u32,
      deleteWhereCount: u32,
      records: u48,
      deleteKeys: u48,
      deleteRecords: u48,
      distinctKeys: u48,
      filterProbes: u16,
      firstSequence: u48,
      endSequence: u48,
      firstKey: lanes(keyLaneCount),
      lastKey: lanes(keyLaneCount),
      minValues: lanes(valueLaneCount),
      maxValues: lanes(valueLaneCount),
    }),
  )

describe('a footer', () => {
  test('comes back as it was, whatever is in it', () => {
    fc.assert(
      fc.property(footers, footer => {
        const page = new Uint8Array(4096)
        writeFooter(footer, page)
        const layout = wideLayout(footer.keyLaneCount, footer.laneCount - footer.keyLaneCount)
        expect(readFooter(page, layout)).toEqual(footer)
        expect(footerIdentity(page)).toEqual({ magic: BUCKET_MAGIC, version: BUCKET_FORMAT_VERSION })
        expect(page[4]).toBe(FOOTER_PAGE)
        expect(page.subarray(footerBytes(layout)).every(byte => byte === 0)).toBe(true)
      }),
    )
  })

  test('has its fields side by side behind the page header, none over another', () => {
    // What docs/file-format.md says of their sizes.
    const sizes: Record<keyof typeof FOOTER, number> = {
      magic: 4,
      version: 4,
      tableId: 16,
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
      deleteKeys: 8,
      deleteRecords: 8,
      firstSequence: 8,
      endSequence: 8,
      distinctKeys: 8,
      bounds: 0,
    }
    let at = PAGE_HEADER_BYTES
    for (const [name, offset] of Object.entries(FOOTER)) {
      expect([name, offset]).toEqual([name, at])
      at += sizes[name as keyof typeof FOOTER]
    }
  })

  test('of the widest record fits the smallest page', () => {
    // 1 KiB: a key and 63 fields of one byte, and bytes(960) in 240 lanes.
    expect(footerBytes(wideLayout(1, 62 + 241))).toBeLessThanOrEqual(4096)
  })
})
