/**
 * Checks the log for verify: replays what an open would replay, and if that fails, finds everything that is missing.
 *
 * docs/durability.md, Verify.
 */
import { diskError } from '../base/errors.js'
import type { FlashTableError } from '../base/errors.js'
import { walName } from '../io/file-names.js'
import { countPuts, OperationBuffer } from '../records/operations.js'
import type { DeleteWhere } from '../records/operations.js'
import type { LogGap, RunPart } from './log-parts.js'
import { isFresh, overwrittenAt, writtenAfter } from './open-end.js'
import { replayLog } from './replay.js'
import type { ReplayResult } from './replay.js'
import { SegmentReader } from './segment-reader.js'
import { olderLives, surveyLog, walkFrames } from './survey.js'
import type { SurveyOptions } from './survey.js'

export interface LogCheckOptions extends SurveyOptions {
  /** Describes a value in the operations that no writer makes; `undefined` if there is none. */
  readonly defectOf: (operations: OperationBuffer) => string | undefined
}

interface LogProblem {
  readonly path: string
  readonly offset: number | undefined
  readonly message: string
}

export interface CheckedLog {
  readonly problems: readonly LogProblem[]
  /** The number of segments with frames. */
  readonly segments: number
  /** The sequence number that follows the last operation. */
  readonly endSequence: number
  /** The number of frames. */
  readonly frames: number
  /** The number of puts. */
  readonly records: number
  readonly tornAt: { readonly path: string; readonly offset: number } | undefined
}

/** Checks the log. Damage does not reject: it is in `problems`. */
export async function checkLog(options: LogCheckOptions): Promise<CheckedLog> {
  const problems: LogProblem[] = []
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
    const tornAt = log.tornAt ?? (await signOfMore(options, log))
    return { problems, segments: log.segments.length, endSequence: log.endSequence, frames, records, tornAt }
  } catch (error) {
    return checkDamaged(options, diskError(error, options.directory))
  }
}

/**
 * A sign that the log went on where replay ended. It is reported, but is not a problem: an open ends the log there too.
 */
async function signOfMore(options: LogCheckOptions, log: ReplayResult): Promise<CheckedLog['tornAt']> {
  const { directory, clean, closed, openSegments, epoch, pageBytes, nextSequence } = options
  if (clean) return undefined
  const last = log.segments.at(-1)
  const fresh = isFresh(options.firstSequence)
  for (const number of openSegments.filter(number => number >= (last?.number ?? 0))) {
    const reader = await SegmentReader.open(options, { number, epoch }, Infinity)
    try {
      const end = number === last?.number ? last.bytes : 0
      const written = await writtenAfter(reader, end, log.endSequence, pageBytes, fresh)
      const offset =
        written ?? (end === 0 ? await overwrittenAt(reader, number, olderLives(options)) : undefined)
      if (offset !== undefined) return { path: reader.path, offset }
    } finally {
      await reader.close()
    }
  }
  // Without a segment of this life, nothing says whether there was one.
  if (openSegments.length > 0 && log.endSequence >= nextSequence) return undefined
  const number = last?.number ?? openSegments[0] ?? closed[0]?.number
  if (number === undefined) return { path: directory, offset: 0 }
  return { path: `${directory}/${walName(number)}`, offset: last?.bytes ?? 0 }
}

/** Replay has failed with `failure`: finds every intact frame, and reports each gap between them. */
async function checkDamaged(options: LogCheckOptions, failure: FlashTableError): Promise<CheckedLog> {
  const { segments, gaps, parts } = await surveyLog(options)
  const counts = await countParts(options, parts)
  const synced = Math.max(0, ...segments.map(segment => segment.syncedSequence))
  const closedEnd = options.closed.at(-1)?.endSequence ?? 0
  // Operations from there on may have been lost to a crash.
  const vouchedEnd = Math.max(closedEnd, synced)
  const problems = gaps.filter(gap => gap.firstSequence < vouchedEnd).map(gapProblem)
  if (problems.length === 0) {
    const { path = options.directory, offset = 0, message } = failure
    problems.push({ path, offset, message })
  }
  const endSequence = parts.at(-1)?.endSequence ?? options.firstSequence
  return { problems, segments: segments.length, endSequence, ...counts, tornAt: undefined }
}

function gapProblem({ path, offset, firstSequence, endSequence, noFile }: LogGap): LogProblem {
  const last = endSequence - 1
  const message = noFile
    ? `the log segment is missing, with operations ${firstSequence} to ${last}`
    : `expected the frame that begins with sequence number ${firstSequence}; operations to ${last} are missing`
  return { path, offset, message }
}

async function countParts(
  options: LogCheckOptions,
  parts: readonly RunPart[],
): Promise<{ frames: number; records: number }> {
  let frames = 0
  let records = 0
  const epochs = new Map(options.closed.map(({ number, epoch }) => [number, epoch]))
  const rows = new OperationBuffer(options.layout, 256)
  for (const { run } of parts) {
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
