/**
 * Describes a spill: records that a bulk load has set aside, split by key into pieces; in memory as long as there is
 * room, then in a file, whose pieces are sorted.
 *
 * The index of the pieces is in memory only; no manifest names a spill, so after a crash its file is an orphan.
 * docs/internals.md, Bulk load; docs/file-format.md, Spills.
 */
import { compareKeyToRow, compareRows, lowerBound } from '../records/compare.js'
import type { KeyRange } from '../records/key-range.js'
import type { LaneColumn } from '../records/lane-columns.js'
import { sortedOrder } from '../sort/sort.js'

/** Rows split into pieces, as plain data: each has the rows of a range of keys. The ranges ascend; a key may be in two neighbours. */
export interface Pieces {
  /** The number of pieces. */
  readonly pieces: number
  /** The first row of each piece, and where the last one ends. */
  readonly starts: Uint32Array
  /** The least and the greatest key that each piece may have, one column for each lane. */
  readonly firstKeys: readonly Uint32Array[]
  readonly lastKeys: readonly Uint32Array[]
}

/** A spill in memory. */
export interface MemorySpill extends Pieces {
  readonly kind: 'memory'
  /** One for each lane: a column as wide as the lane, or the one value that all rows have; key lanes are columns. */
  readonly lanes: readonly (LaneColumn | number)[]
}

/** A spill in a file: one frame for each piece. */
export interface FileSpill extends Pieces {
  readonly kind: 'file'
  readonly number: number
  readonly epoch: number
  /** Where each piece begins in the file, and where the last one ends. */
  readonly offsets: Float64Array
}

/** A spill as plain data. Its columns are in shared memory: they go to another thread without a copy. */
export type Spill = MemorySpill | FileSpill

/** Neighbouring pieces of a spill: [from, to). */
export interface PieceRange {
  readonly from: number
  readonly to: number
}

/** All pieces that may have keys of the range. Requires: its upper bound, if any, is exclusive, its lower one not. */
export function piecesIn({ pieces, firstKeys, lastKeys }: Pieces, { lower, upper }: KeyRange): PieceRange {
  const from = lower === undefined ? 0 : lowerBound(lastKeys, 0, pieces, lower)
  return { from, to: upper === undefined ? pieces : lowerBound(firstKeys, from, pieces, upper) }
}

/** Whether the spill may have records of the range, as {@link piecesIn} takes it. */
export function mayHave(spill: Pieces, range: KeyRange): boolean {
  const { from, to } = piecesIn(spill, range)
  return from < to
}

/** Whether all keys of the spill are less than `key`; `undefined`: greater than all keys. */
export function endsBefore({ pieces, lastKeys }: Pieces, key: Uint32Array | undefined): boolean {
  return key === undefined || compareKeyToRow(key, lastKeys, pieces - 1) > 0
}

/** Rows of these pieces. */
export function pieceRows({ starts }: Pieces, { from, to }: PieceRange): number {
  return starts[to]! - starts[from]!
}

/** Bytes of these pieces in their file. */
export function pieceBytes({ offsets }: FileSpill, { from, to }: PieceRange): number {
  return offsets[to]! - offsets[from]!
}

/**
 * Splits the range into ascending ranges in which pieces of at most `rows` rows begin, or of more if more rows begin
 * with one key; `range` as {@link piecesIn} takes it.
 */
export function splitRange(
  spills: readonly Pieces[],
  keyLaneCount: number,
  range: KeyRange,
  rows: number,
): KeyRange[] {
  const { keys, weights } = beginningIn(spills, keyLaneCount, range)
  const order = sortedOrder(keys, keyLaneCount, 0, weights.length)
  const bounds: Uint32Array[] = []
  let sum = 0
  for (let at = 0; at < order.length;) {
    const first = order[at]!
    let together = 0
    do together += weights[order[at++]!]!
    while (at < order.length && compareRows(keys, order[at]!, keys, first, keyLaneCount) === 0)
    if (sum > 0 && sum + together > rows) {
      bounds.push(Uint32Array.from(keys, column => column[first]!))
      sum = 0
    }
    sum += together
  }
  return Array.from({ length: bounds.length + 1 }, (_, i) => ({
    lower: i === 0 ? range.lower : bounds[i - 1],
    upper: i === bounds.length ? range.upper : bounds[i],
    upperExclusive: true,
  }))
}

/** First keys and rows of all pieces in the range; a piece that begins before the range counts where it begins. */
function beginningIn(spills: readonly Pieces[], keyLaneCount: number, range: KeyRange) {
  const found = spills.map(spill => ({ spill, pieces: piecesIn(spill, range) }))
  const count = found.reduce((sum, { pieces }) => sum + pieces.to - pieces.from, 0)
  const keys = Array.from({ length: keyLaneCount }, () => new Uint32Array(count))
  const weights = new Uint32Array(count)
  let at = 0
  for (const { spill, pieces } of found) {
    const start =
      range.lower === undefined
        ? pieces.from
        : lowerBound(spill.firstKeys, pieces.from, pieces.to, range.lower)
    for (const [lane, column] of keys.entries()) {
      column.set(spill.firstKeys[lane]!.subarray(pieces.from, pieces.to), at)
      if (start > pieces.from) column.fill(range.lower![lane]!, at, at + start - pieces.from)
    }
    for (let piece = pieces.from; piece < pieces.to; piece++) {
      weights[at++] = spill.starts[piece + 1]! - spill.starts[piece]!
    }
  }
  return { keys, weights }
}
