/**
 * What is left of sorted operations: drops what deletes hide, and with `duplicates: 'replace'` what was replaced; with
 * `combine` the records of a key become one.
 *
 * One key at a time, from its newest operation to its oldest. A delete is dropped with what it hides only if nothing
 * older can exist (`keepDeletes` false): in a scan, or in a merge that includes the oldest file (Bitcask #82).
 * docs/internals.md, Deletes.
 */
import { Combiner, NOWHERE } from '../records/combine.js'
import { compareRows } from '../records/compare.js'
import { DELETE_KEY, DELETE_RECORD, PUT, type OperationBuffer } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { RecordSet } from '../records/record-set.js'
import { NewestFirstJudge } from './key-judge.js'

export interface ResolveOptions {
  readonly layout: RecordLayout
  readonly replace: boolean
  /** Older operations may exist elsewhere: deletes stay. */
  readonly keepDeletes: boolean
}

/** Resolves the rows in place. Requires: sorted by key, within a key oldest first, all operations of each key. */
export function resolve(rows: OperationBuffer, options: ResolveOptions): void {
  const combiner = Combiner.of(options.layout)
  if (combiner !== undefined) {
    resolveCombined(rows, options, combiner)
    return
  }
  if (rows.kinds === undefined && !options.replace) return
  const { layout, keepDeletes } = options
  const { keyLaneCount } = layout
  const keep = new Uint8Array(rows.count)
  const judge = new NewestFirstJudge(layout, keepDeletes)
  for (let from = 0; from < rows.count;) {
    let to = from + 1
    while (to < rows.count && compareRows(rows.lanes, to, rows.lanes, from, keyLaneCount) === 0) to++
    if (options.replace) resolveReplaced(layout, rows, from, to, keep, keepDeletes)
    else resolveKept(rows, from, to, keep, judge)
    from = to
  }
  rows.keepOnly(keep)
}

/** `duplicates: 'keep'`: every put that no newer delete hides. */
function resolveKept(
  rows: OperationBuffer,
  from: number,
  to: number,
  keep: Uint8Array,
  judge: NewestFirstJudge,
): void {
  judge.begin()
  for (let row = to - 1; row >= from && !judge.isSettled; row--) keep[row] = judge.keeps(rows, row) ? 1 : 0
}

/** `duplicates: 'replace'`: the newest operation that settles the key. */
function resolveReplaced(
  layout: RecordLayout,
  rows: OperationBuffer,
  from: number,
  to: number,
  keep: Uint8Array,
  keepDeletes: boolean,
): void {
  const { kinds } = rows
  let deleted: RecordSet | undefined
  for (let row = to - 1; row >= from; row--) {
    const kind = kinds === undefined ? PUT : kinds[row]!
    if (kind === DELETE_RECORD) {
      deleted ??= new RecordSet(layout)
      // As long as nothing settles the key. One delete of a record does what two would.
      keep[row] = deleted.add(rows.lanes, row) && keepDeletes ? 1 : 0
      continue
    }
    // Older operations are replaced by this one, hidden or not, so newer deletes of records have done their work.
    const hidden = kind === DELETE_KEY || deleted?.has(rows.lanes, row) === true
    keep.fill(0, row + 1, to)
    keep[row] = !hidden || keepDeletes ? 1 : 0
    if (hidden && keepDeletes) rows.ensureKinds()[row] = DELETE_KEY
    return
  }
}

/**
 * With `combine`: for each key the newest delete, if deletes stay, and all newer puts as one. Such a table has no deletes of
 * records; where a repair finds some, they hide nothing.
 */
function resolveCombined(
  rows: OperationBuffer,
  { layout, keepDeletes }: ResolveOptions,
  combiner: Combiner,
): void {
  const { lanes, kinds, count } = rows
  const { keyLaneCount } = layout
  const places = new Uint32Array(count)
  // The next place; where the rows of the key begin; and whether the last one is a record of it.
  let next = 0
  let begin = 0
  let hasRecord = false
  for (let row = 0; row < count; row++) {
    if (row > 0 && !isSameKey(lanes, row, keyLaneCount)) {
      begin = next
      hasRecord = false
    }
    const kind = kinds === undefined ? PUT : kinds[row]!
    if (kind === PUT) places[row] = hasRecord ? next - 1 : next++
    else if (kind === DELETE_KEY) {
      // What was put before goes.
      next = begin
      places[row] = keepDeletes ? next++ : NOWHERE
    } else places[row] = NOWHERE
    if (kind !== DELETE_RECORD) hasRecord = kind === PUT
  }
  if (next === count) return
  combiner.combineRows(rows, places, keyLaneCount)
  rows.truncate(next)
}

/** Whether a row has the key of the row before. Hot: the last lanes differ most. */
function isSameKey(lanes: readonly Uint32Array[], row: number, keyLaneCount: number): boolean {
  for (let lane = keyLaneCount - 1; lane >= 0; lane--)
    if (lanes[lane]![row] !== lanes[lane]![row - 1]) return false
  return true
}
