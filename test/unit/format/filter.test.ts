import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addToFilter, filterLines, lineOf, mayContain, probeCount } from '../../../src/format/filter.js'
import { hashKeyLanes } from '../../../src/records/hash.js'
import { Random } from '../../support/random.js'

/** A block after `before` lines of another one. */
function blockOf(hashes: readonly number[], bitsPerRecord: number, before = 0): Uint32Array {
  const end = before + filterLines(hashes.length, bitsPerRecord)
  const words = new Uint32Array(16 * end)
  addToFilter(words, before, end, probeCount(bitsPerRecord), Uint32Array.from(hashes), hashes.length)
  return words
}

describe('a filter block', () => {
  test('never denies a key that was added, whatever its size and hash', () => {
    const hashes = fc.array(
      fc.oneof(fc.nat(0xffffffff), fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff)),
      { minLength: 1, maxLength: 500 },
    )
    fc.assert(
      fc.property(hashes, fc.integer({ min: 1, max: 32 }), fc.nat(3), (hashes, bitsPerRecord, before) => {
        const words = blockOf(hashes, bitsPerRecord, before)
        const probes = probeCount(bitsPerRecord)
        for (const hash of hashes)
          expect(mayContain(words, 16 * lineOf(before, words.length / 16, hash), probes, hash)).toBe(true)
        expect(words.subarray(0, 16 * before).every(word => word === 0)).toBe(true)
      }),
    )
  })

  test('of no key denies every key', () => {
    const words = new Uint32Array(64)
    for (const hash of [0, 1, 0xffffffff])
      expect(mayContain(words, 16 * lineOf(0, 4, hash), 7, hash)).toBe(false)
  })

  // Bloom 1970: in a line a probe finds a set bit with probability 1 - e^(-probes * keys / bits).
  test.each([4, 8, 10, 12])(
    'lets through as many other keys as theory says, at %i bits a key',
    bitsPerRecord => {
      const random = new Random(bitsPerRecord)
      const probes = probeCount(bitsPerRecord)
      let passed = 0
      let expected = 0
      const blocks = 40
      const queries = 20_000
      for (let block = 0; block < blocks; block++) {
        const keys = random.between(300, 450)
        const hashOf = (key: number) => hashKeyLanes(Uint32Array.of(block, key))
        const hashes = Array.from({ length: keys }, (_, key) => hashOf(key))
        const words = blockOf(hashes, bitsPerRecord)
        const lines = words.length / 16
        const keysIn = Array<number>(lines).fill(0)
        for (const hash of hashes) keysIn[lineOf(0, lines, hash)]!++
        for (const inLine of keysIn)
          expected += (queries / lines) * (1 - Math.exp((-probes * inLine) / 512)) ** probes
        for (let query = 0; query < queries; query++) {
          const hash = hashOf(1_000_000 + query)
          if (mayContain(words, 16 * lineOf(0, lines, hash), probes, hash)) passed++
        }
      }
      expect(passed / expected).toBeGreaterThan(0.8)
      expect(passed / expected).toBeLessThan(1.2)
    },
  )

  test('touches one line for each key, which lies in the block', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(9), fc.integer({ min: 1, max: 20 }), (hash, from, lines) => {
        const words = new Uint32Array(16 * (from + lines + 1))
        addToFilter(words, from, from + lines, 16, Uint32Array.of(hash), 1)
        const line = lineOf(from, from + lines, hash)
        expect(line).toBeGreaterThanOrEqual(from)
        expect(line).toBeLessThan(from + lines)
        const bits = [...words].map((word, i) => (Math.floor(i / 16) === line ? 0 : word))
        expect(bits.every(word => word === 0)).toBe(true)
        let set = 0
        for (let word of words) for (; word !== 0; word &= word - 1) set++
        // Some of the 16 may meet.
        expect(set).toBeGreaterThanOrEqual(2)
      }),
    )
  })

  test('has the bits a key that were asked for, in whole lines', () => {
    expect(filterLines(0, 10)).toBe(0)
    expect(filterLines(1, 10)).toBe(1)
    expect(filterLines(512, 10)).toBe(10)
    expect(filterLines(513, 10)).toBe(11)
    expect([1, 4, 8, 10, 12, 32].map(probeCount)).toEqual([1, 3, 6, 7, 8, 16])
  })
})
