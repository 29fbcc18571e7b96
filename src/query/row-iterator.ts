/**
 * The rows of a scan one by one, as an async generator gives them, at a third of its price: a row that is in memory needs no
 * step of a generator, only a promise that is settled already.
 *
 * All else is as there: calls that are made before the one before has settled wait for it, in their order; `return` and
 * `throw` close the scan; what fails ends it. The event loop turns between rows, whatever is done with them.
 */
import { throwIfAborted } from '../async/abort.js'
import { Turns } from '../async/turns.js'
import { compareKeyToRow, compareRows } from '../records/compare.js'
import type { WideOperations } from '../records/operations.js'
import type { RangeScan } from './ranges.js'
import type { RowAnswer } from './reader.js'

export interface RowIteratorOptions<T> {
  /** Begins the scan, with the first step. Of keys it has no limit, `keysMax` is one. */
  readonly start: () => { readonly scan: RangeScan; readonly keysMax: number }
  /** Lanes of a key if only the first row of each key is wanted, else 0. */
  readonly keyLaneCount: number
  readonly make: RowAnswer<T>
}

export class RowIterator<T> implements AsyncGenerator<T, void> {
  readonly #options: RowIteratorOptions<T>
  readonly #turns = new Turns()
  #scan: RangeScan | undefined
  /** The batch at hand: its rows [place, to) are still to come; from its end where the scan goes backwards. */
  #rows: WideOperations | undefined
  #from = 0
  #place = 0
  #to = 0
  /** Of keys: how many may still come, and the row of the last one in this batch. */
  #keysLeft = Infinity
  #previous = -1
  /** The last key of the batches before. A key with very many rows comes in several batches. */
  #keyBefore: Uint32Array | undefined
  #isDone = false
  /** Calls that wait for each other. */
  #waiting = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: RowIteratorOptions<T>) {
    this.#options = options
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<T, void>> {
    if (this.#waiting === 0 && this.#isAtHand() && !this.#turns.due() && this.#isWanted()) {
      try {
        return Promise.resolve({ value: this.#take(), done: false })
      } catch (error) {
        return this.#inTurn(() => this.#fail(error))
      }
    }
    return this.#inTurn(() => this.#step())
  }

  return(value?: void | PromiseLike<void>): Promise<IteratorResult<T, void>> {
    return this.#inTurn(async () => {
      await this.#end()
      return { value: await value, done: true }
    })
  }

  throw(error: unknown): Promise<IteratorResult<T, void>> {
    return this.#inTurn(() => this.#fail(error))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  /** Runs a call once those before it have settled. */
  #inTurn<R>(call: () => Promise<R>): Promise<R> {
    this.#waiting++
    const done = (this.#waiting === 1 ? call() : this.#last.then(call)).finally(() => void this.#waiting--)
    this.#last = done.catch(() => {})
    return done
  }

  async #step(): Promise<IteratorResult<T, void>> {
    if (this.#isDone) return { value: undefined, done: true }
    try {
      if (this.#scan === undefined) this.#begin()
      if (this.#turns.due()) await this.#turns.take()
      while (!this.#isAtHand()) {
        this.#keepKey()
        const batch = this.#keysLeft === 0 ? undefined : await this.#scan!.next()
        if (batch === undefined) {
          await this.#end()
          return { value: undefined, done: true }
        }
        this.#rows = batch.rows
        this.#from = this.#place = batch.from
        this.#to = batch.to
      }
      throwIfAborted(this.#scan!.options.signal)
      return { value: this.#take(), done: false }
    } catch (error) {
      return await this.#fail(error)
    }
  }

  #begin(): void {
    const { scan, keysMax } = this.#options.start()
    this.#scan = scan
    this.#keysLeft = keysMax
  }

  /** Whether a row is at hand that is to come; of keys, rows of the key before are passed over. */
  #isAtHand(): boolean {
    const { keyLaneCount } = this.#options
    if (keyLaneCount === 0) return this.#place < this.#to
    if (this.#keysLeft === 0) return false
    while (this.#place < this.#to) {
      if (this.#isNewKey()) return true
      this.#place++
    }
    return false
  }

  #isNewKey(): boolean {
    const { lanes } = this.#rows!
    if (this.#previous >= 0)
      return compareRows(lanes, this.#row(), lanes, this.#previous, this.#options.keyLaneCount) !== 0
    return this.#keyBefore === undefined || compareKeyToRow(this.#keyBefore, lanes, this.#row()) !== 0
  }

  /** The batch at hand is about to go. */
  #keepKey(): void {
    if (this.#previous < 0) return
    const keyLanes = this.#rows!.lanes.slice(0, this.#options.keyLaneCount)
    this.#keyBefore = Uint32Array.from(keyLanes, lane => lane[this.#previous]!)
    this.#previous = -1
  }

  /** Whether nobody has aborted the scan. */
  #isWanted(): boolean {
    return this.#scan!.options.signal?.aborted !== true
  }

  #row(): number {
    return this.#scan!.options.reverse ? this.#from + this.#to - 1 - this.#place : this.#place
  }

  #take(): T {
    const row = this.#row()
    this.#place++
    this.#previous = row
    this.#keysLeft--
    return this.#options.make(this.#rows!, row)
  }

  async #fail(error: unknown): Promise<never> {
    await this.#end()
    throw error
  }

  async #end(): Promise<void> {
    if (this.#isDone) return
    this.#isDone = true
    this.#from = this.#place = this.#to = 0
    this.#rows = undefined
    await this.#scan?.close()
  }
}
