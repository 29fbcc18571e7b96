/** Columns for the user out of many rows, in slices: the event loop turns in between. */
import { Turns } from '../async/turns.js'
import type { Schema } from '../encoding/schema.js'
import type { WideOperations } from '../records/operations.js'

/** Rows that are decoded before the event loop may get a turn. */
const SLICE_ROWS = 2 ** 16

type Columns = ReturnType<Schema['lanesToColumns']>

/** As `schema.lanesToColumns` of all rows. */
export async function columnsInTurns(
  schema: Schema,
  rows: WideOperations,
  withKey: boolean,
): Promise<Columns> {
  const slice = (from: number): Columns =>
    schema.lanesToColumns(rows.lanes, from, Math.min(rows.count, from + SLICE_ROWS), withKey)
  if (rows.count <= SLICE_ROWS) return slice(0)
  const turns = new Turns()
  const slices: Columns[] = []
  for (let from = 0; from < rows.count; from += SLICE_ROWS) {
    if (turns.due()) await turns.take()
    slices.push(slice(from))
  }
  const whole: Columns = {}
  for (const name of Object.keys(slices[0]!)) {
    if (turns.due()) await turns.take()
    whole[name] = joined(slices.map(columns => columns[name]!))
  }
  return whole
}

/** The columns, all of one kind, concatenated. */
function joined(columns: readonly Columns[string][]): Columns[string] {
  const length = columns.reduce((sum, column) => sum + column.length, 0)
  const Column = columns[0]!.constructor as new (length: number) => Uint8Array<ArrayBuffer>
  const whole = new Column(length)
  let at = 0
  for (const column of columns) {
    whole.set(column as Uint8Array, at)
    at += column.length
  }
  return whole
}
