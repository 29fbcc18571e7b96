/**
 * Finds every intact frame of log segments, not only those that an open would replay, and what is missing between them.
 *
 * For verify and repair. Replay stops where the log ends; here the search goes on at each place where a frame may begin.
 * Frames of older lives have other checksums, and sequence numbers tell what is missing. docs/durability.md, Repair.
 */
import { throwIfAborted } from '../async/abort.js'
import { fileOfSeed } from '../format/checksum-seed.js'
import { FRAME_ALIGNMENT, FRAME_HEADER_BYTES } from '../format/frame-layout.js'
import type { FoundFrame, SegmentReader } from './segment-reader.js'

/** Neighbouring frames of a segment without a gap in their sequence numbers. */
export interface Run {
  readonly segment: number
  readonly path: string
  /** Bytes [from, to): in between may be padding, and frames that are not whole. */
  readonly from: number
  to: number
  readonly firstSequence: number
  endSequence: number
  frames: number
}

/** What of a run is taken: operations [firstSequence, endSequence). */
export interface Piece {
  readonly run: Run
  readonly firstSequence: number
  readonly endSequence: number
}

export interface SegmentSurvey {
  readonly number: number
  readonly path: string
  readonly runs: readonly Run[]
  /** The greatest number up to which a frame says that all was synced. */
  readonly syncedSequence: number
  /** Where something was written behind the last frame that is not whole. */
  readonly brokenAt: number | undefined
}

/** Operations that are missing in the log. */
export interface LogGap {
  readonly path: string
  readonly offset: number
  readonly firstSequence: number
  readonly endSequence: number
  /** The segment has no file. */
  readonly noFile: boolean
}

/** Sequence numbers that a segment must hold. */
export interface Territory {
  readonly path: string
  readonly firstSequence: number
  readonly endSequence: number
  readonly noFile: boolean
}

/** Frames are told to `visit`, which may make them wait; `damaged` are those of which the header alone is intact. */
export interface FrameVisitor {
  readonly visit: (frame: FoundFrame) => void | Promise<void>
  readonly damaged?: (frame: FoundFrame) => void
}

/** Walks all whole frames in bytes [from, to), wherever they begin. */
export async function walkFrames(
  reader: SegmentReader,
  from: number,
  to: number,
  { visit, damaged }: FrameVisitor,
  signal: AbortSignal | undefined,
): Promise<void> {
  let offset = from
  while (offset + FRAME_HEADER_BYTES <= Math.min(to, reader.end)) {
    const loaded = reader.load(offset, FRAME_HEADER_BYTES)
    if (loaded !== true) {
      throwIfAborted(signal)
      if (!(await loaded)) continue
    }
    const frame = reader.frameAt(offset)
    if (frame === undefined) {
      offset += FRAME_ALIGNMENT
      continue
    }
    const there = reader.load(offset, frame.end - offset)
    if ((there === true || (await there)) && reader.isWhole(frame)) {
      const waiting = visit(frame)
      if (waiting !== undefined) await waiting
    } else damaged?.(frame)
    // A header that is intact says where its frame ends: within its payload there is none.
    offset = frame.end
  }
}

/** Surveys one segment. `fresh`: nothing was ever retired in this table, so the file has no older life. */
export async function surveySegment(
  number: number,
  reader: SegmentReader,
  { pageBytes, fresh, signal }: { pageBytes: number; fresh: boolean; signal?: AbortSignal | undefined },
): Promise<SegmentSurvey> {
  const runs: Run[] = []
  let syncedSequence = 0
  let brokenAt: number | undefined
  const visit = ({ offset, end, header }: FoundFrame): void => {
    const { firstSequence, endSequence } = header
    const last = runs.at(-1)
    syncedSequence = Math.max(syncedSequence, header.syncedSequence)
    brokenAt = undefined
    if (last !== undefined && last.endSequence === firstSequence) {
      last.to = end
      last.endSequence = endSequence
      last.frames++
    } else {
      const { path } = reader
      runs.push({ segment: number, path, from: offset, to: end, firstSequence, endSequence, frames: 1 })
    }
  }
  const damaged = ({ offset, header }: FoundFrame): void => {
    syncedSequence = Math.max(syncedSequence, header.syncedSequence)
    brokenAt ??= offset
  }
  await walkFrames(reader, 0, Infinity, { visit, damaged }, signal)
  const last = runs.at(-1)
  brokenAt ??= await writtenBehind(reader, last?.to ?? 0, last?.endSequence, pageBytes, fresh)
  return { number, path: reader.path, runs, syncedSequence, brokenAt }
}

/**
 * Where there is a sign of a frame behind the last one, of which not even the header is intact.
 *
 * To the end of the page there must be zeros. The next frame may begin at the next page, where in a file with an older
 * life anything may be: then what is left of a header must fit.
 */
export async function writtenBehind(
  reader: SegmentReader,
  end: number,
  expected: number | undefined,
  pageBytes: number,
  fresh: boolean,
): Promise<number | undefined> {
  const pageEnd = Math.ceil(end / pageBytes) * pageBytes
  // A writer may have gone on meanwhile.
  for (const offset of [end, pageEnd]) if (await isFrame(reader, offset)) return undefined
  const inPage = await reader.firstWritten(end, pageEnd)
  if (inPage !== undefined) return inPage
  if (fresh) return reader.firstWritten(pageEnd, reader.end)
  if (expected === undefined || !(await reader.load(pageEnd, FRAME_HEADER_BYTES))) return undefined
  if (!reader.isWritten(pageEnd)) return undefined
  if (reader.firstSequenceAt(pageEnd) === expected) return pageEnd
  const frame = reader.foreignFrameAt(pageEnd)
  if (frame === undefined || !(await reader.load(pageEnd, frame.end - pageEnd))) return undefined
  return reader.isWhole(frame) ? pageEnd : undefined
}

/** What tells a spare segment under its new number from a file that was overwritten. */
export interface OlderLives {
  readonly tableId: Uint8Array
  /** Of the segments that are being written. */
  readonly epoch: number
  /** Numbers of the segments that the log consists of: none of them is a spare. */
  readonly live: ReadonlySet<number>
  /** The first sequence number that is not in a bucket file: of this epoch a spare has older ones. */
  readonly firstSequence: number
}

/**
 * Where something stands in a segment without a frame of its own that no writer leaves before its first one: such a file
 * is empty, or a spare that was renamed, and then it begins with a frame of an older life of this table. All else was
 * written over by somebody, or is what a power cut has left of the first frame.
 */
export async function foreignAt(
  reader: SegmentReader,
  number: number,
  { tableId, epoch, live, firstSequence }: OlderLives,
): Promise<number | undefined> {
  if (reader.end === 0 || (await isFrame(reader, 0))) return undefined
  const written = (await reader.firstWritten(0, reader.end)) ?? 0
  if (!(await reader.load(0, FRAME_HEADER_BYTES))) return written
  const frame = reader.foreignFrameAt(0)
  if (frame === undefined || !(await reader.load(0, frame.end))) return written
  if (!reader.isWholeWith(frame, frame.seed)) return written
  const older = fileOfSeed(frame.seed, tableId, { epoch, end: number })
  const isSpare =
    older !== undefined &&
    !live.has(older.number) &&
    (older.epoch < epoch || frame.header.endSequence <= firstSequence)
  return isSpare ? undefined : written
}

async function isFrame(reader: SegmentReader, offset: number): Promise<boolean> {
  if (!(await reader.load(offset, FRAME_HEADER_BYTES))) return false
  const frame = reader.frameAt(offset)
  if (frame === undefined || !(await reader.load(offset, frame.end - offset))) return false
  return reader.isWhole(frame)
}

/**
 * The pieces that count, in the order of their sequence numbers, none twice.
 *
 * Segments are written one after another, so frames of one that are beyond the start of a later one are left over from a
 * log that was torn there: what came in their place is newer. `segments` ascend by number.
 */
export function piecesOf(
  segments: readonly SegmentSurvey[],
  rangeOf: (segment: SegmentSurvey) => { readonly first: number; readonly end: number },
): Piece[] {
  const pieces: Piece[] = []
  let limit = Infinity
  for (const segment of segments.toReversed()) {
    const range = rangeOf(segment)
    const end = Math.min(limit, range.end)
    for (const run of segment.runs) {
      const piece = clipped({ run, ...run }, range.first, end)
      if (piece === undefined) continue
      pieces.push(piece)
      limit = Math.min(limit, piece.firstSequence)
    }
  }
  pieces.sort((a, b) => a.firstSequence - b.firstSequence)
  let expected = 0
  return pieces.flatMap(piece => {
    const rest = clipped(piece, expected, Infinity)
    expected = Math.max(expected, piece.endSequence)
    return rest ?? []
  })
}

/** The piece without what is before `first` or from `end` on. */
export function clipped(piece: Piece, first: number, end: number): Piece | undefined {
  const firstSequence = Math.max(piece.firstSequence, first)
  const endSequence = Math.min(piece.endSequence, end)
  return firstSequence < endSequence ? { run: piece.run, firstSequence, endSequence } : undefined
}

/** What is missing of the territories. Requires: pieces and territories ascend, and do not overlap among themselves. */
export function gapsOf(pieces: readonly Piece[], territories: readonly Territory[]): LogGap[] {
  const gaps: LogGap[] = []
  for (const { path, noFile, firstSequence, endSequence } of territories) {
    let expected = firstSequence
    let place = { path, offset: 0 }
    const here = pieces.flatMap(piece => clipped(piece, firstSequence, endSequence) ?? [])
    for (const piece of here) {
      if (piece.firstSequence > expected) {
        gaps.push({ ...place, noFile, firstSequence: expected, endSequence: piece.firstSequence })
      }
      expected = piece.endSequence
      place = { path: piece.run.path, offset: piece.run.to }
    }
    if (expected < endSequence) gaps.push({ ...place, noFile, firstSequence: expected, endSequence })
  }
  return gaps
}
