/** An input of a merge, and the rows that it has handed out and that are not merged yet. */
import { assert } from '../base/assert.js'
import { compareKeyToRow, compareRows } from '../records/compare.js'
import type { OperationBuffer } from '../records/operations.js'
import type { SortedInput } from './sorted-input.js'

export class Feed {
  readonly input: SortedInput
  readonly #keyLaneCount: number
  readonly #reverse: boolean
  rows: OperationBuffer
  /** The first row that is not merged yet. */
  from = 0
  ended = false

  /** `rows`: empty. `reverse`: the input was made for a reverse scan. */
  constructor(input: SortedInput, rows: OperationBuffer, keyLaneCount: number, reverse: boolean) {
    this.input = input
    this.rows = rows
    this.#keyLaneCount = keyLaneCount
    this.#reverse = reverse
  }

  /** Rows that are not merged yet. */
  get count(): number {
    return this.rows.count - this.from
  }

  /** Whether all rows that are not merged yet have the same key. */
  get hasOneKey(): boolean {
    const { lanes, count } = this.rows
    return compareRows(lanes, this.from, lanes, count - 1, this.#keyLaneCount) === 0
  }

  /** Drops what is merged, and appends the next batch of the input. */
  async append(): Promise<void> {
    const { rows } = this
    if (this.from > 0) {
      rows.dropFirst(this.from)
      this.from = 0
    }
    if (rows.count === 0) rows.clear()
    const before = rows.count
    this.ended = !(await this.input.next(rows))
    this.#assertSorted(before)
  }

  /** The last key against that of `other`, in the direction of the scan: below 0 if it comes first. */
  compareLast(other: Feed): number {
    const [a, b] = [this.rows, other.rows]
    const order = compareRows(a.lanes, a.count - 1, b.lanes, b.count - 1, this.#keyLaneCount)
    return this.#reverse ? -order : order
  }

  /** The first row with this key or a later one; with `after`, the first row with a later key. */
  placeOf(key: Uint32Array, after: boolean): number {
    let low = this.from
    let high = this.rows.count
    while (low < high) {
      const middle = (low + high) >>> 1
      const order = compareKeyToRow(key, this.rows.lanes, middle)
      if ((this.#reverse ? order < 0 : order > 0) || (after && order === 0)) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Checks the ends of the batch that was just appended at `from`: in order, and none before the previous batch. */
  #assertSorted(from: number): void {
    const { lanes, count } = this.rows
    if (count === from) return
    const sign = this.#reverse ? -1 : 1
    const first = Math.max(0, from - 1)
    assert(
      sign * compareRows(lanes, first, lanes, from, this.#keyLaneCount) <= 0 &&
        sign * compareRows(lanes, from, lanes, count - 1, this.#keyLaneCount) <= 0,
      'an input of a merge hands out its rows in the order of their keys',
    )
  }
}
