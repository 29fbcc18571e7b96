/**
 * Which bucket files are dropped without being read, because *delete where* entries hide all of their records: pure functions.
 *
 * The least and the greatest keys and values in a footer tell. So a program that forgets by time, or clears ranges of keys,
 * gives back the space of old files by one change of the manifest. docs/internals.md, Hidden data.
 */
import { ClearedKeys, clearedRange } from '../records/cleared-keys.js'
import type { DeleteWhere } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { matchesAll, mayMatch, type RecordBounds } from '../records/record-bounds.js'

/** What is looked at of a bucket file. */
export interface BoundedFile {
  readonly entry: { readonly endSequence: number }
  readonly footer: RecordBounds & {
    readonly dataPages: number
    readonly deleteKeys: number
    readonly deleteRecords: number
  }
  /** *Delete where* entries. */
  readonly deletes: readonly DeleteWhere[]
}

/**
 * The files whose records are all hidden, and whose deletes no older file needs. `files`: all of the table, oldest first;
 * `deletes`: all entries of the table; `replace`: `duplicates: 'replace'`.
 *
 * Invariant: what is left shows the same records. Records of a dropped file were hidden by an entry that is newer than all
 * of them, and stays. Where their keys were cleared, nothing older of these shows, whatever deletes go. Else the deletes of a
 * file go only where they have nothing to do: the file is the oldest of those left,
 * or it has *delete where* entries alone, which match nothing older. With `replace` a record still hides what it has
 * replaced, so such a file goes only if nothing is older.
 */
export function hiddenFiles<F extends BoundedFile>(
  files: readonly F[],
  deletes: readonly DeleteWhere[],
  layout: RecordLayout,
  replace: boolean,
): F[] {
  const cleared = new ClearedKeys(layout)
  for (const where of deletes) {
    const range = clearedRange(layout, where)
    if (range !== undefined) cleared.add(where.sequence, range)
  }
  const hidden: F[] = []
  const older: F[] = []
  for (const file of files) {
    const isCleared = hasClearedKeys(file, cleared)
    const isHidden =
      isCleared || file.footer.records === 0 || deletes.some(where => isHiddenBy(file, where, layout))
    if (isHidden && !isNeeded(file, isCleared, older, layout, replace)) hidden.push(file)
    else older.push(file)
  }
  return hidden
}

/** Whether an entry that is newer than the file hides all of its records. */
export function isHiddenBy(
  { entry, footer }: BoundedFile,
  where: DeleteWhere,
  layout: RecordLayout,
): boolean {
  return where.sequence >= entry.endSequence && matchesAll(layout, where, footer)
}

/** Whether all keys of the file were cleared after it: by one clear, or by several together. */
function hasClearedKeys({ entry, footer }: BoundedFile, cleared: ClearedKeys): boolean {
  const { dataPages, firstKey, lastKey } = footer
  return dataPages > 0 && cleared.covers(firstKey, lastKey, entry.endSequence - 1, Infinity)
}

function isNeeded(
  { footer, deletes }: BoundedFile,
  isCleared: boolean,
  older: readonly BoundedFile[],
  layout: RecordLayout,
  replace: boolean,
): boolean {
  if (older.length === 0) return false
  const { deleteKeys, deleteRecords, records } = footer
  if (!isCleared && (deleteKeys + deleteRecords > 0 || (replace && records > 0))) return true
  return deletes.some(where => older.some(file => mayMatch(layout, where, file.footer)))
}
