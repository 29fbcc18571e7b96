import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Merge, type MergeOptions } from '../../../src/merge/merge.js'
import type { SortedInput } from '../../../src/merge/sorted-input.js'
import { DELETE_KEY, DELETE_RECORD, OperationBuffer, PUT } from '../../../src/records/operations.js'
import { applied, byKey, histories } from '../../support/history.js'
import { Random } from '../../support/random.js'
import { columnsOf, meaningOf, rowsOf, wideLayout, type Row } from '../../support/rows.js'

const layout = wideLayout(1, 2)

/** An input that hands out its rows in batches of these lengths, again and again; some may be empty. */
class ListInput implements SortedInput {
  readonly #rows: readonly Row[]
  readonly #lengths: readonly number[]
  #from = 0
  calls = 0
  closed = false
  /** Inputs of one key that were made from this one. */
  readonly ofKeys: ListInput[] = []

  /** `rows` in the order in which they go out. */
  constructor(rows: readonly Row[], lengths: readonly number[]) {
    this.#rows = rows
    this.#lengths = lengths
  }

  get hasDeletes(): boolean {
    return this.#rows.some(({ kind }) => kind !== PUT)
  }

  /** Requires: no reverse scan. */
  ofKey(key: Uint32Array): ListInput {
    const rows = this.#rows.filter(row => row.key === BigInt(key[0]!))
    this.ofKeys.push(new ListInput(rows, this.#lengths))
    return this.ofKeys.at(-1)!
  }

  async next(into: OperationBuffer): Promise<boolean> {
    expect(this.closed).toBe(false)
    if (this.#from === this.#rows.length) return false
    const to = Math.min(this.#rows.length, this.#from + this.#lengths[this.calls++ % this.#lengths.length]!)
    into.append(columnsOf(layout, this.#rows.slice(this.#from, to)), 0, to - this.#from)
    this.#from = to
    return true
  }

  async close(): Promise<void> {
    this.closed = true
  }
}

const OPTIONS: MergeOptions = { layout, reverse: false, replace: false, keepDeletes: false }

/** Lengths of batches, at least one of them not 0. */
const lengths = fc
  .array(fc.constantFrom(0, 0, 1, 2, 3, 7, 100), { minLength: 1, maxLength: 5 })
  .map(lengths => (lengths.every(length => length === 0) ? [...lengths, 1] : lengths))

/** Rows of a key that come together at most. */
const keyRows = fc.constantFrom(undefined, 1, 2, 5)

interface Source {
  /** Operations in the order in which they were made. */
  readonly operations: readonly Row[]
  readonly lengths: readonly number[]
}

/** Inputs, oldest first. */
const sources: fc.Arbitrary<Source[]> = fc
  .constantFrom(3, 12, 1000)
  .chain(keys =>
    fc.array(fc.record({ operations: histories({ maxLength: 40, keys }), lengths }), { maxLength: 6 }),
  )

function inputOf({ operations, lengths }: Source, reverse = false): ListInput {
  const rows = byKey(operations)
  return new ListInput(reverse ? rows.toReversed() : rows, lengths)
}

/** The batches of a merge, which is closed then. */
async function batchesOf(inputs: readonly ListInput[], options: Partial<MergeOptions>): Promise<Row[][]> {
  const merge = new Merge(inputs, { ...OPTIONS, ...options })
  const batches: Row[][] = []
  for (;;) {
    const rows = await merge.next()
    if (rows === undefined) break
    expect(rows.count).toBeGreaterThan(0)
    batches.push(rowsOf(layout, rows))
  }
  expect(await merge.next()).toBeUndefined()
  await merge.close()
  expect(inputs.flatMap(input => [input, ...input.ofKeys]).every(input => input.closed)).toBe(true)
  return batches
}

describe.each([
  ['keep', false],
  ['replace', true],
])('a merge with duplicates: %s', (_, replace) => {
  test('leaves the records that the history of all inputs leaves, in key and then insertion order', async () => {
    await fc.assert(
      fc.asyncProperty(
        sources,
        fc.constantFrom(undefined, 5, 50),
        keyRows,
        async (sources, stepRows, keyRows) => {
          const batches = await batchesOf(
            sources.map(source => inputOf(source)),
            { replace, stepRows, keyRows },
          )
          const history = sources.flatMap(source => source.operations)
          expect(batches.flat()).toEqual(byKey(applied(history, replace)))
          for (const [i, batch] of batches.entries()) {
            // A key is torn apart only if it has very many rows.
            if (i > 0 && keyRows === undefined)
              expect(batch[0]!.key).toBeGreaterThan(batches[i - 1]!.at(-1)!.key)
          }
        },
      ),
      { numRuns: 600 },
    )
  })

  test('gives the exact reverse when it runs in reverse', async () => {
    await fc.assert(
      fc.asyncProperty(sources, fc.boolean(), keyRows, async (sources, keepDeletes, keyRows) => {
        const options = { replace, keepDeletes, keyRows }
        const forward = await batchesOf(
          sources.map(source => inputOf(source)),
          options,
        )
        const backward = await batchesOf(
          sources.map(source => inputOf(source, true)),
          { ...options, reverse: true },
        )
        expect(backward.toReversed().flat()).toEqual(forward.flat())
        for (const [i, batch] of backward.entries()) {
          if (i > 0 && keyRows === undefined) expect(batch.at(-1)!.key).toBeLessThan(backward[i - 1]![0]!.key)
        }
      }),
      { numRuns: 600 },
    )
  })

  test('of neighbours, merged on with the rest in any order, brings nothing back that was deleted', async () => {
    await fc.assert(
      fc.asyncProperty(sources, fc.nat(0xffffffff), async (sources, seed) => {
        const random = new Random(seed)
        const expected = byKey(
          applied(
            sources.flatMap(source => source.operations),
            replace,
          ),
        )
        let left = sources.map(({ operations, lengths }) => ({ operations: byKey(operations), lengths }))
        while (left.length > 1) {
          const from = random.below(left.length)
          const to = random.between(from + 1, left.length)
          const merged = await batchesOf(
            left.slice(from, to).map(source => inputOf(source)),
            { replace, keepDeletes: from > 0, keyRows: random.pick([undefined, 1, 4]) },
          )
          const part = { operations: merged.flat(), lengths: random.pick(sources).lengths }
          left = [...left.slice(0, from), part, ...left.slice(to)]
          // A scan sees the same at every moment.
          const seen = await batchesOf(
            left.map(source => inputOf(source)),
            { replace },
          )
          expect(seen.flat()).toEqual(expected)
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('a merge', () => {
  const put = (key: number, value: number): Row => ({ key: BigInt(key), values: [value, 0], kind: PUT })

  test('of no inputs, and of inputs without rows, is empty', async () => {
    expect(await batchesOf([], {})).toEqual([])
    expect(await batchesOf([new ListInput([], [1]), new ListInput([], [1])], {})).toEqual([])
  })

  test.each([false, true])('takes a key over as many batches as it needs (reverse: %s)', async reverse => {
    const rows = [1, 2, 3].map(input => [
      put(1, input),
      ...Array.from({ length: 3000 }, (_, i) => put(5, input * 10_000 + i)),
      put(9, input),
    ])
    const inputs = rows.map(rows => new ListInput(reverse ? rows.toReversed() : rows, [10, 0, 3]))
    const found = await batchesOf(inputs, { reverse })
    expect((reverse ? found.toReversed() : found).flat()).toEqual(byKey(rows.flat()))
    // The records of key 5 come in one batch.
    expect(found.filter(batch => batch.some(row => row.key === 5n))).toHaveLength(1)
  })

  test.each([
    ['of puts', false, PUT],
    ['of puts, in reverse', true, PUT],
    ['with deletes', false, DELETE_RECORD],
    ['with deletes, in reverse', true, DELETE_RECORD],
  ])(
    'hands out a key with very many rows %s in pieces, and asks for no more than it needs',
    async (_, reverse, kind) => {
      const length = 2000
      const rows = [1, 2, 3].map(input => [
        put(1, input),
        ...Array.from({ length }, (_, i) => put(5, input * 10_000 + i)),
        ...(input === 3 ? [{ ...put(5, 10_007), kind }, put(5, 10_008)] : []),
        put(9, input),
      ])
      const inputs = rows.map(rows => new ListInput(reverse ? rows.toReversed() : rows, [10, 0, 3]))
      const merge = new Merge(inputs, { ...OPTIONS, reverse, keyRows: 20 })
      const found: Row[][] = []
      for (let next = await merge.next(); next !== undefined; next = await merge.next()) {
        found.push(rowsOf(layout, next))
        // Each input has few rows that are not merged yet.
        expect(next.count).toBeLessThan(40)
        // The first piece comes as soon as each input has its first rows.
        if (found.length < 3) expect(Math.max(...inputs.map(({ calls }) => calls))).toBeLessThan(15)
      }
      await merge.close()
      const history = rows.flat()
      expect((reverse ? found.toReversed() : found).flat()).toEqual(byKey(applied(history, false)))
      // From new to old deletes come before what they hide; without deletes there is nothing to look for.
      const isLookedThrough = kind !== PUT && !reverse
      expect(inputs.map(({ ofKeys }) => ofKeys.length)).toEqual(Array(3).fill(isLookedThrough ? 1 : 0))
    },
  )

  test.each([false, true])(
    'keeps of a key that is replaced no more than the newest row (reverse: %s)',
    async reverse => {
      const rows = [1, 2].map(input => Array.from({ length: 500 }, (_, i) => put(5, 1000 * input + i)))
      const inputs = rows.map(rows => new ListInput(reverse ? rows.toReversed() : rows, [10]))
      const found = await batchesOf(inputs, { reverse, replace: true, keyRows: 20 })
      expect(found).toEqual([[put(5, 2499)]])
    },
  )

  test('cuts what an input hands out at once', async () => {
    const [older, newer] = [30, 300].map((length, input) =>
      Array.from({ length }, (_, i) => put(5, 1000 * input + i)),
    )
    const inputs = [new ListInput(older!, [25]), new ListInput([...newer!, put(6, 1)], [1000])]
    const found = await batchesOf(inputs, { keyRows: 20 })
    expect(found.flat()).toEqual([...older!, ...newer!, put(6, 1)])
    expect(Math.max(...found.map(batch => batch.length))).toBe(25)
  })

  test('refuses an input whose rows are not sorted within a key that has very many', async () => {
    const rows = [...Array.from({ length: 10 }, (_, i) => put(5, i)), put(4, 1), put(6, 1)]
    const merge = new Merge([new ListInput(rows, [5])], { ...OPTIONS, keyRows: 5 })
    const all = async () => {
      while ((await merge.next()) !== undefined);
    }
    await expect(all()).rejects.toThrow(/hands out its rows in the order of their keys/)
    await merge.close()
  })

  test('is given up within a key with very many rows, too', async () => {
    const controller = new AbortController()
    const rows = Array.from({ length: 100 }, (_, i) => ({ ...put(5, i), kind: i === 50 ? DELETE_KEY : PUT }))
    const input = new ListInput(rows, [5])
    const merge = new Merge([input], { ...OPTIONS, keyRows: 5, signal: controller.signal })
    const original = input.ofKey.bind(input)
    input.ofKey = key => {
      controller.abort(new Error('enough'))
      return original(key)
    }
    await expect(merge.next()).rejects.toThrow('enough')
    await merge.close()
    expect([input, ...input.ofKeys].map(({ closed }) => closed)).toEqual([true, true])
  })

  test.each([
    ['alike', [4000, 4000, 4000]],
    ['one with most of the rows', [11_800, 100, 100]],
  ])('takes as many rows together as it should, from inputs that are %s', async (_, lengths) => {
    const random = new Random(1)
    const inputs = lengths.map(length => {
      const rows = Array.from({ length }, (_, i) => put(random.below(1_000_000), i))
      return new ListInput(byKey(rows), [20])
    })
    const found = await batchesOf(inputs, { stepRows: 300 })
    expect(found.flat()).toHaveLength(12_000)
    expect(Math.max(...found.map(batch => batch.length))).toBeLessThan(600)
    expect(found.length).toBeLessThan(12_000 / 150)
  })

  test.each([
    ['one batch', [2]],
    ['two batches', [1]],
  ])('a merge refuses an input whose rows are not sorted, in %s', async (_, lengths) => {
    const merge = new Merge([new ListInput([put(2, 1), put(1, 2)], lengths)], OPTIONS)
    await expect(merge.next()).rejects.toThrow(
      /an input of a merge hands out its rows in the order of their keys/,
    )
  })

  test('asks an input for no more than it needs to go on', async () => {
    const inputs = [10, 50].map(
      (length, input) =>
        new ListInput(
          Array.from({ length: 100 }, (_, i) => put(2 * i + input, i)),
          [length],
        ),
    )
    const merge = new Merge(inputs, OPTIONS)
    for (const calls of [
      [1, 1],
      [2, 1],
      [3, 1],
    ]) {
      await merge.next()
      expect(inputs.map(input => input.calls)).toEqual(calls)
    }
  })

  test('keeps what it handed out until the next call, whatever becomes of its inputs', async () => {
    const inputs = [0, 1].map(
      input =>
        new ListInput(
          Array.from({ length: 20 }, (_, i) => put(2 * i + input, i)),
          [5],
        ),
    )
    const merge = new Merge(inputs, OPTIONS)
    const rows = await merge.next()
    const before = rowsOf(layout, rows!)
    await inputs[0]!.next(new OperationBuffer(layout))
    expect(rowsOf(layout, rows!)).toEqual(before)
    await merge.close()
    expect(inputs.map(input => input.closed)).toEqual([true, true])
  })

  test('passes on what an input throws, and can be closed then', async () => {
    const inputs = [new ListInput([put(1, 1), put(2, 2)], [1]), new ListInput([put(1, 1)], [1])]
    inputs[1]!.next = () => Promise.reject(new Error('unreadable'))
    const merge = new Merge(inputs, OPTIONS)
    await expect(merge.next()).rejects.toThrow('unreadable')
    await merge.close()
    expect(inputs.map(input => input.closed)).toEqual([true, true])
  })

  test('orders keys of several lanes as unsigned numbers', async () => {
    const wide = wideLayout(3, 0)
    const random = new Random(4)
    const keys = Array.from({ length: 400 }, () => {
      const lanes = [0, 1, 2].map(() => random.pick([0, 1, 0x7fffffff, 0x80000000, 0xffffffff]))
      return lanes.reduce((key, lane) => (key << 32n) | BigInt(lane), 0n)
    })
    const rows = keys.map((key): Row => ({ key, values: [], kind: PUT }))
    const inputs = [0, 1, 2].map((input): SortedInput => {
      const part = byKey(rows.filter((_, i) => i % 3 === input))
      let from = 0
      return {
        hasDeletes: false,
        ofKey: () => expect.unreachable(),
        next: async into => {
          if (from === part.length) return false
          const to = Math.min(part.length, from + 9)
          into.append(columnsOf(wide, part.slice(from, to)), 0, to - from)
          from = to
          return true
        },
        close: async () => {},
      }
    })
    const merge = new Merge(inputs, { ...OPTIONS, layout: wide })
    const found: Row[] = []
    for (let next = await merge.next(); next !== undefined; next = await merge.next()) {
      found.push(...rowsOf(wide, next))
    }
    expect(found).toEqual(meaningOf(byKey(rows)))
  })
})
