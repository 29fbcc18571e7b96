/**
 * What is left of sorted operations: drops what deletes hide, and with `duplicates: 'replace'` what was replaced; with
 * `combine` the records of a key become one.
 *
 * One key at a time, from its newest operation to its oldest. A delete is dropped with what it hides only if nothing
 * older can exist (`keepDeletes` false): in a scan, or in a merge that includes the oldest file (Bitcask #82).
 * docs/internals.md, Deletes.
 */
import { Combiner } from '../records/combine.js'
import { compareRows } from '../records/compare.js'
import { DELETE_KEY, DELETE_RECORD, PUT, type OperationBuffer } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { RecordSet } from '../records/record-set.js'
import { NewestFirstJudge } from './key-judge.js'
import { RowMoves } from './row-moves.js'

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

/** Its memory serves all resolves of the thread, which do not wait for anything. */
const moves = new RowMoves()

/** With `combine`: for each key the newest delete, if deletes stay, and all newer puts as one. */
function resolveCombined(
  rows: OperationBuffer,
  { layout, keepDeletes }: ResolveOptions,
  combiner: Combiner,
): void {
  const { count } = rows
  moves.plan(rows, layout.keyLaneCount, keepDeletes)
  if (moves.kept === count) return
  combiner.combineEach(rows.lanes, moves.older, moves.newer, moves.pairs)
  moves.apply(rows)
}
