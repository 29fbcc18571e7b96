/** Memtables with rows, kinds and *delete where* entries made up from a seed, and the plain twin of their meaning. */
import { Memtable } from '../../src/memtable/memtable.js'
import { DeleteWhereIndex } from '../../src/records/delete-where-index.js'
import type { Hiding } from '../../src/records/hide-rows.js'
import { compareLanes } from '../../src/records/lane-ranges.js'
import {
  DELETE_KEY,
  DELETE_RECORD,
  OperationBuffer,
  PUT,
  type DeleteWhere,
} from '../../src/records/operations.js'
import { recordLayout, type RecordLayout } from '../../src/records/record-layout.js'
import { randomKeyColumns } from './key-columns.js'
import type { Random } from './random.js'
import { matchesTerms } from './where.js'

/** Keys with this many lanes, and two value lanes, whose columns are narrow in a memtable. */
export function layoutOf(keyLaneCount: number): RecordLayout {
  return recordLayout(Array<number>(keyLaneCount).fill(4), [2, 1])
}

/** Operations with keys that are hard to sort and values below 4; one in eight is a delete, with `kinds`. */
export function randomOperations(
  random: Random,
  keyLaneCount: number,
  rows: number,
  kinds: boolean,
): OperationBuffer {
  const operations = new OperationBuffer(layoutOf(keyLaneCount), rows)
  const values = [0, 1].map(() => Uint32Array.from({ length: rows }, () => random.below(4)))
  const lanes = [...randomKeyColumns(random, keyLaneCount, rows), ...values]
  for (const [lane, column] of lanes.entries()) operations.lanes[lane]!.set(column)
  if (kinds) {
    const column = operations.ensureKinds()
    for (let row = 0; row < rows; row++)
      column[row] = random.pick([PUT, PUT, PUT, PUT, PUT, PUT, DELETE_KEY, DELETE_RECORD])
  }
  operations.count = rows
  return operations
}

/** A memtable of these operations, in pieces, with `entries` *delete where* entries between them. */
export function memtableOf(
  random: Random,
  operations: OperationBuffer,
  entries = 0,
  firstSequence = 1000,
): Memtable {
  const { count, lanes } = operations
  const keyLaneCount = lanes.length - 2
  const memtable = new Memtable(layoutOf(keyLaneCount), Math.max(1, count), firstSequence)
  const positions = Array.from({ length: entries }, () => random.below(count + 1)).sort((a, b) => a - b)
  for (const position of positions) {
    memtable.append(operations, memtable.count, position)
    memtable.appendDeleteWhere(randomEntry(random, keyLaneCount, memtable.endSequence))
  }
  memtable.append(operations, memtable.count, count)
  return memtable
}

/** An entry for one value lane, or for both: with a value or a range of each, or with one range of both. */
export function randomEntry(random: Random, keyLaneCount: number, sequence: number): DeleteWhere {
  const both = random.chance(0.5)
  if (random.chance(0.3)) {
    const lane = both ? keyLaneCount : keyLaneCount + random.below(2)
    const bound = () => Array.from({ length: both ? 2 : 1 }, () => random.below(4))
    const [lower, upper] = [bound(), bound()].sort(compareLanes)
    return { sequence, lanes: [], values: [], ranges: [{ lane, lower: lower!, upper: upper! }] }
  }
  if (both && random.chance(0.3)) {
    const range = { lane: keyLaneCount, lower: [random.below(2)], upper: [random.between(1, 3)] }
    return { sequence, lanes: [keyLaneCount + 1], values: [random.below(4)], ranges: [range] }
  }
  return {
    sequence,
    lanes: both ? [keyLaneCount, keyLaneCount + 1] : [keyLaneCount + random.below(2)],
    values: both ? [random.below(4), random.below(4)] : [random.below(4)],
  }
}

/** What a reader is to see of a row. */
export interface PlainRow {
  readonly row: number
  readonly lanes: readonly number[]
  readonly kind: number
}

/** The rows that remain of a memtable below `length` when the entries have had their effect, in row order. */
export function remainingRows(
  memtable: Memtable,
  length: number,
  entries: readonly DeleteWhere[],
  { before, replace }: Pick<Hiding, 'before' | 'replace'>,
): PlainRow[] {
  return Array.from({ length }, (_, row) => row).flatMap(row => {
    const kind = memtable.kinds?.[row] ?? PUT
    const lanes = memtable.lanes.map(lane => lane[row]!)
    const sequence = memtable.sequenceOf(row)
    const hidden =
      kind === PUT &&
      entries.some(
        entry =>
          entry.sequence > sequence && entry.sequence < before && matchesTerms(entry, lane => lanes[lane]),
      )
    if (hidden && !replace) return []
    return [{ row, lanes, kind: hidden ? DELETE_KEY : kind }]
  })
}

/** Key order, then row order. */
export function byKeyThenRow(keyLaneCount: number): (a: PlainRow, b: PlainRow) => number {
  return (a, b) => {
    for (let lane = 0; lane < keyLaneCount; lane++) {
      if (a.lanes[lane] !== b.lanes[lane]) return a.lanes[lane]! - b.lanes[lane]!
    }
    return a.row - b.row
  }
}

/** The rows of a buffer as text, a row each. */
export function textOf(rows: Iterable<Omit<PlainRow, 'row'>>): string[] {
  return Array.from(rows, ({ lanes, kind }) => `${kind}: ${lanes.join(' ')}`)
}

/** The rows of a buffer. */
export function plainRows(operations: OperationBuffer): Omit<PlainRow, 'row'>[] {
  return Array.from({ length: operations.count }, (_, row) => ({
    lanes: operations.lanes.map(lane => lane[row]!),
    kind: operations.kinds?.[row] ?? PUT,
  }))
}

/** How a reader hides with these entries. */
export function hidingOf(entries: readonly DeleteWhere[], before: number, replace: boolean): Hiding {
  // None of the values are floats, so the layout of any key serves.
  return { deletes: new DeleteWhereIndex(layoutOf(1), entries), before, replace }
}

/** The key of a row of the memtable; of none, all zeros. */
export function keyLanes(row: number, { lanes, layout, count }: Memtable): Uint32Array {
  return Uint32Array.from(lanes.slice(0, layout.keyLaneCount), lane => (row < count ? lane[row]! : 0))
}

/** Whether these are the lanes of a record of the key. */
export function startsWith(lanes: readonly number[], key: Uint32Array): boolean {
  return key.every((lane, i) => lanes[i] === lane)
}
