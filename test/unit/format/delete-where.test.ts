import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { deleteWhereBytes, readDeleteWheres, writeDeleteWheres } from '../../../src/format/delete-where.js'
import { U48_MAX, viewOf, writeU48 } from '../../../src/format/little-endian.js'
import type { DeleteWhere } from '../../../src/records/operations.js'
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
  for (const { sequence, lanes, values } of entries) {
    writeU48(view, at, sequence)
    view.setUint16(at + 6, lanes.length, true)
    at += 8
    for (const [i, lane] of lanes.entries()) {
      view.setUint32(at, lane, true)
      view.setUint32(at + 4, values[i]!, true)
      at += 8
    }
  }
  return bytes
}

describe('delete-where', () => {
  test('delete-where entries come back as they were, in exactly their bytes', () => {
    fc.assert(
      fc.property(entries, fc.nat(9), (entries, at) => {
        const bytes = new Uint8Array(at + deleteWhereBytes(entries))
        writeDeleteWheres(entries, LAYOUT, viewOf(bytes), at)
        const read = readDeleteWheres(bytes, at, entries.length, LAYOUT)
        expect(read).toEqual({ entries, end: bytes.length })
      }),
    )
  })

  test('delete-where entries are refused if the last one is cut short', () => {
    fc.assert(
      fc.property(entries, entries => {
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
  ])('delete-where entries are refused if one %s, by reader and writer', (_, entry) => {
    const good: DeleteWhere = { sequence: 7, lanes: [2], values: [5] }
    expect(readDeleteWheres(bytesOf([good]), 0, 1, LAYOUT)).toBeDefined()
    expect(readDeleteWheres(bytesOfAny([good, entry]), 0, 2, LAYOUT)).toBeUndefined()
    expect(() => bytesOf([good, entry])).toThrow(/delete-where entry/)
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
