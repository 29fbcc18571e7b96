import { describe, expect, test } from 'vitest'
import { MEMMAP_SHAPE, readFingerprints, readMemmapTable } from '../../../../tools/demo/fixtures.js'
import { InPlaceTable } from '../../../../tools/demo/in-place-table.js'

describe('the simulated in-place table', () => {
  test('is byte for byte the real memory-mapped table, with the same 52 records dropped', () => {
    const table = new InPlaceTable(...MEMMAP_SHAPE)
    const records = readFingerprints()
    for (let row = 0; row < records.count; row++) {
      table.put(records.key[row]!, records.time[row]!, records.flags[row]!, records.id[row]!)
    }
    expect(table.dropped).toBe(52)
    expect(readMemmapTable().equals(table.bytes)).toBe(true)
  })

  test('writes a page once for each sync interval in which a record fell on it', () => {
    const table = new InPlaceTable(...MEMMAP_SHAPE)
    table.put(1n, 0, 1, 0)
    table.put(1n, 1, 1, 0)
    table.sync()
    expect(table.pagesWritten).toBe(1)
    table.sync()
    expect(table.pagesWritten).toBe(1)
    table.put(1n, 2, 1, 0)
    table.put(2n, 2, 1, 0)
    table.sync()
    expect(table.pagesWritten).toBe(3)
    expect(table.bytesWritten).toBe(3 * 4096)
  })

  test('writes nothing for a record that a full bucket drops', () => {
    const table = new InPlaceTable(8, 4)
    for (let row = 0; row < 3; row++) table.put(1n, row, 1, 0)
    table.sync()
    expect(table.dropped).toBe(0)
    table.put(1n, 3, 1, 0)
    table.sync()
    expect(table.dropped).toBe(1)
    expect(table.pagesWritten).toBe(1)
  })
})
