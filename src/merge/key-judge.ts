/** What is left of the operations of one key with `duplicates: 'keep'`, one after the other: docs/internals.md, Deletes. */
import { DELETE_KEY, DELETE_RECORD, PUT, type WideOperations } from '../records/operations.js'
import { HASH_START, hashLane } from '../records/hash.js'
import type { RecordLayout } from '../records/record-layout.js'
import { recordText, RecordSet } from '../records/record-set.js'

/** Places of marks, a power of 2. Most records are not deleted, and a mark tells that faster than their texts do. */
const MARKS = 2 ** 14

export interface KeyJudge {
  /** Whether this operation is left, which follows the one that was asked about before. */
  keeps(rows: WideOperations, row: number): boolean
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

  keeps({ lanes, kinds }: WideOperations, row: number): boolean {
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
  /** WideOperations that were noted; their numbers are their places. */
  #noted = 0
  #place = 0
  /** The place of the newest delete of the key. */
  #deletedTo = -1
  /** The place of the newest delete of each record. */
  readonly #deletedAt = new Map<string, number>()
  /** 1 where a record that was deleted has its mark. */
  readonly #marks = new Uint8Array(MARKS)
  /** Lanes by which records are marked. Equal floats may have different bits. */
  readonly #markedLanes: readonly number[]

  constructor(layout: RecordLayout, keepDeletes: boolean) {
    this.#layout = layout
    this.#keepDeletes = keepDeletes
    const floats = layout.floats.flatMap(({ lane, laneCount }) => [lane, lane + laneCount - 1])
    this.#markedLanes = layout.laneBytes.flatMap((_, lane) =>
      lane < layout.keyLaneCount || floats.includes(lane) ? [] : [lane],
    )
  }

  /** Takes note of the next operations, all of them. */
  note({ lanes, kinds, count }: WideOperations): void {
    const rows = kinds === undefined ? 0 : count
    for (let row = 0; row < rows; row++) {
      if (kinds![row] === DELETE_KEY) {
        this.#deletedTo = this.#noted + row
        this.#deletedAt.clear()
      } else if (kinds![row] === DELETE_RECORD) {
        this.#deletedAt.set(recordText(this.#layout, lanes, row), this.#noted + row)
        this.#marks[this.#markOf(lanes, row)] = 1
      }
    }
    this.#noted += count
  }

  keeps({ lanes, kinds }: WideOperations, row: number): boolean {
    const place = this.#place++
    if (place < this.#deletedTo) return false
    const kind = kinds === undefined ? PUT : kinds[row]!
    if (kind === DELETE_KEY) return this.#keepDeletes
    if (kind === PUT && this.#marks[this.#markOf(lanes, row)] === 0) return true
    const deletedAt = this.#deletedAt.get(recordText(this.#layout, lanes, row)) ?? -1
    return kind === DELETE_RECORD ? this.#keepDeletes && deletedAt === place : deletedAt < place
  }

  #markOf(lanes: readonly Uint32Array[], row: number): number {
    let hash = HASH_START
    for (const lane of this.#markedLanes) hash = hashLane(hash, lanes[lane]![row]!)
    return hash & (MARKS - 1)
  }
}
