/**
 * What a merge reads from: a memtable or a bucket file, handed out in stretches that are sorted by key.
 *
 * Implemented in memtable/ and bucket-file/, consumed by merge/ for compactions and for scans alike.
 */
import type { OperationBuffer } from '../records/operations.js'

export interface SortedInput {
  /**
   * Appends the next stretch of operations: ascending by key, within a key oldest first (the exact reverse where the
   * input was made for a reverse scan). False, and nothing appended, at the end.
   *
   * True may come with nothing appended, where all of a stretch is hidden by *delete where* entries.
   */
  next(into: OperationBuffer): Promise<boolean>
  /** Lets go of what the input holds open. */
  close(): Promise<void>
}
