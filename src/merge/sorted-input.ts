/**
 * What a merge reads from: a memtable or a bucket file, handed out in batches that are sorted by key.
 *
 * Implemented in memtable/ and bucket-file/, consumed by merge/ for compactions and for scans alike.
 */
import type { OperationBuffer } from '../records/operations.js'

export interface SortedInput {
  /** Whether deletes of keys or of records may be among its operations. */
  readonly hasDeletes: boolean
  /**
   * Appends the next batch of operations: ascending by key, within a key oldest first (the exact reverse if the
   * input was made for a reverse scan). Returns false at the end, and appends nothing.
   *
   * May append nothing and return true: then *delete where* entries hide the whole batch.
   */
  next(into: OperationBuffer): Promise<boolean>
  /** Another input: all operations of this key that this one hands out, oldest first, whatever has come already. */
  ofKey(key: Uint32Array): SortedInput
  /** Closes what the input holds open. */
  close(): Promise<void>
}
