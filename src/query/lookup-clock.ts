/** How long lookups take that read pages: from the first read to the answer. Those answered from memory look at no clock. */
import type { Latency } from '../base/latency.js'
import type { BucketFile } from '../bucket-file/reader.js'

/** Of one lookup at a time. */
export class LookupClock {
  readonly #latency: Latency
  /** When the lookup began to read; `undefined`: it has not. */
  #sinceMs: number | undefined

  constructor(latency: Latency) {
    this.#latency = latency
  }

  /** The lookup begins to read, or goes on with it. */
  reads(): void {
    this.#sinceMs ??= this.#latency.now()
  }

  /** Reads a page for the lookup. */
  loadPageSync(file: BucketFile, page: number): number {
    this.reads()
    try {
      return file.loadPageSync(page)
    } catch (error) {
      // There will be no answer.
      this.#sinceMs = undefined
      throw error
    }
  }

  /** The lookup has its answer. */
  answered(): void {
    if (this.#sinceMs === undefined) return
    this.#latency.lookups.add(this.#latency.now() - this.#sinceMs)
    this.#sinceMs = undefined
  }
}
