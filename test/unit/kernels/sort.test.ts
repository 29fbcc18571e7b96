/** Sorting and splitting by kernels against their twins in TypeScript. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { beginKernels, endKernels, kernels } from '../../../src/kernels/kernels.js'
import { Memtable } from '../../../src/memtable/memtable.js'
import {
  DELETE_KEY,
  keyLanesOf,
  OperationBuffer,
  PUT,
  type Operations,
} from '../../../src/records/operations.js'
import { recordLayout, type RecordLayout } from '../../../src/records/record-layout.js'
import { appendSorted } from '../../../src/sort/append-sorted.js'
import { KernelSplit } from '../../../src/sort/kernel-split.js'
import { sortedOrder } from '../../../src/sort/sort.js'
import { splitByKey } from '../../../src/sort/split.js'
import { KEYS } from '../../support/key-spreads.js'
import { Random } from '../../support/random.js'

interface Case {
  readonly keyBits: number
  readonly keys: string
  /** Of the key lanes, and of the value lanes behind the one with the number of the row. */
  readonly valueBytes: readonly number[]
  readonly rows: number
  readonly withKinds: boolean
  readonly seed: number
}

const CASES: fc.Arbitrary<Case> = fc.record({
  keyBits: fc.constantFrom(8, 16, 24, 32, 33, 40, 48, 56, 63, 64),
  keys: fc.constantFrom(...Object.keys(KEYS)),
  valueBytes: fc.array(fc.constantFrom(1, 2, 3, 4), { maxLength: 4 }),
  rows: fc.oneof(fc.constantFrom(1, 2, 3, 31, 32, 33), fc.integer({ min: 4, max: 6000 })),
  withKinds: fc.boolean(),
  seed: fc.nat(),
})

function layoutOf({ keyBits, valueBytes }: Case): RecordLayout {
  const keyBytes = keyBits <= 8 ? [1] : keyBits <= 16 ? [2] : keyBits <= 32 ? [4] : [4, 4]
  return recordLayout(keyBytes, [4, ...valueBytes])
}

/** Rows on the heap; the first value is the number of the row. */
function rowsOf(given: Case): Operations {
  const { keyBits, keys, rows, withKinds, seed } = given
  const { keyLaneCount, laneBytes } = layoutOf(given)
  const random = new Random(seed)
  const lanes = laneBytes.map(() => new Uint32Array(rows))
  for (const [row, made] of KEYS[keys]!(random, BigInt(keyBits), rows).entries()) {
    const key = BigInt.asUintN(keyBits, made)
    lanes[keyLaneCount - 1]![row] = Number(key & 0xffff_ffffn)
    if (keyLaneCount === 2) lanes[0]![row] = Number(key >> 32n)
    lanes[keyLaneCount]![row] = row
    for (let lane = keyLaneCount + 1; lane < laneBytes.length; lane++)
      lanes[lane]![row] = random.next() >>> (32 - 8 * laneBytes[lane]!)
  }
  const kinds = withKinds
    ? Uint8Array.from({ length: rows }, (_, row) => (row % 3 === 0 ? DELETE_KEY : PUT))
    : undefined
  return { count: rows, lanes, kinds }
}

/** The rows in columns as wide as they need be. */
function memtableOf(layout: RecordLayout, rows: Operations): Memtable {
  const memtable = new Memtable(layout, rows.count, 0)
  memtable.append(rows, 0, rows.count)
  return memtable
}

function inKernels(layout: RecordLayout, rows: Operations): OperationBuffer {
  const columns = new OperationBuffer(layout, rows.count)
  columns.append(rows, 0, rows.count)
  expect(kernels()!.hasAll(columns.lanes)).toBe(true)
  return columns
}

/** What `appendSorted` of the rows [from, to) has to append. */
function sortedByTwin(layout: RecordLayout, rows: Operations, from: number, to: number): number[][] {
  const order = sortedOrder(keyLanesOf(rows, layout.keyLaneCount), layout.keyLaneCount, from, to)
  return columnsOf({ ...rows, count: to - from }, row => order[row]!)
}

/** The columns, and the kinds, of rows in some order. */
function columnsOf(
  { lanes, kinds, count }: Operations,
  rowAt: (place: number) => number = row => row,
): number[][] {
  const columns = [...lanes, kinds ?? new Uint8Array(count)]
  return columns.map(column => Array.from({ length: count }, (_, place) => column[rowAt(place)] ?? PUT))
}

function sameColumns(made: readonly number[][], expected: readonly number[][]): void {
  expect(made.length).toBe(expected.length)
  expect(made.findIndex((column, lane) => column.length !== expected[lane]!.length)).toBe(-1)
  const wrong = made.map((column, lane) => column.findIndex((value, row) => value !== expected[lane]![row]))
  expect(wrong).toEqual(made.map(() => -1))
}

beforeEach(() => {
  beginKernels()
  // Nothing may rely on what the memory holds.
  kernels()!.words.fill(0xdeadbeef, 0, 2 ** 20)
})
afterEach(() => endKernels())

describe('rows that a kernel sorts', () => {
  test('are in the order in which its twin puts them, those of one key as they came', () => {
    fc.assert(
      fc.property(CASES, given => {
        kernels()!.clear()
        const layout = layoutOf(given)
        const rows = rowsOf(given)
        const from = Math.min(given.seed % 5, rows.count - 1)
        const into = new OperationBuffer(layout, 1)
        appendSorted(inKernels(layout, rows), from, rows.count, layout.keyLaneCount, into)
        expect(kernels()!.hasAll(into.lanes)).toBe(true)
        sameColumns(columnsOf(into), sortedByTwin(layout, rows, from, rows.count))
      }),
      { numRuns: 500 },
    )
  })

  test.each(Object.keys(KEYS))('may be many: keys %s', keys => {
    for (const keyBits of [32, 64]) {
      const given: Case = { keyBits, keys, valueBytes: [], rows: 150_000, withKinds: false, seed: 7 }
      kernels()!.clear()
      const layout = layoutOf(given)
      const rows = rowsOf(given)
      const into = new OperationBuffer(layout)
      appendSorted(inKernels(layout, rows), 0, rows.count, layout.keyLaneCount, into)
      sameColumns(columnsOf(into), sortedByTwin(layout, rows, 0, rows.count))
    }
  })

  test('are appended after others, and lanes of one known value are filled', () => {
    const given: Case = { keyBits: 64, keys: 'random', valueBytes: [2], rows: 100, withKinds: false, seed: 3 }
    const layout = layoutOf(given)
    const rows = rowsOf(given)
    const into = new OperationBuffer(layout)
    into.append(rows, 0, 7)
    appendSorted(inKernels(layout, rows), 0, 100, 2, into, [undefined, undefined, undefined, 77])
    expect(into.count).toBe(107)
    const expected = sortedByTwin(layout, rows, 0, 100)
    expected[3]!.fill(77)
    sameColumns(
      columnsOf(into).map(column => column.slice(7)),
      expected,
    )
  })

  test('may be none, and with few rows or without room for them the twin sorts', () => {
    const given: Case = {
      keyBits: 64,
      keys: 'random',
      valueBytes: [],
      rows: 200_000,
      withKinds: false,
      seed: 3,
    }
    const layout = layoutOf(given)
    const rows = rowsOf(given)
    const columns = inKernels(layout, rows)
    const into = new OperationBuffer(layout, rows.count)
    appendSorted(columns, 5, 5, 2, into)
    expect(into.count).toBe(0)
    while (kernels()!.takeBytes(2 ** 20) !== undefined);
    appendSorted(columns, 0, rows.count, 2, into)
    sameColumns(columnsOf(into), sortedByTwin(layout, rows, 0, rows.count))
  })
})

describe('rows that kernels split', () => {
  test('form the parts of the twin, and each is sorted as the twin would', () => {
    fc.assert(
      fc.property(
        CASES,
        fc.integer({ min: 1, max: 12 }),
        fc.constantFrom(0, 50, 1000, 10_000),
        (given, binBits, partRows) => sameSplit({ ...given, withKinds: false }, binBits, partRows),
      ),
      { numRuns: 300 },
    )
  })

  test.each(Object.keys(KEYS))('may be many: keys %s', keys => {
    sameSplit({ keyBits: 64, keys, valueBytes: [2, 1], rows: 50_000, withKinds: false, seed: 5 }, 11, 8192)
  })

  test('are sorted without kernels where there is no room for it', () => {
    const given: Case = {
      keyBits: 64,
      keys: 'random',
      valueBytes: [1, 2, 3],
      rows: 9000,
      withKinds: false,
      seed: 1,
    }
    const layout = layoutOf(given)
    const rows = rowsOf(given)
    const { lanes } = memtableOf(layout, rows)
    const split = KernelSplit.of(layout, lanes, rows.count, { binBits: 5, partRows: 0 })!
    while (kernels()!.takeBytes(2 ** 8) !== undefined);
    const into = new OperationBuffer(layout)
    for (let part = 0; part + 1 < split.starts.length; part++) split.appendSorted(part, into)
    sameColumns(columnsOf(into), sortedByTwin(layout, rows, 0, rows.count))
    expect(KernelSplit.of(layout, lanes, rows.count, { binBits: 5, partRows: 0 })).toBeUndefined()
  })

  test('have keys of one or two lanes', () => {
    const lanes = [0, 1, 2, 3].map(() => new Uint32Array(10))
    const options = { binBits: 5, partRows: 0 }
    expect(KernelSplit.of(recordLayout([4, 4, 4], [4]), lanes, 10, options)).toBeUndefined()
    expect(KernelSplit.of(recordLayout([4, 4], [4, 4]), lanes, 10, options)).toBeDefined()
    endKernels()
    expect(KernelSplit.of(recordLayout([4, 4], [4, 4]), lanes, 10, options)).toBeUndefined()
  })
})

function sameSplit(given: Case, binBits: number, partRows: number): void {
  kernels()!.clear()
  const layout = layoutOf(given)
  const rows = rowsOf(given)
  const memtable = memtableOf(layout, rows)
  const room = new Memtable(layout, rows.count, 0)
  room.reserveRows(rows.count)
  const twin = splitByKey(layout, memtable, { binBits, partRows }, room.lanes)
  const split = KernelSplit.of(layout, memtable.lanes, rows.count, { binBits, partRows })!
  expect(split.starts).toEqual(twin.starts)
  const into = new OperationBuffer(layout)
  for (let part = 0; part + 1 < split.starts.length; part++) {
    into.clear()
    split.appendSorted(part, into)
    const [from, to] = [twin.starts[part]!, twin.starts[part + 1]!]
    sameColumns(columnsOf(into), sortedByTwin(layout, twin.rows, from, to))
  }
  split.close()
}
