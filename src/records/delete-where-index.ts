/**
 * The *delete where* entries that lookups, scans and merges honour, found by a hash for each set of lanes.
 *
 * A record is tested with one look-up for each lane set, however many entries there are. An entry hides the records
 * with a smaller sequence number than its own. docs/internals.md, Deletes.
 */
import { floatsAmong, normalizeFloats } from './float-lanes.js'
import type { DeleteWhere } from './operations.js'
import type { FloatLanes, RecordLayout } from './record-layout.js'

interface LaneSet {
  readonly lanes: readonly number[]
  /** Which of the lanes are floats. */
  readonly floats: readonly FloatLanes[]
  /** By the values of the lanes: the sequence numbers of the entries, ascending. */
  readonly sequences: Map<number | string, number[]>
}

export class DeleteWhereIndex {
  readonly #layout: RecordLayout
  readonly #laneSets = new Map<string, LaneSet>()
  #size = 0

  constructor(layout: RecordLayout, entries: Iterable<DeleteWhere> = []) {
    this.#layout = layout
    for (const entry of entries) this.add(entry)
  }

  /** How many entries there are. */
  get size(): number {
    return this.#size
  }

  add(entry: DeleteWhere): void {
    const name = entry.lanes.join()
    let laneSet = this.#laneSets.get(name)
    if (laneSet === undefined) {
      const floats = floatsAmong(this.#layout, entry.lanes)
      laneSet = { lanes: entry.lanes, floats, sequences: new Map() }
      this.#laneSets.set(name, laneSet)
    }
    const values = valuesOf(laneSet, [...entry.values])
    const sequences = laneSet.sequences.get(values)
    if (sequences === undefined) laneSet.sequences.set(values, [entry.sequence])
    else insertSequence(sequences, entry.sequence)
    this.#size++
  }

  /**
   * Whether an entry with a sequence number above `sequence` and below `before` matches row `row` of `lanes`.
   *
   * `sequence` is that of the record, or the last one of the bucket file that holds it.
   */
  hides(lanes: readonly Uint32Array[], row: number, sequence: number, before: number): boolean {
    for (const laneSet of this.#laneSets.values()) {
      const values =
        laneSet.lanes.length === 1 && laneSet.floats.length === 0
          ? lanes[laneSet.lanes[0]!]![row]!
          : valuesOf(
              laneSet,
              laneSet.lanes.map(lane => lanes[lane]![row]!),
            )
      const sequences = laneSet.sequences.get(values)
      if (sequences === undefined) continue
      if (newestBelow(sequences, before) > sequence) return true
    }
    return false
  }
}

/** Gives the same for equal values. Requires: the array is no longer used. */
function valuesOf({ floats }: LaneSet, values: number[]): number | string {
  if (floats.length > 0) normalizeFloats(values, floats)
  return values.length === 1 ? values[0]! : values.join()
}

/** Nearly all entries come oldest first, so the place is nearly always the end. */
function insertSequence(sequences: number[], sequence: number): void {
  let place = sequences.length
  while (place > 0 && sequences[place - 1]! > sequence) place--
  sequences.splice(place, 0, sequence)
}

/** The greatest of the ascending numbers that is below `before`, else -1. */
function newestBelow(sequences: readonly number[], before: number): number {
  let low = 0
  let high = sequences.length
  if (high > 0 && sequences[high - 1]! < before) return sequences[high - 1]!
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sequences[middle]! < before) low = middle + 1
    else high = middle
  }
  return low === 0 ? -1 : sequences[low - 1]!
}
