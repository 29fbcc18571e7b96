/** The order of rows by the kernels of the thread, where keys have one or two lanes. The twin: `sortedOrder` of sort.ts. */
import { kernels, type Kernels } from '../kernels/kernels.js'

/** Rows that lie in the memory of the kernels: their key lanes begin at these addresses, and are `stride` bytes apart. */
export interface KernelRows {
  readonly keyLanes: readonly number[]
  readonly stride: number
  readonly count: number
}

/** The order of some rows by key; rows of one key stay in their order. It holds memory until it is closed. */
export class KernelOrder {
  readonly count: number
  readonly #kernels: Kernels
  readonly #words: Uint32Array
  readonly #rowMask: number

  private constructor(present: Kernels, count: number, words: Uint32Array) {
    this.#kernels = present
    this.count = count
    this.#words = words
    this.#rowMask = 2 ** (32 - Math.clz32(count - 1)) - 1
  }

  /** `undefined` where there is no kernel for such keys, or no memory. */
  static of({ keyLanes, stride, count }: KernelRows): KernelOrder | undefined {
    const present = kernels()
    if (present === undefined || keyLanes.length > 2 || count < 2) return undefined
    const { run } = present
    const words = present.takeWords(2 * count)
    const spare = present.takeWords(2 * count)
    const counters = present.takeBytes(run.sortCounterBytes(count))
    const complete = words !== undefined && spare !== undefined && counters !== undefined
    if (complete) {
      const addresses = [words.byteOffset, spare.byteOffset, counters.byteOffset] as const
      run.sortKeys(keyLanes[0]!, keyLanes.at(-1)!, keyLanes.length, stride, count, ...addresses)
    }
    if (spare !== undefined) present.giveBack(spare)
    if (counters !== undefined) present.giveBack(counters)
    if (complete) return new KernelOrder(present, count, words)
    if (words !== undefined) present.giveBack(words)
    return undefined
  }

  /**
   * Puts values to `target`, from row `at` on, in this order: those that begin at the address `column`, have `bytes` bytes
   * and are `stride` bytes apart. Requires: the target is in the memory of the kernels.
   */
  gather(column: number, stride: number, bytes: number, target: Uint32Array, at: number): void {
    const out = target.byteOffset + 4 * at
    this.#kernels.run.gather(this.#words.byteOffset, this.count, column, stride, bytes, out)
  }

  /** The number of the row at each place. */
  rowAt(place: number): number {
    return this.#words[2 * place]! & this.#rowMask
  }

  close(): void {
    this.#kernels.giveBack(this.#words)
  }
}
