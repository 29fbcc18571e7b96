/**
 * The records of one key in the memtables of a view, where all that they hold of it are puts. All else is for `Lookup`.
 */
import type { Memtable } from '../memtable/memtable.js'
import { PUT, type OperationBuffer } from '../records/operations.js'
import type { View } from '../state/table-state.js'

/** Of a key with more rows in a memtable `Lookup` is asked, which lets the event loop turn. */
const ROWS_MAX = 1024

export class MemtableRows {
  /** Rows of the key in one memtable, newest first. */
  readonly #found: number[] = []

  /**
   * Appends all records of the key, from old to new; false where there are other operations than puts or
   * very many: then what was appended is to be dropped.
   */
  appendAll(view: View, key: Uint32Array, into: OperationBuffer): boolean {
    const { version, active, length } = view
    return (
      version.sealed.every(({ memtable }) => this.#append(view, memtable, memtable.count, key, into)) &&
      this.#append(view, active.memtable, length, key, into)
    )
  }

  /**
   * Appends the newest record of the key, unless it is hidden; false where that is not simple, then nothing. With `replace` a
   * hidden record has no older one to show. Requires: a memtable has the key.
   */
  appendNewest(view: View, key: Uint32Array, replace: boolean, into: OperationBuffer): boolean {
    const { version, active, length } = view
    let { memtable } = active
    let row = memtable.findNewest(key, length)
    for (let i = version.sealed.length - 1; i >= 0 && row < 0; i--) {
      memtable = version.sealed[i]!.memtable
      row = memtable.findNewest(key, memtable.count)
    }
    if (!isPut(memtable, row)) return false
    return this.#appendRow(view, memtable, row, into) || replace
  }

  #append(view: View, memtable: Memtable, length: number, key: Uint32Array, into: OperationBuffer): boolean {
    const found = this.#found
    found.length = 0
    if (length === 0) return true
    for (let row = memtable.findNewest(key, length); row >= 0; row = memtable.findOlder(row, key)) {
      if (!isPut(memtable, row) || found.length === ROWS_MAX) return false
      found.push(row)
    }
    for (let i = found.length - 1; i >= 0; i--) this.#appendRow(view, memtable, found[i]!, into)
    return true
  }

  /** Appends a row, unless it is hidden by its values; whether it did. */
  #appendRow({ deletes, sequence }: View, memtable: Memtable, row: number, into: OperationBuffer): boolean {
    if (deletes.size > 0 && deletes.hides(memtable.lanes, row, memtable.sequenceOf(row), sequence))
      return false
    into.reserve(1)
    const at = into.count
    for (let lane = 0; lane < memtable.lanes.length; lane++)
      into.lanes[lane]![at] = memtable.lanes[lane]![row]!
    into.count = at + 1
    return true
  }
}

function isPut({ kinds }: Memtable, row: number): boolean {
  return kinds === undefined || kinds[row] === PUT
}
