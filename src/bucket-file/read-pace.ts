/**
 * Whether a read is worth waiting for: a page that the system has in its cache comes in two microseconds, and an asynchronous
 * read of it costs seven times as much. A page that must come from the device takes a hundred microseconds or more, in
 * which the event loop should go on.
 *
 * Nobody tells beforehand which it will be. So reads block as long as they come back fast. After a slow one they do not for
 * a while, which is longer each time the next one is slow too.
 */

/** A read that takes longer is slow. */
const FAST_MS = 0.05
/** How long reads do not block after a slow one. */
const PAUSE_MIN_MS = 10
const PAUSE_MAX_MS = 1000

export class ReadPace {
  readonly #now: () => number
  /** Until then reads do not block. */
  #resumeMs = -Infinity
  #pauseMs = PAUSE_MIN_MS

  /** `now`: milliseconds, from any moment on. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Runs a read that blocks, if such reads have come back fast of late; false if it did not. */
  tryRead(read: () => void): boolean {
    const startMs = this.#now()
    if (startMs < this.#resumeMs) return false
    read()
    const endMs = this.#now()
    if (endMs - startMs <= FAST_MS) this.#pauseMs = Math.max(PAUSE_MIN_MS, this.#pauseMs / 2)
    else {
      this.#resumeMs = endMs + this.#pauseMs
      this.#pauseMs = Math.min(PAUSE_MAX_MS, 2 * this.#pauseMs)
    }
    return true
  }
}
