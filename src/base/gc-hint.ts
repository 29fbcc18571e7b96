/**
 * Shared memory goes back to the system once every thread has found out that nothing refers to it any more. V8 does not
 * count it, so by itself it would not look for long.
 */

/** V8 looks when it has so much more than the last time. */
const TOLD_BYTES = 2 ** 26

/** Let go by this thread since it was told last. */
let untoldBytes = 0

/** Tells V8 that this thread has let go of so much shared memory, about. */
export function hintFreed(bytes: number): void {
  untoldBytes += bytes
  if (untoldBytes < TOLD_BYTES) return
  // An array of that size, dropped at once: the system maps it, but as nobody touches it, it takes no memory.
  try {
    void new ArrayBuffer(untoldBytes)
  } catch {
    // It is advice: where there is no room for it, it is not given.
  }
  untoldBytes = 0
}
