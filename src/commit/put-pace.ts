/**
 * How long puts wait so that merges keep up: a little each, and more the further merges are behind, long before there is
 * anything that they would have to stop for.
 *
 * While merges keep up, puts wait for nothing: a burst is not slowed. Behind that, puts get a rate that falls with the debt.
 * Whatever the disk can do, there is a debt at which puts come as fast as merges go. docs/internals.md, Debt.
 */

/** Bytes a millisecond that puts get where merges are half behind. */
const RATE_HALF = 64 * 1024
/** However far merges are behind, puts get this: nothing ever stops. */
const RATE_MIN = 256
/** A shorter wait costs more than it brings: it is added to the next one. */
const DELAY_MIN_MS = 1
/** The longest wait of one group; what is left of its share is added to those of later ones, ... */
const DELAY_MAX_MS = 100
/** ... as long as that is no more than this. */
const OWED_MAX_MS = 500

/** Bytes a millisecond that puts get. */
export function putRate(debt: number): number {
  return debt <= 0 ? Infinity : Math.max(RATE_MIN, (RATE_HALF * (1 - debt)) / debt)
}

export class PutPace {
  /** When what was put so far has had its time. */
  #paidMs = 0

  /** How many milliseconds a group of this many bytes waits. `debt`: from 0, merges keep up, to 1. */
  delayOf(bytes: number, debt: number, nowMs: number): number {
    if (debt <= 0) return 0
    this.#paidMs = Math.min(Math.max(this.#paidMs, nowMs) + bytes / putRate(debt), nowMs + OWED_MAX_MS)
    const delayMs = this.#paidMs - nowMs
    return delayMs < DELAY_MIN_MS ? 0 : Math.min(delayMs, DELAY_MAX_MS)
  }
}
