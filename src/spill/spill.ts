/**
 * What is known of a spill: records that a bulk load has set aside in a file, split by key into pieces, and not sorted.
 *
 * The index of the pieces is in memory only; no manifest names a spill, so after a crash the file is an orphan.
 * docs/architecture.md, Bulk load; docs/file-format.md, Spills.
 */
import { compareKeyToRow, compareRows, lowerBound } from '../columns/compare.js'
import type { KeyRange } from '../columns/key-range.js'
import { sortedOrder } from '../columns/sort.js'

/** A spill as plain data. Its columns are in shared memory: to another thread they go without a copy. */
export interface Spill {
  readonly number: number
  readonly epoch: number
  /** Pieces: rows that share a stretch of keys, one frame each. The stretches ascend; a key may be in neighbours. */
  readonly pieces: number
  /** The least and the greatest key that each piece may have, one column a lane. */
  readonly firstKeys: readonly Uint32Array[]
  readonly lastKeys: readonly Uint32Array[]
  /** Where each piece begins in the file, and where the last one ends. */
  readonly offsets: Float64Array
}

/** Neighbouring pieces of a spill: [from, to). */
export interface PieceRange {
  readonly from: number
  readonly to: number
}

/** All pieces in which keys of the range may be. Requires: its upper bound, if any, is exclusive, its lower one not. */
export function piecesIn({ pieces, firstKeys, lastKeys }: Spill, { lower, upper }: KeyRange): PieceRange {
  const from = lower === undefined ? 0 : lowerBound(lastKeys, 0, pieces, lower)
  return { from, to: upper === undefined ? pieces : lowerBound(firstKeys, from, pieces, upper) }
}

/** Whether the spill may have records of the range, as {@link piecesIn} takes it. */
export function mayHave(spill: Spill, range: KeyRange): boolean {
  const { from, to } = piecesIn(spill, range)
  return from < to
}

/** Whether all keys of the spill are less than `key`; `undefined`: greater than all keys. */
export function endsBefore({ pieces, lastKeys }: Spill, key: Uint32Array | undefined): boolean {
  return key === undefined || compareKeyToRow(key, lastKeys, pieces - 1) > 0
}

/** Bytes of these pieces. */
export function pieceBytes({ offsets }: Spill, { from, to }: PieceRange): number {
  return offsets[to]! - offsets[from]!
}

/**
 * Splits the range into ranges, ascending, in which pieces of about `bytes` begin; `range` as {@link piecesIn} takes it.
 * They are larger where that many bytes begin with one key.
 */
export function splitRange(
  spills: readonly Spill[],
  keyLaneCount: number,
  range: KeyRange,
  bytes: number,
): KeyRange[] {
  const { keys, weights } = beginningIn(spills, keyLaneCount, range)
  const bounds: Uint32Array[] = []
  let before = -1
  let sum = 0
  for (const piece of sortedOrder(keys, keyLaneCount, 0, weights.length)) {
    if (sum >= bytes && compareRows(keys, piece, keys, before, keyLaneCount) !== 0) {
      bounds.push(Uint32Array.from(keys, column => column[piece]!))
      sum = 0
    }
    sum += weights[piece]!
    before = piece
  }
  return Array.from({ length: bounds.length + 1 }, (_, i) => ({
    lower: i === 0 ? range.lower : bounds[i - 1],
    upper: i === bounds.length ? range.upper : bounds[i],
    upperExclusive: true,
  }))
}

/** First keys and bytes of all pieces in the range; a piece that begins before it counts where the range begins. */
function beginningIn(spills: readonly Spill[], keyLaneCount: number, range: KeyRange) {
  const found = spills.map(spill => ({ spill, pieces: piecesIn(spill, range) }))
  const count = found.reduce((sum, { pieces }) => sum + pieces.to - pieces.from, 0)
  const keys = Array.from({ length: keyLaneCount }, () => new Uint32Array(count))
  const weights = new Float64Array(count)
  let at = 0
  for (const { spill, pieces } of found) {
    const start =
      range.lower === undefined
        ? pieces.from
        : lowerBound(spill.firstKeys, pieces.from, pieces.to, range.lower)
    for (let piece = pieces.from; piece < pieces.to; piece++, at++) {
      for (const [lane, column] of keys.entries()) {
        column[at] = piece < start ? range.lower![lane]! : spill.firstKeys[lane]![piece]!
      }
      weights[at] = pieceBytes(spill, { from: piece, to: piece + 1 })
    }
  }
  return { keys, weights }
}
