/**
 * `putIfAbsent`: decides which of the conditional puts of a commit group are put, before anything of it is written.
 *
 * Requires: no other group is committed meanwhile. So what is decided here is what the log holds, and what recovery gives.
 * docs/internals.md, Conditional puts.
 */
import { HashIndex } from '../memtable/hash-index.js'
import { resolve } from '../merge/resolve.js'
import {
  DELETE_KEY,
  DELETE_RECORD,
  OperationBuffer,
  PUT,
  PUT_IF_ABSENT,
  type Operations,
} from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'

/** What the table has now. */
export interface Presence {
  /** For each key, a column a lane: 1 if it has a record, else 0. A promise only where it takes more than a moment. */
  hasEach(keys: readonly Uint32Array[]): Uint8Array | Promise<Uint8Array>
  /** The records of a key, oldest first. */
  recordsOf(key: Uint32Array): Promise<Operations>
}

/** The table that the records are put into. */
export interface ConditionalTable {
  readonly layout: RecordLayout
  /** `duplicates: 'replace'`. */
  readonly replace: boolean
  readonly presence: Presence
}

/**
 * Turns the conditional puts of a group into puts, and drops those whose keys have records: in the table, or by earlier
 * operations of the group. Gives for each row that the group had a 1 if it is still there. If it throws, the group must
 * not be committed.
 */
export function decideConditionalPuts(
  group: OperationBuffer,
  table: ConditionalTable,
): Uint8Array | Promise<Uint8Array> {
  const decision = new Decision(group, table)
  const has = table.presence.hasEach(decision.keys)
  return ArrayBuffer.isView(has) ? decision.decide(has) : has.then(has => decision.decide(has))
}

class Decision {
  readonly #group: OperationBuffer
  readonly #table: ConditionalTable
  readonly #kinds: Uint8Array
  readonly #index: HashIndex
  readonly #key: Uint32Array
  /** Of each row that is a conditional put: the newest earlier row of its key, or -1. */
  readonly #earlier: Int32Array
  /** The keys of conditional puts without an earlier row, in the order of the rows. The table is asked for them. */
  readonly keys: readonly Uint32Array[]
  readonly #keep: Uint8Array

  constructor(group: OperationBuffer, table: ConditionalTable) {
    const { lanes, count } = group
    const { keyLaneCount } = table.layout
    this.#group = group
    this.#table = table
    this.#kinds = group.ensureKinds()
    this.#index = new HashIndex(lanes.slice(0, keyLaneCount), count)
    this.#key = new Uint32Array(keyLaneCount)
    this.#earlier = new Int32Array(count)
    this.#keep = new Uint8Array(count).fill(1)
    const asked = new Uint32Array(count)
    let askedCount = 0
    for (let row = 0; row < count; row++) {
      if (this.#kinds[row] !== PUT_IF_ABSENT) continue
      this.#earlier[row] = row === 0 ? -1 : this.#index.findNewest(this.#keyOf(row), row)
      if (this.#earlier[row]! < 0) asked[askedCount++] = row
    }
    this.keys = lanes.slice(0, keyLaneCount).map(lane => {
      const column = new Uint32Array(askedCount)
      for (let i = 0; i < askedCount; i++) column[i] = lane[asked[i]!]!
      return column
    })
  }

  /** `has`: which of the keys have records in the table. A promise only where a key must be worked out. */
  decide(has: Uint8Array): Uint8Array | Promise<Uint8Array> {
    const unclear = this.#decideFrom(0, 0, has)
    return unclear === undefined ? this.#ended() : unclear.then(() => this.#ended())
  }

  /** Decides the rows from `row` on, the first of which without an earlier one has its answer at `next`. */
  #decideFrom(row: number, next: number, has: Uint8Array): Promise<void> | undefined {
    const { count } = this.#group
    const kinds = this.#kinds
    for (; row < count; row++) {
      if (kinds[row] !== PUT_IF_ABSENT) continue
      const earlier = this.#earlier[row]!
      const kind = earlier < 0 ? PUT : kinds[earlier]!
      if (kind === DELETE_RECORD) {
        const at = row
        return this.#hasBefore(row).then(present => {
          this.#settle(at, present)
          return this.#decideFrom(at + 1, next, has)
        })
      }
      // An earlier conditional put leaves its key with a record, whether it was put or not.
      this.#settle(row, earlier < 0 ? has[next++] === 1 : kind !== DELETE_KEY)
    }
    return undefined
  }

  #settle(row: number, present: boolean): void {
    this.#kinds[row] = PUT
    if (present) this.#keep[row] = 0
  }

  /** Whether the key of a row has a record behind all earlier rows: a *delete record* may have left some. */
  async #hasBefore(row: number): Promise<boolean> {
    const { layout, replace, presence } = this.#table
    const key = this.#keyOf(row).slice()
    const earlier: number[] = []
    for (let older = this.#index.findNewest(key, row); older >= 0; older = this.#index.findOlder(older, key))
      if (this.#keep[older] === 1) earlier.push(older)
    const operations = new OperationBuffer(layout)
    const records = await presence.recordsOf(key)
    operations.append(records, 0, records.count)
    operations.gather(this.#group, Uint32Array.from(earlier.reverse()))
    resolve(operations, { layout, replace, keepDeletes: false })
    return operations.count > 0
  }

  #ended(): Uint8Array {
    this.#group.keepOnly(this.#keep)
    return this.#keep
  }

  #keyOf(row: number): Uint32Array {
    const { lanes } = this.#group
    for (let lane = 0; lane < this.#key.length; lane++) this.#key[lane] = lanes[lane]![row]!
    return this.#key
  }
}
