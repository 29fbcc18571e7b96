/**
 * The *delete where* entries that lookups, scans and merges honour, found by a hash for each shape: the lanes whose values
 * they give, and the lanes that they compare.
 *
 * A record is tested with one look-up for each shape, however many entries give values; what they compare is tested one
 * after the other (range-list.ts). Entries that clear ranges of keys are kept apart (cleared-keys.ts): nothing older of
 * such a key is left, whatever its values. An entry hides the records with a smaller sequence number than its own.
 * docs/internals.md, Deletes.
 */
import { ClearedKeys, clearedRange } from './cleared-keys.js'
import { floatsAmong, normalizeFloats } from './float-lanes.js'
import { isFloatRange } from './lane-ranges.js'
import type { LaneColumn } from './lane-columns.js'
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
  /** The keys that entries clear. */
  readonly cleared: ClearedKeys
  readonly #shapes = new Map<string, Shape>()
  #matchers = 0
  #newest = -1

  constructor(layout: RecordLayout, entries: Iterable<DeleteWhere> = []) {
    this.#layout = layout
    this.cleared = new ClearedKeys(layout)
    for (const entry of entries) this.add(entry)
  }

  /** How many entries there are. */
  get size(): number {
    return this.#matchers + this.cleared.size
  }

  /** How many entries look at values. */
  get matchers(): number {
    return this.#matchers
  }

  /** Whether there may be an entry that hides records with this sequence number. */
  mayHide(sequence: number): boolean {
    return this.#newest > sequence
  }

  add(entry: DeleteWhere): void {
    this.#newest = Math.max(this.#newest, entry.sequence)
    const clears = clearedRange(this.#layout, entry)
    if (clears === undefined) this.#addMatcher(entry)
    else this.cleared.add(entry.sequence, clears)
  }

  #addMatcher(entry: DeleteWhere): void {
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
    this.#matchers++
  }

  /**
   * Whether an entry with a sequence number above `sequence` and below `before` hides row `row` of `lanes`.
   *
   * `sequence` is that of the record, or the last one of the bucket file that holds it.
   */
  hides(lanes: readonly LaneColumn[], row: number, sequence: number, before: number): boolean {
    return this.clears(lanes, row, sequence, before) || this.matches(lanes, row, sequence, before)
  }

  /** As {@link hides}, by entries that clear keys: then every older operation of the key is hidden, too. */
  clears(lanes: readonly LaneColumn[], row: number, sequence: number, before: number): boolean {
    return this.cleared.size > 0 && this.cleared.newestOfRow(lanes, row, before) > sequence
  }

  /** As {@link hides}, by entries that look at values. */
  matches(lanes: readonly LaneColumn[], row: number, sequence: number, before: number): boolean {
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
function valuesOfRow(shape: Shape, lanes: readonly LaneColumn[], row: number): number | string {
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
