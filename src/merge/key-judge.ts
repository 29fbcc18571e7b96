/** What is left of the operations of one key with `duplicates: 'keep'`, one after the other: docs/internals.md, Deletes. */
import { DELETE_KEY, DELETE_RECORD, PUT, type Operations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { recordText, RecordSet } from '../records/record-set.js'

export interface KeyJudge {
  /** Whether this operation is left, which follows the one that was asked about before. */
  keeps(rows: Operations, row: number): boolean
}

/** From the newest operation to the oldest. */
export class NewestFirstJudge implements KeyJudge {
  readonly #layout: RecordLayout
  readonly #keepDeletes: boolean
  #deleted: RecordSet | undefined
  #isSettled = false

  constructor(layout: RecordLayout, keepDeletes: boolean) {
    this.#layout = layout
    this.#keepDeletes = keepDeletes
  }

  /** Whether nothing older is left. */
  get isSettled(): boolean {
    return this.#isSettled
  }

  /** Another key begins. */
  begin(): void {
    this.#deleted = undefined
    this.#isSettled = false
  }

  keeps({ lanes, kinds }: Operations, row: number): boolean {
    if (this.#isSettled) return false
    const kind = kinds === undefined ? PUT : kinds[row]!
    if (kind === DELETE_KEY) {
      this.#isSettled = true
      return this.#keepDeletes
    }
    if (kind === DELETE_RECORD) {
      this.#deleted ??= new RecordSet(this.#layout)
      // One delete of a record does what two would.
      return this.#deleted.add(lanes, row) && this.#keepDeletes
    }
    return this.#deleted?.has(lanes, row) !== true
  }
}

/** From the oldest operation to the newest, after it has seen all of them in this order: it remembers the deletes. */
export class ForwardJudge implements KeyJudge {
  readonly #layout: RecordLayout
  readonly #keepDeletes: boolean
  /** Operations that were noted; their numbers are their places. */
  #noted = 0
  #place = 0
  /** The place of the newest delete of the key. */
  #deletedTo = -1
  /** The place of the newest delete of each record. */
  readonly #deletedAt = new Map<string, number>()

  constructor(layout: RecordLayout, keepDeletes: boolean) {
    this.#layout = layout
    this.#keepDeletes = keepDeletes
  }

  /** Takes note of the next operations, all of them. */
  note({ lanes, kinds, count }: Operations): void {
    for (let row = 0; kinds !== undefined && row < count; row++) {
      if (kinds[row] === DELETE_KEY) {
        this.#deletedTo = this.#noted + row
        this.#deletedAt.clear()
      } else if (kinds[row] === DELETE_RECORD)
        this.#deletedAt.set(recordText(this.#layout, lanes, row), this.#noted + row)
    }
    this.#noted += count
  }

  keeps({ lanes, kinds }: Operations, row: number): boolean {
    const place = this.#place++
    if (place < this.#deletedTo) return false
    const kind = kinds === undefined ? PUT : kinds[row]!
    if (kind === DELETE_KEY) return this.#keepDeletes
    if (kind === PUT && this.#deletedAt.size === 0) return true
    const deletedAt = this.#deletedAt.get(recordText(this.#layout, lanes, row)) ?? -1
    return kind === DELETE_RECORD ? this.#keepDeletes && deletedAt === place : deletedAt < place
  }
}
