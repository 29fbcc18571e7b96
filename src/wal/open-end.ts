/**
 * Looks for signs that the log of an unclean end went on after its last intact frame.
 *
 * For verify and repair. An open ends the log there in any case. These signs say that a later frame was lost to a power
 * cut, or overwritten by somebody. docs/durability.md, Verify.
 */
import { fileOfSeed } from '../format/checksum-seed.js'
import type { SegmentReader } from './segment-reader.js'

/** Whether no segment file can have an older life: segments are recycled only after records are in bucket files. */
export function isFresh(firstLogSequence: number): boolean {
  return firstLogSequence === 0
}

/**
 * The offset of bytes that were written after the last intact frame, which ends at `end`. Not even a header of them is
 * intact. `expected` is the sequence number of the next frame, if known.
 *
 * Up to the end of the page there must be zeros. The next frame may begin at the next page. There a file with an older
 * life may hold anything, so it counts only if what is left of a header fits. `fresh`: the file has no older life.
 */
export async function writtenAfter(
  reader: SegmentReader,
  end: number,
  expected: number | undefined,
  pageBytes: number,
  fresh: boolean,
): Promise<number | undefined> {
  const pageEnd = Math.ceil(end / pageBytes) * pageBytes
  // A writer in another process may have gone on meanwhile.
  for (const offset of [end, pageEnd]) if (await isFrame(reader, offset)) return undefined
  const inPage = await reader.firstWritten(end, pageEnd)
  if (inPage !== undefined) return inPage
  if (fresh) return reader.firstWritten(pageEnd, reader.end)
  if (expected === undefined || !(await reader.loadStart(pageEnd))) return undefined
  if (!reader.isWritten(pageEnd)) return undefined
  if (reader.firstSequenceAt(pageEnd) === expected) return pageEnd
  const frame = reader.foreignFrameAt(pageEnd)
  if (frame === undefined || !(await reader.load(pageEnd, frame.end - pageEnd))) return undefined
  return reader.isWhole(frame) ? pageEnd : undefined
}

/** What distinguishes a spare under its new number from a file that was overwritten. */
export interface OlderLives {
  readonly tableId: Uint8Array
  /** The epoch of the open segments. */
  readonly epoch: number
  /** Numbers of the segments that the log consists of: none of them is a spare. */
  readonly live: ReadonlySet<number>
  /** The first sequence number that is not in a bucket file. Frames of this epoch in a spare have lower ones. */
  readonly firstSequence: number
}

/**
 * In a segment that has none of its own frames: the offset of something that no writer leaves there; `undefined` if
 * there is none.
 *
 * A writer leaves such a file empty, or as a spare under a new number: then it begins with a frame of an older life of
 * this table. Anything else was overwritten by somebody, or is what a power cut has left of the first frame.
 */
export async function overwrittenAt(
  reader: SegmentReader,
  number: number,
  { tableId, epoch, live, firstSequence }: OlderLives,
): Promise<number | undefined> {
  if (reader.end === 0 || (await isFrame(reader, 0))) return undefined
  const written = (await reader.firstWritten(0, reader.end)) ?? 0
  if (!(await reader.loadStart(0))) return written
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
  if (!(await reader.loadStart(offset))) return false
  const frame = reader.frameAt(offset)
  if (frame === undefined || !(await reader.load(offset, frame.end - offset))) return false
  return reader.isWhole(frame)
}
