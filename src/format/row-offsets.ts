/** The keys of the rows of a page as distances from the key of its first row. Hot. */
import type { WideOperations } from '../records/operations.js'
import { offsetNumber, shiftOut, subtractKey } from './key-offset.js'

const TWO_32 = 2 ** 32

export class RowOffsets {
  readonly firstKey: Uint32Array
  /** The distance that {@link subtract} has computed. */
  readonly offset: Uint32Array
  readonly #key: Uint32Array
  #lanes: readonly Uint32Array[] = []
  #from = 0

  constructor(keyLaneCount: number) {
    this.firstKey = new Uint32Array(keyLaneCount)
    this.offset = new Uint32Array(keyLaneCount)
    this.#key = new Uint32Array(keyLaneCount)
  }

  /** Begins a page with row `from` of `rows`; its rows are counted from there. */
  begin(rows: WideOperations, from: number): void {
    this.#lanes = rows.lanes
    this.#from = from
    for (let lane = 0; lane < this.firstKey.length; lane++) this.firstKey[lane] = rows.lanes[lane]![from]!
  }

  /** `offset` = key of the row - first key, shifted to the right by `shift` zeros. */
  subtract(row: number, shift: number): void {
    const key = this.#key
    for (let lane = 0; lane < key.length; lane++) key[lane] = this.#lanes[lane]![this.#from + row]!
    subtractKey(key, this.firstKey, 0, this.offset)
    if (shift > 0) shiftOut(this.offset, shift)
  }

  /** The same distance as one number; `EXACT_MAX` or more if that is not exact. */
  numberOf(row: number, shift: number): number {
    const first = this.firstKey
    const lanes = this.#lanes
    const at = this.#from + row
    if (first.length === 1 && shift === 0) return lanes[0]![at]! - first[0]!
    if (first.length === 2 && shift === 0)
      return (lanes[0]![at]! - first[0]!) * TWO_32 + (lanes[1]![at]! - first[1]!)
    this.subtract(row, shift)
    return offsetNumber(this.offset)
  }
}
