import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BlockSearch, SOUGHT } from '../../../src/format/block-search.js'
import { DataPageDecoder } from '../../../src/format/data-page-decoder.js'
import { DataPageEncoder } from '../../../src/format/data-page-encoder.js'
import { DataPageReader } from '../../../src/format/data-page-reader.js'
import { wordsOf } from '../../../src/format/little-endian.js'
import { DATA_PAGE, PAGE_ROWS_MAX } from '../../../src/format/page-layout.js'
import {
  DELETE_KEY,
  DELETE_RECORD,
  OperationBuffer,
  PUT,
  type WideOperations,
} from '../../../src/records/operations.js'
import type { RecordLayout } from '../../../src/records/record-layout.js'
import { Random } from '../../support/random.js'
import {
  columnsOf,
  keyLanesOf,
  meaningOf,
  rowsOf,
  shapes,
  sortedRowsOf,
  wideLayout,
  type Row,
} from '../../support/rows.js'

const PAGE_BYTES = 4096
/** u64 key; time, flags, id. */
const fingerprints = wideLayout(2, 3)

interface Page {
  readonly from: number
  readonly to: number
  readonly bytes: Uint8Array
}

/** All rows in pages. */
function pagesOf(layout: RecordLayout, columns: WideOperations, pageBytes = PAGE_BYTES): Page[] {
  const encoder = new DataPageEncoder(layout, pageBytes)
  const pages: Page[] = []
  for (let from = 0; from < columns.count;) {
    const to = from + encoder.fit(columns, from, columns.count)
    const bytes = new Uint8Array(pageBytes)
    encoder.write(columns, from, bytes)
    pages.push({ from, to, bytes })
    from = to
  }
  return pages
}

function openPage(layout: RecordLayout, bytes: Uint8Array): DataPageReader {
  const reader = new DataPageReader(layout, bytes.byteLength)
  reader.open(wordsOf(bytes), 0)
  expect(reader.defect()).toBeUndefined()
  return reader
}

/** Appends the rows of a page that has no defect. */
function decodePage(layout: RecordLayout, bytes: Uint8Array, into: OperationBuffer): void {
  openPage(layout, bytes)
  new DataPageDecoder(layout, bytes.byteLength).decode(wordsOf(bytes), 0, into)
}

const bitsOf = (value: number | bigint): number => (BigInt(value) === 0n ? 0 : value.toString(2).length)

const ceil32 = (bits: number): number => Math.ceil(bits / 32) * 32

/** Bits of directory and rows of a page with these rows, straight from docs/file-format.md, Data page. */
function rowBitsOf(rows: readonly Row[], keyLanes: number, valueLanes: number): number {
  const all = rows.reduce((bits, { key }) => bits | (key - rows[0]!.key), 0n)
  const zeros = all === 0n ? 0 : /0*$/.exec(all.toString(2))![0].length
  const shift = BigInt(zeros < 16 ? 0 : Math.min(254, zeros))
  const offsets = rows.map(({ key }) => (key - rows[0]!.key) >> shift)
  const span = offsets.at(-1)!
  let keyBits = Infinity
  for (let lowBits = 0; lowBits <= Math.min(255, 32 * keyLanes); lowBits++) {
    const buckets = (span >> BigInt(lowBits)) + 1n
    if (buckets > 65_535n) continue
    const count = Number(buckets)
    const directory = bitsOf(rows.length + count) * Math.ceil(count / 16) + rows.length + count
    keyBits = Math.min(keyBits, ceil32(directory) + rows.length * lowBits)
  }
  const distance = evenDistance(offsets)
  if (distance !== undefined) {
    const low = offsets.reduce((most, offset, row) => {
      const above = offset - BigInt(row) * distance
      return above > most ? above : most
    }, 0n)
    keyBits = Math.min(keyBits, 64 + rows.length * bitsOf(low))
  }
  let bits = keyBits
  const spread = (values: readonly number[]) =>
    values.length === 0
      ? 0
      : bitsOf(values.reduce((a, b) => Math.max(a, b)) - values.reduce((a, b) => Math.min(a, b)))
  for (let lane = 0; lane < valueLanes; lane++) {
    const values = rows.filter(row => row.kind !== DELETE_KEY).map(row => row.values[lane]!)
    bits += spread(values) * rows.length
  }
  return bits + spread(rows.map(row => row.kind)) * rows.length
}

/** The greatest distance that has row r, and no other, between r and r + 1 times it. */
function evenDistance(offsets: readonly bigint[]): bigint | undefined {
  if (offsets.length < 2 || offsets.at(-1)! >= 2n ** 52n) return undefined
  const distance = offsets
    .map((offset, row) => (row === 0 ? 2n ** 52n : offset / BigInt(row)))
    .reduce((a, b) => (a < b ? a : b))
  const even = distance > 0n && offsets.every((offset, row) => offset / distance === BigInt(row))
  return even ? distance : undefined
}

/** Bits that a page has for directory and rows. */
function freeBits(keyLanes: number, valueLanes: number, pageBytes: number): number {
  const packed = valueLanes + 1
  return 8 * (pageBytes - 8 - 4 * keyLanes - 4 - 4 * Math.ceil((packed + 1) / 4) - 4 * packed)
}

describe('data pages come back as they were', () => {
  test('for all lane counts, keys, values and kinds', () => {
    fc.assert(
      fc.property(shapes({ rowsMax: 2000 }), fc.constantFrom(4096, 8192), (shape, pageBytes) => {
        const layout = wideLayout(shape.keyLanes, shape.valueLanes)
        const rows = sortedRowsOf(shape)
        const decoded = new OperationBuffer(layout)
        for (const { bytes } of pagesOf(layout, columnsOf(layout, rows), pageBytes)) {
          decodePage(layout, bytes, decoded)
          expect(openPage(layout, bytes).samplesFit()).toBe(true)
        }
        expect(rowsOf(layout, decoded)).toEqual(meaningOf(rows))
      }),
      { numRuns: 300 },
    )
  })

  test('one value at a time', () => {
    fc.assert(
      fc.property(shapes({ rowsMax: 600 }), shape => {
        const layout = wideLayout(shape.keyLanes, shape.valueLanes)
        const rows = sortedRowsOf(shape)
        for (const { from, to, bytes } of pagesOf(layout, columnsOf(layout, rows))) {
          const reader = openPage(layout, bytes)
          expect(reader.rows).toBe(to - from)
          expect(reader.allPuts).toBe(rows.slice(from, to).every(row => row.kind === PUT))
          for (let row = 0; row < reader.rows; row++) {
            const { values, kind } = rows[from + row]!
            expect(reader.kind(row)).toBe(kind)
            if (kind === DELETE_KEY) continue
            expect(values.map((_, lane) => reader.value(lane, row))).toEqual(values)
          }
        }
      }),
      { numRuns: 100 },
    )
  })

  test('where all rows are puts but a column of kinds is there', () => {
    const rows = sortedRowsOf({
      keyLanes: 2,
      valueLanes: 1,
      rows: 100,
      keys: 'random',
      values: ['wide'],
      kinds: [PUT],
      seed: 1,
    })
    const layout = wideLayout(2, 1)
    const [withKinds] = pagesOf(layout, columnsOf(layout, rows, true))
    const [without] = pagesOf(layout, columnsOf(layout, rows, false))
    expect(withKinds).toEqual(without)
  })

  test('one of a single row takes no bits for the row', () => {
    for (let keyLanes = 1; keyLanes <= 8; keyLanes++) {
      const layout = wideLayout(keyLanes, 2)
      const row: Row = { key: 2n ** BigInt(32 * keyLanes) - 1n, values: [0, 0xffffffff], kind: PUT }
      const [page] = pagesOf(layout, columnsOf(layout, [row]))
      const reader = openPage(layout, page!.bytes)
      expect(reader.rows).toBe(1)
      const decoded = new OperationBuffer(layout)
      decodePage(layout, page!.bytes, decoded)
      expect(rowsOf(layout, decoded)).toEqual([row])
      // Of the directory a sample of two bits, 0; then the row, and the end of its bucket.
      const free = wordsOf(page!.bytes.slice(PAGE_BYTES - freeBits(keyLanes, 2, PAGE_BYTES) / 8))
      expect(free[0]).toBe(0b01_00)
      expect(free.subarray(1).every(word => word === 0)).toBe(true)
    }
  })

  test('equal rows: no more than the limit in a page, all in as many pages as that takes', () => {
    const layout = wideLayout(2, 1)
    const count = 2 * PAGE_ROWS_MAX + 5
    const columns = new OperationBuffer(layout, count)
    columns.count = count
    for (const [lane, value] of [7, 8, 9].entries()) columns.lanes[lane]!.fill(value)
    // In a smaller page the directory, a bit a row, fills it before.
    const pages = pagesOf(layout, columns, 8192)
    expect(pages.map(({ from, to }) => to - from)).toEqual([PAGE_ROWS_MAX, PAGE_ROWS_MAX, 5])
    const decoded = new OperationBuffer(layout)
    for (const { bytes } of pages) decodePage(layout, bytes, decoded)
    expect(decoded.count).toBe(count)
    expect(decoded.lanes.map(lane => new Set(lane.subarray(0, count)).size)).toEqual([1, 1, 1])
  })

  test.each([1, 31, 32, 33, 64, 65, 5000])('%i rows of one key between its neighbours', count => {
    for (const keyLanes of [1, 2, 3]) {
      const layout = wideLayout(keyLanes, 1)
      const keys = [4n, ...Array<bigint>(count).fill(5n), 6n]
      const rows = keys.map((key, i): Row => ({ key, values: [i], kind: PUT }))
      const decoded = new OperationBuffer(layout)
      for (const { bytes } of pagesOf(layout, columnsOf(layout, rows))) decodePage(layout, bytes, decoded)
      expect(rowsOf(layout, decoded)).toEqual(rows)
    }
  })

  test('behind rows that are in the buffer already, with and without kinds', () => {
    const layout = wideLayout(1, 1)
    const puts: Row[] = [
      { key: 1n, values: [1], kind: PUT },
      { key: 2n, values: [2], kind: PUT },
    ]
    const deletes: Row[] = [
      { key: 3n, values: [], kind: DELETE_KEY },
      { key: 4n, values: [3], kind: DELETE_RECORD },
    ]
    const page = (rows: Row[]) => pagesOf(layout, columnsOf(layout, rows))[0]!.bytes
    const decoded = new OperationBuffer(layout, 2)
    // What an earlier use of the buffer left must not show.
    decoded.ensureKinds().fill(DELETE_RECORD)
    for (const rows of [puts, deletes, puts]) decodePage(layout, page(rows), decoded)
    expect(rowsOf(layout, decoded)).toEqual([...puts, ...deletes, ...puts])
  })

  test('where it lies among other words', () => {
    const layout = wideLayout(2, 1)
    const rows = sortedRowsOf({
      keyLanes: 2,
      valueLanes: 1,
      rows: 300,
      keys: 'random',
      values: ['wide'],
      kinds: [PUT, DELETE_RECORD],
      seed: 5,
    })
    const words = new Uint32Array(PAGE_BYTES / 2 + 1).fill(0xffffffff)
    const [page] = pagesOf(layout, columnsOf(layout, rows))
    words.set(wordsOf(page!.bytes), PAGE_BYTES / 4)
    const reader = new DataPageReader(layout, PAGE_BYTES)
    reader.open(words, PAGE_BYTES / 4)
    expect(reader.defect()).toBeUndefined()
    const decoded = new OperationBuffer(layout)
    new DataPageDecoder(layout, PAGE_BYTES).decode(words, PAGE_BYTES / 4, decoded)
    expect(rowsOf(layout, decoded)).toEqual(rows.slice(0, page!.to))
    expect(reader.find(keyLanesOf(rows[40]!.key, 2))).toBe(true)
    expect([reader.from, reader.to]).toEqual([40, 41])
  })
})

describe('a page takes the most rows that fit', () => {
  test('which is what a simple count of all bits says', () => {
    fc.assert(
      fc.property(shapes({ rowsMax: 2500 }), shape => {
        const { keyLanes, valueLanes } = shape
        const layout = wideLayout(keyLanes, valueLanes)
        const rows = sortedRowsOf(shape)
        const room = freeBits(keyLanes, valueLanes, PAGE_BYTES)
        for (const { from, to } of pagesOf(layout, columnsOf(layout, rows))) {
          expect(rowBitsOf(rows.slice(from, to), keyLanes, valueLanes)).toBeLessThanOrEqual(room)
          if (to === rows.length || to - from === PAGE_ROWS_MAX) continue
          expect(rowBitsOf(rows.slice(from, to + 1), keyLanes, valueLanes)).toBeGreaterThan(room)
        }
      }),
      { numRuns: 150 },
    )
  })

  test('and nothing of a try that did not fit stays behind', () => {
    const layout = wideLayout(2, 1)
    const random = new Random(9)
    const rows = sortedRowsOf({
      keyLanes: 2,
      valueLanes: 1,
      rows: 3000,
      keys: 'random',
      values: ['wide'],
      kinds: [PUT],
      seed: 9,
    })
    const columns = columnsOf(layout, rows)
    const used = new DataPageEncoder(layout, PAGE_BYTES)
    for (let round = 0; round < 30; round++) {
      used.fit(columns, random.below(2000), 2000 + random.below(1000))
      const from = random.below(2000)
      const to = from + random.between(1, 900)
      const count = used.fit(columns, from, to)
      const bytes = new Uint8Array(PAGE_BYTES)
      used.write(columns, from, bytes)
      const fresh = pagesOf(layout, columnsOf(layout, rows.slice(from, to)))[0]!
      expect(count).toBe(fresh.to)
      expect(bytes).toEqual(fresh.bytes)
    }
  })

  test('and the bounds of its values, deleted keys apart', () => {
    const layout = wideLayout(1, 2)
    const rows: Row[] = [
      { key: 1n, values: [5, 0xffffffff], kind: PUT },
      { key: 2n, values: [9, 3], kind: DELETE_RECORD },
      { key: 3n, values: [0, 0], kind: DELETE_KEY },
    ]
    const encoder = new DataPageEncoder(layout, PAGE_BYTES)
    const write = (columns: WideOperations): void => {
      encoder.fit(columns, 0, columns.count)
      encoder.write(columns, 0, new Uint8Array(PAGE_BYTES))
    }
    write(columnsOf(layout, rows))
    expect([0, 1].map(lane => encoder.bounds(lane))).toEqual([
      { min: 5, max: 9 },
      { min: 3, max: 0xffffffff },
    ])
    write(columnsOf(layout, rows.slice(2)))
    const none = encoder.bounds(0)
    expect(none.min).toBeGreaterThan(none.max)
  })
})

test('the encoder of data pages refuses to write what `fit` has not counted, and bounds of no page', () => {
  const layout = wideLayout(1, 1)
  const row: Row = { key: 1n, values: [1], kind: PUT }
  const columns = columnsOf(layout, [row, row])
  const encoder = new DataPageEncoder(layout, PAGE_BYTES)
  const page = new Uint8Array(PAGE_BYTES)
  expect(() => encoder.write(columns, 0, page)).toThrow(/`fit` has counted/)
  encoder.fit(columns, 0, 2)
  expect(() => encoder.write(columns, 1, page)).toThrow(/`fit` has counted/)
  expect(() => encoder.bounds(0)).toThrow(/a page that was written/)
  encoder.write(columns, 0, page)
  expect(encoder.bounds(0)).toEqual({ min: 1, max: 1 })
  expect(() => encoder.write(columns, 0, page)).toThrow(/`fit` has counted/)
})

describe('finding a key in a page', () => {
  /** Keys that are there, next to one that is there, and anywhere. */
  function targets(rows: readonly Row[], keyLanes: number, random: Random): bigint[] {
    const greatest = 2n ** BigInt(32 * keyLanes) - 1n
    const near = rows.flatMap(({ key }) => [key - 1n, key, key + 1n, key + 2n ** 32n, key - 2n ** 32n])
    const anywhere = Array.from({ length: 20 }, () => {
      let key = 0n
      for (let lane = 0; lane < keyLanes; lane++) key = (key << 32n) | BigInt(random.next())
      return key
    })
    return [...new Set([...near, ...anywhere, 0n, greatest])].filter(key => key >= 0n && key <= greatest)
  }

  /** What `find` must return: the rows of the key. */
  function linearFind(rows: readonly Row[], key: bigint): [found: boolean, from: number, to: number] {
    const from = rows.findIndex(row => row.key === key)
    if (from < 0) return [false, 0, 0]
    let to = from
    while (to < rows.length && rows[to]!.key === key) to++
    return [true, from, to]
  }

  test('agrees with a walk over all rows: there, not there, before and after all', () => {
    fc.assert(
      fc.property(shapes({ rowsMax: 500 }), shape => {
        const { keyLanes, valueLanes } = shape
        const layout = wideLayout(keyLanes, valueLanes)
        const all = sortedRowsOf(shape)
        const [page] = pagesOf(layout, columnsOf(layout, all))
        const rows = all.slice(0, page!.to)
        const reader = openPage(layout, page!.bytes)
        for (const key of targets(rows, keyLanes, new Random(shape.seed))) {
          const found = reader.find(keyLanesOf(key, keyLanes))
          expect([found, reader.from, reader.to]).toEqual(linearFind(rows, key))
        }
      }),
      { numRuns: 200 },
    )
  })

  test.each([1, 2, 3, 8])('of %i lanes in a block gives what it gives alone', keyLanes => {
    fc.assert(
      fc.property(shapes({ rowsMax: 500, keyLanesMin: keyLanes, keyLanesMax: keyLanes }), shape => {
        const layout = wideLayout(keyLanes, shape.valueLanes)
        const all = sortedRowsOf(shape)
        const [page] = pagesOf(layout, columnsOf(layout, all))
        const reader = openPage(layout, page!.bytes)
        const keys = targets(all, keyLanes, new Random(shape.seed)).map(key => keyLanesOf(key, keyLanes))
        const block = new BlockSearch(layout, PAGE_BYTES, keys.length)
        // The page lies among other words, and every fifth key has none.
        const words = new Uint32Array(PAGE_BYTES / 2 + 1).fill(0xffffffff)
        words.set(wordsOf(page!.bytes), PAGE_BYTES / 4)
        block.bases.fill(PAGE_BYTES / 4)
        block.words.fill(words)
        for (let i = 0; i < keys.length; i += 5) block.bases[i] = -1
        const columns = Array.from({ length: keyLanes }, (_, lane) =>
          Uint32Array.from(keys, key => key[lane]!),
        )
        block.seek(columns, keys.length)
        for (const [i, key] of keys.entries()) {
          // Other operations than puts are the caller's.
          expect(block.states[i] === SOUGHT).toBe(i % 5 !== 0 && reader.allPuts)
          if (block.states[i] !== SOUGHT) continue
          const found = reader.find(key)
          const [from, to] = [block.from[i]!, block.to[i]!]
          expect([to > from, ...(found ? [from, to] : [])]).toEqual([
            found,
            ...(found ? [reader.from, reader.to] : []),
          ])
        }
      }),
      { numRuns: 150 },
    )
  })

  test.each([15, 16, 31, 32, 33, 48, 64, 100, 200, 255])('of keys that end with %i zeros', zeros => {
    for (const keyLanes of [1, 2, 3, 8]) {
      const bits = 32 * keyLanes - zeros
      if (bits < 8) continue
      const layout = wideLayout(keyLanes, 1)
      const random = new Random(zeros)
      for (const even of [true, false]) {
        // The first key need not end so.
        const numbers = Array.from({ length: 100 }, (_, i) =>
          BigInt(even ? 2 * i : random.below(2 ** Math.min(bits, 30))),
        )
        const last = even ? 0n : 7n
        const keys = numbers.sort((a, b) => (a < b ? -1 : 1)).map(number => (number << BigInt(zeros)) + last)
        const rows = keys.map((key, i): Row => ({ key, values: [i], kind: PUT }))
        const [page] = pagesOf(layout, columnsOf(layout, rows))
        expect(page!.to).toBe(rows.length)
        if (zeros >= 16)
          expect(rowBitsOf(rows, keyLanes, 1)).toBeLessThan(rows.length * (Math.min(bits, 30) + 8) + 300)
        const decoded = new OperationBuffer(layout)
        decodePage(layout, page!.bytes, decoded)
        expect(rowsOf(layout, decoded)).toEqual(rows)
        const reader = openPage(layout, page!.bytes)
        for (const key of targets(rows, keyLanes, random)) {
          const found = reader.find(keyLanesOf(key, keyLanes))
          expect([found, reader.from, reader.to]).toEqual(linearFind(rows, key))
        }
        const block = new BlockSearch(layout, PAGE_BYTES, 1)
        block.words[0] = wordsOf(page!.bytes)
        block.bases[0] = 0
        const columns = Array.from(keyLanesOf(keys[5]!, keyLanes), lane => Uint32Array.of(lane))
        block.seek(columns, 1)
        expect([block.states[0], ...linearFind(rows, keys[5]!)]).toEqual([
          SOUGHT,
          true,
          block.from[0],
          block.to[0],
        ])
      }
    }
  })

  test('of a page of even keys: between them, and where they are far from each other', () => {
    for (const keyLanes of [1, 2, 3]) {
      for (const [distance, jitter] of [
        [1n, 1],
        [7n, 1],
        [100n, 10],
        [2n ** 33n + 5n, 1000],
      ] as const) {
        if (keyLanes === 1 && distance > 2n ** 20n) continue
        const layout = wideLayout(keyLanes, 0)
        const random = new Random(7)
        const keys = Array.from(
          { length: 200 },
          (_, i) => 5000n + BigInt(i) * distance + BigInt(random.below(jitter)),
        )
        const rows = keys.map((key): Row => ({ key, values: [], kind: PUT }))
        const [page] = pagesOf(layout, columnsOf(layout, rows))
        // No buckets: the keys are even.
        expect(wordsOf(page!.bytes)[2 + keyLanes]! & 0xffff).toBe(0)
        const reader = openPage(layout, page!.bytes)
        for (const key of targets(rows.slice(0, page!.to), keyLanes, random)) {
          const found = reader.find(keyLanesOf(key, keyLanes))
          expect([found, reader.from, reader.to]).toEqual(linearFind(rows.slice(0, page!.to), key))
        }
      }
    }
  })

  test.each([1, 2, 33, 64, 5000])('that has %i rows gives them all', duplicates => {
    for (const keyLanes of [1, 2, 3, 8]) {
      for (const before of [0, 1, 30, 31, 32, 33]) {
        const layout = wideLayout(keyLanes, 0)
        const keys = [
          ...Array.from({ length: before }, (_, i) => BigInt(1000 - 2 * (before - i))),
          ...Array<bigint>(duplicates).fill(1000n),
          1001n,
          1003n,
        ]
        const rows = keys.map((key): Row => ({ key, values: [], kind: PUT }))
        const [page] = pagesOf(layout, columnsOf(layout, rows))
        expect(page!.to).toBe(rows.length)
        const reader = openPage(layout, page!.bytes)
        for (const key of [1000n, 1001n, 1003n, 999n, 1002n, 1004n, 998n, 0n]) {
          const found = reader.find(keyLanesOf(key, keyLanes))
          expect([found, reader.from, reader.to]).toEqual(linearFind(rows, key))
        }
      }
    }
  })
})

describe('a page that is none of this layout has a defect', () => {
  const rows = sortedRowsOf({
    keyLanes: 2,
    valueLanes: 3,
    rows: 500,
    keys: 'random',
    values: ['wide', 'constant', 'narrow'],
    kinds: [PUT],
    seed: 3,
  })
  const page = pagesOf(fingerprints, columnsOf(fingerprints, rows))[0]!.bytes

  function defectOf(change: (bytes: Uint8Array) => void): string | undefined {
    const bytes = page.slice()
    change(bytes)
    const reader = new DataPageReader(fingerprints, PAGE_BYTES)
    reader.open(wordsOf(bytes), 0)
    return reader.defect()
  }

  test('where it is of another kind, empty, or has more rows than a page may have', () => {
    expect(defectOf(() => {})).toBeUndefined()
    expect(page[4]).toBe(DATA_PAGE)
    expect(defectOf(bytes => (bytes[4] = 2))).toMatch(/page kind 2/)
    expect(defectOf(bytes => bytes.fill(0, 6, 8))).toMatch(/0 rows/)
    expect(defectOf(bytes => bytes.fill(0xff, 6, 8))).toMatch(/65535 rows/)
    expect(defectOf(bytes => bytes.fill(0))).toBeDefined()
    expect(defectOf(bytes => bytes.fill(0xff))).toBeDefined()
  })

  const BUCKETS = 8 + 4 * 2
  const WIDTHS = BUCKETS + 5
  const DIRECTORY = BUCKETS + 4 + 8 + 16

  test('where a lane is too wide, or all of them are not as wide as a row', () => {
    for (let lane = 0; lane < 4; lane++) {
      expect(defectOf(bytes => (bytes[WIDTHS + lane] = 33))).toMatch(/a lane of 33 bits/)
      expect(defectOf(bytes => (bytes[WIDTHS + lane] = lane))).toMatch(/rows of \d+ bits that take \d+/)
    }
    expect(defectOf(bytes => (bytes[BUCKETS + 2]! ^= 1))).toMatch(/rows of/)
    expect(defectOf(bytes => (bytes[5]! ^= 1))).toMatch(/rows of/)
    expect(defectOf(bytes => (bytes[5] = 65))).toMatch(/65 low bits/)
  })

  /** Sets a width and the bits of a row that go with it. */
  function widen(bytes: Uint8Array, lane: number, width: number): void {
    const view = new DataView(bytes.buffer)
    view.setUint16(BUCKETS + 2, view.getUint16(BUCKETS + 2, true) + width - bytes[WIDTHS + lane]!, true)
    bytes[WIDTHS + lane] = width
  }

  test('where its rows do not fit into it, or their kinds are unknown', () => {
    expect(defectOf(bytes => (bytes[7] = 0x7f))).toMatch(/bits of rows/)
    expect(
      defectOf(bytes => {
        for (let lane = 0; lane < 3; lane++) widen(bytes, lane, 32)
      }),
    ).toMatch(/bits of rows/)
    expect(defectOf(bytes => widen(bytes, 3, 3))).toBe('unknown operation kinds')
  })

  test('where the directory has other rows than the page, or does not end', () => {
    const { rows: count } = openPage(fingerprints, page)
    const buckets = page[BUCKETS]! | (page[BUCKETS + 1]! << 8)
    const unary = DIRECTORY * 8 + bitsOf(count + buckets) * Math.ceil(buckets / 16)
    const flip = (bytes: Uint8Array, bit: number): void => void (bytes[bit >> 3]! ^= 1 << (bit & 7))
    expect(defectOf(bytes => flip(bytes, unary + 3))).toMatch(/a directory of \d+ rows in a page of \d+/)
    expect(
      defectOf(bytes => {
        const end = unary + count + buckets - 1
        let one = end
        while (((bytes[one >> 3]! >> (one & 7)) & 1) === 0) one--
        flip(bytes, one)
        flip(bytes, end)
      }),
    ).toBe('a directory that does not end')
    expect(
      defectOf(bytes => {
        bytes.fill(0, BUCKETS, BUCKETS + 2)
        bytes.fill(0, DIRECTORY, DIRECTORY + 8)
        bytes[5] = 0
        new DataView(bytes.buffer).setUint16(BUCKETS + 2, 0, true)
        bytes.fill(0, WIDTHS, WIDTHS + 4)
      }),
    ).toBe('keys 0 apart')
  })

  test('but not where a sample is wrong: that is for `samplesFit` to say, and `find` finds nothing', () => {
    const bytes = page.slice()
    bytes[DIRECTORY]! ^= 0xff
    const reader = openPage(fingerprints, bytes)
    expect(reader.samplesFit()).toBe(false)
    reader.find(keyLanesOf(rows[0]!.key, 2))
    expect(reader.to).toBeLessThanOrEqual(reader.rows)
  })

  test('and random bytes have one, or are read without an error', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.boolean(), (seed, likely) => {
        const bytes = new Random(seed).bytes(PAGE_BYTES)
        if (likely) {
          bytes[4] = DATA_PAGE
          bytes[5]! %= 66
          bytes[7] = 0
          bytes
            .subarray(WIDTHS, WIDTHS + 4)
            .forEach((width, i) => (bytes[WIDTHS + i] = width % (i === 3 ? 3 : 34)))
          const rowBits = bytes.subarray(WIDTHS, WIDTHS + 4).reduce((sum, width) => sum + width, bytes[5]!)
          new DataView(bytes.buffer).setUint32(
            BUCKETS,
            (rowBits << 16) | (seed % 3 === 0 ? 0 : seed % 700),
            true,
          )
        }
        const reader = new DataPageReader(fingerprints, PAGE_BYTES)
        reader.open(wordsOf(bytes), 0)
        if (reader.defect() !== undefined) return
        const decoded = new OperationBuffer(fingerprints)
        new DataPageDecoder(fingerprints, PAGE_BYTES).decode(wordsOf(bytes), 0, decoded)
        expect(decoded.count).toBe(reader.rows)
        reader.find(Uint32Array.of(bytes[100]!, bytes[101]!))
        expect(reader.to).toBeLessThanOrEqual(reader.rows)
      }),
      { numRuns: 2000 },
    )
  })
})
