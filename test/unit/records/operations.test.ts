import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  DELETE_KEY,
  DELETE_RECORD,
  OperationBuffer,
  PUT,
  countPuts,
} from '../../../src/records/operations.js'
import { Random } from '../../support/random.js'
import { columnsOf, rowsOf, wideLayout, type Row } from '../../support/rows.js'

const layout = wideLayout(2, 1)

/** Rows to tell apart; of each source all puts, or of all kinds. */
const sources: fc.Arbitrary<Row[]> = fc
  .record({ count: fc.nat(40), seed: fc.nat(0xffffffff), kinds: fc.constantFrom([PUT], [0, 1, 2]) })
  .map(({ count, seed, kinds }) => {
    const random = new Random(seed)
    return Array.from({ length: count }, () => {
      const kind = random.pick(kinds)
      return { key: BigInt(random.next()), values: kind === DELETE_KEY ? [] : [random.next()], kind }
    })
  })

type Step =
  | {
      readonly do: 'append' | 'appendReversed'
      readonly rows: Row[]
      readonly from: number
      readonly to: number
    }
  | { readonly do: 'gather'; readonly rows: Row[]; readonly order: number[] }
  | { readonly do: 'dropFirst'; readonly part: number }
  | { readonly do: 'clear' }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: stretch('append') },
    { weight: 4, arbitrary: stretch('appendReversed') },
    {
      weight: 4,
      arbitrary: sources.chain(rows =>
        fc
          .array(fc.nat(Math.max(0, rows.length - 1)), { maxLength: rows.length === 0 ? 0 : 60 })
          .map((order): Step => ({ do: 'gather', rows, order })),
      ),
    },
    {
      weight: 2,
      arbitrary: fc.nat(10).map((tenths): Step => ({ do: 'dropFirst', part: tenths / 10 })),
    },
    { weight: 1, arbitrary: fc.constant<Step>({ do: 'clear' }) },
  ),
  { maxLength: 12 },
)

function stretch(what: 'append' | 'appendReversed'): fc.Arbitrary<Step> {
  return sources.chain(rows =>
    fc
      .tuple(fc.nat(rows.length), fc.nat(rows.length))
      .map(([a, b]): Step => ({ do: what, rows, from: Math.min(a, b), to: Math.max(a, b) })),
  )
}

describe('a buffer of operations', () => {
  test('holds what a plain array holds after the same steps', () => {
    fc.assert(
      fc.property(steps, fc.nat(5), (steps, capacity) => {
        const buffer = new OperationBuffer(layout, capacity)
        let model: Row[] = []
        for (const step of steps) {
          switch (step.do) {
            case 'append':
              buffer.append(columnsOf(layout, step.rows), step.from, step.to)
              model.push(...step.rows.slice(step.from, step.to))
              break
            case 'appendReversed':
              buffer.appendReversed(columnsOf(layout, step.rows), step.from, step.to)
              model.push(...step.rows.slice(step.from, step.to).reverse())
              break
            case 'gather':
              buffer.gather(columnsOf(layout, step.rows), Uint32Array.from(step.order))
              model.push(...step.order.map(row => step.rows[row]!))
              break
            case 'dropFirst': {
              const rows = Math.floor(step.part * model.length)
              buffer.dropFirst(rows)
              model.splice(0, rows)
              break
            }
            case 'clear':
              buffer.clear()
              model = []
          }
          expect(rowsOf(layout, buffer)).toEqual(model)
          expect(countPuts(buffer)).toBe(model.filter(row => row.kind === PUT).length)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('reverses all rows where no stretch is named', () => {
    const rows = [1n, 2n, 3n].map((key): Row => ({ key, values: [7], kind: PUT }))
    const buffer = new OperationBuffer(layout)
    buffer.appendReversed(columnsOf(layout, rows))
    expect(rowsOf(layout, buffer)).toEqual(rows.toReversed())
  })

  test('keeps the kinds of its rows when it grows', () => {
    const buffer = new OperationBuffer(layout, 1)
    const kinds = [DELETE_RECORD, PUT, DELETE_KEY]
    const rows = kinds.map((kind, i): Row => ({
      key: BigInt(i),
      values: kind === DELETE_KEY ? [] : [i],
      kind,
    }))
    for (const row of rows) buffer.append(columnsOf(layout, [row]), 0, 1)
    buffer.reserve(1000)
    expect(buffer.kinds!.length).toBeGreaterThanOrEqual(1003)
    expect(rowsOf(layout, buffer)).toEqual(rows)
  })

  test('that was cleared takes rows that are all puts for what they are', () => {
    const buffer = new OperationBuffer(layout, 4)
    buffer.append(columnsOf(layout, [{ key: 1n, values: [1], kind: DELETE_RECORD }]), 0, 1)
    buffer.clear()
    const put: Row = { key: 2n, values: [2], kind: PUT }
    buffer.append(columnsOf(layout, [put]), 0, 1)
    buffer.append(columnsOf(layout, [{ ...put, kind: DELETE_RECORD }]), 0, 1)
    expect(rowsOf(layout, buffer)).toEqual([put, { ...put, kind: DELETE_RECORD }])
  })
})
