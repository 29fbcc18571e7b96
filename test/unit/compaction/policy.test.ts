import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { levelOf, nextMerge } from '../../../src/compaction/policy.js'

interface File {
  readonly level: number
  /** Memtables in it. */
  readonly size: number
  /** The first memtable in it; the file holds `size` of them, one behind another. */
  readonly first: number
}

/** Files after every merge that is due, and what these merges wrote. */
function settled(files: readonly File[], fanout: number): { files: File[]; written: number } {
  let left = [...files]
  let written = 0
  for (let merges = 0; ; merges++) {
    expect(merges).toBeLessThanOrEqual(files.length)
    const merge = nextMerge(left, fanout)
    if (merge === undefined) return { files: left, written }
    const { from, to, level } = merge
    expect(from).toBeGreaterThanOrEqual(0)
    expect(to).toBeLessThanOrEqual(left.length)
    expect(to - from).toBeGreaterThanOrEqual(fanout)
    const inputs = left.slice(from, to)
    for (const [i, file] of inputs.entries()) {
      expect(level).toBeGreaterThan(file.level)
      // Neighbours in age: their memtables follow each other.
      if (i > 0) expect(file.first).toBe(inputs[i - 1]!.first + inputs[i - 1]!.size)
    }
    const size = inputs.reduce((sum, file) => sum + file.size, 0)
    written += size
    left = [...left.slice(0, from), { level, size, first: inputs[0]!.first }, ...left.slice(to)]
    expectLevels(left)
  }
}

/** Invariant: oldest first, levels never rise. */
function expectLevels(files: readonly File[]): void {
  for (let i = 1; i < files.length; i++) {
    expect(files[i]!.level).toBeLessThanOrEqual(files[i - 1]!.level)
  }
}

describe.each([2, 3, 4, 8])('merges with fanout %i', fanout => {
  test('keep every level short, and write no record more often than there are levels', () => {
    const memtables = fanout === 2 ? 300 : 1500
    let files: File[] = []
    // Every memtable is written once by its seal.
    let written = 0
    for (let sealed = 1; sealed <= memtables; sealed++) {
      const after = settled([...files, { level: 0, size: 1, first: sealed - 1 }], fanout)
      files = after.files
      written += 1 + after.written
      expect(files.reduce((sum, file) => sum + file.size, 0)).toBe(sealed)
      const levels = Math.floor(Math.log(sealed) / Math.log(fanout) + 1e-9)
      expect(Math.max(...files.map(file => file.level))).toBeLessThanOrEqual(levels)
      for (let level = 0; level <= levels; level++) {
        expect(files.filter(file => file.level === level).length).toBeLessThan(fanout)
      }
      expect(written / sealed).toBeLessThanOrEqual(levels + 1)
    }
    // It pays: without merges there would be a file a memtable.
    expect(files.length).toBeLessThanOrEqual((fanout - 1) * Math.ceil(Math.log(memtables) / Math.log(fanout)))
  })

  test('begin with the level that is full, and take in the next one where it would be full then', () => {
    const level = (n: number, count: number) => Array.from({ length: count }, () => ({ level: n }))
    expect(nextMerge(level(0, fanout - 1), fanout)).toBeUndefined()
    expect(nextMerge(level(0, fanout), fanout)).toEqual({ from: 0, to: fanout, level: 1 })
    const twoLevels = [...level(1, fanout - 1), ...level(0, fanout)]
    expect(nextMerge(twoLevels, fanout)).toEqual({ from: 0, to: twoLevels.length, level: 2 })
    const gap = [...level(2, fanout - 1), ...level(0, fanout)]
    expect(nextMerge(gap, fanout)).toEqual({ from: fanout - 1, to: gap.length, level: 1 })
    const notFull = [...level(1, Math.max(0, fanout - 2)), ...level(0, fanout)]
    expect(nextMerge(notFull, fanout)).toEqual({
      from: Math.max(0, fanout - 2),
      to: notFull.length,
      level: 1,
    })
    // An older level may be full while the young ones are not: after a fanout that was smaller.
    const older = [...level(3, fanout), ...level(0, fanout - 1)]
    expect(nextMerge(older, fanout)).toEqual({ from: 0, to: fanout, level: 4 })
  })

  test('come to an end and keep the order of ages, from any list of files', () => {
    const lists = fc.array(fc.nat(5), { maxLength: 60 }).map(levels => levels.sort((a, b) => b - a))
    fc.assert(
      fc.property(lists, levels => {
        const { files } = settled(
          levels.map((level, first) => ({ level, size: 1, first })),
          fanout,
        )
        for (const { level } of files) {
          expect(files.filter(file => file.level === level).length).toBeLessThan(fanout)
        }
      }),
    )
  })
})

describe('nothing is merged', () => {
  test('of no files', () => {
    expect(nextMerge([], 8)).toBeUndefined()
  })
})

describe('the level of a file', () => {
  test('is the one that merges from memtables up give a file of its size', () => {
    expect([0, 1, 1000].map(records => levelOf(records, 1000, 8))).toEqual([0, 0, 0])
    expect([1001, 8000, 8001, 64_000, 64_001].map(records => levelOf(records, 1000, 8))).toEqual([
      1, 1, 2, 2, 3,
    ])
    expect(levelOf(2 ** 40, 1, 2)).toBe(40)
  })
})
