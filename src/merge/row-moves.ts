/**
 * Where sorted rows go when the puts of each key become one: first each put takes in the one before it, then all rows move
 * to their places, and of those with the same place the last one stays.
 *
 * Hot: neither what is done for a row nor where it goes hangs on a branch, which for every third row would be taken wrongly.
 */
import { compareRows } from '../records/compare.js'
import { DELETE_KEY, PUT, type OperationBuffer } from '../records/operations.js'

/** The place of a row that goes without a trace. */
const NOWHERE = 2 ** 32 - 1

/** Its memory is kept for as many rows; one key may have many more. */
const ROWS_KEPT_MAX = 2 ** 17

export class RowMoves {
  /** The place of each row, not above its own. */
  #places = new Uint32Array(0)
  /** Puts that become one: row `newer[i]` takes in row `older[i]`, in this order. */
  older = new Uint32Array(0)
  newer = new Uint32Array(0)
  pairs = 0
  /** Rows that are left. */
  kept = 0

  /** Plans the moves of these rows. With `keepDeletes` the newest delete of each key stays. */
  plan(rows: OperationBuffer, keyLaneCount: number, keepDeletes: boolean): void {
    this.pairs = this.kept = 0
    if (this.#places.length < rows.count) {
      this.#places = new Uint32Array(rows.count)
      this.older = new Uint32Array(rows.count)
      this.newer = new Uint32Array(rows.count)
    }
    if (rows.kinds !== undefined) this.#planAll(rows, rows.kinds, keyLaneCount, keepDeletes)
    else if (rows.count > 0) this.#planPuts(rows, keyLaneCount)
  }

  #planPuts({ lanes, count }: OperationBuffer, keyLaneCount: number): void {
    const places = this.#places
    const { older, newer } = this
    const high = lanes[0]!
    const low = lanes[keyLaneCount - 1]!
    let place = 0
    let pairs = 0
    places[0] = 0
    for (let row = 1; row < count; row++) {
      let different = (high[row]! ^ high[row - 1]!) | (low[row]! ^ low[row - 1]!)
      for (let lane = 1; lane < keyLaneCount - 1; lane++)
        different |= lanes[lane]![row]! ^ lanes[lane]![row - 1]!
      // 1 if any bit is set.
      const step = (different | -different) >>> 31
      place += step
      places[row] = place
      // What is written where the keys differ is written over.
      older[pairs] = row - 1
      newer[pairs] = row
      pairs += 1 - step
    }
    this.pairs = pairs
    this.kept = place + 1
  }

  /** With deletes: a delete of the key stays in the first place of its key, or goes. Those of records hide nothing. */
  #planAll(
    { lanes, count }: OperationBuffer,
    kinds: Uint8Array,
    keyLaneCount: number,
    keepDeletes: boolean,
  ): void {
    // The next place; where those of the key begin; and the last put of the key that nothing hides.
    let next = 0
    let begin = 0
    let put = -1
    for (let row = 0; row < count; row++) {
      if (row > 0 && compareRows(lanes, row - 1, lanes, row, keyLaneCount) !== 0) {
        begin = next
        put = -1
      }
      this.#places[row] = NOWHERE
      if (kinds[row] === PUT) {
        if (put < 0) next++
        else {
          this.older[this.pairs] = put
          this.newer[this.pairs++] = row
        }
        this.#places[row] = next - 1
        put = row
      } else if (kinds[row] === DELETE_KEY) {
        next = begin
        if (keepDeletes) this.#places[row] = next++
        put = -1
      }
    }
    this.kept = next
  }

  apply(rows: OperationBuffer): void {
    const { lanes, kinds, count } = rows
    if (kinds === undefined) for (const lane of lanes) moveAll(lane, this.#places, count)
    else for (const column of [...lanes, kinds]) moveSome(column, this.#places, count)
    rows.truncate(this.kept)
    if (count <= ROWS_KEPT_MAX) return
    this.#places = this.older = this.newer = new Uint32Array(0)
  }
}

function moveAll(column: Uint32Array, places: Uint32Array, count: number): void {
  for (let row = 0; row < count; row++) column[places[row]!] = column[row]!
}

function moveSome(column: Uint32Array | Uint8Array, places: Uint32Array, count: number): void {
  for (let row = 0; row < count; row++) if (places[row] !== NOWHERE) column[places[row]!] = column[row]!
}
