/** Decodes a whole data page by the kernels of the thread, where it has puts alone and keys of one or two lanes. */
import { kernels, type Kernels } from '../kernels/kernels.js'
import type { DataPageLayout } from './page-layout.js'

export class KernelPageDecoder {
  readonly #kernels: Kernels
  readonly #page: DataPageLayout
  /** Room for the addresses of the columns, as a word of all memory. */
  readonly #columns: number
  /** A copy of a page that lies elsewhere. */
  readonly #copy: Uint32Array

  private constructor(present: Kernels, page: DataPageLayout, columns: Uint32Array, copy: Uint32Array) {
    this.#kernels = present
    this.#page = page
    this.#columns = columns.byteOffset / 4
    this.#copy = copy
  }

  /** `undefined` where there are no kernels for such pages. */
  static create(page: DataPageLayout, pageBytes: number): KernelPageDecoder | undefined {
    const present = kernels()
    if (present === undefined || page.keyLaneCount > 2) return undefined
    const columns = present.takeWords(page.keyLaneCount + page.packedLaneCount)
    const copy = present.takeWords(pageBytes / 4)
    if (columns === undefined || copy === undefined) return undefined
    return new KernelPageDecoder(present, page, columns, copy)
  }

  takes(lanes: readonly Uint32Array[]): boolean {
    return this.#kernels.hasAll(lanes)
  }

  /** Puts the rows of the page whose first word is `words[base]` from row `at` on. Requires: it takes the lanes, which have room. */
  decode(words: Uint32Array, base: number, lanes: readonly Uint32Array[], at: number): void {
    const { run, words: memory } = this.#kernels
    for (let lane = 0; lane < lanes.length; lane++) {
      memory[this.#columns + lane] = lanes[lane]!.byteOffset + 4 * at
    }
    let page = words.byteOffset + 4 * base
    if (!this.#kernels.has(words)) {
      this.#copy.set(words.subarray(base, base + this.#copy.length))
      page = this.#copy.byteOffset
    }
    const { keyLaneCount, packedLaneCount } = this.#page
    run.decodePage(page, keyLaneCount, packedLaneCount - 1, 4 * this.#columns)
    this.#kernels.pages++
  }
}
