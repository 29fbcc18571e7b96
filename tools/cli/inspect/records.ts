/** Operations as `inspect` shows them: what each is, with its key and its fields as JSON has them. */
import type { StoredFieldType } from '../../../src/encoding/stored-schema.js'
import type { Schema } from '../../../src/encoding/schema.js'
import { clearedRange } from '../../../src/records/cleared-keys.js'
import { isFloatRange, wordsOfOrdered } from '../../../src/records/lane-ranges.js'
import {
  DELETE_KEY,
  DELETE_RECORD,
  type DeleteWhere,
  type WideOperations,
} from '../../../src/records/operations.js'
import { inLine } from '../output.js'
import { jsonLinesFormat, type RowField } from '../rows/row-format.js'
import { storedFields } from '../../../src/encoding/stored-schema.js'

/** A value as JSON has it: 64-bit integers are strings, bytes are hexadecimal digits. */
export type Cell = unknown

/** One operation. A `del` has no fields: it is about the key. */
export interface InspectedRow {
  readonly row: number
  readonly kind: 'put' | 'del' | 'delRecord'
  readonly key: Cell
  readonly fields: Readonly<Record<string, Cell>> | null
}

/** A *delete where* entry. */
export interface InspectedDelete {
  readonly sequence: number
  readonly what: 'delete where' | 'clear'
  /** What it hides, as text: `id=42, time<=1700`, or `keys 5 to 9`. */
  readonly where: string
}

/** A column of the table, with its lanes within the record. */
export interface InspectedColumn {
  readonly field: RowField
  readonly lane: number
  readonly lanes: number
}

export function columnsOf(schema: Schema): readonly InspectedColumn[] {
  let lane = 0
  return storedFields(schema.stored).map(field => {
    const column = { field, lane, lanes: laneCountOf(field) }
    lane += column.lanes
    return column
  })
}

function laneCountOf(type: StoredFieldType): number {
  if ('bytes' in type) return Math.ceil(type.bytes / 4)
  return type.type.endsWith('64') ? 2 : 1
}

/** The operations of rows [from, to). */
export function rowsOfOperations(
  schema: Schema,
  { lanes, kinds }: WideOperations,
  from: number,
  to: number,
): InspectedRow[] {
  return recordsOf(schema, lanes, from, to).map(({ key, ...fields }, i) => {
    const kind = kinds?.[from + i]
    if (kind === DELETE_KEY) return { row: from + i, kind: 'del', key, fields: null }
    return { row: from + i, kind: kind === DELETE_RECORD ? 'delRecord' : 'put', key, fields }
  })
}

/** The key that these lanes are. */
export function keyOf(schema: Schema, key: ArrayLike<number>): Cell {
  const lanes = Array.from({ length: schema.layout.laneCount }, (_, i) => Uint32Array.of(key[i] ?? 0))
  return recordsOf(schema, lanes, 0, 1)[0]!['key']
}

export function cellText(cell: Cell): string {
  return inLine(typeof cell === 'object' ? JSON.stringify(cell) : String(cell))
}

export function deleteOf(schema: Schema, entry: DeleteWhere): InspectedDelete {
  const { sequence, ranges = [] } = entry
  const cleared = clearedRange(schema.layout, entry)
  if (cleared !== undefined) {
    const isAll = isLeast(cleared.lower) && isGreatest(schema, 0, cleared.upper)
    const where = isAll
      ? 'all keys'
      : `keys ${cellText(keyOf(schema, cleared.lower))} to ${cellText(keyOf(schema, cleared.upper))}`
    return { sequence, what: 'clear', where }
  }
  const terms = columnsOf(schema).flatMap(column => {
    const { lane, field } = column
    const at = entry.lanes.indexOf(lane)
    const name = field.name
    if (at >= 0) return `${name}=${valueText(schema, column, entry.values.slice(at, at + column.lanes))}`
    const range = ranges.find(range => range.lane === lane)
    if (range === undefined) return []
    const isFloat = isFloatRange(schema.layout, range)
    const text = (words: readonly number[]): string =>
      valueText(schema, column, isFloat ? wordsOfOrdered(words) : words)
    const least = !isFloat && isLeast(range.lower)
    const greatest = !isFloat && isGreatest(schema, lane, range.upper)
    return [
      ...(least ? [] : [`${name}>=${text(range.lower)}`]),
      ...(greatest ? [] : [`${name}<=${text(range.upper)}`]),
      ...(least && greatest ? [`any ${name}`] : []),
    ]
  })
  return { sequence, what: 'delete where', where: terms.join(', ') }
}

function isLeast(words: readonly number[]): boolean {
  return words.every(word => word === 0)
}

function isGreatest({ layout }: Schema, lane: number, words: readonly number[]): boolean {
  return words.every((word, i) => word === 2 ** (8 * layout.laneBytes[lane + i]!) - 1)
}

function valueText(schema: Schema, { field, lane }: InspectedColumn, words: readonly number[]): string {
  const lanes = Array.from({ length: schema.layout.laneCount }, (_, i) =>
    Uint32Array.of(words[i - lane] ?? 0),
  )
  return cellText(recordsOf(schema, lanes, 0, 1)[0]![field.name])
}

function recordsOf(
  schema: Schema,
  lanes: readonly Uint32Array[],
  from: number,
  to: number,
): Record<string, Cell>[] {
  const columns = schema.lanesToColumns(lanes, from, to, true)
  const records: Record<string, Cell>[] = []
  for (const chunk of jsonLinesFormat(storedFields(schema.stored)).chunks(columns, 0, to - from))
    for (const line of chunk.toString().trimEnd().split('\n'))
      records.push(JSON.parse(line) as Record<string, Cell>)
  return records
}
