/** One segment of the log: its frames, one by one, and where it ends and why. docs/file-format.md, WAL segments. */
import { fileOfSeed } from '../../../src/format/checksum-seed.js'
import { fileSeed } from '../../../src/format/checksum.js'
import { rowsDefect } from '../../../src/bucket-file/page-facts.js'
import { walName } from '../../../src/io/file-names.js'
import type { SegmentInfo } from '../../../src/manifest/segment-info.js'
import {
  DELETE_KEY,
  DELETE_RECORD,
  OperationBuffer,
  type DeleteWhere,
} from '../../../src/records/operations.js'
import { checkLog, type CheckedLog } from '../../../src/wal/check.js'
import { SegmentReader, type FoundFrame } from '../../../src/wal/segment-reader.js'
import { walkFrames } from '../../../src/wal/survey.js'
import { formatBytes, formatCount, textList, textTable } from '../output.js'
import { problemLines, problemOf, type InspectedTable, type Problem } from './open-table.js'
import { deleteOf, type InspectedDelete } from './records.js'

/**
 * `closed`: the manifest knows its end. `open`: it counts up to where its frames end. `retired`: its records are in bucket
 * files. `spare`: it waits to be overwritten.
 */
export type SegmentState = 'closed' | 'open' | 'retired' | 'spare'

/** A frame whose checksums fit. */
export interface InspectedFrame {
  readonly offset: number
  readonly bytes: number
  readonly firstSequence: number
  readonly lastSequence: number
  readonly what: string
  readonly puts: number
  readonly dels: number
  readonly delRecords: number
  readonly deleteWheres: readonly InspectedDelete[]
  readonly encoding: 'raw' | 'raw with kinds' | 'packed' | 'small' | 'small with kinds'
  /** All operations below it were synced when the frame was written. */
  readonly syncedSequence: number
  /** Whether its first sequence number is the one that follows the frame before. */
  readonly follows: boolean
}

export interface InspectedSegment {
  readonly directory: string
  readonly name: string
  readonly state: SegmentState
  readonly bytes: number
  readonly epoch: number
  /** Of a spare: whose frames are in it. */
  readonly writtenAs: string | null
  readonly frameCount: number
  readonly firstSequence: number | null
  readonly lastSequence: number | null
  readonly end: { readonly offset: number; readonly why: string }
  readonly offset: number
  readonly frames: readonly InspectedFrame[]
  readonly problems: readonly Problem[]
}

/** The state of a segment, before its frames are known. */
export function stateOf({ manifest }: InspectedTable, number: number): Exclude<SegmentState, 'retired'> {
  if (manifest.log.closed.some(segment => segment.number === number)) return 'closed'
  return manifest.clean || number < manifest.log.firstSegment ? 'spare' : 'open'
}

/** The log, as `verify` judges it. */
export function judgeLog({ options, manifest, listing, signal }: InspectedTable): Promise<CheckedLog> {
  const closed = new Set(manifest.log.closed.map(({ number }) => number))
  const open = listing.wals.filter(number => number >= manifest.log.firstSegment && !closed.has(number))
  return checkLog({
    ...options,
    ...manifest.log,
    openSegments: manifest.clean ? [] : open,
    epoch: manifest.epoch,
    firstSequence: manifest.firstLogSequence,
    nextSequence: manifest.nextSequence,
    clean: manifest.clean,
    defectOf: operations => rowsDefect(operations, options.layout, false),
    signal,
  })
}

/** Called with each whole frame, in the order of the file. */
type OnFrame = (frame: InspectedFrame) => void

/** What is in the frames of a segment. */
export interface SegmentWalk {
  readonly bytes: number
  readonly epoch: number
  readonly writtenAs: string | null
  /** Where the last frame ends that follows the one before. */
  readonly end: number
  readonly firstSequence: number | null
  readonly endSequence: number | null
  /** The first byte after the end that is not zero. */
  readonly firstWritten: number | undefined
  readonly problems: readonly Problem[]
}

/** Reads all frames of a segment. Rejects if it cannot be opened. Memory: one frame. */
export async function walkSegment(
  table: InspectedTable,
  number: number,
  onFrame: OnFrame,
): Promise<SegmentWalk> {
  const { options, manifest, schema, signal } = table
  const closed = manifest.log.closed.find(segment => segment.number === number)
  const epoch = closed?.epoch ?? manifest.epoch
  const reader = await SegmentReader.open({ ...options, lenient: true }, { number, epoch }, Infinity)
  const problems: Problem[] = []
  const operations = new OperationBuffer(options.layout, 256)
  let end = 0
  let firstSequence: number | null = null
  let endSequence: number | null = null
  try {
    const writtenAs = stateOf(table, number) === 'spare' ? await olderName(reader, table, number) : null
    const visit = (found: FoundFrame): void => {
      const deletes: DeleteWhere[] = []
      operations.clear()
      try {
        reader.decode(found, operations, deletes)
      } catch (error) {
        problems.push(problemOf(error, reader.path))
      }
      const { header } = found
      const follows =
        endSequence === null ? isFirst(header.firstSequence, closed) : header.firstSequence === endSequence
      onFrame({
        ...frameOf(found, operations, follows),
        deleteWheres: deletes.map(entry => deleteOf(schema, entry)),
      })
      if (!follows) return
      firstSequence ??= header.firstSequence
      endSequence = header.endSequence
      end = found.end
    }
    await walkFrames(reader, 0, Infinity, { visit }, signal)
    const firstWritten = await reader.firstWritten(end, reader.end)
    return { bytes: reader.end, epoch, writtenAs, end, firstSequence, endSequence, firstWritten, problems }
  } finally {
    await reader.close()
  }
}

function isFirst(sequence: number, closed: SegmentInfo | undefined): boolean {
  return closed === undefined || sequence === closed.firstSequence
}

/** A spare keeps the frames of the segment that it was: lets the reader read them, and tells its name. */
async function olderName(
  reader: SegmentReader,
  { options, manifest }: InspectedTable,
  number: number,
): Promise<string | null> {
  if (!(await reader.loadStart(0))) return null
  const frame = reader.foreignFrameAt(0)
  if (frame === undefined || !(await reader.load(0, frame.end)) || !reader.isWholeWith(frame, frame.seed))
    return null
  const older = fileOfSeed(frame.seed, options.tableId, { epoch: manifest.epoch, end: number + 1 })
  if (older === undefined) return null
  reader.seed = fileSeed(options.tableId, older.epoch, older.number)
  return walName(older.number)
}

const ENCODINGS = {
  large: ['raw', 'raw with kinds'],
  small: ['small', 'small with kinds'],
} as const

function frameOf(
  { offset, end, header }: FoundFrame,
  { kinds, count }: OperationBuffer,
  follows: boolean,
): Omit<InspectedFrame, 'deleteWheres'> {
  const countOf = (kind: number): number =>
    kinds === undefined ? 0 : kinds.subarray(0, count).filter(other => other === kind).length
  const [dels, delRecords] = [countOf(DELETE_KEY), countOf(DELETE_RECORD)]
  const { packed, hasKinds, payloadChecksum, operationCount, deleteWhereCount } = header
  const size = payloadChecksum === undefined ? 'small' : 'large'
  const what = [
    ...(operationCount > 0 ? ['rows'] : []),
    ...(deleteWhereCount > 0 ? ['delete where'] : []),
  ].join(' and ')
  return {
    offset,
    bytes: end - offset,
    firstSequence: header.firstSequence,
    lastSequence: header.endSequence - 1,
    what,
    puts: count - dels - delRecords,
    dels,
    delRecords,
    encoding: packed ? 'packed' : ENCODINGS[size][hasKinds ? 1 : 0],
    syncedSequence: header.syncedSequence,
    follows,
  }
}

export async function inspectSegment(
  table: InspectedTable,
  number: number,
  { offset = 0, limit }: { readonly offset?: number | undefined; readonly limit: number },
): Promise<InspectedSegment> {
  const { manifest, options } = table
  const { directory } = options
  const name = walName(number)
  const path = `${directory}/${name}`
  const frames: InspectedFrame[] = []
  let frameCount = 0
  const log = await judgeLog(table)
  const problems: Problem[] = log.problems
    .filter(problem => problem.path === path)
    .map(problem => ({ file: path, offset: problem.offset ?? null, message: problem.message }))
  const place = { directory, name, offset }
  const known = manifest.log.closed.find(segment => segment.number === number)
  let walk: SegmentWalk
  try {
    walk = await walkSegment(table, number, frame => {
      if (frameCount >= offset && frames.length < limit) frames.push(clearAsWhat(frame))
      frameCount++
    })
  } catch (error) {
    table.signal.throwIfAborted()
    if (problems.length === 0) problems.push(problemOf(error, path))
    const end = { offset: 0, why: 'there is no file' }
    const nothing = {
      frameCount,
      frames,
      firstSequence: null,
      lastSequence: null,
      writtenAs: null,
      end,
      problems,
    }
    return {
      ...place,
      ...nothing,
      state: stateOf(table, number),
      bytes: 0,
      epoch: known?.epoch ?? manifest.epoch,
    }
  }
  for (const problem of walk.problems)
    if (!problems.some(({ offset }) => offset === problem.offset)) problems.push(problem)
  const tornAt = log.tornAt?.path === path ? log.tornAt.offset : undefined
  return {
    ...place,
    state: finalState(table, number, walk),
    bytes: walk.bytes,
    epoch: walk.epoch,
    writtenAs: walk.writtenAs,
    frameCount,
    firstSequence: walk.firstSequence,
    lastSequence: walk.endSequence === null ? null : walk.endSequence - 1,
    end: { offset: walk.end, why: whyEnd(walk, { known, tornAt, isDamaged: problems.length > 0 }) },
    frames,
    problems,
  }
}

/** An entry about keys alone is a clear. */
function clearAsWhat(frame: InspectedFrame): InspectedFrame {
  const { deleteWheres, what } = frame
  const isClear = deleteWheres.length > 0 && deleteWheres.every(entry => entry.what === 'clear')
  return isClear ? { ...frame, what: what.replace('delete where', 'clear') } : frame
}

export function finalState(
  table: InspectedTable,
  number: number,
  { endSequence }: Pick<SegmentWalk, 'endSequence'>,
): SegmentState {
  const state = stateOf(table, number)
  const isOld = endSequence !== null && endSequence <= table.manifest.firstLogSequence
  return state === 'open' && isOld ? 'retired' : state
}

interface Evidence {
  readonly known: SegmentInfo | undefined
  readonly tornAt: number | undefined
  readonly isDamaged: boolean
}

function whyEnd(walk: SegmentWalk, { known, tornAt, isDamaged }: Evidence): string {
  const { end, bytes, firstWritten, writtenAs } = walk
  if (isDamaged) return 'damage, see below'
  if (tornAt !== undefined) return `torn at ${formatCount(tornAt)}, as it may be after a crash: no problem`
  if (writtenAs !== null) return `the end of the frames that it had as ${writtenAs}`
  if (known !== undefined) return 'the end that the manifest names'
  if (end === bytes) return 'the end of the file'
  if (firstWritten === undefined) return 'zeros up to the end of the file'
  return `no frame of this life follows; from ${formatCount(firstWritten)} on there is what an older life has left`
}

export function segmentText(segment: InspectedSegment): string {
  const { name, state, bytes, epoch, writtenAs, frameCount, firstSequence, lastSequence, end } = segment
  const { frames, offset, problems } = segment
  const head: (readonly [string, string])[] = [
    [
      'segment',
      `${name}, ${state}${writtenAs === null || writtenAs === name ? '' : `, written as ${writtenAs}`}`,
    ],
    ['size', formatBytes(bytes)],
    ['epoch', String(epoch)],
    ['frames', formatCount(frameCount)],
    ['sequence', firstSequence === null ? 'none' : `${firstSequence} to ${lastSequence}`],
    ['ends', `at ${formatCount(end.offset)}: ${end.why}`],
  ]
  const columns = ['offset', 'bytes', 'sequence', 'puts', 'dels', 'encoding', 'synced', 'what']
  const rows = frames.map(frame => [
    formatCount(frame.offset),
    formatCount(frame.bytes),
    `${frame.firstSequence}`,
    formatCount(frame.puts),
    formatCount(frame.dels + frame.delRecords),
    frame.encoding,
    `${frame.syncedSequence}`,
    `${frame.what}${frame.follows ? '' : ', out of sequence'}`,
  ])
  const entries = frames.flatMap(frame =>
    frame.deleteWheres.map(entry => `${entry.sequence}  ${entry.what}: ${entry.where}`),
  )
  const shown = frames.length
  return [
    textList(head),
    ...(shown === 0 ? [] : ['', textTable(columns, rows)]),
    ...(entries.length === 0 ? [] : ['', ...entries]),
    ...(shown === frameCount ? [] : ['', moreText('frames', offset, shown, frameCount)]),
    ...(problems.length === 0 ? [] : ['', ...problemLines(problems)]),
  ].join('\n')
}

/** What `--limit` and `--offset` have left out. */
export function moreText(what: string, offset: number, shown: number, count: number): string {
  const range = shown === 0 ? 'none' : `${formatCount(offset)} to ${formatCount(offset + shown - 1)}`
  return `${what} shown: ${range} of ${formatCount(count)}; --offset and --limit show others`
}
