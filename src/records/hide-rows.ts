/**
 * Drops what *delete where* entries hide from freshly decoded rows.
 *
 * With `duplicates: 'replace'` a put that is hidden by its values still hides what it replaced: it becomes a *delete key*.
 * Of a key that was cleared nothing older shows, so its deletes go, too.
 * docs/internals.md, Deletes.
 */
import type { DeleteWhereIndex } from './delete-where-index.js'
import { DELETE_KEY, PUT, type OperationBuffer } from './operations.js'

/** Which entries count, and what happens to what they hide. */
export interface Hiding {
  readonly deletes: DeleteWhereIndex
  /** Entries with this sequence number and above are not seen. */
  readonly before: number
  /** `duplicates: 'replace'`. */
  readonly replace: boolean
}

/** Applies the entries to the rows from `from` on, whose sequence numbers are at most `sequence`. */
export function hideRows(rows: OperationBuffer, from: number, sequence: number, hiding: Hiding): void {
  const { deletes, before, replace } = hiding
  if (deletes.size === 0) return
  const { lanes } = rows
  let kept = from
  for (let row = from; row < rows.count; row++) {
    const kind = rows.kinds === undefined ? PUT : rows.kinds[row]!
    if (deletes.clears(lanes, row, sequence, before)) continue
    const hidden = kind === PUT && deletes.matches(lanes, row, sequence, before)
    if (hidden && !replace) continue
    if (kept !== row) for (const lane of lanes) lane[kept] = lane[row]!
    if (hidden) rows.ensureKinds()[kept] = DELETE_KEY
    else if (rows.kinds !== undefined) rows.kinds[kept] = kind
    kept++
  }
  rows.count = kept
}
