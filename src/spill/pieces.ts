/**
 * Splits rows by key into pieces: small enough that ranges of keys can be cut well, large enough for what a piece costs.
 *
 * Rows of a piece stay in the order in which they came; but where many have keys that agree in their leading bits, and
 * wherever the caller asks for it, they are sorted, and cut by number. docs/architecture.md, Bulk load.
 */
import { assert } from '../assert.js'
import type { LaneColumn, Operations } from '../columns/operations.js'
import type { RecordLayout } from '../columns/record-layout.js'
import { sortedOrder } from '../columns/sort.js'
import { splitByKey } from '../columns/split.js'
import type { Pieces } from './spill.js'

/** Rows that a piece shall have, about. */
const PIECE_ROWS = 512
const BIN_BITS_MAX = 12
/** Bins of more rows, where keys cluster, are sorted, and cut into pieces that need not end where a bin does. */
const UNSORTED_ROWS_MAX = 2 ** 15
/** Rows of a sorted piece at most: bins that have no more are one. */
const SORTED_ROWS_MAX = 1024

/**
 * Splits a copy of the rows; with `sorted` all pieces are sorted, and their first and last keys are known exactly.
 *
 * `keyLanes`, `valueLanes`: room for all; value lanes as `splitByKey` takes them. Requires: puts, at least one.
 */
export function splitIntoPieces(
  layout: RecordLayout,
  source: Operations,
  keyLanes: readonly Uint32Array[],
  valueLanes: readonly (LaneColumn | undefined)[],
  sorted: boolean,
): Pieces {
  assert(source.kinds === undefined, 'puts are set aside')
  const binBits = Math.ceil(Math.log2(source.count / PIECE_ROWS))
  const options = { binBits: Math.min(BIN_BITS_MAX, Math.max(1, binBits)), partRows: 0 }
  const into = [...keyLanes, ...valueLanes]
  const { starts, firstKeys, lastKeys } = splitByKey(layout, source, options, into)
  const index = new PieceIndex(layout.keyLaneCount)
  for (let part = 0; part + 1 < starts.length; part++) {
    const from = starts[part]!
    const to = starts[part + 1]!
    if (!sorted && to - from <= UNSORTED_ROWS_MAX) {
      index.push(from, firstKeys, part, lastKeys, part)
      continue
    }
    putInOrder(into, sortedOrder(keyLanes, layout.keyLaneCount, from, to), from)
    for (let row = from; row < to; row += SORTED_ROWS_MAX) {
      index.push(row, keyLanes, row, keyLanes, Math.min(row + SORTED_ROWS_MAX, to) - 1)
    }
  }
  return index.finish(source.count)
}

/** Puts the rows from row `from` on in the order of their numbers in `order`. */
function putInOrder(columns: readonly (LaneColumn | undefined)[], order: Uint32Array, from: number): void {
  const ordered = new Uint32Array(order.length)
  for (const column of columns) {
    if (column === undefined) continue
    for (let i = 0; i < order.length; i++) ordered[i] = column[order[i]!]!
    column.set(ordered, from)
  }
}

/** The index of the pieces, as it grows. */
class PieceIndex {
  readonly #starts: number[] = []
  /** One column a lane. */
  readonly #firstKeys: number[][]
  readonly #lastKeys: number[][]

  constructor(keyLaneCount: number) {
    this.#firstKeys = Array.from({ length: keyLaneCount }, () => [])
    this.#lastKeys = Array.from({ length: keyLaneCount }, () => [])
  }

  /** Adds a piece that begins with row `start`; its first and last key are rows of these columns. */
  push(
    start: number,
    firstKeys: readonly Uint32Array[],
    firstRow: number,
    lastKeys: readonly Uint32Array[],
    lastRow: number,
  ): void {
    this.#starts.push(start)
    for (const [lane, column] of this.#firstKeys.entries()) column.push(firstKeys[lane]![firstRow]!)
    for (const [lane, column] of this.#lastKeys.entries()) column.push(lastKeys[lane]![lastRow]!)
  }

  finish(rows: number): Pieces {
    return {
      pieces: this.#starts.length,
      starts: sharedColumn([...this.#starts, rows]),
      firstKeys: this.#firstKeys.map(sharedColumn),
      lastKeys: this.#lastKeys.map(sharedColumn),
    }
  }
}

function sharedColumn(values: readonly number[]): Uint32Array {
  const column = new Uint32Array(new SharedArrayBuffer(values.length * Uint32Array.BYTES_PER_ELEMENT))
  column.set(values)
  return column
}
