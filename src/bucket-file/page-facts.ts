/**
 * What the data pages of a bucket file hold, counted while they are read: to be compared with what the footer says.
 *
 * Each page is looked at as a whole too: order of keys, kinds, values that fit their lanes. A checksum says that bytes are
 * those that were written, not that they make sense. docs/file-format.md, Bucket file; docs/durability.md, Verify.
 */
import type { Footer } from '../format/footer.js'
import { compareRows } from '../records/compare.js'
import { DELETE_KEY, DELETE_RECORD, KIND_COUNT, OperationBuffer } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import type { BucketFileCounts } from './page-builder.js'

export class PageFacts {
  readonly counts: BucketFileCounts = { records: 0, deleteKeys: 0, deleteRecords: 0, distinctKeys: 0 }
  readonly #layout: RecordLayout
  readonly #firstKey: number[] = []
  readonly #min: Uint32Array
  readonly #max: Uint32Array
  /** The last row so far, once there is one. */
  readonly #last: OperationBuffer

  constructor(layout: RecordLayout) {
    const valueLanes = layout.laneCount - layout.keyLaneCount
    this.#layout = layout
    this.#min = new Uint32Array(valueLanes).fill(0xffff_ffff)
    this.#max = new Uint32Array(valueLanes)
    this.#last = new OperationBuffer(layout, 1)
  }

  /** Operations so far. */
  get operations(): number {
    return this.counts.records + this.deletes
  }

  /** Deletes of keys and of records so far. */
  get deletes(): number {
    return this.counts.deleteKeys + this.counts.deleteRecords
  }

  /** Counts the rows of the next page. Returns whether its keys follow those of the page before. */
  add(rows: OperationBuffer): boolean {
    const { keyLaneCount } = this.#layout
    const last = this.#last
    const order = last.count === 0 ? -1 : compareRows(last.lanes, 0, rows.lanes, 0, keyLaneCount)
    if (last.count === 0)
      for (let lane = 0; lane < keyLaneCount; lane++) this.#firstKey.push(rows.lanes[lane]![0]!)
    if (order !== 0) this.counts.distinctKeys++
    for (let row = 1; row < rows.count; row++) {
      if (compareRows(rows.lanes, row - 1, rows.lanes, row, keyLaneCount) !== 0) this.counts.distinctKeys++
    }
    this.#count(rows)
    this.#widen(rows)
    last.clear()
    last.append(rows, rows.count - 1, rows.count)
    return order <= 0
  }

  /** Where footer and pages differ. Requires: all pages have been added. */
  differences(footer: Footer): string[] {
    const { records, deleteKeys, deleteRecords, distinctKeys } = this.counts
    const counted: [string, number, number][] = [
      ['puts', footer.records, records],
      ['deletes of keys', footer.deleteKeys, deleteKeys],
      ['deletes of records', footer.deleteRecords, deleteRecords],
      ['different keys', footer.distinctKeys, distinctKeys],
    ]
    const found = counted.flatMap(([what, said, there]) =>
      said === there ? [] : [`the footer counts ${said} ${what}, the pages hold ${there}`],
    )
    if (this.#last.count === 0) return found
    const lastKey = this.#last.lanes.slice(0, this.#layout.keyLaneCount).map(lane => lane[0]!)
    const bounds: [string, Uint32Array, ArrayLike<number>][] = [
      ['first key', footer.firstKey, this.#firstKey],
      ['last key', footer.lastKey, lastKey],
      ['least values', footer.minValues, this.#min],
      ['greatest values', footer.maxValues, this.#max],
    ]
    for (const [what, said, there] of bounds) {
      if (said.some((value, i) => value !== there[i]))
        found.push(`the footer has ${what} ${lanesText(said)}, the pages have ${lanesText(there)}`)
    }
    return found
  }

  #count({ kinds, count }: OperationBuffer): void {
    const { counts } = this
    if (kinds === undefined) {
      counts.records += count
      return
    }
    for (let row = 0; row < count; row++) {
      if (kinds[row] === DELETE_KEY) counts.deleteKeys++
      else if (kinds[row] === DELETE_RECORD) counts.deleteRecords++
      else counts.records++
    }
  }

  /** Deletes of keys have no values. */
  #widen({ lanes, kinds, count }: OperationBuffer): void {
    const { keyLaneCount } = this.#layout
    for (let lane = 0; lane < this.#min.length; lane++) {
      const values = lanes[keyLaneCount + lane]!
      let min = this.#min[lane]!
      let max = this.#max[lane]!
      for (let row = 0; row < count; row++) {
        if (kinds !== undefined && kinds[row] === DELETE_KEY) continue
        const value = values[row]!
        if (value < min) min = value
        if (value > max) max = value
      }
      this.#min[lane] = min
      this.#max[lane] = max
    }
  }
}

/** Why these cannot be the operations of a page or a frame of this layout, or `undefined`; a page is sorted too. */
export function rowsDefect(rows: OperationBuffer, layout: RecordLayout, sorted: boolean): string | undefined {
  const { keyLaneCount, laneCount, laneBytes } = layout
  for (let row = 0; rows.kinds !== undefined && row < rows.count; row++) {
    if (rows.kinds[row]! >= KIND_COUNT) return `row ${row} has the unknown operation kind ${rows.kinds[row]}`
  }
  for (let row = sorted ? 1 : rows.count; row < rows.count; row++) {
    if (compareRows(rows.lanes, row - 1, rows.lanes, row, keyLaneCount) > 0)
      return `row ${row} has a smaller key than the row before`
  }
  for (let lane = 0; lane < laneCount; lane++) {
    if (laneBytes[lane] === 4) continue
    const limit = 2 ** (8 * laneBytes[lane]!)
    const values = rows.lanes[lane]!
    for (let row = 0; row < rows.count; row++) {
      const has = lane < keyLaneCount || rows.kinds === undefined || rows.kinds[row] !== DELETE_KEY
      if (has && values[row]! >= limit)
        return `row ${row} has ${values[row]} in a lane of ${laneBytes[lane]} bytes`
    }
  }
  return undefined
}

/** As numbers in hexadecimal: only the schema knows what they mean. */
function lanesText(lanes: ArrayLike<number>): string {
  return `[${Array.from(lanes, lane => `0x${lane.toString(16)}`).join(' ')}]`
}
