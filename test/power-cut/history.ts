/**
 * What was put and what of it is promised: tells whether a table that was found after a cut keeps the promises of
 * docs/durability.md.
 *
 * The number of a call that a cut has taken is never given to another one: should it come back later, it is found.
 */
import { callOf, type Call } from './calls.js'
import { differences, Model } from './model.js'

/** A table that is not what docs/durability.md promises. */
export class BrokenPromise extends Error {
  override readonly name = 'BrokenPromise'
}

/** What the process that made calls has told. */
export interface Told {
  /** Calls below this one may have been made. */
  readonly made: number
  /** Calls below this one are acknowledged as surviving a power cut. */
  readonly durable: number
}

/** What became of the calls since the table was last found. */
export interface Outcome {
  readonly made: number
  readonly lost: number
  /** Not acknowledged as durable, and there nevertheless. */
  readonly spared: number
}

/** Differing keys that a message shows. */
const SHOWN = 5

export class History {
  readonly #seed: number
  /** What the table held when it was last found. */
  #model = new Model()
  #next = 0

  constructor(seed: number) {
    this.#seed = seed
  }

  /** The number of the next call. */
  get next(): number {
    return this.#next
  }

  get model(): Model {
    return this.#model
  }

  call(number: number): Call {
    return callOf(this.#seed, number)
  }

  /**
   * Takes what was found after a cut as what is there from now on.
   *
   * Throws a {@link BrokenPromise} where it is no prefix of the history with everything in it that is durable.
   */
  settle(found: Model, { made, durable }: Told): Outcome {
    const end = this.#longestPrefix(found, made)
    if (end === undefined) throw new BrokenPromise(this.#noPrefix(found, Math.max(this.#next, durable)))
    if (end < durable) {
      throw new BrokenPromise(`calls ${end} to ${durable - 1} were acknowledged as durable and are lost`)
    }
    const first = this.#next
    this.#model = found
    this.#next = Math.max(first, made)
    return { made: this.#next - first, lost: this.#next - end, spared: end - Math.max(first, durable) }
  }

  /** Call `next` has been made and is durable. */
  advance(): void {
    this.#model.apply(this.call(this.#next++))
  }

  /** The longest one that leaves what was found: a call may change nothing. */
  #longestPrefix(found: Model, made: number): number | undefined {
    const model = this.#model.copy()
    let end = model.digest === found.digest ? this.#next : undefined
    for (let number = this.#next; number < made; number++) {
      model.apply(this.call(number))
      if (model.digest === found.digest) end = number + 1
    }
    return end
  }

  /** Compares with the prefix that ends with the newest call found. */
  #noPrefix(found: Model, durable: number): string {
    const newest = found.keys.flatMap(key => found.recordsOf(key).map(({ call }) => call))
    const end = newest.reduce((a, b) => Math.max(a, b), durable - 1) + 1
    const model = this.#model.copy()
    for (let number = this.#next; number < end; number++) model.apply(this.call(number))
    return [
      `what was found is no prefix of the history; against calls 0 to ${end - 1}:`,
      ...differences(found, model, SHOWN),
    ].join('\n  ')
  }
}
