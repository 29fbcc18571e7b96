/**
 * The *delete where* entries that lookups, scans and merges honour, found by a hash for each shape: the lanes whose values
 * they give, and the lanes that they compare.
 *
 * A record is tested with one look-up for each shape, however many entries give values; what they compare is tested one
 * after the other (range-list.ts). An entry hides the records with a smaller sequence number than its own.
 * docs/internals.md, Deletes.
 */
import { floatsAmong, normalizeFloats } from './float-lanes.js'
import { isFloatRange } from './lane-ranges.js'
import type { DeleteWhere } from './operations.js'
import { lastBelow, RangeList } from './range-list.js'
import type { FloatLanes, RecordLayout } from './record-layout.js'

interface Shape {
  /** The lanes whose values the entries give. */
  readonly lanes: readonly number[]
  /** Which of the lanes are floats. */
  readonly floats: readonly FloatLanes[]
  /** Of entries that give values alone, by these values: their sequence numbers, ascending. */
  readonly sequences: Map<number | string, number[]>
  /** Of entries that compare lanes, by the values that they give. */
  readonly lists: Map<number | string, RangeList> | undefined
}

/** What {@link valuesOf} gives for no values. */
const NO_VALUES = ''

export class DeleteWhereIndex {
  readonly #layout: RecordLayout
  readonly #shapes = new Map<string, Shape>()
  #size = 0
  #newest = -1

  constructor(layout: RecordLayout, entries: Iterable<DeleteWhere> = []) {
    this.#layout = layout
    for (const entry of entries) this.add(entry)
  }

  /** How many entries there are. */
  get size(): number {
    return this.#size
  }

  /** Whether there may be an entry that hides records with this sequence number. */
  mayHide(sequence: number): boolean {
    return this.#newest > sequence
  }

  add(entry: DeleteWhere): void {
    this.#newest = Math.max(this.#newest, entry.sequence)
    const shape = this.#shapeOf(entry)
    const values = valuesOf(shape, [...entry.values])
    const { ranges = [] } = entry
    if (shape.lists === undefined) {
      const sequences = shape.sequences.get(values)
      if (sequences === undefined) shape.sequences.set(values, [entry.sequence])
      else insertSequence(sequences, entry.sequence)
    } else {
      let list = shape.lists.get(values)
      if (list === undefined) {
        list = new RangeList(ranges.map(range => isFloatRange(this.#layout, range)))
        shape.lists.set(values, list)
      }
      list.add(entry.sequence, ranges)
    }
    this.#size++
  }

  /**
   * Whether an entry with a sequence number above `sequence` and below `before` matches row `row` of `lanes`.
   *
   * `sequence` is that of the record, or the last one of the bucket file that holds it.
   */
  hides(lanes: readonly Uint32Array[], row: number, sequence: number, before: number): boolean {
    for (const shape of this.#shapes.values()) {
      const values = valuesOfRow(shape, lanes, row)
      if (shape.lists !== undefined) {
        if (shape.lists.get(values)?.hides(lanes, row, sequence, before) === true) return true
        continue
      }
      const sequences = shape.sequences.get(values)
      if (sequences === undefined) continue
      const newest = lastBelow(sequences, before)
      if (newest >= 0 && sequences[newest]! > sequence) return true
    }
    return false
  }

  #shapeOf({ lanes, ranges = [] }: DeleteWhere): Shape {
    const name = `${lanes.join()}/${ranges.map(({ lane, lower }) => `${lane}+${lower.length}`).join()}`
    let shape = this.#shapes.get(name)
    if (shape === undefined) {
      const floats = floatsAmong(this.#layout, lanes)
      const lists = ranges.length > 0 ? new Map<number | string, RangeList>() : undefined
      shape = { lanes, floats, sequences: new Map(), lists }
      this.#shapes.set(name, shape)
    }
    return shape
  }
}

/** Most shapes are of one lane, or of none: these allocate nothing. */
function valuesOfRow(shape: Shape, lanes: readonly Uint32Array[], row: number): number | string {
  if (shape.lanes.length === 0) return NO_VALUES
  if (shape.lanes.length === 1 && shape.floats.length === 0) return lanes[shape.lanes[0]!]![row]!
  return valuesOf(
    shape,
    shape.lanes.map(lane => lanes[lane]![row]!),
  )
}

/** Gives the same for equal values. Requires: the array is no longer used. */
function valuesOf({ floats }: Shape, values: number[]): number | string {
  if (floats.length > 0) normalizeFloats(values, floats)
  return values.length === 1 ? values[0]! : values.join()
}

/** Nearly all entries come oldest first, so the place is nearly always the end. */
function insertSequence(sequences: number[], sequence: number): void {
  let place = sequences.length
  while (place > 0 && sequences[place - 1]! > sequence) place--
  sequences.splice(place, 0, sequence)
}
