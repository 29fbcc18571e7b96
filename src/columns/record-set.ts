/** A set of whole records, by their lanes: what *delete record* operations name. */
export class RecordSet {
  readonly #records = new Set<string>()

  /** False where the record is in the set already. */
  add(lanes: readonly Uint32Array[], row: number): boolean {
    const { size } = this.#records
    this.#records.add(recordText(lanes, row))
    return this.#records.size > size
  }

  has(lanes: readonly Uint32Array[], row: number): boolean {
    return this.#records.has(recordText(lanes, row))
  }
}

function recordText(lanes: readonly Uint32Array[], row: number): string {
  return lanes.map(lane => lane[row]!).join()
}
