import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DataPageEncoder } from '../../../src/format/data-page-encoder.js'
import { DataPageReader } from '../../../src/format/data-page-reader.js'
import { readRowValues } from '../../../src/format/data-page-row.js'
import { ASK_READER, NOT_THERE, findNewestOfPair } from '../../../src/format/find-pair.js'
import { wordsOf } from '../../../src/format/little-endian.js'
import { dataPageLayout } from '../../../src/format/page-layout.js'
import { PUT } from '../../../src/records/operations.js'
import { Random } from '../../support/random.js'
import { columnsOf, keyLanesOf, shapes, sortedRowsOf, wideLayout } from '../../support/rows.js'

const PAGE_BYTES = 4096
/** Where the page lies in its memory. */
const BASE = 1024

test('the newest row of a key is the one that the reader finds, or the reader has to be asked', () => {
  let answered = 0
  let there = 0
  fc.assert(
    fc.property(shapes({ rowsMax: 1500, keyLanesMax: 2 }), shape => {
      const layout = wideLayout(shape.keyLanes, shape.valueLanes)
      const rows = sortedRowsOf(shape)
      const columns = columnsOf(layout, rows)
      const random = new Random(shape.seed)
      const page = dataPageLayout(layout, PAGE_BYTES)
      const encoder = new DataPageEncoder(layout, PAGE_BYTES)
      const reader = new DataPageReader(layout, PAGE_BYTES)
      const found = Array.from({ length: layout.laneCount }, () => new Uint32Array(1))
      for (let from = 0; from < rows.length;) {
        const to = from + encoder.fit(columns, from, rows.length)
        const bytes = new Uint8Array(2 * PAGE_BYTES + 4)
        encoder.write(columns, from, bytes.subarray(PAGE_BYTES, 2 * PAGE_BYTES))
        const words = wordsOf(bytes)
        reader.open(words, BASE)
        const some = [rows[from]!, rows[to - 1]!, random.pick(rows.slice(from, to)), random.pick(rows)]
        const greatest = 2n ** BigInt(32 * shape.keyLanes) - 1n
        for (const key of some.flatMap(({ key }) => [key - 1n, key, key + 1n])) {
          if (key < 0n || key > greatest) continue
          const lanes = keyLanesOf(key, shape.keyLanes)
          const bit = findNewestOfPair(page, words, BASE, shape.keyLanes === 2 ? lanes[0]! : 0, lanes.at(-1)!)
          if (bit === ASK_READER) continue
          answered++
          expect([key, bit !== NOT_THERE]).toEqual([key, reader.find(lanes)])
          if (bit === NOT_THERE) continue
          there++
          readRowValues(page, words, BASE, bit, found, 0)
          const newest = rows.slice(from, to).findLast(row => row.key === key)!
          expect(newest.kind).toBe(PUT)
          expect(found.slice(shape.keyLanes).map(lane => lane[0])).toEqual(newest.values)
        }
        from = to
      }
    }),
    // Enough for the sums below, whatever is drawn.
    { numRuns: 700 },
  )
  expect(answered).toBeGreaterThan(500)
  expect(there).toBeGreaterThan(200)
})
