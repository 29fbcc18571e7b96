/**
 * Replays the log at an open: closed segments as the manifest describes them, then the open ones.
 *
 * Frames are replayed while they are valid and dense: each begins with the sequence number at which the one before it
 * ended. If the next frame is missing, the search goes on at page starts, since each sync ends on a page boundary.
 *
 * A missing frame is a torn tail unless an intact header on the way says that it was synced: then it is looked for a second
 * time, and is damage if it is still missing (torn-tail.ts has the evidence). A closed segment has no tail: its end is
 * known. docs/file-format.md, WAL segments; docs/durability.md, Recovery.
 */
import { throwIfAborted } from '../async/abort.js'
import { Turns } from '../async/turns.js'
import { assert } from '../base/assert.js'
import { corruption } from '../base/errors.js'
import { SMALL_FRAME_HEADER_BYTES } from '../format/frame-layout.js'
import { walName } from '../io/file-names.js'
import type { SegmentInfo } from '../manifest/segment-info.js'
import type { TableFiles } from '../manifest/table-files.js'
import { OperationBuffer } from '../records/operations.js'
import type { DeleteWhere, WideOperations } from '../records/operations.js'
import { SegmentReader } from './segment-reader.js'
import type { FoundFrame } from './segment-reader.js'
import { ChainBreak, endOfFile, saysSynced, sightingAt } from './torn-tail.js'
import type { LogPosition, Sighting } from './torn-tail.js'

/** Frames are handed out in batches of about this many rows: the log may consist of millions of frames of one row. */
const BATCH_ROWS = 16 * 1024

/** Neighbouring frames of one segment, handed out together. */
export interface ReplayBatch {
  /** Valid only during the call: the columns are reused. */
  readonly operations: WideOperations
  /** Ascending by sequence number. The operations have the other numbers of the range, in order. */
  readonly deletes: readonly DeleteWhere[]
  readonly firstSequence: number
  readonly endSequence: number
  /** The number of frames in the batch. */
  readonly frames: number
}

export interface ReplayOptions extends TableFiles {
  /** Segments whose ends the manifest knows, oldest first. */
  readonly closed: readonly SegmentInfo[]
  /** The epoch of the open segments. */
  readonly epoch: number
  /** Numbers of the segments of this epoch that are in the directory, ascending. */
  readonly openSegments: readonly number[]
  /** The first sequence number that is not in a bucket file. */
  readonly firstSequence: number
  /** Whether the log consists of the closed segments only: the table was closed properly. */
  readonly clean: boolean
  /** Aborts the replay. */
  readonly signal?: AbortSignal | undefined
  readonly onBatch: (batch: ReplayBatch, segmentNumber: number) => void
}

export interface ReplayResult {
  /** The sequence number that follows the last operation of the log. */
  readonly endSequence: number
  /** The segments with at least one replayed frame, in order. */
  readonly segments: readonly SegmentInfo[]
  /** Bytes of all replayed frames. */
  readonly bytes: number
  /** Where a torn tail begins, if there is one: bytes that a crash has left incomplete. They were never synced. */
  readonly tornAt?: { readonly path: string; readonly offset: number }
}

/**
 * Replays the log. Reads only.
 *
 * Rejects with `FLASHTABLE_CORRUPTION` if a frame is missing that was synced, or if a segment has no file; with
 * `FLASHTABLE_IO_ERROR` if a read fails. Works beside a writer in another process.
 */
export async function replayLog(options: ReplayOptions): Promise<ReplayResult> {
  return new Replay(options).run()
}

interface Source {
  readonly number: number
  readonly epoch: number
  /** What the manifest knows of a closed segment. */
  readonly closed: SegmentInfo | undefined
}

class Replay {
  readonly #options: ReplayOptions
  readonly #sources: readonly Source[]
  readonly #segments: { -readonly [K in keyof SegmentInfo]: SegmentInfo[K] }[] = []
  /** The sequence number that the next frame must begin with. */
  #expected: number
  #bytes = 0
  /** Set while the frame that is expected next has not been found. */
  #break: ChainBreak | undefined
  /** The sequence number of the missing frame that was looked for a second time. */
  #lookedAgainFor = -1
  /** Operations that have not been handed out. */
  readonly #operations: OperationBuffer
  readonly #turns = new Turns()
  #deletes: DeleteWhere[] = []
  #batchStart: number
  #batchFrames = 0

  constructor(options: ReplayOptions) {
    this.#options = options
    this.#expected = options.firstSequence
    this.#batchStart = options.firstSequence
    this.#operations = new OperationBuffer(options.layout, 256)
    this.#sources = [
      ...options.closed.map(closed => ({ number: closed.number, epoch: closed.epoch, closed })),
      ...(options.clean ? [] : options.openSegments).map(number => ({
        number,
        epoch: options.epoch,
        closed: undefined,
      })),
    ]
  }

  async run(): Promise<ReplayResult> {
    let position: LogPosition = { source: 0, offset: 0 }
    while (position.source < this.#sources.length) {
      const ended = await this.#replaySegment(position)
      position = ended ? { source: position.source + 1, offset: 0 } : this.#lookAgain()
    }
    const tornAt = this.#break?.tornAt
    return {
      endSequence: this.#expected,
      segments: this.#segments,
      bytes: this.#bytes,
      ...(tornAt === undefined ? {} : { tornAt }),
    }
  }

  /** Replays a segment from an offset. Returns false if a frame is missing that, as a later one says, was synced. */
  async #replaySegment(from: LogPosition): Promise<boolean> {
    const source = this.#sources[from.source]!
    const { closed } = source
    if (closed !== undefined && from.offset === 0 && closed.firstSequence !== this.#expected) {
      const path = `${this.#options.directory}/${walName(closed.number)}`
      throw corruption(path, 0, `sequence number ${this.#expected}`, String(closed.firstSequence))
    }
    const reader = await SegmentReader.open(this.#options, source, closed?.bytes ?? Infinity)
    try {
      if (!(await this.#readFrames(reader, from))) return false
      if (closed !== undefined) this.#checkEnd(reader, closed)
    } finally {
      await reader.close()
    }
    this.#handOut(source.number)
    return true
  }

  /** Reads to the end of the segment. Returns false as {@link #replaySegment} does. */
  async #readFrames(reader: SegmentReader, from: LogPosition): Promise<boolean> {
    const { pageBytes, signal } = this.#options
    let { offset } = from
    while (offset + SMALL_FRAME_HEADER_BYTES <= reader.end) {
      if (this.#turns.due()) await this.#turns.take()
      throwIfAborted(signal)
      // Most frames are in the reader's window already: a promise for each would cost more than its decoding.
      const headerLoaded = reader.loadStart(offset)
      if (headerLoaded !== true && !(await headerLoaded)) continue
      const frame = reader.frameAt(offset)
      if (frame?.header.firstSequence === this.#expected) {
        const loaded = reader.load(offset, frame.end - offset)
        if ((loaded === true || (await loaded)) && reader.isWhole(frame)) {
          this.#take(reader, frame, this.#sources[from.source]!)
          offset = frame.end
          continue
        }
      }
      this.#noteMissing(from.source, sightingAt(reader, offset, frame, this.#expected, pageBytes))
      if (saysSynced(frame, this.#expected)) return false
      offset = (Math.floor(offset / pageBytes) + 1) * pageBytes
    }
    this.#noteMissing(from.source, endOfFile(reader, offset))
    return true
  }

  /** Notes that the expected frame is missing, and what is in its place. */
  #noteMissing(source: number, sighting: Sighting): void {
    if (this.#break !== undefined) this.#break.add(sighting)
    else this.#break = new ChainBreak({ source, offset: sighting.offset }, this.#expected, sighting)
  }

  /**
   * A later frame says that the missing one was synced. Returns where to look for it a second time; if it is missing then
   * too, throws: that is damage.
   *
   * Beside a writer in another process the first time proves nothing: the position may have been read before it was
   * written, and the later frame after. What had been synced when the later frame was written is there now.
   */
  #lookAgain(): LogPosition {
    const broken = this.#break
    assert(broken !== undefined, 'only a missing frame is looked for again')
    if (this.#lookedAgainFor === this.#expected) throw broken.damage(', which was synced')
    this.#lookedAgainFor = this.#expected
    this.#break = undefined
    return broken.start
  }

  #take(reader: SegmentReader, frame: FoundFrame, source: Source): void {
    const { offset, end, header } = frame
    reader.decode(frame, this.#operations, this.#deletes)
    let segment = this.#segments.at(-1)
    if (segment?.number !== source.number) {
      const { number, epoch } = source
      const { firstSequence, endSequence } = header
      this.#segments.push((segment = { number, epoch, bytes: end, firstSequence, endSequence }))
    }
    segment.bytes = end
    segment.endSequence = header.endSequence
    this.#expected = header.endSequence
    this.#bytes += end - offset
    this.#batchFrames++
    this.#break = undefined
    if (this.#operations.count + this.#deletes.length >= BATCH_ROWS) this.#handOut(source.number)
  }

  #handOut(segmentNumber: number): void {
    if (this.#batchStart === this.#expected) return
    const [firstSequence, endSequence] = [this.#batchStart, this.#expected]
    const rows = this.#operations.count + this.#deletes.length
    assert(endSequence - firstSequence === rows, 'a batch is dense in sequence numbers')
    this.#options.onBatch(
      {
        operations: this.#operations,
        deletes: this.#deletes,
        firstSequence,
        endSequence,
        frames: this.#batchFrames,
      },
      segmentNumber,
    )
    this.#batchFrames = 0
    this.#batchStart = this.#expected
    this.#operations.clear()
    this.#deletes = []
  }

  /** The manifest knows where a closed segment ends: everything up to there must have been replayed. */
  #checkEnd(reader: SegmentReader, closed: SegmentInfo): void {
    const last = this.#segments.at(-1)
    // The end of the segment, at least, was noted as a break.
    if (this.#expected < closed.endSequence) throw this.#break!.damage()
    if (
      this.#expected > closed.endSequence ||
      last?.number !== closed.number ||
      last.bytes !== closed.bytes
    ) {
      const expected = `the log to end at ${closed.bytes} with sequence number ${closed.endSequence}`
      throw corruption(reader.path, last?.bytes ?? 0, expected, `sequence number ${this.#expected}`)
    }
  }
}
