/**
 * Reads one segment of the log through a window: headers and payloads at given offsets, whatever the bytes are.
 *
 * What they mean is decided in replay.ts. docs/file-format.md, WAL segments.
 */
import { corruption, diskError, hasCode } from '../base/errors.js'
import { fileSeedOf } from '../format/checksum-seed.js'
import { fileSeed, positionSeed } from '../format/checksum.js'
import {
  decodePayload,
  frameBytesOf,
  headerSeed,
  payloadFits,
  possibleHeader,
  readFrameHeader,
} from '../format/frame-decoder.js'
import type { FrameBytes, FrameHeader } from '../format/frame-decoder.js'
import { FIRST_SEQUENCE_AT, FRAME_ALIGNMENT, FRAME_HEADER_BYTES } from '../format/frame-layout.js'
import { readU48 } from '../format/little-endian.js'
import { walName } from '../io/file-names.js'
import type { FileHandle, FileSystem } from '../io/file-system.js'
import { readFully } from '../io/transfer.js'
import type { DeleteWhere, OperationBuffer } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'

/** Bytes of one read; a larger frame is read whole. */
const WINDOW_BYTES = 1024 * 1024

export interface LogLocation {
  readonly fileSystem: FileSystem
  readonly directory: string
  readonly layout: RecordLayout
  /** Parts of a file that cannot be read are taken for zeros. Default: an error. */
  readonly lenient?: boolean | undefined
}

/** A header and where its frame is. */
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
  /** What cannot be read is zeros, so that the rest is read. */
  readonly #lenient: boolean
  /** No frame reaches beyond: the end of the file, or an earlier one that is known. */
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

  /** Opens a segment to be read up to `limit`. `FLASHTABLE_CORRUPTION` where there is no file. */
  static open(
    place: LogLocation & { readonly tableId: Uint8Array },
    segment: { readonly number: number; readonly epoch: number },
    limit: number,
  ): Promise<SegmentReader> {
    const seed = fileSeed(place.tableId, segment.epoch, segment.number)
    return SegmentReader.openWith(place, segment.number, seed, limit)
  }

  /** As {@link open}, with the seed of the file's checksums. */
  static async openWith(
    place: LogLocation,
    number: number,
    seed: number,
    limit: number,
  ): Promise<SegmentReader> {
    const path = `${place.directory}/${walName(number)}`
    let handle: FileHandle
    try {
      handle = await place.fileSystem.open(path, 'read')
    } catch (error) {
      if (hasCode(error, 'ENOENT')) throw corruption(path, 0, 'a log segment', 'no file', error)
      throw diskError(error, `cannot open ${path}`)
    }
    try {
      return new SegmentReader(path, handle, place, seed, Math.min(await handle.size(), limit))
    } catch (error) {
      await handle.close().catch(() => {})
      throw diskError(error, `cannot read ${path}`)
    }
  }

  /** The seed of the file's checksums: who solves it of what is in the file sets it. */
  get seed(): number {
    return this.#seed
  }

  set seed(seed: number) {
    this.#seed = seed
  }

  /** Where the bytes end that there are to be read. */
  get end(): number {
    return this.#end
  }

  /**
   * Reads so many bytes at `offset` into the window; false where they are not all there. Only a miss makes a promise.
   *
   * Requires: `offset` is a multiple of 4.
   */
  load(offset: number, bytes: number): boolean | Promise<boolean> {
    if (offset + bytes > this.#end) return false
    return (offset >= this.#windowStart && offset + bytes <= this.#windowEnd) || this.#read(offset, bytes)
  }

  /** The frame that begins at `offset`, by its header alone. Requires: the header is loaded. */
  frameAt(offset: number): FoundFrame | undefined {
    const header = readFrameHeader(this.#window, offset - this.#windowStart, this.#seedAt(offset))
    if (header === undefined) return undefined
    const end = offset + FRAME_HEADER_BYTES + header.payloadBytes
    return end <= this.#end ? { offset, end, header } : undefined
  }

  /**
   * The frame that may begin at `offset` if its checksums have a seed of another file, and that seed, by its header alone:
   * most bytes have none. Requires: the header is loaded.
   */
  foreignFrameAt(offset: number): (FoundFrame & { readonly seed: number }) | undefined {
    const at = offset - this.#windowStart
    const header = possibleHeader(this.#window, at)
    if (header === undefined) return undefined
    const end = offset + FRAME_HEADER_BYTES + header.payloadBytes
    if (end > this.#end) return undefined
    const seed = fileSeedOf(headerSeed(this.#window, at), offset / FRAME_ALIGNMENT)
    return { offset, end, header, seed }
  }

  /** Whether the payload fits the header with the seed of another file. Requires: all of it is loaded. */
  isWholeWith({ offset, header }: FoundFrame, seed: number): boolean {
    const payloadAt = offset - this.#windowStart + FRAME_HEADER_BYTES
    return payloadFits(this.#window, payloadAt, header, positionSeed(seed, offset / FRAME_ALIGNMENT))
  }

  /** Whether the frame is whole. Requires: all of it is loaded. */
  isWhole({ offset, header }: FoundFrame): boolean {
    const payloadAt = offset - this.#windowStart + FRAME_HEADER_BYTES
    return payloadFits(this.#window, payloadAt, header, this.#seedAt(offset))
  }

  /** Whether there is anything but zeros where a header could be. Requires: the header's bytes are loaded. */
  isWritten(offset: number): boolean {
    const at = offset - this.#windowStart
    return this.#window.bytes.subarray(at, at + FRAME_HEADER_BYTES).some(byte => byte !== 0)
  }

  /** The first sequence number of the header at `offset`, its checksum not checked. Requires: the header is loaded. */
  firstSequenceAt(offset: number): number {
    return readU48(this.#window.view, offset - this.#windowStart + FIRST_SEQUENCE_AT)
  }

  /** The first place in bytes [from, to) where there is anything but zeros. */
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

  /** Appends what the frame holds. Requires: it is whole, and loaded. */
  decode({ offset, header }: FoundFrame, into: OperationBuffer, deletes: DeleteWhere[]): void {
    const payloadAt = offset - this.#windowStart + FRAME_HEADER_BYTES
    const problem = decodePayload(this.#window, payloadAt, header, this.#layout, into, deletes)
    // Both checksums fit, so no crash has made it.
    if (problem !== undefined) throw corruption(this.path, offset, 'a well-formed frame', problem)
  }

  async close(): Promise<void> {
    // It was only read.
    await this.#handle.close().catch(() => {})
  }

  async #read(offset: number, bytes: number): Promise<boolean> {
    const wanted = Math.min(Math.max(bytes, WINDOW_BYTES), this.#end - offset)
    // Frames of an ordinary size share one buffer.
    const buffer = wanted <= this.#window.bytes.byteLength ? this.#window.bytes : new Uint8Array(wanted)
    let count: number
    try {
      count = await readFully(this.#handle, buffer.subarray(0, wanted), offset)
    } catch (error) {
      if (!this.#lenient) throw diskError(error, `cannot read ${this.path}`)
      count = await readPieces(this.#handle, buffer.subarray(0, wanted), offset)
    }
    if (buffer !== this.#window.bytes) this.#window = frameBytesOf(buffer)
    this.#windowStart = offset
    this.#windowEnd = offset + count
    // A file that is recycled under a reader in another process may have become shorter.
    if (count < wanted) this.#end = this.#windowEnd
    return count >= bytes
  }

  #seedAt(offset: number): number {
    return positionSeed(this.#seed, offset / FRAME_ALIGNMENT)
  }
}

/** Bytes that a failing read is tried with again: a sector of most disks. */
const PIECE_BYTES = 4096

/** Reads piece by piece; those that cannot be read are zeros. Returns how many bytes there are. */
async function readPieces(handle: FileHandle, buffer: Uint8Array, offset: number): Promise<number> {
  let count = 0
  for (let at = 0; at < buffer.byteLength; at += PIECE_BYTES) {
    const piece = buffer.subarray(at, at + PIECE_BYTES)
    const read = await readFully(handle, piece, offset + at).catch(() => {
      piece.fill(0)
      return piece.byteLength
    })
    count += read
    if (read < piece.byteLength) break
  }
  return count
}
