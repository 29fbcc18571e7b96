/**
 * One segment of the log as it is written: where the next frame goes, and how much of the page behind it.
 *
 * A page that a group touches first is written whole, with zeros behind the frames: a partial write into a page that is
 * not in the page cache would make the kernel read it first. Later groups add just their bytes. A sync moves the
 * position to the next page. docs/file-format.md, WAL segments.
 *
 * Invariant: a page with frames is never written again once a sync has covered it.
 */
import { positionSeed } from '../format/checksum.js'
import type { FrameEncoder } from '../format/frame-encoder.js'
import { FRAME_ALIGNMENT, FRAME_HEADER_BYTES } from '../format/frame-layout.js'
import type { FileHandle } from '../io/file-system.js'
import { writeFully, writeFullySync } from '../io/transfer.js'
import type { SegmentInfo } from '../manifest/segment-info.js'

const NO_HEADER = new Uint8Array(FRAME_HEADER_BYTES)

export class SegmentWriter {
  readonly number: number
  readonly handle: FileHandle
  /** Whether a sync is still needed. */
  unsynced = false
  /** Whether a failed frame may stand at the position. */
  hasLeftover = false
  readonly #epoch: number
  readonly #seed: number
  readonly #pageBytes: number
  readonly #firstSequence: number
  #endSequence: number
  /** Where the last frame ends. */
  #bytes = 0
  /** Where the next frame begins: at `#bytes`, or behind it at a page start. */
  #position = 0
  /** Up to here the file has been written in this life: frames, and zeros behind them. */
  #touched = 0

  /** `seed` is that of the file. */
  constructor(
    segment: { readonly number: number; readonly epoch: number; readonly firstSequence: number },
    handle: FileHandle,
    seed: number,
    pageBytes: number,
  ) {
    this.number = segment.number
    this.handle = handle
    this.#epoch = segment.epoch
    this.#seed = seed
    this.#pageBytes = pageBytes
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

  /** The seed of the next frame's checksums. */
  get frameSeed(): number {
    return positionSeed(this.#seed, this.#position / FRAME_ALIGNMENT)
  }

  /** What is to be written for the encoded frame: itself, and zeros to the end of the page that it touches first. */
  bytesFor(encoder: FrameEncoder, frameBytes: number): Uint8Array {
    const end = this.#position + frameBytes
    const writeEnd = end > this.#touched ? this.#pageEnd(end) : end
    return encoder.bytes(frameBytes, writeEnd - this.#position)
  }

  /** Writes at the position; throws what the write throws. {@link append} or {@link fail} come next. */
  writeBlocking(bytes: Uint8Array): void {
    writeFullySync(this.handle, bytes, this.#position)
  }

  /** As {@link writeBlocking}. */
  async write(bytes: Uint8Array): Promise<void> {
    await writeFully(this.handle, bytes, this.#position)
  }

  /** The frame has been written, with so many bytes in all. */
  append(frameBytes: number, writtenBytes: number, endSequence: number): void {
    this.#touched = Math.max(this.#touched, this.#position + writtenBytes)
    this.#position += frameBytes
    this.#bytes = this.#position
    this.#endSequence = endSequence
    this.unsynced = true
    this.hasLeftover = false
  }

  /**
   * The write has failed, and any part of the frame may be in the file. The position stays: the next frame overwrites
   * what is there, and writes its page to the end, for the zeros behind the last frame may be gone.
   */
  fail(): void {
    this.#touched = this.#position
    this.hasLeftover = true
  }

  /** Overwrites the header of the failed frame with zeros; throws what the write throws. */
  wipeLeftover(): void {
    if (!this.hasLeftover) return
    this.unsynced = true
    this.writeBlocking(NO_HEADER)
    this.hasLeftover = false
  }

  /** Whether the next sync moves the position on. */
  get isInsidePage(): boolean {
    return this.#position % this.#pageBytes !== 0
  }

  /** A sync begins, which covers what has been written so far: what comes next goes to the next page. */
  beginSync(): void {
    this.unsynced = false
    this.#position = this.#pageEnd(this.#position)
  }

  #pageEnd(offset: number): number {
    return Math.ceil(offset / this.#pageBytes) * this.#pageBytes
  }
}
