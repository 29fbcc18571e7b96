import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addToFilter, filterBlockWords, mayContain, probeCount } from '../../../src/format/filter.js'
import { hashKeyLanes } from '../../../src/records/hash.js'
import { Random } from '../../support/random.js'

/** A block behind `before` words of another one. */
function blockOf(hashes: readonly number[], bitsPerRecord: number, before = 0): Uint32Array {
  const words = new Uint32Array(before + filterBlockWords(hashes.length, bitsPerRecord))
  const probes = probeCount(bitsPerRecord)
  addToFilter(words, before, words.length, probes, Uint32Array.from(hashes), hashes.length)
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
        for (const hash of hashes) expect(mayContain(words, before, words.length, probes, hash)).toBe(true)
        expect([...words.subarray(0, before)]).toEqual(Array(before).fill(0))
      }),
    )
  })

  test('of no key denies every key', () => {
    const words = new Uint32Array(4)
    for (const hash of [0, 1, 0xffffffff]) expect(mayContain(words, 0, 4, 7, hash)).toBe(false)
  })

  // Bloom 1970: a probe finds a set bit with probability 1 - e^(-probes * keys / bits).
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
        const words = blockOf(
          Array.from({ length: keys }, (_, key) => hashOf(key)),
          bitsPerRecord,
        )
        const bits = words.length * 32
        expected += queries * (1 - Math.exp((-probes * keys) / bits)) ** probes
        for (let query = 0; query < queries; query++) {
          if (mayContain(words, 0, words.length, probes, hashOf(1_000_000 + query))) passed++
        }
      }
      expect(passed / expected).toBeGreaterThan(0.8)
      expect(passed / expected).toBeLessThan(1.2)
    },
  )

  test('has the bits a key that were asked for, in whole words', () => {
    expect(filterBlockWords(0, 10)).toBe(0)
    expect(filterBlockWords(1, 10)).toBe(1)
    expect(filterBlockWords(320, 10)).toBe(100)
    expect(filterBlockWords(321, 10)).toBe(101)
    expect([1, 4, 8, 10, 12, 32].map(probeCount)).toEqual([1, 3, 6, 7, 8, 16])
  })
})
