import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Memtable } from '../../../src/memtable/memtable.js'
import { OrderedView } from '../../../src/memtable/ordered-view.js'
import { compareRows } from '../../../src/records/compare.js'
import { OperationBuffer } from '../../../src/records/operations.js'
import { layoutOf, memtableOf, randomOperations } from '../../support/memtables.js'
import { Random } from '../../support/random.js'

/** Rows of several slices. */
const MANY = 300_000

/** Checks what `runs` promises; as counts of what is wrong, so that a failure stays readable. */
function expectOrdered(memtable: Memtable, runs: readonly Uint32Array[], length: number): void {
  const { keyLanes } = memtable
  const seen = new Uint8Array(memtable.count)
  let outOfOrder = 0
  for (const run of runs) {
    for (const [i, row] of run.entries()) {
      seen[row]!++
      const before = run[i - 1] ?? row
      const order = compareRows(keyLanes, before, keyLanes, row, keyLanes.length)
      if (i > 0 && (order > 0 || (order === 0 && before >= row))) outOfOrder++
    }
  }
  expect(outOfOrder).toBe(0)
  expect(seen.subarray(0, length).every(times => times === 1)).toBe(true)
  expect(seen.subarray(length).every(times => times <= 1)).toBe(true)
  for (const [i, run] of runs.entries()) {
    const newer = runs.slice(i + 1)
    expect(
      newer.every(other => other.reduce((a, b) => Math.min(a, b)) > run.reduce((a, b) => Math.max(a, b))),
    ).toBe(true)
  }
}

function filledMemtable(seed: number, rows: number): Memtable {
  const random = new Random(seed)
  return memtableOf(random, randomOperations(random, 2, rows, false))
}

/** A view, and how often it has let the event loop turn. */
function countedView(memtable: Memtable): { view: OrderedView; turns: () => number } {
  let turns = 0
  const view = new OrderedView(memtable, async () => {
    turns++
    await new Promise(resolve => void setImmediate(resolve))
  })
  return { view, turns: () => turns }
}

describe('an ordered view', () => {
  test('holds every row once, in sorted runs, after any sequence of appends and scans', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(0xffffffff), fc.array(fc.nat(60), { maxLength: 40 }), async (seed, pieces) => {
        const random = new Random(seed)
        const total = pieces.reduce((sum, piece) => sum + piece, 0)
        const operations = randomOperations(random, random.between(1, 8), total, false)
        const memtable = new Memtable(layoutOf(operations.lanes.length - 2), Math.max(1, total), 0)
        const view = new OrderedView(memtable)
        for (const piece of pieces) {
          memtable.append(operations, memtable.count, memtable.count + piece)
          const length = random.below(memtable.count + 1)
          expectOrdered(memtable, await view.runs(length), length)
        }
      }),
    )
  })

  test('of many rows is one run in which all rows are sorted', async () => {
    for (const seed of [1, 2, 3, 4]) {
      const memtable = filledMemtable(seed, MANY)
      const runs = await new OrderedView(memtable).runs(MANY)
      expect(runs).toHaveLength(1)
      expectOrdered(memtable, runs, MANY)
    }
  })

  test('of a single key keeps the rows in the order in which they came, and goes in slices all the same', async () => {
    const memtable = new Memtable(layoutOf(1), MANY, 0)
    const operations = new OperationBuffer(layoutOf(1), MANY)
    operations.count = MANY
    memtable.append(operations, 0, MANY)
    const { view, turns } = countedView(memtable)
    const runs = await view.runs(MANY)
    expect(runs.map(run => run.every((row, i) => row === i))).toEqual([true])
    expect(turns()).toBeGreaterThan(MANY / 20_000)
  })

  test('has few runs after many short scans, each longer than all newer ones together', async () => {
    const memtable = filledMemtable(5, 2000)
    const view = new OrderedView(memtable)
    for (let length = 1; length <= 2000; length++) {
      const lengths = (await view.runs(length)).map(run => run.length)
      const newer = lengths.map((_, i) => lengths.slice(i + 1).reduce((sum, rows) => sum + rows, 0))
      expect(lengths.every((rows, i) => rows > newer[i]!)).toBe(true)
    }
  })

  test('lets the event loop turn between slices, and not at all for rows that are in order already', async () => {
    const { view, turns } = countedView(filledMemtable(6, MANY))
    await view.runs(MANY)
    const turnsOfFirst = turns()
    expect(turnsOfFirst).toBeGreaterThan(MANY / 20_000)
    await view.runs(MANY)
    await view.runs(10)
    expect(turns()).toBe(turnsOfFirst)
  })

  test('does the work once for scans that ask at the same time', async () => {
    const alone = countedView(filledMemtable(7, MANY))
    await alone.view.runs(MANY)
    const memtable = filledMemtable(7, MANY)
    const { view, turns } = countedView(memtable)
    const answers = await Promise.all([view.runs(MANY), view.runs(10), view.runs(MANY - 1), view.runs(MANY)])
    for (const runs of answers) expectOrdered(memtable, runs, MANY)
    expect(turns()).toBe(alone.turns())
  })

  test('serves a scan of more rows that asks while a shorter one is being served', async () => {
    const memtable = filledMemtable(8, MANY)
    const view = new OrderedView(memtable)
    const [short, long] = await Promise.all([view.runs(70_000), view.runs(MANY)])
    expectOrdered(memtable, short, 70_000)
    expectOrdered(memtable, long, MANY)
  })

  test('gives runs that stay as they are when it is extended', async () => {
    const memtable = filledMemtable(9, 1000)
    const view = new OrderedView(memtable)
    const runs = await view.runs(100)
    const copies = runs.map(run => run.slice())
    for (let length = 200; length <= 1000; length += 100) await view.runs(length)
    expect(runs).toEqual(copies)
  })

  test('tries again after a failed attempt', async () => {
    const memtable = filledMemtable(10, MANY)
    let fails = true
    const view = new OrderedView(memtable, async () => {
      if (fails) throw new Error('no turn')
    })
    await expect(Promise.all([view.runs(MANY), view.runs(MANY)])).rejects.toThrow('no turn')
    fails = false
    expectOrdered(memtable, await view.runs(MANY), MANY)
  })

  test('at once holds every row once too, whatever scans extend it meanwhile', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(0xffffffff), fc.array(fc.nat(60), { maxLength: 40 }), async (seed, pieces) => {
        const random = new Random(seed)
        const total = pieces.reduce((sum, piece) => sum + piece, 0)
        const operations = randomOperations(random, random.between(1, 8), total, false)
        const memtable = new Memtable(layoutOf(operations.lanes.length - 2), Math.max(1, total), 0)
        const view = new OrderedView(memtable)
        const scans: Promise<unknown>[] = []
        for (const piece of pieces) {
          memtable.append(operations, memtable.count, memtable.count + piece)
          const length = random.below(memtable.count + 1)
          if (random.chance(0.4)) {
            scans.push(view.runs(length).then(runs => expectOrdered(memtable, runs, length)))
            if (random.chance(0.5)) await scans.at(-1)
          } else {
            const isCovered = view.rowsToSort(length) === 0
            const before = isCovered ? [...view.runsAtOnce(length)] : undefined
            expectOrdered(memtable, view.runsAtOnce(length), length)
            if (before !== undefined) expect(view.runsAtOnce(length)).toEqual(before)
            expect(view.rowsToSort(length)).toBe(0)
          }
        }
        await Promise.all(scans)
        expectOrdered(memtable, view.runsAtOnce(memtable.count), memtable.count)
      }),
    )
  })

  test('at once adds rows while a scan merges slices of many', async () => {
    const random = new Random(11)
    const operations = randomOperations(random, 2, MANY, false)
    const memtable = new Memtable(layoutOf(operations.lanes.length - 2), MANY, 0)
    memtable.append(operations, 0, MANY - 1000)
    let turns = 0
    const view = new OrderedView(memtable, async () => {
      // In the middle of the slices, and later of the merge.
      if (++turns % 3 === 0 && memtable.count < MANY)
        memtable.append(operations, memtable.count, memtable.count + 50)
      expectOrdered(memtable, view.runsAtOnce(memtable.count), memtable.count)
    })
    expectOrdered(memtable, await view.runs(MANY - 1000), MANY - 1000)
    expect(turns).toBeGreaterThan(10)
    expectOrdered(memtable, await view.runs(memtable.count), memtable.count)
  })

  test('at once leaves long runs alone, and tells what it has to sort', async () => {
    const memtable = filledMemtable(12, MANY)
    const view = new OrderedView(memtable)
    expect(view.rowsToSort(1000)).toBe(1000)
    view.runsAtOnce(1000)
    expect(view.rowsToSort(1001)).toBe(1)
    expect(view.rowsToSort(2000)).toBe(2000)
    view.runsAtOnce(MANY - 1)
    const long = view.runsAtOnce(MANY - 1)[0]!
    expect(view.runsAtOnce(MANY)[0]).toBe(long)
  })
})
