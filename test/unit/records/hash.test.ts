import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashKey, hashKeyLanes } from '../../../src/records/hash.js'

/** The definition on disk, with big integers. */
function plainHash(key: readonly number[]): number {
  const low32 = (value: bigint) => BigInt.asUintN(32, value)
  let hash = 0x9e3779b9n
  for (const lane of key) {
    hash = low32((hash ^ BigInt(lane)) * 0x85ebca6bn)
    hash ^= hash >> 13n
    hash = low32(hash * 0xc2b2ae35n)
    hash ^= hash >> 16n
  }
  return Number(hash)
}

const lane = fc.integer({ min: 0, max: 0xffffffff })
const key = fc.array(lane, { minLength: 1, maxLength: 8 })

test('the hash of a key is the one that filters on disk were built with', () => {
  expect(hashKeyLanes(Uint32Array.of(0))).toBe(0x1d62bacb)
  expect(hashKeyLanes(Uint32Array.of(1))).toBe(0x3f2da09d)
  expect(hashKeyLanes(Uint32Array.of(0x12345678, 0x9abcdef0))).toBe(0x15cad138)
})

test('a hash equals its definition in big integers, for every number of lanes', () => {
  fc.assert(
    fc.property(key, lanes => {
      expect(hashKeyLanes(Uint32Array.from(lanes))).toBe(plainHash(lanes))
    }),
  )
})

test('a key in a row and the same key alone have the same hash', () => {
  fc.assert(
    fc.property(key, fc.nat(3), (lanes, row) => {
      const columns = lanes.map(value => new Uint32Array(4).fill(value, row, row + 1))
      expect(hashKey(columns, row, lanes.length)).toBe(hashKeyLanes(Uint32Array.from(lanes)))
    }),
  )
})
