import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bitWidth, packLane, readBits, unpackLane, wordsForBits } from '../../../src/format/bits.js'

/** Bits [from, from + width) of words, the lowest bit of the first word first. */
function bitsAt(words: Uint32Array, from: number, width: number): number {
  const stream = words.reduceRight((sum, word) => (sum << 32n) | BigInt(word), 0n)
  return Number((stream >> BigInt(from)) & (2n ** BigInt(width) - 1n))
}

/** A lane: values that fit its width above its base, and where in a stream it begins. */
const lanes = fc
  .record({ width: fc.integer({ min: 0, max: 32 }), position: fc.nat(100), base: fc.nat(0xffffffff) })
  .chain(({ width, position, base }) => {
    const most = Math.min(2 ** width - 1, 0xffffffff - base)
    const offsets = fc.array(fc.oneof(fc.nat(most), fc.constant(0), fc.constant(most)), { maxLength: 80 })
    return offsets.map(offsets => ({ width, position, base, offsets }))
  })

describe('the width of a value', () => {
  test('is the number of its bits, from 0 for 0 to 32', () => {
    expect([0, 1, 2, 3, 4, 255, 256, 0x7fffffff, 0x80000000, 0xffffffff].map(bitWidth)).toEqual([
      0, 1, 2, 2, 3, 8, 9, 31, 32, 32,
    ])
    expect([0, 1, 32, 33, 64].map(wordsForBits)).toEqual([0, 1, 1, 2, 2])
  })
})

describe('a packed lane', () => {
  test('holds every value where a big integer of all words says it is', () => {
    fc.assert(
      fc.property(lanes, ({ width, position, base, offsets }) => {
        const words = new Uint32Array(wordsForBits(position + width * offsets.length) + 1)
        const values = Uint32Array.from(offsets, offset => base + offset)
        const end = packLane(words, position, values, 0, values.length, base, width)
        expect(end).toBe(position + width * values.length)
        offsets.forEach((offset, i) => {
          expect(bitsAt(words, position + i * width, width)).toBe(offset)
          expect(readBits(words, 0, position + i * width, width)).toBe(offset)
        })
        expect(bitsAt(words, 0, position)).toBe(0)
        expect(bitsAt(words, end, 32)).toBe(0)
      }),
    )
  })

  test('takes the place of what was there, and leaves zeros behind it in its last word', () => {
    fc.assert(
      fc.property(lanes, ({ width, position, base, offsets }) => {
        const values = Uint32Array.from(offsets, offset => base + offset)
        const length = wordsForBits(position + width * offsets.length)
        const [clean, used] = [new Uint32Array(length), new Uint32Array(length).fill(0xa5a5a5a5)]
        const before = packLane(used, 0, new Uint32Array(position), 0, position, 0, 1)
        packLane(clean, position, values, 0, values.length, base, width)
        packLane(used, before, values, 0, values.length, base, width)
        expect(used).toEqual(clean)
      }),
    )
  })

  test('comes back as it was, behind and before what is there already', () => {
    fc.assert(
      fc.property(lanes, fc.nat(5), fc.nat(5), ({ width, position, base, offsets }, first, at) => {
        const words = new Uint32Array(first + wordsForBits(position + width * offsets.length) + 1)
        const values = Uint32Array.from(offsets, offset => base + offset)
        packLane(words.subarray(first), position, values, 0, values.length, base, width)
        const out = new Uint32Array(at + values.length + 1).fill(7)
        const end = unpackLane(words, first, position, width, base, values.length, out, at)
        expect(end).toBe(position + width * values.length)
        expect(out.subarray(at, at + values.length)).toEqual(values)
        expect([...out.subarray(0, at), out.at(-1)]).toEqual(Array(at + 1).fill(7))
      }),
    )
  })

  test('is the chosen stretch of a longer column', () => {
    const words = new Uint32Array(4)
    packLane(words, 3, Uint32Array.of(100, 101, 102, 103, 104), 1, 4, 100, 5)
    expect([3, 8, 13, 18].map(position => readBits(words, 0, position, 5))).toEqual([1, 2, 3, 0])
  })

  test('of width 32 holds the greatest value at every shift', () => {
    for (let position = 0; position < 32; position++) {
      const words = new Uint32Array(4)
      packLane(words, position, Uint32Array.of(0xffffffff, 0, 0xffffffff), 0, 3, 0, 32)
      const out = new Uint32Array(3)
      unpackLane(words, 0, position, 32, 0, 3, out, 0)
      expect([...out]).toEqual([0xffffffff, 0, 0xffffffff])
      expect(readBits(words, 0, position + 64, 32)).toBe(0xffffffff)
    }
  })
})
