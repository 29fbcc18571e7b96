import { describe, expect, test } from 'vitest'
import { KeyRanges, partitionName } from '../../../src/partitions/key-ranges.js'
import { recordLayout } from '../../../src/records/record-layout.js'
import { Random } from '../../support/random.js'

const LAYOUTS = {
  u8: [1],
  u16: [2],
  u32: [4],
  u64: [4, 4],
  'bytes(1)': [1],
  'bytes(5)': [4, 1],
  'bytes(9)': [4, 4, 1],
}

/** The bits of the key, from the highest on. */
function bitsOf(key: readonly number[], laneBytes: readonly number[]): string {
  return key.map((lane, i) => lane.toString(2).padStart(8 * laneBytes[i]!, '0')).join('')
}

describe.each(Object.entries(LAYOUTS))('keys of %s', (_, laneBytes) => {
  const layout = recordLayout(laneBytes, [])
  const random = new Random(1)
  const keys = Array.from({ length: 200 }, () => laneBytes.map(bytes => random.next() % 2 ** (8 * bytes)))

  test.each([1, 2, 16, 256, 1024, 65_536])('belong to one of %i partitions by their leading bits', count => {
    const ranges = KeyRanges.byBits(layout, count)
    const bits = Math.log2(count)
    for (const key of keys) {
      // A key of fewer bits goes on with zeros.
      const text = bitsOf(key, laneBytes).padEnd(bits, '0').slice(0, bits)
      expect(ranges.partitionOf(Uint32Array.from(key))).toBe(count === 1 ? 0 : Number.parseInt(text, 2))
    }
  })

  test('belong to the partition of the last boundary that is not above them', () => {
    const sorted = keys
      .slice(0, 20)
      .toSorted((a, b) => (bitsOf(a, laneBytes) < bitsOf(b, laneBytes) ? -1 : 1))
      .filter((key, i, all) => i === 0 || bitsOf(key, laneBytes) !== bitsOf(all[i - 1]!, laneBytes))
    const ranges = KeyRanges.byBoundaries(
      layout,
      sorted.map(key => Uint32Array.from(key)),
    )
    expect(ranges.count).toBe(sorted.length + 1)
    for (const key of keys) {
      const expected = sorted.filter(boundary => bitsOf(boundary, laneBytes) <= bitsOf(key, laneBytes)).length
      expect(ranges.partitionOf(Uint32Array.from(key))).toBe(expected)
    }
  })

  test('are split in their order, each row once', () => {
    const lanes = laneBytes.map((_, lane) => Uint32Array.from(keys, key => key[lane]!))
    const ranges = KeyRanges.byBits(layout, 8)
    const parts = ranges.split(lanes, keys.length)
    expect(parts.flatMap(({ rows }) => [...rows]).toSorted((a, b) => a - b)).toEqual(keys.map((_, i) => i))
    expect(parts.map(({ partition }) => partition)).toEqual(
      parts.map(({ partition }) => partition).toSorted((a, b) => a - b),
    )
    for (const { partition, rows } of parts) {
      expect([...rows]).toEqual([...rows].toSorted((a, b) => a - b))
      for (const row of rows) expect(ranges.partitionOf(Uint32Array.from(keys[row]!))).toBe(partition)
    }
    expect(ranges.split(lanes, 0)).toEqual([])
  })
})

test('keys in reach may be in several partitions, up to the first and the last', () => {
  const ranges = KeyRanges.byBits(recordLayout([1], []), 4)
  const lanes = [Uint32Array.of(62, 3, 250, 130)]
  const split = (within: bigint) =>
    ranges.splitNear(lanes, 4, within).map(({ partition, rows }) => [partition, [...rows]])
  expect(split(1n)).toEqual([
    [0, [0, 1]],
    [2, [3]],
    [3, [2]],
  ])
  expect(split(3n)).toEqual([
    [0, [0, 1]],
    [1, [0, 3]],
    [2, [3]],
    [3, [2]],
  ])
  expect(split(2n ** 64n).map(([, rows]) => rows)).toEqual(Array.from({ length: 4 }, () => [0, 1, 2, 3]))
})

test('the partitions of a range are those between the ones of its bounds', () => {
  const ranges = KeyRanges.byBits(recordLayout([1], []), 4)
  expect(ranges.spanOf({})).toEqual({ first: 0, last: 3 })
  expect(ranges.spanOf({ lower: Uint32Array.of(64), upper: Uint32Array.of(191) })).toEqual({
    first: 1,
    last: 2,
  })
  expect(ranges.spanOf({ lower: Uint32Array.of(191), upper: Uint32Array.of(0) })).toEqual({
    first: 2,
    last: 0,
  })
})

test('the names of partitions have two digits or more, all the same number', () => {
  expect([
    partitionName(10, 64),
    partitionName(255, 256),
    partitionName(3, 257),
    partitionName(0, 1),
  ]).toEqual(['0a', 'ff', '003', '00'])
})
