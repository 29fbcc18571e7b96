/** A set of whole records, by their lanes: what *delete record* operations name. */
import { normalizeFloats } from './float-lanes.js'
import type { RecordLayout } from './record-layout.js'

export class RecordSet {
  readonly #layout: RecordLayout
  readonly #records = new Set<string>()

  constructor(layout: RecordLayout) {
    this.#layout = layout
  }

  /** Returns false if the record is already in the set. */
  add(lanes: readonly Uint32Array[], row: number): boolean {
    const { size } = this.#records
    this.#records.add(recordText(this.#layout, lanes, row))
    return this.#records.size > size
  }

  has(lanes: readonly Uint32Array[], row: number): boolean {
    return this.#records.has(recordText(this.#layout, lanes, row))
  }
}

/** Gives the same text for equal records. */
export function recordText({ floats }: RecordLayout, lanes: readonly Uint32Array[], row: number): string {
  const values = lanes.map(lane => lane[row]!)
  if (floats.length > 0) normalizeFloats(values, floats)
  return values.join()
}
