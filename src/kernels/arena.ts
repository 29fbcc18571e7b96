/**
 * Cuts the memory of the kernels for the job of a thread: blocks in classes of sizes, each twice as large as the one
 * before. What is given back is used again; the end of the job frees all.
 */

/** Kernels read and write a little behind what they are given. Columns also do not all begin in the same place of a page. */
const GAP_BYTES = 192
/** The first block is not at address 0, which passes for no address. */
const FIRST = 64
const LEAST_CLASS = 8

export class Arena {
  readonly #bytes: number
  #end = FIRST
  /** Of each class, by its bits. */
  #free: number[][] = []

  constructor(bytes: number) {
    this.#bytes = bytes
  }

  /** The address of `bytes` bytes that may hold anything; 0 where there is no room for them. */
  take(bytes: number): number {
    const sizeClass = classOf(bytes)
    const free = this.#free[sizeClass]?.pop()
    if (free !== undefined) return free
    const at = this.#end
    const end = at + 2 ** sizeClass + GAP_BYTES
    if (end > this.#bytes) return 0
    this.#end = end
    return at
  }

  /** Requires: they were taken as that many bytes, and nobody uses them any more. */
  giveBack(at: number, bytes: number): void {
    ;(this.#free[classOf(bytes)] ??= []).push(at)
  }

  /** Frees all. */
  clear(): void {
    this.#end = FIRST
    this.#free = []
  }
}

function classOf(bytes: number): number {
  return Math.max(LEAST_CLASS, 32 - Math.clz32(bytes - 1))
}
