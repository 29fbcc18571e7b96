import { FlashTableError } from './errors.js'

/** Asserts an invariant of our own code. A failure is a bug in flashtable, never the caller's or the disk's. */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (condition) return
  throw new FlashTableError(
    'FLASHTABLE_INTERNAL_ERROR',
    `flashtable: broken invariant: ${invariant}; this is a bug of flashtable, please report it`,
  )
}
