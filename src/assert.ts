/** Asserts an invariant of our own code. A failure is a bug in flashtable, never the caller's or the disk's. */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new Error(`flashtable: broken invariant: ${invariant}`)
}
