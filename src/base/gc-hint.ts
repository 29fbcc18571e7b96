/**
 * Shared memory returns to the system after the garbage collector of every thread has found that nothing refers to it. V8
 * does not count SharedArrayBuffers as heap pressure, so without a hint it would not collect them soon.
 */

/** V8 checks when it has this much more than the last time. */
const TOLD_BYTES = 2 ** 26

/** Bytes that this thread has freed since the last hint. */
let untoldBytes = 0

/** Tells V8 that this thread has freed about this much shared memory. */
export function hintFreed(bytes: number): void {
  untoldBytes += bytes
  if (untoldBytes < TOLD_BYTES) return
  // An array of that size, dropped at once: the system maps it, but it takes no memory, because nobody touches it.
  try {
    void new ArrayBuffer(untoldBytes)
  } catch {
    // It is only a hint: if there is no room for it, it is not given.
  }
  untoldBytes = 0
}
