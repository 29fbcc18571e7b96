import { describe, expect, test } from 'vitest'
import { recordLayout } from '../../../src/records/record-layout.js'
import { RecordSet } from '../../../src/records/record-set.js'

const layout = recordLayout([4], [4])
const lanes = [Uint32Array.of(1, 11, 1, 0xffffffff), Uint32Array.of(11, 1, 11, 0)]

describe('a set of records with floats', () => {
  const floats = recordLayout(
    [4],
    [4, 4, 4],
    [
      { lane: 1, laneCount: 1 },
      { lane: 2, laneCount: 2 },
    ],
  )

  /** A record of an f32 and an f64, each as its bits. */
  const bits = (single: number, high: number, low: number) =>
    [7, single, high, low].map(word => Uint32Array.of(word))

  test.each<[string, ReturnType<typeof bits>, ReturnType<typeof bits>, boolean]>([
    ['0 and -0', bits(0, 0, 0), bits(0x80000000, 0x80000000, 0), true],
    ['NaN of any bits', bits(0x7fc00000, 0x7ff80000, 0), bits(0xff800001, 0xfff00000, 1), true],
    ['NaN and infinity', bits(0x7fc00000, 0, 0), bits(0x7f800000, 0, 0), false],
    ['the NaN and the infinity of an f64', bits(0, 0x7ff00000, 0), bits(0, 0x7ff00000, 1), false],
    ['the least number and 0', bits(0, 0, 1), bits(0, 0, 0), false],
    ['a number and its negative', bits(0x3f800000, 0, 0), bits(0xbf800000, 0, 0), false],
    ['-0 and the negative least number', bits(0, 0x80000000, 0), bits(0, 0x80000000, 1), false],
  ])('takes %s for one record as numbers do', (_, added, asked, isOne) => {
    const set = new RecordSet(floats)
    set.add(added, 0)
    expect(set.has(asked, 0)).toBe(isOne)
    expect(set.has(added, 0)).toBe(true)
  })
})

describe('a set of records', () => {
  test('takes each record once', () => {
    const set = new RecordSet(layout)
    expect([0, 1, 2, 3].map(row => set.add(lanes, row))).toEqual([true, true, false, true])
  })

  test('has the records that were added and no other', () => {
    const set = new RecordSet(layout)
    set.add(lanes, 0)
    expect([0, 1, 2, 3].map(row => set.has(lanes, row))).toEqual([true, false, true, false])
  })
})
