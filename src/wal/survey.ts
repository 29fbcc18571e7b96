/**
 * Finds every intact frame of the log, not only those that an open would replay, and what is missing between them.
 *
 * For verify and repair. Replay stops where the log ends; a survey goes on wherever a frame may begin. Frames of older
 * lives do not count, since their checksums have other seeds. docs/durability.md, Repair.
 */
import { throwIfAborted } from '../async/abort.js'
import { FRAME_ALIGNMENT, SMALL_FRAME_HEADER_BYTES } from '../format/frame-layout.js'
import { walName } from '../io/file-names.js'
import { gapsOf, partsOf } from './log-parts.js'
import type { ExpectedRange, FrameRun, LogGap, RunPart, SegmentRuns } from './log-parts.js'
import { isFresh, overwrittenAt, writtenAfter } from './open-end.js'
import type { OlderLives } from './open-end.js'
import type { ReplayOptions } from './replay.js'
import { SegmentReader } from './segment-reader.js'
import type { FoundFrame } from './segment-reader.js'

export interface SegmentSurvey extends SegmentRuns {
  readonly path: string
  /** The greatest sequence number up to which a frame says that everything was synced. */
  readonly syncedSequence: number
  /** The offset of bytes after the last intact frame that were written, but are not an intact frame. */
  readonly brokenAt: number | undefined
}

export interface LogSurvey {
  readonly segments: readonly SegmentSurvey[]
  /** The intact frames that count, by ascending sequence number. */
  readonly parts: readonly RunPart[]
  readonly gaps: readonly LogGap[]
}

export interface SurveyOptions extends Omit<ReplayOptions, 'onBatch'> {
  /** The next sequence number when the manifest was written. Without a clean end it may not have been synced. */
  readonly nextSequence: number
}

/** Surveys the whole log. At an unclean end, a gap is reported only if a frame or the manifest says what was there. */
export async function surveyLog(options: SurveyOptions): Promise<LogSurvey> {
  const { closed, openSegments, epoch, pageBytes, signal, clean } = options
  const sources = [...closed, ...(clean ? [] : openSegments.map(number => ({ number, epoch })))]
  const fresh = isFresh(options.firstSequence)
  const segments: SegmentSurvey[] = []
  for (const source of sources) {
    const reader = await SegmentReader.open({ ...options, lenient: true }, source, Infinity).catch(
      () => undefined,
    )
    if (reader === undefined) continue
    try {
      const survey = await surveySegment(source.number, reader, { pageBytes, fresh, signal })
      const isEmpty = survey.runs.length === 0 && survey.brokenAt === undefined
      const brokenAt = isEmpty
        ? await overwrittenAt(reader, source.number, olderLives(options))
        : survey.brokenAt
      segments.push({ ...survey, brokenAt })
    } finally {
      await reader.close()
    }
  }
  const closedEnd = closed.at(-1)?.endSequence ?? options.firstSequence
  const parts = partsOf(segments, ({ number }) => {
    const known = closed.find(segment => segment.number === number)
    return known === undefined
      ? { first: closedEnd, end: Infinity }
      : { first: known.firstSequence, end: known.endSequence }
  })
  return { segments, parts, gaps: gapsOf(parts, expectedRanges(options, segments, parts, closedEnd)) }
}

/** What the log must hold: a range for each closed segment, and one for the open ones as far as anything vouches. */
function expectedRanges(
  options: SurveyOptions,
  segments: readonly SegmentSurvey[],
  parts: readonly RunPart[],
  closedEnd: number,
): ExpectedRange[] {
  const { directory, closed, openSegments, clean, nextSequence } = options
  const ranges: ExpectedRange[] = closed.map(({ number, firstSequence, endSequence }) => {
    const path = `${directory}/${walName(number)}`
    return { path, firstSequence, endSequence, noFile: !segments.some(segment => segment.number === number) }
  })
  const end = Math.max(
    nextSequence,
    ...segments.map(segment => segment.syncedSequence),
    parts.at(-1)?.endSequence ?? 0,
  )
  if (clean || end <= closedEnd) return ranges
  const number = openSegments[0] ?? closed.at(-1)?.number
  const path = number === undefined ? directory : `${directory}/${walName(number)}`
  ranges.push({ path, firstSequence: closedEnd, endSequence: end, noFile: openSegments.length === 0 })
  return ranges
}

/** What {@link overwrittenAt} needs to recognise a spare under its new number. */
export function olderLives({
  tableId,
  epoch,
  closed,
  openSegments,
  firstSequence,
}: SurveyOptions): OlderLives {
  const live = new Set([...closed.map(({ number }) => number), ...openSegments])
  return { tableId, epoch, live, firstSequence }
}

/** Surveys one segment. `fresh`: no file of this table has an older life, see {@link isFresh}. */
export async function surveySegment(
  number: number,
  reader: SegmentReader,
  { pageBytes, fresh, signal }: { pageBytes: number; fresh: boolean; signal?: AbortSignal | undefined },
): Promise<SegmentSurvey> {
  const { path } = reader
  const runs: FrameRun[] = []
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
      runs.push({ segment: number, path, from: offset, to: end, firstSequence, endSequence, frames: 1 })
    }
  }
  const damaged = ({ offset, header }: FoundFrame): void => {
    syncedSequence = Math.max(syncedSequence, header.syncedSequence)
    brokenAt ??= offset
  }
  await walkFrames(reader, 0, Infinity, { visit, damaged }, signal)
  const last = runs.at(-1)
  brokenAt ??= await writtenAfter(reader, last?.to ?? 0, last?.endSequence, pageBytes, fresh)
  return { number, path, runs, syncedSequence, brokenAt }
}

export interface FrameVisitor {
  /** Called with each whole frame. The walk waits for the promise, if it returns one. */
  readonly visit: (frame: FoundFrame) => void | Promise<void>
  /** Called with each frame of which only the header is intact. */
  readonly damaged?: (frame: FoundFrame) => void
}

/** Walks the frames in bytes [from, to), wherever they begin. */
export async function walkFrames(
  reader: SegmentReader,
  from: number,
  to: number,
  { visit, damaged }: FrameVisitor,
  signal: AbortSignal | undefined,
): Promise<void> {
  let offset = from
  while (offset + SMALL_FRAME_HEADER_BYTES <= Math.min(to, reader.end)) {
    const loaded = reader.loadStart(offset)
    if (loaded !== true) {
      throwIfAborted(signal)
      if (!(await loaded)) continue
    }
    const frame = reader.frameAt(offset)
    if (frame === undefined) {
      offset += FRAME_ALIGNMENT
      continue
    }
    const wholeLoaded = reader.load(offset, frame.end - offset)
    if ((wholeLoaded === true || (await wholeLoaded)) && reader.isWhole(frame)) {
      const waiting = visit(frame)
      if (waiting !== undefined) await waiting
    } else damaged?.(frame)
    // An intact header says where its frame ends. No frame begins within its payload.
    offset = frame.end
  }
}
