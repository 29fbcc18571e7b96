import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Memtable } from '../../../src/memtable/memtable.js'
import { RunInput } from '../../../src/memtable/run-input.js'
import type { SortedInput } from '../../../src/merge/sorted-input.js'
import { compareKeys } from '../../../src/records/compare.js'
import type { KeyRange } from '../../../src/records/key-range.js'
import { OperationBuffer } from '../../../src/records/operations.js'
import { sortedOrder } from '../../../src/sort/sort.js'
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

/** All rows as text, and how many came with each call. */
async function drain(
  input: SortedInput,
  into: OperationBuffer,
): Promise<{ rows: string[]; stretches: number[] }> {
  const stretches: number[] = []
  for (;;) {
    const before = into.count
    if (!(await input.next(into))) break
    stretches.push(into.count - before)
  }
  return { rows: textOf(plainRows(into)), stretches }
}

/** A range around keys of the memtable, or without bounds. */
function randomRange(random: Random, memtable: Memtable): KeyRange {
  const bound = () => {
    if (memtable.count === 0 || random.chance(0.3)) return undefined
    const row = random.below(memtable.count)
    const key = Uint32Array.from(memtable.lanes.slice(0, memtable.layout.keyLaneCount), lane => lane[row]!)
    if (random.chance(0.3)) key[key.length - 1]! += 1
    return key
  }
  return {
    lower: bound(),
    lowerExclusive: random.chance(0.5),
    upper: bound(),
    upperExclusive: random.chance(0.5),
  }
}

function contains({ lower, lowerExclusive, upper, upperExclusive }: KeyRange, key: Uint32Array): boolean {
  const fromLower = lower === undefined ? 1 : compareKeys(key, lower)
  const toUpper = upper === undefined ? 1 : compareKeys(upper, key)
  return (
    (fromLower > 0 || (fromLower === 0 && lowerExclusive !== true)) &&
    (toUpper > 0 || (toUpper === 0 && upperExclusive !== true))
  )
}

describe('a run input', () => {
  test('hands out what a filter of all rows finds, whatever is asked of it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(0xffffffff), fc.nat(300), async (seed, count) => {
        const random = new Random(seed)
        const keyLaneCount = random.between(1, 8)
        const operations = randomOperations(random, keyLaneCount, count, random.chance(0.5))
        const memtable = memtableOf(random, operations, random.below(4))
        const older = randomEntry(random, keyLaneCount, memtable.firstSequence - 1)
        const newer = randomEntry(random, keyLaneCount, memtable.endSequence)
        const entries = [older, ...memtable.deletes, newer].filter(() => random.chance(0.7))
        const before = memtable.endSequence + random.pick([1, 0, -5])
        const hiding = hidingOf(entries, before, random.chance(0.5))
        const length = random.chance(0.5) ? count : random.below(count + 1)
        const range = randomRange(random, memtable)
        const reverse = random.chance(0.5)
        const run = sortedOrder(memtable.keyLanes, keyLaneCount, 0, count)

        const input = new RunInput(memtable, run, { length, range, reverse, ...hiding })
        const { rows } = await drain(input, new OperationBuffer(memtable.layout, 1))

        const expected = remainingRows(memtable, length, entries, hiding)
          .filter(({ lanes }) => contains(range, Uint32Array.from(lanes.slice(0, keyLaneCount))))
          .sort(byKeyThenRow(keyLaneCount))
        expect(rows).toEqual(textOf(reverse ? expected.toReversed() : expected))

        // The same of one key, from old to new, whatever the range and the direction.
        expect(input.hasDeletes).toBe(memtable.kinds !== undefined)
        const key = keyLanes(random.below(count), memtable)
        const ofKey = await drain(input.ofKey(key), new OperationBuffer(memtable.layout, 1))
        const all = remainingRows(memtable, length, entries, hiding)
        expect(ofKey.rows).toEqual(textOf(all.filter(({ lanes }) => startsWith(lanes, key))))
      }),
      { numRuns: 500 },
    )
  })

  test('hands out a run of some of the rows alone', async () => {
    const random = new Random(1)
    const memtable = memtableOf(random, randomOperations(random, 2, 200, true))
    const run = sortedOrder(memtable.keyLanes, 2, 50, 90)
    const { rows } = await drain(
      new RunInput(memtable, run, { length: 200, ...noHiding }),
      new OperationBuffer(memtable.layout),
    )
    const expected = remainingRows(memtable, 200, [], noHiding).filter(({ row }) => row >= 50 && row < 90)
    expect(rows).toEqual(textOf(expected.sort(byKeyThenRow(2))))
  })

  test('appends behind rows that are there already, with and without deletes among them', async () => {
    for (const [kindsThere, kindsAppended] of [
      [false, true],
      [true, false],
      [true, true],
      [false, false],
    ] as const) {
      const random = new Random(2)
      const there = randomOperations(random, 2, 20, kindsThere)
      const memtable = memtableOf(random, randomOperations(random, 2, 100, kindsAppended))
      const run = sortedOrder(memtable.keyLanes, 2, 0, 100)
      const into = new OperationBuffer(memtable.layout)
      // What a buffer held before it was cut back must not shine through.
      into.append(randomOperations(random, 2, 200, kindsThere), 0, 200)
      into.dropFirst(200)
      into.append(there, 0, 20)
      const { rows } = await drain(new RunInput(memtable, run, { length: 100, ...noHiding }), into)
      const appended = remainingRows(memtable, 100, [], noHiding).sort(byKeyThenRow(2))
      expect(rows).toEqual(textOf([...plainRows(there), ...appended]))
    }
  })

  test('starts with a short stretch and doubles it up to 16,384 rows', async () => {
    const random = new Random(3)
    const memtable = memtableOf(random, randomOperations(random, 1, 60_000, false))
    const run = sortedOrder(memtable.keyLanes, 1, 0, 60_000)
    const { stretches } = await drain(
      new RunInput(memtable, run, { length: 60_000, ...noHiding }),
      new OperationBuffer(layoutOf(1)),
    )
    expect(stretches.slice(0, 10)).toEqual([64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 16384])
  })

  test('makes no column of kinds where it hands out puts alone', async () => {
    const random = new Random(4)
    const memtable = memtableOf(random, randomOperations(random, 1, 100, false))
    const into = new OperationBuffer(layoutOf(1))
    await drain(
      new RunInput(memtable, sortedOrder(memtable.keyLanes, 1, 0, 100), { length: 100, ...noHiding }),
      into,
    )
    expect(into.kinds).toBeUndefined()
  })

  test('goes on after a stretch of which nothing is visible', async () => {
    const memtable = new Memtable(layoutOf(1), 200, 0)
    const operations = new OperationBuffer(layoutOf(1), 200)
    for (let row = 0; row < 200; row++) operations.lanes[0]![row] = 200 - row
    operations.count = 200
    memtable.append(operations, 0, 200)
    const input = new RunInput(memtable, sortedOrder(memtable.keyLanes, 1, 0, 200), {
      length: 10,
      ...noHiding,
    })
    const { rows, stretches } = await drain(input, new OperationBuffer(layoutOf(1)))
    expect(stretches).toEqual([0, 2, 8])
    expect(rows).toHaveLength(10)
  })

  test('ends when it is closed', async () => {
    const random = new Random(5)
    const memtable = memtableOf(random, randomOperations(random, 1, 100, false))
    const input = new RunInput(memtable, sortedOrder(memtable.keyLanes, 1, 0, 100), {
      length: 100,
      ...noHiding,
    })
    const into = new OperationBuffer(layoutOf(1))
    expect(await input.next(into)).toBe(true)
    await input.close()
    expect(await input.next(into)).toBe(false)
    expect(into.count).toBe(64)
  })
})
