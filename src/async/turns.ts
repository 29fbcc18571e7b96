/**
 * Turns of the event loop for long work: after some milliseconds the rest of the program gets a turn. Awaiting is not
 * enough: if nothing waits for the disk, only microtasks run, and timers and sockets get no turn.
 *
 * All work in a thread shares the time slice of each turn, so a turn stays short however many scans run at the same
 * time. docs/internals.md, Turns of the event loop.
 */
import { performance } from 'node:perf_hooks'
import { setImmediate } from 'node:timers'

/** After this much work the event loop turns. */
const SLICE_MS = 4
/**
 * If the steps since the last look at the clock took less, the next look comes after twice as many; if they took twice
 * as long, after one.
 */
const LOOK_MS = 0.25
/** Steps between two looks at the clock, at most: steps may become longer all at once. */
const STEPS_MAX = 32

/** Steps before the first look at the clock. */
const FIRST_STEPS = 4

/** Resolves in the next turn of the event loop. */
export function nextTurn(): Promise<void> {
  return new Promise(resolve => void setImmediate(resolve))
}

/** An event loop; tests pass their own. */
export interface Loop {
  readonly now: () => number
  /** When the work of this turn began. */
  readonly sliceStartMs: (nowMs: number) => number
  /** Resolves in a later turn, after all earlier calls; one at a time. */
  readonly turn: () => Promise<void>
}

/** The event loop of this thread. */
class ThreadLoop implements Loop {
  /** Work that waits for its turn, oldest first. */
  readonly #waiting: (() => void)[] = []
  /** `undefined`: there was none in this turn yet. */
  #sliceStartMs: number | undefined

  now(): number {
    return performance.now()
  }

  sliceStartMs(nowMs: number): number {
    if (this.#sliceStartMs === undefined) {
      this.#sliceStartMs = nowMs
      setImmediate(() => (this.#sliceStartMs = undefined)).unref()
    }
    return this.#sliceStartMs
  }

  turn(): Promise<void> {
    return new Promise(resolve => {
      this.#waiting.push(resolve)
      if (this.#waiting.length === 1) setImmediate(() => this.#goOn())
    })
  }

  #goOn(): void {
    this.#waiting.shift()!()
    if (this.#waiting.length > 0) setImmediate(() => this.#goOn())
  }
}

const threadLoop = new ThreadLoop()

/**
 * Tells one piece of work when to let the event loop turn.
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
  /** Short work ends before the first look. */
  #left = FIRST_STEPS
  /** NaN before the first look, so that the first look does not change the steps. */
  #lookedMs = NaN

  constructor(loop: Loop = threadLoop) {
    this.#loop = loop
  }

  /** Counts a step. Returns whether the event loop must turn before it. Cheap: most steps do not look at the clock. */
  due(): boolean {
    return --this.#left <= 0 && this.#look()
  }

  /** Lets the event loop turn. */
  async take(): Promise<void> {
    await this.#loop.turn()
    this.#lookedMs = this.#loop.now()
    this.#left = 1
  }

  #look(): boolean {
    const nowMs = this.#loop.now()
    const tookMs = nowMs - this.#lookedMs
    this.#lookedMs = nowMs
    if (tookMs < LOOK_MS) this.#steps = Math.min(STEPS_MAX, this.#steps * 2)
    else if (tookMs > 2 * LOOK_MS) this.#steps = 1
    this.#left = this.#steps
    return nowMs - this.#loop.sliceStartMs(nowMs) >= SLICE_MS
  }
}
