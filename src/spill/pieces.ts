/**
 * Splits rows by key into pieces: small enough to cut ranges of keys well, large enough to be worth their cost.
 *
 * Rows of a piece stay in the order in which they came, unless many keys agree in their leading bits or the caller asks
 * for sorted pieces: then they are sorted, and cut by number. docs/internals.md, Bulk load.
 */
import { assert } from '../base/assert.js'
import type { LaneColumn } from '../records/lane-columns.js'
import { gatherColumn, keyLanesOf, type Operations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { sortedOrder } from '../sort/sort.js'
import { splitByKey } from '../sort/split.js'
import type { PieceRange, Pieces } from './spill.js'

/** The target size of a piece, in rows. */
const PIECE_ROWS = 512
const BIN_BITS_MAX = 12
/** Bins of more rows, where keys cluster, are sorted, and cut into pieces that need not end where a bin does. */
const UNSORTED_ROWS_MAX = 2 ** 15
/** The most rows of a sorted piece; a bin that has no more is one piece. */
const SORTED_ROWS_MAX = 1024

/**
 * Splits a copy of the rows; with `sorted` all pieces are sorted, and their first and last keys are known exactly.
 *
 * `into`: room for all rows, one column for each lane. Requires: puts, at least one.
 */
export function splitIntoPieces(
  layout: RecordLayout,
  source: Operations,
  into: readonly LaneColumn[],
  sorted: boolean,
): Pieces {
  assert(source.kinds === undefined, 'puts are set aside')
  const binBits = Math.ceil(Math.log2(source.count / PIECE_ROWS))
  const options = { binBits: Math.min(BIN_BITS_MAX, Math.max(1, binBits)), partRows: 0 }
  const { rows, starts, firstKeys, lastKeys } = splitByKey(layout, source, options, into)
  const keyLanes = keyLanesOf(rows, layout.keyLaneCount)
  const index = new PieceIndex(layout.keyLaneCount)
  for (let part = 0; part + 1 < starts.length; part++) {
    const from = starts[part]!
    const to = starts[part + 1]!
    if (!sorted && to - from <= UNSORTED_ROWS_MAX) {
      index.push(from, firstKeys, part, lastKeys, part)
      continue
    }
    putInOrder(into, sortedOrder(keyLanes, layout.keyLaneCount, from, to), from)
    // Evenly: a piece of few rows costs as much as any.
    const count = Math.ceil((to - from) / SORTED_ROWS_MAX)
    for (let piece = 0; piece < count; piece++) {
      const first = from + Math.floor((piece * (to - from)) / count)
      const last = from + Math.floor(((piece + 1) * (to - from)) / count) - 1
      index.push(first, keyLanes, first, keyLanes, last)
    }
  }
  return index.finish(source.count)
}

/** Puts the rows from row `from` on in the order of their numbers in `order`. */
function putInOrder(lanes: readonly LaneColumn[], order: Uint32Array, from: number): void {
  const ordered = new Uint32Array(order.length)
  for (const lane of lanes) {
    gatherColumn(lane, order, ordered, 0)
    lane.set(ordered, from)
  }
}

/** Cuts the pieces into at most this many neighbourhoods with about the same number of rows. */
export function cutPieces({ pieces, starts }: Pieces, shares: number): PieceRange[] {
  const cuts: PieceRange[] = []
  let from = 0
  for (let to = 1; to <= pieces; to++) {
    // The last piece reaches the last share.
    if (starts[to]! < ((cuts.length + 1) * starts[pieces]!) / shares) continue
    cuts.push({ from, to })
    from = to
  }
  return cuts
}

/** The index of only these pieces; their rows begin with row 0. */
export function piecesFrom({ starts, firstKeys, lastKeys }: Pieces, { from, to }: PieceRange): Pieces {
  return {
    pieces: to - from,
    starts: sharedColumn(Array.from(starts.subarray(from, to + 1), start => start - starts[from]!)),
    firstKeys: firstKeys.map(column => column.subarray(from, to)),
    lastKeys: lastKeys.map(column => column.subarray(from, to)),
  }
}

/** The index of the pieces, as it grows. */
class PieceIndex {
  readonly #starts: number[] = []
  /** One column for each lane. */
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
