/** What a filtered scan leaves out: never a file or a page that makes a difference. */
import { describe, expect, test } from 'vitest'
import { leavesOutFile, leavesOutPage } from '../../../src/bucket-file/filtered-pages.js'
import type { BucketFile } from '../../../src/bucket-file/reader.js'
import { DataPageEncoder } from '../../../src/format/data-page-encoder.js'
import { dataPageLayout } from '../../../src/format/page-layout.js'
import { OperationBuffer } from '../../../src/records/operations.js'
import { recordLayout } from '../../../src/records/record-layout.js'
import { WhereFilter } from '../../../src/records/where-filter.js'
import { Random } from '../../support/random.js'

const LAYOUT = recordLayout([4], [4, 4])
const PAGE_BYTES = 4096

function fileOf(footer: object): BucketFile {
  const bounds = { firstKey: [1], lastKey: [9], minValues: [10, 0], maxValues: [20, 5] }
  return { footer: { records: 5, deleteKeys: 0, deleteRecords: 0, ...bounds, ...footer } } as never
}

const equal = (value: number) => ({ lanes: [1], values: [value] })

describe('a file', () => {
  test('is left out where nothing in it matches and its operations hide nothing that does', () => {
    const leaves = (footer: object, value: number, isOldest: boolean, replace: boolean): boolean =>
      leavesOutFile(fileOf(footer), LAYOUT, equal(value), isOldest, replace)
    expect(leaves({}, 15, true, false)).toBe(false)
    expect(leaves({}, 25, false, false)).toBe(true)
    // Its deletes of keys, and with `replace` its puts, hide what is older.
    expect(leaves({ deleteKeys: 1 }, 25, false, false)).toBe(false)
    expect(leaves({ deleteKeys: 1 }, 25, true, false)).toBe(true)
    expect(leaves({}, 25, false, true)).toBe(false)
    expect(leaves({}, 25, true, true)).toBe(true)
    // Its deletes of records are within the bounds.
    expect(leaves({ records: 0, deleteRecords: 2 }, 15, false, false)).toBe(false)
    expect(leaves({ deleteRecords: 2 }, 25, false, false)).toBe(true)
    expect(leaves({ records: 0, deleteKeys: 2 }, 15, true, false)).toBe(true)
  })
})

describe('a page', () => {
  test('is left out only where none of its rows match', () => {
    const page = dataPageLayout(LAYOUT, PAGE_BYTES)
    let left = 0
    for (let seed = 1; seed <= 300; seed++) {
      const random = new Random(seed)
      const base = random.pick([0, 1000, 0xfffffff0, 0x80000000])
      const spread = random.pick([1, 10, 1000])
      const rows = new OperationBuffer(LAYOUT)
      const count = random.between(1, 60)
      for (let i = 0; i < count; i++)
        rows.appendRecord(0, Uint32Array.of(i * 3, (base + random.below(spread)) >>> 0, random.below(4)))
      const encoder = new DataPageEncoder(LAYOUT, PAGE_BYTES)
      const bytes = new Uint8Array(PAGE_BYTES)
      expect(encoder.fit(rows, 0, count)).toBe(count)
      encoder.write(rows, 0, bytes)
      const words = new Uint32Array(bytes.buffer)
      const near = (base + random.below(2 * spread)) >>> 0
      const terms = random.chance(0.5)
        ? equal(near)
        : { lanes: [2], values: [random.below(6)], ranges: [{ lane: 1, lower: [near], upper: [0xffffffff] }] }
      const matching = new WhereFilter(LAYOUT, terms).matching(rows).count
      const leaves = leavesOutPage(page, LAYOUT, terms, words, 0)
      if (leaves) {
        left++
        expect(matching, `seed ${seed}`).toBe(0)
      }
    }
    expect(left).toBeGreaterThan(30)
  })
})
