/** The kernels against their twins in TypeScript, bit by bit. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { PageFilter } from '../../../src/bucket-file/page-filter.js'
import { DataPageDecoder } from '../../../src/format/data-page-decoder.js'
import { DataPageEncoder } from '../../../src/format/data-page-encoder.js'
import { wordsOf } from '../../../src/format/little-endian.js'
import { PAGE_ROWS_MAX } from '../../../src/format/page-layout.js'
import { beginKernels, endKernels, kernels, newColumn } from '../../../src/kernels/kernels.js'
import { OperationBuffer, PUT, type Operations } from '../../../src/records/operations.js'
import type { RecordLayout } from '../../../src/records/record-layout.js'
import { KEYS } from '../../support/key-spreads.js'
import { Random } from '../../support/random.js'
import { columnsOf, wideLayout, type Row } from '../../support/rows.js'

interface Case {
  readonly keyBits: number
  readonly keys: string
  /** Of each value lane; 0: all are equal. */
  readonly valueBits: readonly number[]
  readonly rows: number
  readonly pageBytes: number
  readonly seed: number
}

const CASES: fc.Arbitrary<Case> = fc.record({
  keyBits: fc.constantFrom(8, 16, 24, 32, 33, 40, 48, 56, 63, 64),
  keys: fc.constantFrom(...Object.keys(KEYS)),
  valueBits: fc.array(fc.constantFrom(0, 1, 3, 8, 13, 16, 25, 31, 32), { maxLength: 9 }),
  rows: fc.oneof(fc.constantFrom(1, 2, 3, 4, 5), fc.integer({ min: 6, max: 5000 })),
  pageBytes: fc.constantFrom(4096, 8192, 65_536),
  seed: fc.nat(),
})

function layoutOf({ keyBits, valueBits }: Case): RecordLayout {
  return wideLayout(keyBits <= 32 ? 1 : 2, valueBits.length)
}

function rowsOf({ keyBits, keys, valueBits, rows, seed }: Case): Row[] {
  const random = new Random(seed)
  const bits = BigInt(keyBits)
  return KEYS[keys]!(random, bits, rows)
    .map(key => key & ((1n << bits) - 1n))
    .toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
    .map(key => ({
      key,
      values: valueBits.map(width => (width === 32 ? random.next() : 1000 + random.below(2 ** width))),
      kind: PUT,
    }))
}

/** The same rows in the memory of the kernels. */
function inKernels(layout: RecordLayout, rows: Operations): OperationBuffer {
  const columns = new OperationBuffer(layout, rows.count)
  columns.append(rows, 0, rows.count)
  expect(kernels()!.hasAll(columns.lanes)).toBe(true)
  return columns
}

/** Runs without kernels, as other threads do. */
function withoutKernels<T>(make: () => T): T {
  endKernels()
  try {
    return make()
  } finally {
    beginKernels()
  }
}

beforeEach(() => beginKernels())
afterEach(() => endKernels())

describe('a kernel does, bit by bit, what its twin does', () => {
  test('for pages: the rows that fit, the bytes, the bounds; and all rows read from them', () => {
    fc.assert(
      fc.property(CASES, given => samePages(given)),
      { numRuns: 500 },
    )
  })

  test('for pages with as many rows as a page may have', () => {
    for (const keys of ['equal', 'sequential', 'few different']) {
      for (const keyBits of [32, 64]) {
        samePages({ keyBits, keys, valueBits: [0, 0], rows: PAGE_ROWS_MAX + 1, pageBytes: 65_536, seed: 1 })
      }
    }
    expect(kernels()!.pages).toBeGreaterThan(6)
  })

  test('for keys at the ends of their range', () => {
    for (const laneCount of [1, 2]) {
      const layout = wideLayout(laneCount, 1)
      const greatest = 2n ** BigInt(32 * laneCount) - 1n
      for (const keys of [
        [0n, greatest],
        [greatest],
        [0n, 0n, greatest, greatest],
        [0n, 1n, greatest - 1n, greatest],
      ]) {
        sameRows(
          layout,
          keys.map(key => ({ key, values: [0xffffffff], kind: PUT })),
          4096,
        )
      }
    }
  })

  test('for the keys of a page and the block of its filter', () => {
    fc.assert(
      fc.property(CASES, fc.constantFrom(1, 8, 10, 12.5, 20), fc.nat(10), (given, bitsPerRecord, from) => {
        const layout = layoutOf(given)
        const rows = withoutKernels(() => columnsOf(layout, rowsOf(given)))
        const begin = Math.min(from, rows.count - 1)
        const twin = new PageFilter(layout.keyLaneCount, bitsPerRecord)
        const expected = withoutKernels(() => ({
          keys: twin.begin(rows, begin, rows.count),
          block: twin.block(),
        }))
        const filter = new PageFilter(layout.keyLaneCount, bitsPerRecord)
        const keys = filter.begin(inKernels(layout, rows), begin, rows.count)
        expect(keys).toBe(expected.keys)
        const block = filter.block()
        expect(kernels()!.has(block)).toBe(true)
        expect(sameWords(block, expected.block)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})

function samePages(given: Case): void {
  sameRows(layoutOf(given), rowsOf(given), given.pageBytes)
}

/** Writes all rows into pages, by kernel and twin, and reads them again. */
function sameRows(layout: RecordLayout, rows: readonly Row[], pageBytes: number): void {
  kernels()!.clear()
  const plain = withoutKernels(() => columnsOf(layout, rows))
  const twin = withoutKernels(() => new DataPageEncoder(layout, pageBytes))
  const columns = inKernels(layout, plain)
  const encoder = new DataPageEncoder(layout, pageBytes)
  const decoder = new DataPageDecoder(layout, pageBytes)
  const read = new OperationBuffer(layout)
  let pages = 0
  for (let from = 0; from < plain.count; pages++) {
    const count = twin.fit(plain, from, plain.count)
    expect(encoder.fit(columns, from, columns.count)).toBe(count)
    const [expected, made] = [new Uint8Array(pageBytes), pageWithNeighbours(pageBytes)]
    twin.write(plain, from, expected)
    encoder.write(columns, from, made.page)
    expect(sameWords(wordsOf(made.page), wordsOf(expected))).toBe(true)
    expect(made.isIntact()).toBe(true)
    for (let lane = 0; lane < layout.laneCount - layout.keyLaneCount; lane++)
      expect(encoder.bounds(lane)).toEqual(twin.bounds(lane))
    // In the memory of the kernels, and elsewhere.
    decoder.decode(wordsOf(pages % 2 === 0 ? made.page : expected), 0, read)
    from += count
  }
  expect(kernels()!.pages).toBe(2 * pages)
  expect(read.count).toBe(plain.count)
  for (let lane = 0; lane < layout.laneCount; lane++)
    expect(sameWords(read.lanes[lane]!, plain.lanes[lane]!, plain.count)).toBe(true)
}

/** A page in the memory of the kernels, full of other bytes, and what lies before and behind it. */
function pageWithNeighbours(pageBytes: number) {
  const column = newColumn(pageBytes / 4 + 32)
  const bytes = new Uint8Array(column.buffer, column.byteOffset, column.byteLength).fill(0xa5)
  const page = bytes.subarray(64, 64 + pageBytes)
  const isIntact = () =>
    [...bytes.subarray(0, 64), ...bytes.subarray(64 + pageBytes)].every(byte => byte === 0xa5)
  return { page, isIntact }
}

function sameWords(a: Uint32Array, b: Uint32Array, count = b.length): boolean {
  for (let word = 0; word < count; word++) if (a[word] !== b[word]) return false
  return true
}
