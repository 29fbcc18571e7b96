/**
 * Which partition a key belongs to: by its leading bits, or by boundaries. Partitions are in the order of keys.
 * docs/internals.md, Partitions.
 */
import { compareKeys } from '../records/compare.js'
import type { KeyRange } from '../records/key-range.js'
import { greatestKeyNumber, keyNumber, keyOfNumber } from '../records/key-number.js'
import type { RecordLayout } from '../records/record-layout.js'

export const PARTITIONS_MAX = 65_536

/** Rows that belong to one partition. */
export interface Part {
  readonly partition: number
  /** Ascending. */
  readonly rows: Uint32Array
}

/** Partitions from the first to the last. */
export interface Span {
  readonly first: number
  readonly last: number
}

export class KeyRanges {
  readonly count: number
  /** The first key of each partition but the first; `undefined`: by leading bits. */
  readonly boundaries: readonly Uint32Array[] | undefined
  readonly #layout: RecordLayout
  /** Leading bits that count. */
  readonly #bits: number
  readonly #key: Uint32Array

  private constructor(layout: RecordLayout, count: number, boundaries: readonly Uint32Array[] | undefined) {
    this.#layout = layout
    this.count = count
    this.boundaries = boundaries
    this.#bits = Math.log2(count)
    this.#key = new Uint32Array(layout.keyLaneCount)
  }

  /** Requires: `count` is a power of two. Of keys with fewer bits some partitions have none. */
  static byBits(layout: RecordLayout, count: number): KeyRanges {
    return new KeyRanges(layout, count, undefined)
  }

  /** Requires: the boundaries ascend. */
  static byBoundaries(layout: RecordLayout, boundaries: readonly Uint32Array[]): KeyRanges {
    return new KeyRanges(layout, boundaries.length + 1, boundaries)
  }

  /** The partition of a key, given by its lanes. */
  partitionOf(key: Uint32Array): number {
    return this.boundaries === undefined ? this.#byBits(key) : boundariesUpTo(this.boundaries, key)
  }

  /** The partitions that have keys of the range; `last` is below `first` if no key can be in it. */
  spanOf({ lower, upper }: KeyRange): Span {
    return {
      first: lower === undefined ? 0 : this.partitionOf(lower),
      last: upper === undefined ? this.count - 1 : this.partitionOf(upper),
    }
  }

  /** The rows of each partition that has some, in the order of partitions. `lanes`: of the keys. */
  split(lanes: readonly Uint32Array[], rows: number): Part[] {
    const partitions = new Uint16Array(rows)
    for (let row = 0; row < rows; row++) partitions[row] = this.partitionOf(this.#keyOf(lanes, row))
    return partsOf(this.count, rows, visit => {
      for (let row = 0; row < rows; row++) visit(partitions[row]!, row)
    })
  }

  /** The same for keys that are at most `within` away from those of the rows: a row may have several partitions. */
  splitNear(lanes: readonly Uint32Array[], rows: number, within: bigint): Part[] {
    const layout = this.#layout
    const greatest = greatestKeyNumber(layout)
    const spans = Array.from({ length: rows }, (_, row) => {
      const number = keyNumber(lanes, row, layout)
      const [lower, upper] = [number - within, number + within]
      return this.spanOf({
        lower: keyOfNumber(lower < 0n ? 0n : lower, layout),
        upper: keyOfNumber(upper > greatest ? greatest : upper, layout),
      })
    })
    const pairs = spans.reduce((sum, { first, last }) => sum + last - first + 1, 0)
    return partsOf(this.count, pairs, visit => {
      for (const [row, { first, last }] of spans.entries())
        for (let partition = first; partition <= last; partition++) visit(partition, row)
    })
  }

  #keyOf(lanes: readonly Uint32Array[], row: number): Uint32Array {
    for (let lane = 0; lane < this.#key.length; lane++) this.#key[lane] = lanes[lane]![row]!
    return this.#key
  }

  #byBits(key: Uint32Array): number {
    let partition = 0
    let left = this.#bits
    for (let lane = 0; lane < key.length && left > 0; lane++) {
      const width = 8 * this.#layout.laneBytes[lane]!
      const bits = Math.min(left, width)
      partition = (partition << bits) | (key[lane]! >>> (width - bits))
      left -= bits
    }
    return partition << left
  }
}

/** How a partition is called: its number as hexadecimal digits, as many for each. */
export function partitionName(partition: number, count: number): string {
  const digits = Math.max(2, Math.ceil(Math.log2(count) / 4))
  return partition.toString(16).padStart(digits, '0')
}

/** How many boundaries are not above the key. */
function boundariesUpTo(boundaries: readonly Uint32Array[], key: Uint32Array): number {
  let low = 0
  let high = boundaries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareKeys(boundaries[middle]!, key) <= 0) low = middle + 1
    else high = middle
  }
  return low
}

/** Sorts pairs of partition and row by partition. `visitAll` visits the same ones, rows ascending, each time. */
function partsOf(
  count: number,
  pairs: number,
  visitAll: (visit: (partition: number, row: number) => void) => void,
): Part[] {
  const starts = new Uint32Array(count + 1)
  visitAll(partition => void starts[partition + 1]!++)
  for (let partition = 0; partition < count; partition++) starts[partition + 1]! += starts[partition]!
  const next = starts.slice()
  const rows = new Uint32Array(pairs)
  visitAll((partition, row) => void (rows[next[partition]!++] = row))
  const parts: Part[] = []
  for (let partition = 0; partition < count; partition++) {
    const [from, to] = [starts[partition]!, starts[partition + 1]!]
    if (from < to) parts.push({ partition, rows: rows.subarray(from, to) })
  }
  return parts
}
