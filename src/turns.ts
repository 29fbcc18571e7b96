/**
 * Turns of the event loop for long work: after some milliseconds the rest of the program comes in between. Awaiting is
 * not enough: where nothing waits for the disk, only microtasks run, and no timer and no socket has its turn.
 *
 * All that goes on in a thread shares one slice of time, and one piece of work goes on in each turn: so a turn stays as
 * short however many scans run side by side. docs/architecture.md, Turns of the event loop.
 */
import { performance } from 'node:perf_hooks'
import { setImmediate } from 'node:timers'

/** After so much work the event loop turns. */
const SLICE_MS = 4
/** A step that took less is done twice as often before the clock is looked at again; one that took twice as long, once. */
const LOOK_MS = 0.25
/** Steps between two looks at the clock, at most: steps may become longer all at once. */
const STEPS_MAX = 32

/** Resolves in the next turn of the event loop. */
export function nextTurn(): Promise<void> {
  return new Promise(resolve => void setImmediate(resolve))
}

/** An event loop; tests put their own here. */
export interface Loop {
  readonly now: () => number
  /** When the piece of work began that has its turn. */
  readonly sliceStartMs: number
  /** Resolves in a later turn, when all that came before have had theirs. */
  readonly turn: () => Promise<void>
}

/** The event loop of this thread. */
class ThreadLoop implements Loop {
  sliceStartMs = performance.now()
  /** Work that waits for its turn, oldest first. */
  readonly #waiting: (() => void)[] = []

  now(): number {
    return performance.now()
  }

  turn(): Promise<void> {
    return new Promise(resolve => {
      this.#waiting.push(resolve)
      if (this.#waiting.length === 1) setImmediate(() => this.#goOn())
    })
  }

  /** One piece of work goes on; the next one in the turn that follows. */
  #goOn(): void {
    this.sliceStartMs = performance.now()
    this.#waiting.shift()!()
    if (this.#waiting.length > 0) setImmediate(() => this.#goOn())
  }
}

const threadLoop = new ThreadLoop()

/**
 * Tells one piece of work when the event loop shall turn.
 *
 *     const turns = new Turns()
 *     for (const step of steps) {
 *       if (turns.due()) await turns.take()
 *       do(step)
 *     }
 */
export class Turns {
  readonly #loop: Loop
  /** Steps between two looks at the clock, and how many are left. */
  #steps = 1
  #left = 1
  #lookedMs: number

  constructor(loop: Loop = threadLoop) {
    this.#loop = loop
    this.#lookedMs = loop.now()
  }

  /** Counts a step; whether the loop shall turn before it. Cheap: most steps do not look at the clock. */
  due(): boolean {
    return --this.#left <= 0 && this.#look()
  }

  /** Lets the event loop turn. */
  async take(): Promise<void> {
    await this.#loop.turn()
    this.#lookedMs = this.#loop.now()
  }

  #look(): boolean {
    const nowMs = this.#loop.now()
    const tookMs = nowMs - this.#lookedMs
    this.#lookedMs = nowMs
    if (tookMs < LOOK_MS) this.#steps = Math.min(STEPS_MAX, this.#steps * 2)
    else if (tookMs > 2 * LOOK_MS) this.#steps = 1
    this.#left = this.#steps
    return nowMs - this.#loop.sliceStartMs >= SLICE_MS
  }
}
