/** `fit` and `write` of a data page by the kernels of the thread, for pages of puts with keys of one or two lanes. */
import { assert } from '../base/assert.js'
import { kernels, type Kernels } from '../kernels/kernels.js'
import type { WideOperations } from '../records/operations.js'
import type { DataPageLayout } from './page-layout.js'

export class KernelPageEncoder {
  readonly #kernels: Kernels
  readonly #encoder: number
  /** Where the addresses of the columns stand, as words of all memory. */
  readonly #columns: number
  /** A page on its way elsewhere. */
  readonly #page: Uint8Array

  private constructor(present: Kernels, page: DataPageLayout, encoder: number, bytes: Uint8Array) {
    const { keyLaneCount, packedLaneCount, freeBits } = page
    this.#kernels = present
    this.#encoder = encoder
    this.#columns = present.run.initEncoder(encoder, keyLaneCount, packedLaneCount - 1, freeBits) / 4
    this.#page = bytes
  }

  /** `undefined` where there are no kernels for such pages. */
  static create(page: DataPageLayout, pageBytes: number): KernelPageEncoder | undefined {
    const present = kernels()
    if (present === undefined || page.keyLaneCount > 2) return undefined
    const bytes = present.run.encoderBytes(page.keyLaneCount, page.packedLaneCount - 1)
    const encoder = present.takeBytes(bytes)
    const buffer = present.takeBytes(pageBytes)
    if (encoder === undefined || buffer === undefined) return undefined
    return new KernelPageEncoder(present, page, encoder.byteOffset, buffer)
  }

  takes({ lanes, kinds }: WideOperations): boolean {
    return kinds === undefined && this.#kernels.hasAll(lanes)
  }

  /** How many of the rows [from, to) go into one page, as `DataPageEncoder.fit`. Requires: it takes the rows. */
  fit({ lanes }: WideOperations, from: number, to: number, firstStep: number): number {
    const { run, words } = this.#kernels
    for (let lane = 0; lane < lanes.length; lane++) words[this.#columns + lane] = lanes[lane]!.byteOffset
    return run.fit(this.#encoder, from, to - from, firstStep)
  }

  /** The bounds of the value lanes of these rows, to `min` and `max`. */
  copyBounds(min: Uint32Array, max: Uint32Array): void {
    const { run, words } = this.#kernels
    const at = run.bounds(this.#encoder) / 4
    // The kinds have none.
    for (let lane = 0; lane < min.length - 1; lane++) {
      min[lane] = words[at + 2 * lane]!
      max[lane] = words[at + 2 * lane + 1]!
    }
  }

  /** Writes these rows, which begin with row `from`. */
  write(from: number, page: Uint8Array): void {
    const present = this.#kernels
    const target = present.has(page) ? page : this.#page
    assert(page.byteLength === target.byteLength, 'a page has the size that the encoder was made for')
    present.run.write(this.#encoder, from, target.byteOffset, target.byteLength)
    if (target !== page) page.set(target)
    present.pages++
  }
}
