/**
 * One segment of the log that is being written: where the next frame goes, and how much of its page is written.
 *
 * In a recycled file the first frame that touches a page writes the page to its end, with zeros after the frame: what is
 * left of an older life goes, and a partial write into a page that is not in the page cache would make the kernel read it
 * first. Later frames of the page write only their own bytes, as all do in a new file. A sync moves the position to the
 * next page. docs/file-format.md, WAL segments.
 *
 * In a trickle (trickle.ts) a file that has to grow gets zeros ahead of its frames. They go where anything may be.
 *
 * Invariant: a page with frames is never written again once a sync has covered it.
 */
import { assert } from '../base/assert.js'
import { positionSeed } from '../format/checksum.js'
import type { FrameEncoder } from '../format/frame-encoder.js'
import { FRAME_ALIGNMENT, FRAME_HEADER_BYTES } from '../format/frame-layout.js'
import type { FileHandle } from '../io/file-system.js'
import { writeFully, writeFullySync } from '../io/transfer.js'
import type { SegmentInfo } from '../manifest/segment-info.js'
import { AHEAD_BYTES_MAX } from './trickle.js'

const NO_HEADER = new Uint8Array(FRAME_HEADER_BYTES)

/** A segment that is mostly padding is at least this large: its bucket file must be worth its own metadata. */
const PADDED_BYTES_MIN = 2 * 2 ** 20

/** Memory that nobody writes takes none. */
const ZEROS = new Uint8Array(AHEAD_BYTES_MAX)

export class SegmentWriter {
  readonly number: number
  readonly handle: FileHandle
  /** Whether a sync is still needed. */
  unsynced = false
  /** Whether a failed frame may be at the position. */
  hasLeftover = false
  readonly #epoch: number
  readonly #seed: number
  readonly #pageBytes: number
  /** Whether something else may be in the file from the position on: of an older life, or of a write that failed. */
  #isDirty: boolean
  readonly #firstSequence: number
  #endSequence: number
  /** Where the last frame ends. */
  #bytes = 0
  /** Where the next frame begins: at `#bytes`, or at a later page start. */
  #position = 0
  /** How far this writer has written the file: frames, and zeros after them to the end of their page. */
  #touched = 0
  /** Where the segment ends if less than half of it is frames. */
  readonly #paddedEnd: number
  /** Bytes of the frames, without the padding between them. */
  #frameBytes = 0
  /** Where the last sync has moved the position to. */
  #syncedTo = 0
  /** Up to here the file had its blocks when the last sync began: from an older life, or from frames or zeros. */
  #grownTo: number

  /**
   * `seed` is the file's: see fileSeed. `recycledBytes`: what the file has from an older life; `undefined`: it is new.
   */
  constructor(
    segment: { readonly number: number; readonly epoch: number; readonly firstSequence: number },
    handle: FileHandle,
    seed: number,
    pageBytes: number,
    recycledBytes: number | undefined,
  ) {
    this.number = segment.number
    this.handle = handle
    this.#epoch = segment.epoch
    this.#seed = seed
    this.#pageBytes = pageBytes
    this.#isDirty = recycledBytes !== undefined
    this.#grownTo = recycledBytes ?? 0
    this.#paddedEnd = Math.max(PADDED_BYTES_MIN, 2 * this.#grownTo)
    this.#firstSequence = segment.firstSequence
    this.#endSequence = segment.firstSequence
  }

  get info(): SegmentInfo {
    return {
      number: this.number,
      epoch: this.#epoch,
      bytes: this.#bytes,
      firstSequence: this.#firstSequence,
      endSequence: this.#endSequence,
    }
  }

  get isEmpty(): boolean {
    return this.#bytes === 0
  }

  /** Where the next frame begins. */
  get position(): number {
    return this.#position
  }

  /**
   * Whether the segment should end, because it is mostly padding, and has come to twice the size that the file had from
   * an older life. So a trickle soon writes over segments that have ended, and never grows a file by more than there was.
   */
  get endsEarly(): boolean {
    return this.#position >= this.#paddedEnd && 2 * this.#frameBytes < this.#position
  }

  /** The seed of the next frame's checksums. */
  get frameSeed(): number {
    return positionSeed(this.#seed, this.#position / FRAME_ALIGNMENT)
  }

  /** The bytes to write for the encoded frame: itself, and zeros to the end of its last page if something else is there. */
  bytesFor(encoder: FrameEncoder, frameBytes: number): Uint8Array {
    const end = this.#position + frameBytes
    const writeEnd = this.#isDirty && end > this.#touched ? this.#pageEnd(end) : end
    return encoder.bytes(frameBytes, writeEnd - this.#position)
  }

  /** Writes at the position. Throws what the write throws. Requires: {@link append} or {@link fail} is called next. */
  writeBlocking(bytes: Uint8Array): void {
    writeFullySync(this.handle, bytes, this.#position)
  }

  /** As {@link writeBlocking}. */
  async write(bytes: Uint8Array): Promise<void> {
    await writeFully(this.handle, bytes, this.#position)
  }

  /** Moves the position past the frame, which has been written. Its operations are [firstSequence, endSequence). */
  append(frameBytes: number, writtenBytes: number, firstSequence: number, endSequence: number): void {
    assert(firstSequence === this.#endSequence, 'frames of a segment are dense in sequence numbers')
    assert(
      frameBytes <= writtenBytes && frameBytes % FRAME_ALIGNMENT === 0,
      'a frame is written whole, and aligned',
    )
    this.#touched = Math.max(this.#touched, this.#position + writtenBytes)
    this.#position += frameBytes
    this.#bytes = this.#position
    this.#frameBytes += frameBytes
    this.#endSequence = endSequence
    this.unsynced = true
    this.hasLeftover = false
  }

  /**
   * The write has failed, and any part of the frame may be in the file. The position stays, so the next frame overwrites
   * it. That frame also writes its page to the end, since zeros may be gone, and so do the first ones of later pages.
   */
  fail(): void {
    this.#isDirty = true
    this.#touched = this.#position
    this.hasLeftover = true
  }

  /** Overwrites the header of the failed frame with zeros. Throws what the write throws. */
  wipeLeftover(): void {
    if (!this.hasLeftover) return
    this.unsynced = true
    this.writeBlocking(NO_HEADER)
    this.hasLeftover = false
  }

  /** Whether the next sync moves the position: to the next page. */
  get isInsidePage(): boolean {
    return this.#position % this.#pageBytes !== 0
  }

  /**
   * Called when a sync begins, which covers everything written so far: the next frame goes to the next page. Returns the
   * bytes of whole pages that it covers.
   */
  beginSync(): number {
    assert(!(this.hasLeftover && this.isInsidePage), 'a leftover is wiped before the position moves')
    this.unsynced = false
    this.#position = this.#pageEnd(this.#position)
    const coveredBytes = this.#position - this.#syncedTo
    this.#syncedTo = this.#position
    return coveredBytes
  }

  /**
   * Called after {@link beginSync}, before the sync. If the file has grown since the last one, zeros are written behind
   * its frames, up to the next multiple of `aheadBytes`, and no further than `limit`.
   *
   * Throws what the write throws. That changes nothing: zeros or no zeros, there is no frame. A disk that is nearly full
   * takes as many as it has room for, and more are written when the file has grown again.
   *
   * Crash: after the last frame there are zeros, or whatever the file system shows in a file that has grown. Both are no
   * frame.
   */
  fillAhead(aheadBytes: number, limit: number): void {
    const from = this.#position
    if (from <= this.#grownTo) return
    this.#grownTo = from
    if (aheadBytes === 0) return
    const end = Math.min((Math.floor(from / aheadBytes) + 1) * aheadBytes, limit)
    if (end <= from) return
    this.#grownTo += this.handle.writeSync(ZEROS.subarray(0, end - from), from)
  }

  #pageEnd(offset: number): number {
    return Math.ceil(offset / this.#pageBytes) * this.#pageBytes
  }
}
