import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DataPageEncoder } from '../../../src/format/data-page-encoder.js'
import { DataPageReader } from '../../../src/format/data-page-reader.js'
import { wordsOf } from '../../../src/format/little-endian.js'
import { DATA_PAGE, PAGE_ROWS_MAX, RESTART_INTERVAL } from '../../../src/format/page-layout.js'
import {
  DELETE_KEY,
  DELETE_RECORD,
  OperationBuffer,
  PUT,
  type Operations,
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
function pagesOf(layout: RecordLayout, columns: Operations, pageBytes = PAGE_BYTES): Page[] {
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

const bitsOf = (value: number | bigint): number => (BigInt(value) === 0n ? 0 : value.toString(2).length)

/** Bits of the columns of a page with these rows, straight from docs/file-format.md, Data page. */
function streamBitsOf(rows: readonly Row[], keyLanes: number, valueLanes: number): number {
  const restarts = Array<number>(keyLanes).fill(0)
  const deltas = Array<number>(keyLanes).fill(0)
  let bits = 0
  let restartCount = 0
  rows.forEach(({ key }, row) => {
    if (row === 0) return
    const isRestart = row % RESTART_INTERVAL === 0
    if (isRestart) restartCount++
    const widths = isRestart ? restarts : deltas
    const other = rows[isRestart ? 0 : row - 1]!
    keyLanesOf(key - other.key, keyLanes).forEach((value, lane) => {
      widths[lane] = Math.max(widths[lane]!, bitsOf(value))
    })
  })
  for (const width of restarts) bits += width * restartCount
  for (const width of deltas) bits += width * (rows.length - 1 - restartCount)
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

/** Bits that a page has for its columns. */
function streamRoom(keyLanes: number, valueLanes: number, pageBytes: number): number {
  const widths = 2 * keyLanes + valueLanes + 1
  return 8 * (pageBytes - 8 - 4 * keyLanes - 4 * (valueLanes + 1) - 4 * Math.ceil(widths / 4))
}

describe('data pages come back as they were', () => {
  test('for all lane counts, keys, values and kinds', () => {
    fc.assert(
      fc.property(shapes({ rowsMax: 2000 }), fc.constantFrom(4096, 8192), (shape, pageBytes) => {
        const layout = wideLayout(shape.keyLanes, shape.valueLanes)
        const rows = sortedRowsOf(shape)
        const decoded = new OperationBuffer(layout)
        const reader = new DataPageReader(layout, pageBytes)
        for (const { bytes } of pagesOf(layout, columnsOf(layout, rows), pageBytes)) {
          reader.open(wordsOf(bytes), 0)
          expect(reader.defect()).toBeUndefined()
          reader.decode(decoded)
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

  test('one of a single row takes no bits for its columns', () => {
    for (let keyLanes = 1; keyLanes <= 8; keyLanes++) {
      const layout = wideLayout(keyLanes, 2)
      const row: Row = { key: 2n ** BigInt(32 * keyLanes) - 1n, values: [0, 0xffffffff], kind: PUT }
      const [page] = pagesOf(layout, columnsOf(layout, [row]))
      const reader = openPage(layout, page!.bytes)
      expect(reader.rows).toBe(1)
      const decoded = new OperationBuffer(layout)
      reader.decode(decoded)
      expect(rowsOf(layout, decoded)).toEqual([row])
      const stream = new Uint8Array(
        page!.bytes.subarray(PAGE_BYTES - streamRoom(keyLanes, 2, PAGE_BYTES) / 8),
      )
      expect(stream.every(byte => byte === 0)).toBe(true)
    }
  })

  test('equal rows: no more than the limit in a page, all in as many pages as that takes', () => {
    const layout = wideLayout(2, 1)
    const count = 2 * PAGE_ROWS_MAX + 5
    const columns = new OperationBuffer(layout, count)
    columns.count = count
    for (const [lane, value] of [7, 8, 9].entries()) columns.lanes[lane]!.fill(value)
    const pages = pagesOf(layout, columns)
    expect(pages.map(({ from, to }) => to - from)).toEqual([PAGE_ROWS_MAX, PAGE_ROWS_MAX, 5])
    const decoded = new OperationBuffer(layout)
    for (const { bytes } of pages) openPage(layout, bytes).decode(decoded)
    expect(decoded.count).toBe(count)
    expect(decoded.lanes.map(lane => new Set(lane.subarray(0, count)).size)).toEqual([1, 1, 1])
  })

  test.each([1, 31, 32, 33, 64, 65, 5000])('%i rows of one key between its neighbours', count => {
    for (const keyLanes of [1, 2, 3]) {
      const layout = wideLayout(keyLanes, 1)
      const keys = [4n, ...Array<bigint>(count).fill(5n), 6n]
      const rows = keys.map((key, i): Row => ({ key, values: [i], kind: PUT }))
      const decoded = new OperationBuffer(layout)
      for (const { bytes } of pagesOf(layout, columnsOf(layout, rows)))
        openPage(layout, bytes).decode(decoded)
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
    for (const rows of [puts, deletes, puts]) openPage(layout, page(rows)).decode(decoded)
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
    reader.decode(decoded)
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
        const room = streamRoom(keyLanes, valueLanes, PAGE_BYTES)
        for (const { from, to } of pagesOf(layout, columnsOf(layout, rows))) {
          expect(streamBitsOf(rows.slice(from, to), keyLanes, valueLanes)).toBeLessThanOrEqual(room)
          if (to === rows.length || to - from === PAGE_ROWS_MAX) continue
          expect(streamBitsOf(rows.slice(from, to + 1), keyLanes, valueLanes)).toBeGreaterThan(room)
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
    const write = (columns: Operations): void => {
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

  /** What `find` must return: the rows of the key, or, if there are none, where they would be. */
  function linearFind(rows: readonly Row[], key: bigint): [found: boolean, from: number, to: number] {
    const from = rows.findIndex(row => row.key >= key)
    if (from < 0) return [false, rows.length, rows.length]
    let to = from
    while (to < rows.length && rows[to]!.key === key) to++
    return [to > from, from, to]
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

  test.each([1, 2])('of %i lanes gives what it gives for the same keys behind lanes of zeros', keyLanes => {
    fc.assert(
      fc.property(shapes({ rowsMax: 500, keyLanesMin: keyLanes, keyLanesMax: keyLanes }), shape => {
        const all = sortedRowsOf(shape)
        const fast = wideLayout(keyLanes, shape.valueLanes)
        const general = wideLayout(3, shape.valueLanes)
        const [fastPage] = pagesOf(fast, columnsOf(fast, all))
        const [generalPage] = pagesOf(general, columnsOf(general, all))
        // A lane of zeros takes no bits, but a page has room for its header: it may hold fewer rows.
        const rows = all.slice(0, Math.min(fastPage!.to, generalPage!.to))
        const columns = columnsOf(fast, rows)
        const readers = [
          openPage(fast, pagesOf(fast, columns)[0]!.bytes),
          openPage(general, pagesOf(general, columnsOf(general, rows))[0]!.bytes),
        ] as const
        for (const key of targets(rows, keyLanes, new Random(shape.seed))) {
          const results = readers.map((reader, i) => [
            reader.find(keyLanesOf(key, i === 0 ? keyLanes : 3)),
            reader.from,
            reader.to,
          ])
          expect(results[0]).toEqual(results[1])
        }
      }),
      { numRuns: 150 },
    )
  })

  test.each([1, 2, 33, 64, 5000])('that has %i rows gives them all, across restarts', duplicates => {
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

  test('where a column is wider than a lane', () => {
    const widths = 8 + 4 * 2 + 4 * 4
    for (let column = 0; column < 2 + 2 + 4; column++) {
      expect(defectOf(bytes => (bytes[widths + column] = 33))).toMatch(/33 bits/)
    }
  })

  test('where its columns do not fit into it', () => {
    expect(defectOf(bytes => (bytes[7] = 0x7f))).toMatch(/bits of columns/)
    const widths = 8 + 4 * 2 + 4 * 4
    // All columns but the last, which has the kinds: that one is refused for its width.
    expect(defectOf(bytes => bytes.fill(32, widths, widths + 7))).toMatch(/bits of columns/)
    expect(defectOf(bytes => bytes.fill(32, widths, widths + 8))).toBe('unknown operation kinds')
  })

  test('and random bytes have one, or are read without an error', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.boolean(), (seed, likely) => {
        const bytes = new Random(seed).bytes(PAGE_BYTES)
        if (likely) {
          bytes[4] = DATA_PAGE
          bytes[7] = 0
          bytes.subarray(32, 40).forEach((width, i) => (bytes[32 + i] = width % 34))
        }
        const reader = new DataPageReader(fingerprints, PAGE_BYTES)
        reader.open(wordsOf(bytes), 0)
        if (reader.defect() !== undefined) return
        const decoded = new OperationBuffer(fingerprints)
        reader.decode(decoded)
        expect(decoded.count).toBe(reader.rows)
        reader.find(Uint32Array.of(bytes[100]!, bytes[101]!))
        expect(reader.to).toBeLessThanOrEqual(reader.rows)
      }),
      { numRuns: 2000 },
    )
  })
})
