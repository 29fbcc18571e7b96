import { describe, expect, test } from 'vitest'
import { RecordSet } from '../../../src/columns/record-set.js'

const lanes = [Uint32Array.of(1, 11, 1, 0xffffffff), Uint32Array.of(11, 1, 11, 0)]

describe('a set of records', () => {
  test('takes each record once', () => {
    const set = new RecordSet()
    expect([0, 1, 2, 3].map(row => set.add(lanes, row))).toEqual([true, true, false, true])
  })

  test('has the records that were added and no other', () => {
    const set = new RecordSet()
    set.add(lanes, 0)
    expect([0, 1, 2, 3].map(row => set.has(lanes, row))).toEqual([true, false, true, false])
  })
})
