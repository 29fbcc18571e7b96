/**
 * Which bucket files are dropped without being read, because *delete where* entries hide all of their records: pure functions.
 *
 * The least and the greatest values in a footer tell. So a program that forgets by time gives back the space of old files by
 * one change of the manifest. docs/internals.md, Hidden data.
 */
import type { DeleteWhere } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { matchesAll, mayMatch, type ValueBounds } from '../records/value-bounds.js'

/** What is looked at of a bucket file. */
export interface BoundedFile {
  readonly entry: { readonly endSequence: number }
  readonly footer: ValueBounds & {
    readonly records: number
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
 * of them, and stays. The deletes of a file go only where they have nothing to do: the file is the oldest of those left,
 * or it has *delete where* entries alone, which match nothing older. With `replace` a record still hides what it has
 * replaced, so such a file goes only if nothing is older.
 */
export function hiddenFiles<F extends BoundedFile>(
  files: readonly F[],
  deletes: readonly DeleteWhere[],
  layout: RecordLayout,
  replace: boolean,
): F[] {
  const hidden: F[] = []
  const older: F[] = []
  for (const file of files) {
    if (isHidden(file, deletes, layout) && !isNeeded(file, older, layout, replace)) hidden.push(file)
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

function isHidden(file: BoundedFile, deletes: readonly DeleteWhere[], layout: RecordLayout): boolean {
  return file.footer.records === 0 || deletes.some(where => isHiddenBy(file, where, layout))
}

function isNeeded(
  { footer, deletes }: BoundedFile,
  older: readonly BoundedFile[],
  layout: RecordLayout,
  replace: boolean,
): boolean {
  if (older.length === 0) return false
  if (footer.deleteKeys + footer.deleteRecords > 0 || (replace && footer.records > 0)) return true
  return deletes.some(where => older.some(file => mayMatch(layout, where, file.footer)))
}
