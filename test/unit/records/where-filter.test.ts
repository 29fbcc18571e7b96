/** Filters of scans: the same rows as a *delete where* with the same terms hides. */
import { expect, test } from 'vitest'
import { DeleteWhereIndex } from '../../../src/records/delete-where-index.js'
import { orderedForm, wordsOfOrdered } from '../../../src/records/lane-ranges.js'
import { OperationBuffer, type LaneRange } from '../../../src/records/operations.js'
import { recordLayout } from '../../../src/records/record-layout.js'
import { WhereFilter } from '../../../src/records/where-filter.js'
import { Random } from '../../support/random.js'

/** A key; an integer, an f32, an f64, bytes of two lanes. */
const LAYOUT = recordLayout(
  [4],
  [2, 4, 4, 4, 4, 4],
  [
    { lane: 2, laneCount: 1 },
    { lane: 3, laneCount: 2 },
  ],
)
const INTEGERS = [0, 1, 2, 65_535]
const FLOATS = [0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0x7fc00000, 0xffc00001, 0x7fa00000]
const DOUBLES = [
  [0, 0],
  [0x80000000, 0],
  [0x3ff00000, 1],
  [0x7ff80000, 0],
  [0xfff00000, 5],
  [0xbff00000, 0],
] as const

test('find what a delete where with these terms hides', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Random(seed)
    const record = (): number[] => [
      random.below(50),
      random.pick(INTEGERS),
      random.pick(FLOATS),
      ...random.pick(DOUBLES),
      random.below(2),
      random.below(3),
    ]
    const rows = new OperationBuffer(LAYOUT)
    for (let i = random.below(60); i >= 0; i--) rows.appendRecord(0, Uint32Array.from(record()))
    const wanted = record()
    const fields = [[1], [2], [3, 4], [5, 6]].filter(() => random.chance(0.4))
    const compared = fields.filter(() => random.chance(0.4))
    const lanes = fields.filter(field => !compared.includes(field)).flat()
    const ranges = compared.map((field): LaneRange => {
      const isFloat = field[0] === 2 || field[0] === 3
      const bound = (): number[] => {
        const from = record()
        const words = field.map(lane => from[lane]!)
        return isFloat ? orderedForm(words) : words
      }
      const [lower, upper] = [bound(), bound()].sort((a, b) => a[0]! - b[0]! || (a[1] ?? 0) - (b[1] ?? 0))
      return { lane: field[0]!, lower: lower!, upper: upper! }
    })
    if (lanes.length + ranges.length === 0) continue
    const terms = { lanes, values: lanes.map(lane => wanted[lane]!), ranges }
    const index = new DeleteWhereIndex(LAYOUT, [{ sequence: 1, ...terms }])
    const expected = Array.from({ length: rows.count }, (_, row) => row).filter(row =>
      index.hides(rows.lanes, row, 0, 2),
    )
    const found = new WhereFilter(LAYOUT, terms).matching(rows)
    const texts = Array.from({ length: found.count }, (_, row) => found.lanes.map(lane => lane[row]).join())
    const wantedTexts = expected.map(row => rows.lanes.map(lane => lane[row]).join())
    expect(texts, `seed ${seed}`).toEqual(wantedTexts)
  }
})

test('the ordered form of a float tells its words again', () => {
  for (const words of [[0x3f800000], [0xbf800000], [0], [0x80000000], [0xc0000000, 5], [0x40000000, 7]])
    expect(wordsOfOrdered(orderedForm(words))).toEqual(words)
})
