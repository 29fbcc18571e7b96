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
  /** Until then reads do not block. */
  #resumeMs = 0
  #pauseMs = PAUSE_MIN_MS

  mayBlock(nowMs: number): boolean {
    return nowMs >= this.#resumeMs
  }

  /** Takes note of a blocking read. */
  note(startMs: number, endMs: number): void {
    if (endMs - startMs <= FAST_MS) this.#pauseMs = Math.max(PAUSE_MIN_MS, this.#pauseMs / 2)
    else {
      this.#resumeMs = endMs + this.#pauseMs
      this.#pauseMs = Math.min(PAUSE_MAX_MS, 2 * this.#pauseMs)
    }
  }
}
