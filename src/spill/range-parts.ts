/**
 * What is built at once of the records of spills: ranges of keys; and where one key has very many records, parts of them,
 * so that no job has more in memory than about a range has. docs/internals.md, Bulk load.
 */
import { compareKeyToRow, compareRows } from '../records/compare.js'
import { incrementKey } from '../records/key-number.js'
import type { KeyRange } from '../records/key-range.js'
import type { RecordLayout } from '../records/record-layout.js'
import { piecesFrom } from './pieces.js'
import { pieceRows, piecesIn, splitRange, type PieceRange, type Spill } from './spill.js'

/** Of a range, or of a key, with this many times as many rows as a range should have the hot key is built in parts. */
const HOT_RANGES = 2

/** A part of the records: those of these spills that are in the range. */
export interface RangePart {
  readonly range: KeyRange
  /** Oldest first. */
  readonly spills: readonly Spill[]
  /** Whether no later part has records of the range. */
  readonly isLast: boolean
}

/** Splits all records into parts, in the order of their keys, and for each key of their age, of about `rows` rows. */
export function rangeParts(
  spills: readonly Spill[],
  layout: RecordLayout,
  range: KeyRange,
  rows: number,
  replace: boolean,
): RangePart[] {
  return splitRange(spills, layout.keyLaneCount, range, rows).flatMap(part => {
    const whole = [{ range: part, spills, isLast: true }]
    if (rowsIn(spills, part) <= HOT_RANGES * rows) return whole
    const key = part.lower ?? leastKey(spills, layout, part)
    const next = key.slice()
    incrementKey(next, layout)
    const upper = next.every(lane => lane === 0) ? part.upper : next
    const hot: KeyRange = { lower: key, upper, upperExclusive: true }
    if (rowsIn(spills, hot) <= HOT_RANGES * rows) return whole
    const parts =
      layout.combine === undefined
        ? keyParts(spills, hot, rows, replace)
        : // All of them make one record.
          [{ range: hot, spills, isLast: true }]
    return upper === part.upper
      ? parts
      : [...parts, { range: { ...part, lower: next }, spills, isLast: true }]
  })
}

function rowsIn(spills: readonly Spill[], range: KeyRange): number {
  return spills.reduce((sum, spill) => sum + pieceRows(spill, piecesIn(spill, range)), 0)
}

/** The least key with which a piece in the range begins. */
function leastKey(spills: readonly Spill[], layout: RecordLayout, range: KeyRange): Uint32Array {
  const { keyLaneCount } = layout
  const [first] = spills
    .map(spill => ({ keys: spill.firstKeys, ...piecesIn(spill, range) }))
    .filter(({ from, to }) => from < to)
    .sort((a, b) => compareRows(a.keys, a.from, b.keys, b.from, keyLaneCount))
  return Uint32Array.from(first!.keys.slice(0, keyLaneCount), column => column[first!.from]!)
}

/** The parts of one key, whose range this is; of a key that is replaced the last ones alone, which have its newest record. */
function keyParts(spills: readonly Spill[], range: KeyRange, rows: number, replace: boolean): RangePart[] {
  const parts: Spill[][] = [[]]
  let sum = 0
  for (const spill of spills) {
    const { from, to } = piecesIn(spill, range)
    for (let begin = from, end = from; begin < to; begin = end) {
      // One piece at least, so that it ends.
      do sum += pieceRows(spill, { from: end, to: ++end })
      while (end < to && sum < rows)
      parts.at(-1)!.push(piecesOf(spill, { from: begin, to: end }))
      if (sum < rows) continue
      parts.push([])
      sum = 0
    }
  }
  if (parts.at(-1)!.length === 0) parts.pop()
  const wanted = replace ? newest(parts, range) : parts
  return wanted.map((spills, i) => ({ range, spills, isLast: i === wanted.length - 1 }))
}

/** One part with the newest record of the key: pieces that may have none go together with one that has some. */
function newest(parts: readonly Spill[][], { lower }: KeyRange): Spill[][] {
  const has = ({ pieces, firstKeys, lastKeys }: Spill): boolean =>
    Array.from({ length: pieces }, (_, piece) => piece).some(piece =>
      [firstKeys, lastKeys].every(keys => compareKeyToRow(lower!, keys, piece) === 0),
    )
  const sure = parts.findLastIndex(part => part.some(has))
  return [parts.slice(Math.max(0, sure)).flat()]
}

/** A spill of these pieces alone. */
function piecesOf(spill: Spill, pieces: PieceRange): Spill {
  const { from, to } = pieces
  const index = piecesFrom(spill, pieces)
  if (spill.kind === 'file') return { ...spill, ...index, offsets: spill.offsets.slice(from, to + 1) }
  const { starts } = spill
  const lanes = spill.lanes.map(column =>
    typeof column === 'number' ? column : column.subarray(starts[from], starts[to]),
  )
  return { ...spill, ...index, lanes }
}
