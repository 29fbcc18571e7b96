/**
 * Which rows match the terms of a filter: the same answer as a *delete where* with these terms gives, column by column.
 * docs/internals.md, Filtered scans.
 */
import { floatsAmong, normalizeFloats } from './float-lanes.js'
import { holds, isFloatRange } from './lane-ranges.js'
import { OperationBuffer, type LaneRange, type WhereTerms, type WideOperations } from './operations.js'
import type { RecordLayout } from './record-layout.js'

/** A float that has a value, as its normal words. */
interface FloatTerm {
  readonly lane: number
  readonly words: readonly number[]
}

export class WhereFilter {
  readonly terms: WhereTerms
  readonly #words: readonly { readonly lane: number; readonly value: number }[]
  readonly #floats: readonly FloatTerm[]
  readonly #ranges: readonly { readonly range: LaneRange; readonly isFloat: boolean }[]
  readonly #rows: OperationBuffer
  #order = new Uint32Array(0)

  constructor(layout: RecordLayout, terms: WhereTerms) {
    const { lanes, values, ranges = [] } = terms
    const floats = floatsAmong(layout, lanes)
    const wanted = [...values]
    normalizeFloats(wanted, floats)
    const isFloat = (i: number) => floats.some(({ lane, laneCount }) => i >= lane && i < lane + laneCount)
    this.terms = terms
    this.#words = lanes.flatMap((lane, i) => (isFloat(i) ? [] : [{ lane, value: wanted[i]! }]))
    this.#floats = floats.map(({ lane, laneCount }) => ({
      lane: lanes[lane]!,
      words: wanted.slice(lane, lane + laneCount),
    }))
    this.#ranges = ranges.map(range => ({ range, isFloat: isFloatRange(layout, range) }))
    this.#rows = new OperationBuffer(layout)
  }

  /** The rows that match, in their order: the same rows where all do. They are good until the next call. */
  matching(rows: WideOperations): WideOperations {
    const { lanes, count } = rows
    if (this.#order.length < count) this.#order = new Uint32Array(count)
    const order = this.#order
    let left = count
    for (let row = 0; row < count; row++) order[row] = row
    for (const { lane, value } of this.#words) left = keepEqual(lanes[lane]!, value, order, left)
    for (const float of this.#floats) left = keepFloat(lanes, float, order, left)
    for (const { range, isFloat } of this.#ranges) {
      let kept = 0
      for (let i = 0; i < left; i++) if (holds(range, isFloat, lanes, order[i]!)) order[kept++] = order[i]!
      left = kept
    }
    if (left === count) return rows
    this.#rows.clear()
    this.#rows.gather(rows, order.subarray(0, left))
    return this.#rows
  }
}

/** Keeps those of the rows that have this value. Hot. */
function keepEqual(column: Uint32Array, value: number, order: Uint32Array, count: number): number {
  let kept = 0
  for (let i = 0; i < count; i++) {
    const row = order[i]!
    if (column[row] === value) order[kept++] = row
  }
  return kept
}

function keepFloat(
  lanes: readonly Uint32Array[],
  { lane, words }: FloatTerm,
  order: Uint32Array,
  count: number,
): number {
  const whole = [{ lane: 0, laneCount: words.length }]
  const own = [...words]
  let kept = 0
  for (let i = 0; i < count; i++) {
    const row = order[i]!
    for (let word = 0; word < words.length; word++) own[word] = lanes[lane + word]![row]!
    normalizeFloats(own, whole)
    if (own.every((word, at) => word === words[at])) order[kept++] = row
  }
  return kept
}
