/** Columns that are split by partition, and those of several partitions that become one. */
import { Turns } from '../async/turns.js'
import { typedArrayName } from '../base/describe-value.js'
import type { Column, OwnColumn } from '../encoding/field-type.js'

/** Rows that are copied before the event loop may get a turn. */
const SLICE_ROWS = 2 ** 16

/** Of this realm: what is given may be of a subclass, or of another realm. */
const CLASSES: Readonly<Record<string, new (length: number) => OwnColumn>> = {
  Uint8Array,
  Uint16Array,
  Uint32Array,
  Int8Array,
  Int16Array,
  Int32Array,
  Float32Array,
  Float64Array,
  BigUint64Array,
  BigInt64Array,
}

/** The columns of what one partition has found, with `query`: the position of the key in what it was given. */
export interface PartHits {
  /** The position in the whole of each key that it was given. */
  readonly rows: Uint32Array
  readonly columns: Readonly<Record<string, OwnColumn>>
}

/** A new column of these rows. `width`: elements of a row. */
export function gatherRows(column: Column, width: number, rows: Uint32Array): OwnColumn {
  const target = newColumnLike(column, rows.length * width)
  const [from, to] = [unitsOf(column), unitsOf(target)]
  const units = width * unitsPerElement(column)
  for (let row = 0; row < rows.length; row++) {
    const [start, place] = [rows[row]! * units, row * units]
    for (let at = 0; at < units; at++) to[place + at] = from[start + at]!
  }
  return target
}

/**
 * The hits of all partitions, which are in key order, as those of one table: in the order of `queries` keys, then in key
 * order. `none`: the columns without a row.
 */
export async function mergeHits(
  queries: number,
  parts: readonly PartHits[],
  none: Readonly<Record<string, OwnColumn>>,
): Promise<Record<string, OwnColumn>> {
  const turns = new Turns()
  /** Where the next row of each query goes. */
  const next = new Uint32Array(queries + 1)
  for (const { rows, columns } of parts)
    for (const query of columns['query'] as Uint32Array) next[rows[query]! + 1]!++
  for (let query = 0; query < queries; query++) next[query + 1]! += next[query]!
  const count = next[queries]!
  const query = new Uint32Array(count)
  const merged: Record<string, OwnColumn> = { query }
  for (const [name, column] of Object.entries(none))
    merged[name] = newColumnLike(column, count * widthOf(name, parts))
  for (const { rows, columns } of parts) {
    const found = columns['query'] as Uint32Array
    for (let from = 0; from < found.length; from += SLICE_ROWS) {
      if (turns.due()) await turns.take()
      const to = Math.min(found.length, from + SLICE_ROWS)
      const places = new Uint32Array(to - from)
      for (let row = from; row < to; row++) {
        const whole = rows[found[row]!]!
        const place = next[whole]!++
        places[row - from] = place
        query[place] = whole
      }
      for (const name of Object.keys(none))
        scatterRows(columns[name]!, widthOf(name, parts), from, places, merged[name]!)
    }
  }
  return merged
}

/** Puts the rows from row `from` on at these places. */
function scatterRows(
  source: OwnColumn,
  width: number,
  from: number,
  places: Uint32Array,
  target: OwnColumn,
): void {
  const [read, written] = [unitsOf(source), unitsOf(target)]
  const units = width * unitsPerElement(source)
  for (let i = 0; i < places.length; i++) {
    const [start, place] = [(from + i) * units, places[i]! * units]
    for (let at = 0; at < units; at++) written[place + at] = read[start + at]!
  }
}

/** The column as unsigned integers of up to 32 bits: a NaN that is copied as a number may become another one, a bigint costs memory. */
function unitsOf(column: Column): Uint8Array | Uint16Array | Uint32Array {
  const { buffer, byteOffset, byteLength, BYTES_PER_ELEMENT: bytes } = column
  if (bytes === 1) return new Uint8Array(buffer, byteOffset, byteLength)
  if (bytes === 2) return new Uint16Array(buffer, byteOffset, byteLength / 2)
  return new Uint32Array(buffer, byteOffset, byteLength / 4)
}

function unitsPerElement({ BYTES_PER_ELEMENT: bytes }: Column): number {
  return bytes === 8 ? 2 : 1
}

/** Elements of a row, by a part that has rows. */
function widthOf(name: string, parts: readonly PartHits[]): number {
  const part = parts.find(({ columns }) => columns['query']!.length > 0)
  return part === undefined ? 1 : part.columns[name]!.length / part.columns['query']!.length
}

function newColumnLike(column: Column, length: number): OwnColumn {
  return new CLASSES[typedArrayName(column)!]!(length)
}
