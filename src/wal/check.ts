/**
 * Checks the log for verify: what an open would replay, and where that is damaged, all that is missing.
 *
 * docs/durability.md, Verify.
 */
import { diskError, type FlashTableError } from '../base/errors.js'
import { walName } from '../io/file-names.js'
import { OperationBuffer, countPuts, type DeleteWhere } from '../records/operations.js'
import { SegmentReader } from './segment-reader.js'
import { replayLog, type ReplayOptions, type ReplayResult } from './replay.js'
import {
  foreignAt,
  gapsOf,
  piecesOf,
  surveySegment,
  walkFrames,
  writtenBehind,
  type LogGap,
  type OlderLives,
  type Piece,
  type SegmentSurvey,
  type Territory,
} from './survey.js'

export interface LogCheckOptions extends Omit<ReplayOptions, 'onBatch'> {
  /** The next sequence number when the manifest was written; without a clean end it may not have been synced. */
  readonly nextSequence: number
  /** Whether something in the operations cannot be, as text. */
  readonly defectOf: (operations: OperationBuffer) => string | undefined
  readonly signal?: AbortSignal | undefined
}

export interface CheckedLog {
  readonly problems: readonly { path: string; offset: number | undefined; message: string }[]
  readonly segments: number
  /** Behind its last operation. */
  readonly endSequence: number
  readonly frames: number
  /** Puts. */
  readonly records: number
  readonly tornAt: { readonly path: string; readonly offset: number } | undefined
}

/** Damage does not reject, it is in `problems`. */
export async function checkLog(options: LogCheckOptions): Promise<CheckedLog> {
  const problems: { path: string; offset: number | undefined; message: string }[] = []
  let frames = 0
  let records = 0
  try {
    const log = await replayLog({
      ...options,
      onBatch(batch, segment) {
        frames += batch.frames
        records += countPuts(batch.operations)
        const message = options.defectOf(batch.operations as OperationBuffer)
        const path = `${options.directory}/${walName(segment)}`
        if (message !== undefined) problems.push({ path, offset: undefined, message })
      },
    })
    const tornAt = log.tornAt ?? (await endOf(options, log))
    return { problems, segments: log.segments.length, endSequence: log.endSequence, frames, records, tornAt }
  } catch (error) {
    const failure = diskError(error, options.directory)
    return checkDamaged(options, failure)
  }
}

/** A sign that the log has not ended where replay ended: told, but an open takes it for the end too. */
async function endOf(options: LogCheckOptions, log: ReplayResult): Promise<CheckedLog['tornAt']> {
  if (options.clean) return undefined
  const last = log.segments.at(-1)
  const open = options.openSegments.filter(number => number >= (last?.number ?? 0))
  for (const number of open) {
    const reader = await SegmentReader.open(options, { number, epoch: options.epoch }, Infinity)
    try {
      const end = number === last?.number ? last.bytes : 0
      const offset = await writtenBehind(
        reader,
        end,
        log.endSequence,
        options.pageBytes,
        isFresh(options.firstSequence),
      )
      const torn = offset ?? (end === 0 ? await foreignAt(reader, number, olderLives(options)) : undefined)
      if (torn !== undefined) return { path: reader.path, offset: torn }
    } finally {
      await reader.close()
    }
  }
  // Without a segment of this life nothing tells whether there was one.
  if (options.openSegments.length > 0 && log.endSequence >= options.nextSequence) return undefined
  const number = last?.number ?? options.openSegments[0] ?? options.closed[0]?.number
  if (number === undefined) return { path: options.directory, offset: 0 }
  return { path: `${options.directory}/${walName(number)}`, offset: last?.bytes ?? 0 }
}

function olderLives({
  tableId,
  epoch,
  closed,
  openSegments,
  firstSequence,
}: Omit<LogCheckOptions, 'defectOf'>): OlderLives {
  const live = new Set([...closed.map(({ number }) => number), ...openSegments])
  return { tableId, epoch, live, firstSequence }
}

/** Segments are retired once their records are in bucket files; before that there is none to be written over. */
export function isFresh(firstLogSequence: number): boolean {
  return firstLogSequence === 0
}

/** Replay ended with `failure`: finds all that is intact, and tells each gap. */
async function checkDamaged(options: LogCheckOptions, failure: FlashTableError): Promise<CheckedLog> {
  const { segments, gaps, pieces } = await surveyLog(options)
  const counts = await countPieces(options, pieces)
  const synced = Math.max(0, ...segments.map(segment => segment.syncedSequence))
  const closedEnd = options.closed.at(-1)?.endSequence ?? 0
  const problems = gaps
    .filter(gap => gap.firstSequence < Math.max(closedEnd, synced))
    .map(({ path, offset, firstSequence, endSequence, noFile }) => ({
      path,
      offset,
      message: noFile
        ? `the log segment is missing, with operations ${firstSequence} to ${endSequence - 1}`
        : `expected the frame that begins with sequence number ${firstSequence}; operations to ${endSequence - 1} are missing`,
    }))
  if (problems.length === 0) {
    const { path = options.directory, offset, message } = failure
    problems.push({ path, offset: offset ?? 0, message })
  }
  const endSequence = pieces.at(-1)?.endSequence ?? options.firstSequence
  return { problems, segments: segments.length, endSequence, ...counts, tornAt: undefined }
}

/** What there is of the log, and what is missing; of an open end as much as anything says that it was there. */
export async function surveyLog(
  options: Omit<LogCheckOptions, 'defectOf'>,
): Promise<{ segments: SegmentSurvey[]; pieces: Piece[]; gaps: LogGap[] }> {
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
      const brokenAt = isEmpty ? await foreignAt(reader, source.number, olderLives(options)) : survey.brokenAt
      segments.push({ ...survey, brokenAt })
    } finally {
      await reader.close()
    }
  }
  const closedEnd = closed.at(-1)?.endSequence ?? options.firstSequence
  const pieces = piecesOf(segments, ({ number }) => {
    const known = closed.find(segment => segment.number === number)
    return known === undefined
      ? { first: closedEnd, end: Infinity }
      : { first: known.firstSequence, end: known.endSequence }
  })
  return { segments, pieces, gaps: gapsOf(pieces, territoriesOf(options, segments, pieces, closedEnd)) }
}

function territoriesOf(
  options: Omit<LogCheckOptions, 'defectOf'>,
  segments: readonly SegmentSurvey[],
  pieces: readonly Piece[],
  closedEnd: number,
): Territory[] {
  const { directory, closed, openSegments, clean, nextSequence } = options
  const territories: Territory[] = closed.map(({ number, firstSequence, endSequence }) => {
    const path = `${directory}/${walName(number)}`
    return { path, firstSequence, endSequence, noFile: !segments.some(segment => segment.number === number) }
  })
  const end = Math.max(
    nextSequence,
    ...segments.map(segment => segment.syncedSequence),
    pieces.at(-1)?.endSequence ?? 0,
  )
  if (clean || end <= closedEnd) return territories
  const last = closed.at(-1)?.number
  const number = openSegments[0] ?? last
  const path = number === undefined ? directory : `${directory}/${walName(number)}`
  territories.push({ path, firstSequence: closedEnd, endSequence: end, noFile: openSegments.length === 0 })
  return territories
}

async function countPieces(
  options: LogCheckOptions,
  pieces: readonly Piece[],
): Promise<{ frames: number; records: number }> {
  let frames = 0
  let records = 0
  const epochs = new Map(options.closed.map(({ number, epoch }) => [number, epoch]))
  const rows = new OperationBuffer(options.layout, 256)
  for (const { run } of pieces) {
    const source = { number: run.segment, epoch: epochs.get(run.segment) ?? options.epoch }
    const reader = await SegmentReader.open({ ...options, lenient: true }, source, Infinity)
    const deletes: DeleteWhere[] = []
    try {
      await walkFrames(
        reader,
        run.from,
        run.to,
        {
          visit(frame) {
            frames++
            rows.clear()
            reader.decode(frame, rows, deletes)
            records += countPuts(rows)
          },
        },
        options.signal,
      )
    } finally {
      await reader.close()
    }
  }
  return { frames, records }
}
