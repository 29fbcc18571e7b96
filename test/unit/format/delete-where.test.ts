import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { deleteWhereBytes, readDeleteWheres, writeDeleteWheres } from '../../../src/format/delete-where.js'
import { U48_MAX, viewOf, writeU48 } from '../../../src/format/little-endian.js'
import { compareLanes } from '../../../src/records/lane-ranges.js'
import type { DeleteWhere, LaneRange } from '../../../src/records/operations.js'
import { recordLayout } from '../../../src/records/record-layout.js'

const KEY_LANES = 2
const LANES = 6
const LAYOUT = recordLayout([4, 4], [4, 4, 4, 4])

const entries: fc.Arbitrary<DeleteWhere[]> = fc.array(
  fc
    .record({
      sequence: fc.nat(U48_MAX),
      lanes: fc.uniqueArray(fc.integer({ min: KEY_LANES, max: LANES - 1 }), { minLength: 1 }),
    })
    .chain(({ sequence, lanes }) =>
      fc
        .array(fc.nat(0xffffffff), { minLength: lanes.length, maxLength: lanes.length })
        .map(values => ({ sequence, lanes: lanes.toSorted((a, b) => a - b), values })),
    ),
  { maxLength: 20 },
)

/** Entries with ranges: lanes from 2 on are in the groups of `parts`, each a value or a range. */
const mixed: fc.Arbitrary<DeleteWhere[]> = fc.array(
  fc
    .record({
      sequence: fc.nat(U48_MAX),
      parts: fc.array(fc.tuple(fc.constantFrom('value', 'range', 'gap'), fc.integer({ min: 1, max: 3 })), {
        minLength: 1,
        maxLength: 4,
      }),
      words: fc.array(fc.nat(0xffffffff), { minLength: 24, maxLength: 24 }),
    })
    .map(({ sequence, parts, words }) => {
      const [lanes, values, ranges]: [number[], number[], LaneRange[]] = [[], [], []]
      let lane = KEY_LANES
      let word = 0
      for (const [kind, count] of parts) {
        if (kind === 'value') {
          lanes.push(lane)
          values.push(words[word++]!)
          lane++
        } else if (kind === 'range') {
          const bounds = [words.slice(word, word + count), words.slice(word + count, word + 2 * count)]
          const [lower, upper] = bounds.sort(compareLanes)
          ranges.push({ lane, lower: lower!, upper: upper! })
          word += 2 * count
          lane += count
        } else lane += count
      }
      return { entry: { sequence, lanes, values, ranges }, lane }
    })
    .filter(({ entry, lane }) => lane <= LANES && entry.lanes.length + entry.ranges.length > 0)
    .map(({ entry }) => {
      const { ranges, ...rest } = entry
      return ranges.length === 0 ? rest : { ...rest, ranges }
    }),
  { maxLength: 20 },
)

/** Entries that clear a range of keys. */
const clears: fc.Arbitrary<DeleteWhere[]> = fc.array(
  fc
    .record({
      sequence: fc.nat(U48_MAX),
      words: fc.array(fc.nat(0xffffffff), { minLength: 4, maxLength: 4 }),
    })
    .map(({ sequence, words }) => {
      const [lower, upper] = [words.slice(0, 2), words.slice(2)].sort(compareLanes)
      return { sequence, lanes: [], values: [], ranges: [{ lane: 0, lower: lower!, upper: upper! }] }
    }),
  { maxLength: 20 },
)

function bytesOf(entries: readonly DeleteWhere[]): Uint8Array {
  const bytes = new Uint8Array(deleteWhereBytes(entries))
  writeDeleteWheres(entries, LAYOUT, viewOf(bytes), 0)
  return bytes
}

/** Written from the document alone, without asserts. */
function bytesOfAny(entries: readonly DeleteWhere[]): Uint8Array {
  const bytes = new Uint8Array(deleteWhereBytes(entries))
  const view = viewOf(bytes)
  let at = 0
  for (const { sequence, lanes, values, ranges = [] } of entries) {
    writeU48(view, at, sequence)
    view.setUint16(at + 6, lanes.length + ranges.length, true)
    at += 8
    for (const [i, lane] of lanes.entries()) {
      view.setUint32(at, lane, true)
      view.setUint32(at + 4, values[i]!, true)
      at += 8
    }
    for (const { lane, lower, upper } of ranges) {
      view.setUint16(at, lane, true)
      view.setUint16(at + 2, lower.length, true)
      for (const [i, word] of [...lower, ...upper].entries()) view.setUint32(at + 4 + 4 * i, word, true)
      at += 4 + 4 * (lower.length + upper.length)
    }
  }
  return bytes
}

function withRanges(lanes: readonly number[], ...ranges: readonly LaneRange[]): DeleteWhere {
  return { sequence: 1, lanes, values: lanes.map(() => 0), ranges }
}

describe('delete-where', () => {
  test('delete-where entries come back as they were, in exactly their bytes', () => {
    fc.assert(
      fc.property(fc.oneof(entries, mixed, clears), fc.nat(9), (entries, at) => {
        const bytes = new Uint8Array(at + deleteWhereBytes(entries))
        writeDeleteWheres(entries, LAYOUT, viewOf(bytes), at)
        const read = readDeleteWheres(bytes, at, entries.length, LAYOUT)
        expect(read).toEqual({ entries, end: bytes.length })
      }),
    )
  })

  test('delete-where entries are refused if the last one is cut short', () => {
    fc.assert(
      fc.property(fc.oneof(entries, mixed, clears), entries => {
        const bytes = bytesOf(entries)
        for (let length = 0; length < bytes.length; length++) {
          const cut = bytes.subarray(0, length)
          expect(readDeleteWheres(cut, 0, entries.length, LAYOUT)).toBeUndefined()
        }
      }),
      { numRuns: 20 },
    )
  })

  test.each([
    ['names a key lane', { sequence: 1, lanes: [1], values: [0] }],
    ['names a lane that no record has', { sequence: 1, lanes: [6], values: [0] }],
    ['names a lane twice', { sequence: 1, lanes: [3, 3], values: [0, 0] }],
    ['names lanes out of order', { sequence: 1, lanes: [4, 3], values: [0, 0] }],
    ['names no lane', { sequence: 1, lanes: [], values: [] }],
    [
      'names more lanes than there are',
      { sequence: 1, lanes: [2, 3, 4, 5, 6, 7, 8], values: Array(7).fill(0) },
    ],
    ['names a lane with a value and a range', withRanges([2], { lane: 2, lower: [0], upper: [1] })],
    ['names a key lane in a range', withRanges([], { lane: 1, lower: [0, 0], upper: [1, 0] })],
    ['names one lane of the key in a range', withRanges([], { lane: 0, lower: [0], upper: [1] })],
    ['has a range of the key and more', withRanges([], { lane: 0, lower: [0, 0, 0], upper: [1, 0, 0] })],
    ['clears keys and has a value', withRanges([4], { lane: 0, lower: [0, 0], upper: [1, 0] })],
    [
      'clears keys and has a range of values',
      withRanges([], { lane: 0, lower: [0, 0], upper: [1, 0] }, { lane: 2, lower: [0], upper: [1] }),
    ],
    ['clears keys out of order', withRanges([], { lane: 0, lower: [1, 0], upper: [0, 9] })],
    ['has a range beyond the last lane', withRanges([], { lane: 5, lower: [0, 0], upper: [1, 0] })],
    ['has bounds that are not in order', withRanges([], { lane: 4, lower: [1, 0], upper: [0, 9] })],
    [
      'has ranges that share a lane',
      withRanges([], { lane: 2, lower: [0, 0], upper: [1, 0] }, { lane: 3, lower: [0], upper: [1] }),
    ],
  ])('delete-where entries are refused if one %s, by reader and writer', (_, entry) => {
    const good: DeleteWhere = { sequence: 7, lanes: [2], values: [5] }
    expect(readDeleteWheres(bytesOf([good]), 0, 1, LAYOUT)).toBeDefined()
    expect(readDeleteWheres(bytesOfAny([good, entry]), 0, 2, LAYOUT)).toBeUndefined()
    expect(() => bytesOf([good, entry])).toThrow(/a delete-where entry/)
  })

  test('random bytes are refused as delete-where entries, or are entries of this layout', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), (bytes, count) => {
        const read = readDeleteWheres(bytes, 0, count, LAYOUT)
        if (read === undefined) return
        expect(read.entries).toHaveLength(count)
        expect(read.end).toBeLessThanOrEqual(bytes.length)
      }),
    )
  })
})
