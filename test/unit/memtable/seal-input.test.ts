import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Memtable } from '../../../src/memtable/memtable.js'
import { SealInput } from '../../../src/memtable/seal-input.js'
import { OperationBuffer } from '../../../src/records/operations.js'
import {
  byKeyThenRow,
  hidingOf,
  layoutOf,
  memtableOf,
  plainRows,
  randomEntry,
  randomOperations,
  remainingRows,
  textOf,
  keyLanes,
  startsWith,
} from '../../support/memtables.js'
import { Random } from '../../support/random.js'

const noHiding = hidingOf([], Infinity, false)

async function drain(input: Pick<SealInput, 'next'>, into: OperationBuffer): Promise<string[]> {
  while (await input.next(into));
  return textOf(plainRows(into))
}

/** A memtable with entries of its own, older and newer ones beside it, and what is left of it. */
async function expectSorted(seed: number, rows: number): Promise<void> {
  const random = new Random(seed)
  const keyLaneCount = random.between(1, 8)
  const memtable = memtableOf(
    random,
    randomOperations(random, keyLaneCount, rows, random.chance(0.5)),
    random.below(4),
  )
  const older = randomEntry(random, keyLaneCount, memtable.firstSequence - 1)
  const newer = randomEntry(random, keyLaneCount, memtable.endSequence)
  const entries = [older, ...memtable.deletes, newer].filter(() => random.chance(0.5))
  const hiding = hidingOf(entries, Infinity, random.chance(0.5))
  const sorted = await drain(new SealInput(memtable, hiding), new OperationBuffer(memtable.layout))
  const expected = textOf(remainingRows(memtable, rows, entries, hiding).sort(byKeyThenRow(keyLaneCount)))
  const key = keyLanes(random.below(rows), memtable)
  const input = new SealInput(memtable, hiding)
  expect(input.hasDeletes).toBe(memtable.kinds !== undefined)
  const ofKey = await drain(input.ofKey(key).ofKey(key), new OperationBuffer(memtable.layout))
  const left = remainingRows(memtable, rows, entries, hiding)
  expect(ofKey).toEqual(textOf(left.filter(({ lanes }) => startsWith(lanes, key))))
  expect(sorted.length).toBe(expected.length)
  expect(sorted.findIndex((row, i) => row !== expected[i])).toBe(-1)
}

describe('a seal input', () => {
  test('hands out what is left of a memtable, sorted by key, rows of one key in their order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(0xffffffff), fc.nat(300), (seed, rows) => expectSorted(seed, rows)),
      { numRuns: 200 },
    )
  })

  test('does so in several parts, however the keys are spread', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(0xffffffff), seed => expectSorted(seed, 25_000)),
      { numRuns: 5 },
    )
  })

  test('splits a large memtable by key into parts of a few thousand rows', async () => {
    const memtable = new Memtable(layoutOf(2), 100_000, 0)
    const operations = new OperationBuffer(layoutOf(2), 100_000)
    const random = new Random(1)
    for (const lane of operations.lanes) for (let row = 0; row < 100_000; row++) lane[row] = random.next()
    operations.count = 100_000
    memtable.append(operations, 0, 100_000)
    const input = new SealInput(memtable, noHiding)
    const into = new OperationBuffer(layoutOf(2))
    const parts: number[] = []
    while (await input.next(into)) {
      parts.push(into.count)
      into.clear()
    }
    expect(parts.length).toBeGreaterThan(10)
    expect(Math.max(...parts)).toBeLessThan(10_000)
    expect(parts.reduce((sum, rows) => sum + rows)).toBe(100_000)
  })

  test('makes no column of kinds where only puts are left', async () => {
    const random = new Random(2)
    const memtable = memtableOf(random, randomOperations(random, 2, 200, false), 2)
    const into = new OperationBuffer(memtable.layout)
    await drain(new SealInput(memtable, hidingOf(memtable.deletes, Infinity, false)), into)
    expect(into.kinds).toBeUndefined()
    expect(into.count).toBeLessThan(200)
  })

  test('of an empty memtable hands out nothing', async () => {
    const into = new OperationBuffer(layoutOf(1))
    expect(await new SealInput(new Memtable(layoutOf(1), 10, 0), noHiding).next(into)).toBe(false)
    expect(into.count).toBe(0)
  })

  test('ends when it is closed', async () => {
    const random = new Random(3)
    const memtable = memtableOf(random, randomOperations(random, 1, 100, false))
    const input = new SealInput(memtable, noHiding)
    await input.close()
    expect(await input.next(new OperationBuffer(layoutOf(1)))).toBe(false)
  })
})
