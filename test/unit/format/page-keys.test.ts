import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DataPageDecoder } from '../../../src/format/data-page-decoder.js'
import { DataPageEncoder } from '../../../src/format/data-page-encoder.js'
import { wordsOf } from '../../../src/format/little-endian.js'
import { PageKeys } from '../../../src/format/page-keys.js'
import { OperationBuffer } from '../../../src/records/operations.js'
import { columnsOf, keyLanesOf, rowsOf, shapes, sortedRowsOf, wideLayout } from '../../support/rows.js'

const PAGE_BYTES = 4096

describe('the keys of a page', () => {
  test('are those of its rows, and any key has its place among them', () => {
    fc.assert(
      fc.property(shapes({ rowsMax: 600 }), shape => {
        const layout = wideLayout(shape.keyLanes, shape.valueLanes)
        const rows = sortedRowsOf(shape)
        if (rows.length === 0) return
        const encoder = new DataPageEncoder(layout, PAGE_BYTES)
        const columns = columnsOf(layout, rows)
        const bytes = new Uint8Array(PAGE_BYTES + 4)
        const count = encoder.fit(columns, 0, columns.count)
        encoder.write(columns, 0, bytes.subarray(0, PAGE_BYTES))
        const keys = new PageKeys(layout, PAGE_BYTES)
        keys.open(wordsOf(bytes), 0)
        expect(keys.rows).toBe(count)
        const inPage = rows.slice(0, count).map(({ key }) => key)
        const read = new Uint32Array(shape.keyLanes)
        const most = 2n ** BigInt(32 * shape.keyLanes) - 1n
        const sought = new Set([0n, most])
        for (const [row, key] of inPage.entries()) {
          keys.read(row, read)
          expect(read).toEqual(Uint32Array.from(keyLanesOf(key, shape.keyLanes)))
          for (const near of [key - 1n, key, key + 1n, key + (key >> 1n)])
            if (near >= 0n && near <= most) sought.add(near)
        }
        for (const key of sought) {
          const lanes = Uint32Array.from(keyLanesOf(key, shape.keyLanes))
          const below = inPage.filter(other => other < key).length
          const upTo = inPage.filter(other => other <= key).length
          expect([keys.placeOf(lanes, false), keys.placeOf(lanes, true)]).toEqual([below, upTo])
        }
      }),
      { numRuns: 100 },
    )
  })

  test('a part of a page is decoded as it stands in the whole page', () => {
    fc.assert(
      fc.property(shapes({ rowsMax: 600 }), fc.nat(), fc.nat(), (shape, a, b) => {
        const layout = wideLayout(shape.keyLanes, shape.valueLanes)
        const rows = sortedRowsOf(shape)
        if (rows.length === 0) return
        const encoder = new DataPageEncoder(layout, PAGE_BYTES)
        const columns = columnsOf(layout, rows)
        const bytes = new Uint8Array(PAGE_BYTES + 4)
        const count = encoder.fit(columns, 0, columns.count)
        encoder.write(columns, 0, bytes.subarray(0, PAGE_BYTES))
        const from = Math.min(a % (count + 1), b % (count + 1))
        const to = Math.max(a % (count + 1), b % (count + 1))
        const decoder = new DataPageDecoder(layout, PAGE_BYTES)
        const whole = new OperationBuffer(layout)
        const part = new OperationBuffer(layout)
        decoder.decode(wordsOf(bytes), 0, whole)
        decoder.decode(wordsOf(bytes), 0, part, from, to)
        expect(rowsOf(layout, part)).toEqual(rowsOf(layout, whole).slice(from, to))
      }),
      { numRuns: 300 },
    )
  })
})
