/** The iterator of rows does what an async generator would do, whatever is called and whenever. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RangeScan, RowBatch } from '../../../src/query/ranges.js'
import { RowIterator } from '../../../src/query/row-iterator.js'
import { OperationBuffer } from '../../../src/records/operations.js'
import { recordLayout } from '../../../src/records/record-layout.js'
import { clockByLooks } from '../../support/clock.js'

const layout = recordLayout([4], [4])

/** What a scan gives: batches of keys; -1 stands for a step that fails. */
type Batches = readonly (readonly number[])[]

class FakeScan {
  readonly options: { readonly reverse: boolean; readonly signal: AbortSignal | undefined }
  readonly #batches: (readonly number[])[]
  closed = 0

  constructor(batches: Batches, reverse: boolean, signal?: AbortSignal) {
    this.#batches = [...batches]
    this.options = { reverse, signal }
  }

  async next(): Promise<RowBatch | undefined> {
    const keys = this.#batches.shift()
    await new Promise(resolve => void setImmediate(resolve))
    if (keys === undefined) return undefined
    if (keys.includes(-1)) throw new Error('a step failed')
    const rows = new OperationBuffer(layout, keys.length)
    for (const [row, key] of keys.entries()) {
      rows.lanes[0]![row] = key
      rows.lanes[1]![row] = 100 * key + row
    }
    rows.count = keys.length
    return { rows, from: 0, to: keys.length }
  }

  async close(): Promise<void> {
    this.closed++
    await new Promise(resolve => void setImmediate(resolve))
  }
}

interface Case {
  readonly batches: Batches
  readonly reverse: boolean
  readonly ofKeys: boolean
  readonly keysMax: number
  /** A row of this key cannot be made. */
  readonly bad: number
}

type Row = readonly [key: number, value: number]

function rowOf(rows: OperationBuffer, row: number, bad: number): Row {
  const key = rows.lanes[0]![row]!
  if (key === bad) throw new Error(`no value for ${key}`)
  return [key, rows.lanes[1]![row]!]
}

function iteratorOf(scan: FakeScan, { ofKeys, keysMax, bad }: Case): AsyncGenerator<Row, void> {
  return new RowIterator<Row>({
    start: () => ({ scan: scan as unknown as RangeScan, keysMax: ofKeys ? keysMax : Infinity }),
    keyLaneCount: ofKeys ? 1 : 0,
    make: (rows, row) => rowOf(rows as OperationBuffer, row, bad),
  })
}

/** The simple twin. */
async function* generatorOf(scan: FakeScan, { ofKeys, keysMax, bad }: Case): AsyncGenerator<Row, void> {
  let left = ofKeys ? keysMax : Infinity
  try {
    if (left === 0) return
    // A key may go on in the next batch.
    let previous: number | undefined
    for (let batch = await scan.next(); batch !== undefined; batch = await scan.next()) {
      for (let place = batch.from; place < batch.to; place++) {
        const row = scan.options.reverse ? batch.from + batch.to - 1 - place : place
        const key = batch.rows.lanes[0]![row]
        if (ofKeys && key === previous) continue
        previous = key
        yield rowOf(batch.rows as OperationBuffer, row, bad)
        if (--left === 0) return
      }
    }
  } finally {
    await scan.close()
  }
}

type Call = 'next' | 'return' | 'throw' | 'wait'

/** What each call gives, in the order in which they settle. */
async function outcomes(iterator: AsyncGenerator<Row, void>, calls: readonly Call[]): Promise<unknown[]> {
  const settled: unknown[] = []
  const pending: Promise<unknown>[] = []
  for (const [i, call] of calls.entries()) {
    if (call === 'wait') {
      await Promise.all(pending)
      continue
    }
    const promise =
      call === 'next'
        ? iterator.next()
        : call === 'return'
          ? iterator.return()
          : iterator.throw(new Error('thrown in'))
    pending.push(
      promise.then(
        result => settled.push([i, result]),
        (error: unknown) => settled.push([i, String(error)]),
      ),
    )
  }
  await Promise.all(pending)
  return settled
}

describe('an iterator of rows', () => {
  test('gives what a generator gives, in the same order, and closes the scan as often', async () => {
    const cases: fc.Arbitrary<Case> = fc.record({
      batches: fc.array(
        fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 5 }).map(keys => keys.sort()),
        { maxLength: 4 },
      ),
      reverse: fc.boolean(),
      ofKeys: fc.boolean(),
      keysMax: fc.constantFrom(0, 1, 3, Infinity),
      bad: fc.integer({ min: 0, max: 30 }),
    })
    const failing = fc.tuple(cases, fc.nat(20)).map(([one, at]) => ({
      ...one,
      batches: one.batches.map((keys, i) => (i === at ? [-1] : keys)),
    }))
    const calls = fc.array(
      fc.constantFrom<Call[]>('next', 'next', 'next', 'next', 'next', 'wait', 'return', 'throw'),
      { maxLength: 25 },
    )
    await fc.assert(
      fc.asyncProperty(failing, calls, async (one, calls) => {
        const scan = new FakeScan(one.batches, one.reverse)
        const twin = new FakeScan(one.batches, one.reverse)
        const found = await outcomes(iteratorOf(scan, one), calls)
        expect(found).toEqual(await outcomes(generatorOf(twin, one), calls))
        // A generator that was never stepped has not begun, so that it closes nothing.
        if (calls.includes('next') && calls.find(call => call !== 'wait') === 'next')
          expect(scan.closed).toBe(twin.closed)
        else expect(scan.closed).toBe(0)
      }),
      { numRuns: 500 },
    )
  })

  const rows: Case = { batches: [[1, 2, 3, 4]], reverse: false, ofKeys: false, keysMax: 0, bad: -1 }

  test('begins with the first step, and is closed when a loop breaks', async () => {
    const scan = new FakeScan(rows.batches, false)
    const found: Row[] = []
    for await (const row of iteratorOf(scan, rows)) {
      found.push(row)
      if (found.length === 2) break
    }
    expect([found, scan.closed]).toEqual([
      [
        [1, 100],
        [2, 201],
      ],
      1,
    ])
  })

  test('ends when its signal aborts, also between rows that are in memory', async () => {
    const abort = new AbortController()
    const scan = new FakeScan(rows.batches, false, abort.signal)
    const iterator = iteratorOf(scan, rows)
    expect(await iterator.next()).toEqual({ value: [1, 100], done: false })
    abort.abort(new Error('enough'))
    await expect(iterator.next()).rejects.toThrow('enough')
    expect(scan.closed).toBe(1)
    expect(await iterator.next()).toEqual({ value: undefined, done: true })
  })

  test('lets the event loop turn between rows', async () => {
    clockByLooks(0.5)
    const keys = Array.from({ length: 20_000 }, (_, key) => key)
    let turns = 0
    let runs = true
    const count = (): void => {
      turns++
      if (runs) setImmediate(count)
    }
    setImmediate(count)
    let given = 0
    for await (const _ of iteratorOf(new FakeScan([keys], false), rows)) {
      given++
    }
    runs = false
    expect(given).toBe(20_000)
    expect(turns).toBeGreaterThan(5)
  })

  test('gives rows in the order of the calls, also where the event loop has to turn in between', async () => {
    const keys = Array.from({ length: 5000 }, (_, key) => key)
    const iterator = iteratorOf(new FakeScan([keys], false), rows)
    await iterator.next()
    const calls: Promise<IteratorResult<Row, void>>[] = []
    for (let i = 1; i < keys.length; i++) {
      calls.push(iterator.next())
      for (const end = performance.now() + 0.002; performance.now() < end;);
    }
    const given = await Promise.all(calls)
    expect(given.every(({ value }, i) => value![0] === i + 1)).toBe(true)
  })

  test('is disposed of by closing it', async () => {
    const scan = new FakeScan(rows.batches, false)
    const iterator = iteratorOf(scan, rows)
    await iterator.next()
    await iterator[Symbol.asyncDispose]()
    expect(scan.closed).toBe(1)
  })
})
