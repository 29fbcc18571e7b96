/**
 * Replays the log after an open: closed segments as the manifest describes them, open ones as far as they hold.
 *
 * Frames are replayed while they are valid and dense (each begins with the sequence number at which the one before it
 * ended). Behind a bad frame the search goes on at page starts, since each sync ends on a page boundary. Pages that were
 * not synced reach the disk in any order, so a bad frame ends the log - unless a later frame says that it had been
 * synced: that is damage. docs/file-format.md, WAL segments; docs/durability.md, Recovery.
 */
import { throwIfAborted } from '../async/abort.js'
import { Turns } from '../async/turns.js'
import { corruption } from '../base/errors.js'
import { FRAME_HEADER_BYTES } from '../format/frame-layout.js'
import { walName } from '../io/file-names.js'
import type { SegmentInfo } from '../manifest/segment-info.js'
import { OperationBuffer } from '../records/operations.js'
import type { DeleteWhere, Operations } from '../records/operations.js'
import { SegmentReader } from './reader.js'
import type { FoundFrame, SegmentPlace } from './reader.js'

/** Frames are handed out together up to so many rows: the log may consist of millions of frames of one row. */
const BATCH_ROWS = 16 * 1024

/** Neighbouring frames of one segment, handed out together. */
export interface ReplayBatch {
  /** Valid during the call alone: the columns are used again. */
  readonly operations: Operations
  /** Ascending by their sequence numbers; the operations have the others of the range, in order. */
  readonly deletes: readonly DeleteWhere[]
  readonly firstSequence: number
  readonly endSequence: number
  /** How many frames these are. */
  readonly frames: number
}

export interface ReplayOptions extends SegmentPlace {
  readonly tableId: Uint8Array
  readonly pageBytes: number
  /** Segments of earlier epochs, whose ends are known; oldest first. */
  readonly closed: readonly SegmentInfo[]
  /** Of the open segments. */
  readonly epoch: number
  /** Numbers of the segments of this epoch that are in the directory, ascending. */
  readonly openSegments: readonly number[]
  /** The first sequence number that is not in a bucket file. */
  readonly firstSequence: number
  /** The log consists of the closed segments alone. */
  readonly clean: boolean
  /** Ends the replay. */
  readonly signal?: AbortSignal | undefined
  readonly onBatch: (batch: ReplayBatch, segmentNumber: number) => void
}

export interface ReplayResult {
  /** The sequence number behind the last operation of the log. */
  readonly endSequence: number
  /** The segments in which a frame was found, in order. */
  readonly segments: readonly SegmentInfo[]
  /** Bytes of all replayed frames. */
  readonly bytes: number
  /** Where the log ended in the middle of something: lost to a crash, and never synced. */
  readonly tornAt?: { readonly path: string; readonly offset: number }
}

/**
 * Replays the log. Reads only.
 *
 * Throws `FLASHTABLE_CORRUPTION` where something is missing that had been synced, or a segment has no file;
 * `FLASHTABLE_IO_ERROR` where a read fails. Works beside a writer in another process.
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

/** Where the chain of frames is broken. */
interface Break {
  /** Behind the last frame: where to look again. */
  readonly source: number
  readonly offset: number
  /** The most telling place since then. */
  readonly path: string
  readonly foundAt: number
  readonly found: string
  readonly telling: Telling
}

/** How sure it is that the missing frame was there: in padding it hardly was; a header says that it was. */
type Telling = 0 | 1 | 2

class Replay {
  readonly #options: ReplayOptions
  readonly #sources: readonly Source[]
  readonly #segments: { -readonly [K in keyof SegmentInfo]: SegmentInfo[K] }[] = []
  /** The sequence number that the next frame must begin with. */
  #expected: number
  #bytes = 0
  #break: Break | undefined
  /** Whether something was being written where the chain is broken, or behind it. */
  #torn = false
  /** The sequence number for which the place of the break has been read a second time. */
  #readAgainFor = -1
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
    let place = { source: 0, offset: 0 }
    while (place.source < this.#sources.length) place = await this.#replaySource(place)
    return {
      endSequence: this.#expected,
      segments: this.#segments,
      bytes: this.#bytes,
      ...(this.#torn && this.#break !== undefined
        ? { tornAt: { path: this.#break.path, offset: this.#break.foundAt } }
        : {}),
    }
  }

  /** Replays a segment from an offset; returns where to go on. */
  async #replaySource(from: { source: number; offset: number }): Promise<{ source: number; offset: number }> {
    const source = this.#sources[from.source]!
    const { closed } = source
    if (closed !== undefined && from.offset === 0 && closed.firstSequence !== this.#expected) {
      const path = `${this.#options.directory}/${walName(closed.number)}`
      throw corruption(path, 0, `sequence number ${this.#expected}`, String(closed.firstSequence))
    }
    const reader = await SegmentReader.open(this.#options, source, closed?.bytes ?? Infinity)
    try {
      const again = await this.#readFrames(reader, from)
      if (again !== undefined) return again
      if (closed !== undefined) this.#checkEnd(reader, closed)
    } finally {
      await reader.close()
    }
    this.#handOut(source.number)
    return { source: from.source + 1, offset: 0 }
  }

  /** Returns a place to go back to, or `undefined` at the segment's end. */
  async #readFrames(
    reader: SegmentReader,
    from: { source: number; offset: number },
  ): Promise<{ source: number; offset: number } | undefined> {
    const { pageBytes, signal } = this.#options
    let offset = from.offset
    while (offset + FRAME_HEADER_BYTES <= reader.end) {
      // Most frames are in the window already: nothing would wait for the disk.
      if (this.#turns.due()) await this.#turns.take()
      throwIfAborted(signal)
      const headerLoaded = reader.load(offset, FRAME_HEADER_BYTES)
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
      this.#noteBad(reader, from.source, offset, frame)
      if (frame !== undefined && frame.header.syncedSequence > this.#expected) return this.#damaged()
      offset = (Math.floor(offset / pageBytes) + 1) * pageBytes
    }
    this.#noteBreak(reader, from.source, offset, 'the end of the file', 1)
    return undefined
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
    this.#torn = false
    if (this.#operations.count + this.#deletes.length >= BATCH_ROWS) this.#handOut(source.number)
  }

  #handOut(segmentNumber: number): void {
    if (this.#batchStart === this.#expected) return
    const [firstSequence, endSequence] = [this.#batchStart, this.#expected]
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

  /** There is no frame at `offset` that could come next. */
  #noteBad(reader: SegmentReader, source: number, offset: number, frame: FoundFrame | undefined): void {
    if (frame === undefined) {
      // Behind the last frame of a page are zeros; at a page start there may be anything, from an earlier life.
      const inside = offset % this.#options.pageBytes !== 0
      const written = reader.isWritten(offset)
      if (inside && written) this.#torn = true
      this.#noteBreak(reader, source, offset, 'no frame', inside && !written ? 0 : 1)
      return
    }
    this.#torn = true
    const { firstSequence } = frame.header
    if (firstSequence === this.#expected) {
      this.#noteBreak(reader, source, offset, 'a payload that does not fit its checksum', 2)
    } else {
      this.#noteBreak(reader, source, offset, `a frame that begins with ${firstSequence}`, 1)
    }
  }

  #noteBreak(reader: SegmentReader, source: number, offset: number, found: string, telling: Telling): void {
    const before = this.#break
    if (before !== undefined && before.telling >= telling) return
    const from = before ?? { source, offset }
    const { path } = reader
    this.#break = { source: from.source, offset: from.offset, path, foundAt: offset, found, telling }
  }

  /**
   * A later frame says that what is missing here had been synced.
   *
   * Beside a writer that need not be damage: the place was read before it was written, the later frame after. So the
   * place is read once more; what had been synced when the later frame was written is there now.
   */
  #damaged(): { source: number; offset: number } {
    const { source, offset, path, foundAt, found } = this.#break!
    if (this.#readAgainFor === this.#expected) {
      throw corruption(
        path,
        foundAt,
        `the frame that begins with sequence number ${this.#expected}, which was synced`,
        found,
      )
    }
    this.#readAgainFor = this.#expected
    this.#break = undefined
    return { source, offset }
  }

  /** Of a closed segment every byte up to its end is known: all must have been replayed. */
  #checkEnd(reader: SegmentReader, closed: SegmentInfo): void {
    const last = this.#segments.at(-1)
    if (this.#expected < closed.endSequence) {
      const { path, foundAt, found } = this.#break!
      throw corruption(path, foundAt, `the frame that begins with sequence number ${this.#expected}`, found)
    }
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
