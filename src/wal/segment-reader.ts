/**
 * Reads frames of one segment of the log at given offsets, through a window of the file, whatever the bytes are.
 *
 * replay.ts and torn-tail.ts decide what they mean for an open, survey.ts for verify and repair. docs/file-format.md, WAL
 * segments.
 */
import { corruption, diskError, hasCode } from '../base/errors.js'
import { fileSeedOf } from '../format/checksum-seed.js'
import { fileSeed, positionSeed } from '../format/checksum.js'
import {
  FRAME_START_BYTES,
  decodePayload,
  frameBytesOf,
  headerSeed,
  payloadFits,
  possibleHeader,
  readFrameHeader,
} from '../format/frame-decoder.js'
import type { FrameBytes, FrameHeader } from '../format/frame-decoder.js'
import {
  FIRST_SEQUENCE_AT,
  FRAME_ALIGNMENT,
  FRAME_HEADER_BYTES,
  SMALL_FRAME_HEADER_BYTES,
} from '../format/frame-layout.js'
import { readU48 } from '../format/little-endian.js'
import { walName } from '../io/file-names.js'
import type { FileHandle, FileSystem } from '../io/file-system.js'
import { readFully } from '../io/transfer.js'
import type { DeleteWhere, OperationBuffer } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'

/** Bytes of one read. A larger frame is read in one read. */
const WINDOW_BYTES = 1024 * 1024

export interface LogLocation {
  readonly fileSystem: FileSystem
  readonly directory: string
  readonly layout: RecordLayout
  /** Reads zeros for parts of a file that cannot be read, so that the rest can be read. Default: an error. */
  readonly lenient?: boolean | undefined
}

/** A valid header, and the bytes [offset, end) of its frame. */
export interface FoundFrame {
  readonly offset: number
  readonly end: number
  readonly header: FrameHeader
}

export class SegmentReader {
  readonly path: string
  readonly #handle: FileHandle
  readonly #layout: RecordLayout
  #seed: number
  readonly #lenient: boolean
  /** The end of the file, or of its frames if that is known. */
  #end: number
  #window: FrameBytes = frameBytesOf(new Uint8Array(0))
  #windowStart = 0
  #windowEnd = 0

  private constructor(
    path: string,
    handle: FileHandle,
    { layout, lenient }: LogLocation,
    seed: number,
    end: number,
  ) {
    this.path = path
    this.#handle = handle
    this.#layout = layout
    this.#lenient = lenient === true
    this.#seed = seed
    this.#end = end
  }

  /** Opens a segment to read it up to `limit`. Rejects with `FLASHTABLE_CORRUPTION` if there is no file. */
  static open(
    location: LogLocation & { readonly tableId: Uint8Array },
    segment: { readonly number: number; readonly epoch: number },
    limit: number,
  ): Promise<SegmentReader> {
    const seed = fileSeed(location.tableId, segment.epoch, segment.number)
    return SegmentReader.openWith(location, segment.number, seed, limit)
  }

  /** As {@link open}, with the seed of the file's checksums. */
  static async openWith(
    location: LogLocation,
    number: number,
    seed: number,
    limit: number,
  ): Promise<SegmentReader> {
    const path = `${location.directory}/${walName(number)}`
    let handle: FileHandle
    try {
      handle = await location.fileSystem.open(path, 'read')
    } catch (error) {
      if (hasCode(error, 'ENOENT')) throw corruption(path, 0, 'a log segment', 'no file', error)
      throw diskError(error, `cannot open ${path}`)
    }
    try {
      return new SegmentReader(path, handle, location, seed, Math.min(await handle.size(), limit))
    } catch (error) {
      await handle.close().catch(() => {})
      throw diskError(error, `cannot read ${path}`)
    }
  }

  /** The seed of the file's checksums. Repair finds it out from the frames in the file, and sets it. */
  get seed(): number {
    return this.#seed
  }

  set seed(seed: number) {
    this.#seed = seed
  }

  /** Nothing is read from here on. */
  get end(): number {
    return this.#end
  }

  /**
   * Reads `bytes` bytes at `offset` into the window. False if the file ends before that. Returns a promise only if the
   * bytes are not in the window yet.
   *
   * Requires: `offset` is a multiple of 4.
   */
  load(offset: number, bytes: number): boolean | Promise<boolean> {
    if (offset + bytes > this.#end) return false
    return (offset >= this.#windowStart && offset + bytes <= this.#windowEnd) || this.#read(offset, bytes)
  }

  /**
   * Reads what tells whether a frame begins at `offset`: its header, or all of it if it is small. False if the file ends
   * before any frame could. As {@link load}.
   */
  loadStart(offset: number): boolean | Promise<boolean> {
    if (offset + SMALL_FRAME_HEADER_BYTES > this.#end) return false
    return this.load(offset, Math.min(FRAME_START_BYTES, this.#end - offset))
  }

  /** The frame that begins at `offset`, judged by its header only. Requires: {@link loadStart} was true. */
  frameAt(offset: number): FoundFrame | undefined {
    const at = offset - this.#windowStart
    const header = readFrameHeader(this.#window, at, this.#windowEndIn(), this.#seedAt(offset))
    return header && this.#found(offset, header)
  }

  /**
   * The frame that may begin at `offset` if its checksums have the seed of another file, and that seed, judged by its
   * header only. Most bytes are not such a header. Requires: {@link loadStart} was true.
   */
  foreignFrameAt(offset: number): (FoundFrame & { readonly seed: number }) | undefined {
    const at = offset - this.#windowStart
    const header = possibleHeader(this.#window, at, this.#windowEndIn())
    const frame = header && this.#found(offset, header)
    if (frame === undefined) return undefined
    const seed = fileSeedOf(headerSeed(this.#window, at, frame.header), offset / FRAME_ALIGNMENT)
    return { ...frame, seed }
  }

  #found(offset: number, header: FrameHeader): FoundFrame | undefined {
    const end = offset + header.headerBytes + header.payloadBytes
    return end <= this.#end ? { offset, end, header } : undefined
  }

  /** Where what is loaded ends, counted from the start of the window. */
  #windowEndIn(): number {
    return this.#windowEnd - this.#windowStart
  }

  /** Whether the payload fits the header with the seed of another file. Requires: all of it is loaded. */
  isWholeWith({ offset, header }: FoundFrame, seed: number): boolean {
    const payloadAt = offset - this.#windowStart + header.headerBytes
    return payloadFits(this.#window, payloadAt, header, positionSeed(seed, offset / FRAME_ALIGNMENT))
  }

  /** Whether the frame is whole. Requires: all of it is loaded. */
  isWhole({ offset, header }: FoundFrame): boolean {
    const payloadAt = offset - this.#windowStart + header.headerBytes
    return payloadFits(this.#window, payloadAt, header, this.#seedAt(offset))
  }

  /** Whether the bytes of a header at `offset` are not all zeros. Requires: {@link loadStart} was true. */
  isWritten(offset: number): boolean {
    const at = offset - this.#windowStart
    const end = Math.min(at + FRAME_HEADER_BYTES, this.#windowEndIn())
    return this.#window.bytes.subarray(at, end).some(byte => byte !== 0)
  }

  /** The first sequence number in the header at `offset`, whose checksum may be wrong. Requires: as above. */
  firstSequenceAt(offset: number): number {
    return readU48(this.#window.view, offset - this.#windowStart + FIRST_SEQUENCE_AT)
  }

  /** The offset of the first byte in [from, to) that is not zero. */
  async firstWritten(from: number, to: number): Promise<number | undefined> {
    for (let offset = from; offset < Math.min(to, this.#end);) {
      const bytes = Math.min(WINDOW_BYTES, to - offset, this.#end - offset)
      if (!(await this.load(offset, bytes))) return undefined
      const at = offset - this.#windowStart
      const found = this.#window.bytes.subarray(at, at + bytes).findIndex(byte => byte !== 0)
      if (found >= 0) return offset + found
      offset += bytes
    }
    return undefined
  }

  /** Appends the operations of the frame. Requires: it is whole, and loaded. */
  decode({ offset, header }: FoundFrame, into: OperationBuffer, deletes: DeleteWhere[]): void {
    const payloadAt = offset - this.#windowStart + header.headerBytes
    const problem = decodePayload(this.#window, payloadAt, header, this.#layout, into, deletes)
    // Both checksums fit, so this is not the work of a crash.
    if (problem !== undefined) throw corruption(this.path, offset, 'a well-formed frame', problem)
  }

  async close(): Promise<void> {
    // The file was only read: a failure loses nothing.
    await this.#handle.close().catch(() => {})
  }

  async #read(offset: number, bytes: number): Promise<boolean> {
    const wanted = Math.min(Math.max(bytes, WINDOW_BYTES), this.#end - offset)
    // Frames of ordinary size share one buffer.
    const buffer = wanted <= this.#window.bytes.byteLength ? this.#window.bytes : new Uint8Array(wanted)
    let count: number
    try {
      count = await readFully(this.#handle, buffer.subarray(0, wanted), offset)
    } catch (error) {
      if (!this.#lenient) throw diskError(error, `cannot read ${this.path}`)
      count = await readSectors(this.#handle, buffer.subarray(0, wanted), offset)
    }
    if (buffer !== this.#window.bytes) this.#window = frameBytesOf(buffer)
    this.#windowStart = offset
    this.#windowEnd = offset + count
    // A writer in another process may have recycled the file meanwhile, so that it is shorter now.
    if (count < wanted) this.#end = this.#windowEnd
    return count >= bytes
  }

  #seedAt(offset: number): number {
    return positionSeed(this.#seed, offset / FRAME_ALIGNMENT)
  }
}

/** After a failed read, the bytes are read in parts of this size: a sector of most disks. */
const SECTOR_BYTES = 4096

/** Reads sector by sector. Unreadable sectors become zeros. Returns the number of bytes up to the end of the file. */
async function readSectors(handle: FileHandle, buffer: Uint8Array, offset: number): Promise<number> {
  let count = 0
  for (let at = 0; at < buffer.byteLength; at += SECTOR_BYTES) {
    const sector = buffer.subarray(at, at + SECTOR_BYTES)
    const read = await readFully(handle, sector, offset + at).catch(() => {
      sector.fill(0)
      return sector.byteLength
    })
    count += read
    if (read < sector.byteLength) break
  }
  return count
}
