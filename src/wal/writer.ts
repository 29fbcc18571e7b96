/**
 * Writes the write-ahead log: appends each commit group as one frame to the active segment.
 *
 * An append is acknowledged when its frame has been handed to the operating system; a call with `sync` also waits for a
 * sync that began later (sync-queue.ts). segment-pool.ts has the files, segment-writer.ts the position in one of them.
 * docs/file-format.md, WAL segments; docs/durability.md, Order of writes.
 */
import { assert } from '../base/assert.js'
import { diskError, isPassing } from '../base/errors.js'
import type { FlashTableError } from '../base/errors.js'
import type { Latency } from '../base/latency.js'
import type { Poison } from '../base/poison.js'
import { FrameEncoder } from '../format/frame-encoder.js'
import type { SegmentInfo } from '../manifest/segment-info.js'
import type { DeleteWhere, Operations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { SegmentPool } from './segment-pool.js'
import type { SegmentPoolOptions } from './segment-pool.js'
import type { SegmentWriter } from './segment-writer.js'
import { SyncQueue } from './sync-queue.js'
import type { SyncCover } from './sync-queue.js'
import { Trickle } from './trickle.js'

/** Up to this size a frame is written with a blocking call, which costs less than a turn of the event loop. */
const BLOCKING_WRITE_BYTES_MAX = 64 * 1024

export interface WalOptions extends SegmentPoolOptions {
  readonly layout: RecordLayout
  /** When a segment is full; the `walBytes` of the table. */
  readonly segmentBytes: number
  /** The sequence number of the next operation. Requires: everything below it is durable. */
  readonly nextSequence: number
  readonly poison: Poison
  /** Rejects if the directory is not the one that was opened: then what goes into its segments is lost. */
  readonly checkHome: () => Promise<void>
  /** Where it is noted how long syncs take. */
  readonly latency?: Latency | undefined
}

export class WalWriter {
  readonly #options: WalOptions
  readonly #encoder: FrameEncoder
  readonly #pool: SegmentPool
  readonly #syncs: SyncQueue
  #nextSequence: number
  /** The segment with a leftover. There is at most one: it is wiped before anything is appended to another segment. */
  #leftover: SegmentWriter | undefined
  readonly #trickle = new Trickle()
  /** The append in flight. Never rejects. */
  #appending: Promise<void> | undefined
  #closed = false

  constructor(options: WalOptions) {
    this.#options = options
    this.#encoder = new FrameEncoder(options.layout, options.pageBytes)
    this.#pool = new SegmentPool(options)
    this.#nextSequence = options.nextSequence
    this.#syncs = new SyncQueue({
      syncedSequence: options.nextSequence,
      beginSync: () => this.#beginSync(),
      poison: options.poison,
      checkHome: options.checkHome,
      latency: options.latency,
    })
  }

  /** The sequence number that the next operation gets. */
  get nextSequence(): number {
    return this.#nextSequence
  }

  /** Everything below it is durable. */
  get syncedSequence(): number {
    return this.#syncs.syncedSequence
  }

  /**
   * Sets the next sequence number. Lower ones are already durable in bucket files (bulk load).
   *
   * Requires: this writer has appended nothing.
   */
  setNextSequence(sequence: number): void {
    const isNew = this.#pool.segments.length === 0 && this.#appending === undefined
    assert(isNew, 'only a log without a frame can start at another sequence number')
    assert(sequence >= this.#nextSequence, 'sequence numbers never go back')
    this.#nextSequence = sequence
    this.#syncs.skipTo(sequence)
  }

  /** Numbers of the retired segments that wait to be overwritten. */
  get spares(): readonly number[] {
    return this.#pool.spares
  }

  /**
   * The segment that takes the next frame, or `undefined` if the next append opens one. It is known from the moment its
   * number is taken, with `bytes` 0 at first: a manifest with a `firstSegment` above that number would lose its frames.
   */
  get activeSegment(): SegmentInfo | undefined {
    return this.#pool.activeInfo
  }

  /**
   * Whether a frame with that many operations (with kinds, or all puts) and *delete where* entries surely fits into the
   * active segment. An empty segment, or one yet to be opened, takes any frame.
   *
   * A segment that is mostly padding ends early, so that a trickle soon has retired segments to overwrite.
   */
  hasRoom(operationCount: number, hasKinds: boolean, deleteWhereCount: number): boolean {
    const segment = this.#pool.active
    if (segment === undefined || segment.isEmpty) return true
    if (segment.endsEarly) return false
    const frameBytes = this.#encoder.frameBytesMax(operationCount, hasKinds, deleteWhereCount)
    return segment.position + frameBytes <= this.#segmentEnd
  }

  /** Whether `append` of that many operations (with kinds, or all puts) and entries will return without a promise. */
  appendsAtOnce(operationCount: number, hasKinds: boolean, deleteWhereCount: number): boolean {
    const frameBytes = this.#encoder.frameBytesMax(operationCount, hasKinds, deleteWhereCount)
    // The padding of a page is added.
    const writtenBytesMax = frameBytes + this.#options.pageBytes
    return this.#pool.active !== undefined && writtenBytesMax <= BLOCKING_WRITE_BYTES_MAX
  }

  /**
   * Appends operations [from, to) and *delete where* entries as one frame: recovery finds all of it or none. The
   * entries carry their sequence numbers already, ascending in the range that begins at `nextSequence`. The operations
   * take the other numbers of that range.
   *
   * When it returns, the bytes are with the operating system. If it returns a promise (for a large frame, and for the
   * first one of a segment), they are there when the promise resolves.
   *
   * Throws or rejects with `FLASHTABLE_DISK_FULL` if the disk is full, and with `FLASHTABLE_IO_ERROR` if descriptors or
   * memory for a new segment are lacking: nothing has changed, and a later append may succeed. Every other failure is
   * latched: `FLASHTABLE_POISONED`.
   *
   * Requires: no other append is in flight.
   */
  append(
    operations: Operations,
    from: number,
    to: number,
    deletes: readonly DeleteWhere[],
  ): void | Promise<void> {
    this.#options.poison.check()
    assert(!this.#closed, 'nothing is appended to a closed log')
    assert(this.#appending === undefined, 'one append at a time')
    const segment = this.#pool.active
    if (segment === undefined) return this.#track(() => this.#appendToNew(operations, from, to, deletes))
    if (this.#leftover !== segment) this.#wipeLeftover()
    const endSequence = this.#endSequenceOf(from, to, deletes)
    const frameBytes = this.#encode(segment, operations, from, to, deletes)
    const bytes = segment.bytesFor(this.#encoder, frameBytes)
    if (bytes.byteLength > BLOCKING_WRITE_BYTES_MAX) {
      return this.#track(() => this.#write(segment, bytes, frameBytes, endSequence))
    }
    try {
      segment.writeBlocking(bytes)
    } catch (error) {
      throw this.#writeFailed(segment, error)
    }
    this.#appended(segment, bytes, frameBytes, endSequence)
  }

  /**
   * Resolves when everything appended before this call is durable. Calls that wait at the same time share one
   * `fdatasync`; appends go on meanwhile.
   *
   * Rejects with `FLASHTABLE_POISONED` if the sync fails: the failure is latched, and the sync is never tried again.
   * Rejects with `FLASHTABLE_DISK_FULL` if the leftover of a failed append cannot be wiped, and with
   * `FLASHTABLE_IO_ERROR` if the directory cannot be checked: then nothing counts as synced, and nothing is latched.
   */
  sync(): Promise<void> {
    return this.#syncs.request()
  }

  /**
   * Ends the active segment, so that the next append opens another one. Returns what the ended segment holds. It stays
   * on disk until it is retired, and the next sync covers it first.
   *
   * Returns `undefined` if there is no active segment or it is empty. An empty one is ended too: otherwise frames of the
   * next memtable would land in a segment numbered below the manifest's `firstSegment`.
   *
   * Requires: no append is in flight.
   */
  rotate(): SegmentInfo | undefined {
    assert(this.#appending === undefined, 'a segment does not end during an append')
    const segment = this.#pool.active
    if (segment === undefined) return undefined
    this.#pool.endActive()
    return segment.isEmpty ? undefined : segment.info
  }

  /**
   * Releases ended segments, of this epoch or an earlier one: they are kept as spares, or removed.
   *
   * Requires: an installed manifest names the bucket files that hold their records. They need no sync any more.
   */
  async retire(numbers: readonly number[]): Promise<void> {
    const retired = this.#pool.retire(numbers, this.#syncs.running)
    // A leftover in a retired segment needs no wiping: nothing reads the segment again under this number.
    if (this.#leftover !== undefined && numbers.includes(this.#leftover.number)) this.#leftover = undefined
    await retired
  }

  /** Removes spares until at most a few MiB are left: for a table that is closed or has become small. Never rejects. */
  async trimSpares(): Promise<void> {
    await this.#pool.trimSpares()
  }

  /**
   * Waits for what is in flight, then closes all handles. Does not sync. Rejects with `FLASHTABLE_IO_ERROR` if a close
   * fails.
   */
  async close(): Promise<void> {
    this.#closed = true
    // A sync that was asked for begins when the append has ended.
    await this.#appending
    await this.#syncs.idle()
    await this.#pool.close()
  }

  /** Where a segment is full: whole pages of `segmentBytes`. */
  get #segmentEnd(): number {
    const { segmentBytes, pageBytes } = this.#options
    return segmentBytes - (segmentBytes % pageBytes)
  }

  /** Runs an append that takes time. No sync begins meanwhile. */
  #track(append: () => Promise<void>): Promise<void> {
    this.#syncs.hold()
    const tracked = append().finally(() => {
      this.#appending = undefined
      this.#syncs.release()
    })
    this.#appending = tracked.catch(() => {})
    return tracked
  }

  async #appendToNew(
    operations: Operations,
    from: number,
    to: number,
    deletes: readonly DeleteWhere[],
  ): Promise<void> {
    const segment = await this.#openSegment()
    this.#options.poison.check()
    this.#wipeLeftover()
    const endSequence = this.#endSequenceOf(from, to, deletes)
    const frameBytes = this.#encode(segment, operations, from, to, deletes)
    await this.#write(segment, segment.bytesFor(this.#encoder, frameBytes), frameBytes, endSequence)
  }

  async #openSegment(): Promise<SegmentWriter> {
    try {
      return await this.#pool.openNext(this.#nextSequence)
    } catch (error) {
      const what = `cannot open a log segment in ${this.#options.directory}`
      // Nothing is written yet: the next append opens another one.
      throw isPassing(error) ? diskError(error, what) : this.#failed(error, what)
    }
  }

  /** The next sequence number after this append. */
  #endSequenceOf(from: number, to: number, deletes: readonly DeleteWhere[]): number {
    return this.#nextSequence + (to - from) + deletes.length
  }

  /** Encodes the frame for the segment's position; returns its size. */
  #encode(
    segment: SegmentWriter,
    operations: Operations,
    from: number,
    to: number,
    deletes: readonly DeleteWhere[],
  ): number {
    const { syncedSequence } = this.#syncs
    const first = this.#nextSequence
    return this.#encoder.encode(operations, from, to, deletes, first, syncedSequence, segment.frameSeed)
  }

  async #write(
    segment: SegmentWriter,
    bytes: Uint8Array,
    frameBytes: number,
    endSequence: number,
  ): Promise<void> {
    try {
      await segment.write(bytes)
    } catch (error) {
      throw this.#writeFailed(segment, error)
    }
    // What failed meanwhile, a sync for instance, may concern this frame too.
    this.#options.poison.check()
    this.#appended(segment, bytes, frameBytes, endSequence)
  }

  #appended(segment: SegmentWriter, bytes: Uint8Array, frameBytes: number, endSequence: number): void {
    segment.append(frameBytes, bytes.byteLength, this.#nextSequence, endSequence)
    if (this.#leftover === segment) this.#leftover = undefined
    assert(this.#leftover === undefined, 'nothing is acknowledged after a leftover')
    this.#nextSequence = endSequence
  }

  /**
   * Returns the error to throw. If the disk is full, any part of the frame may be in the file: a leftover.
   *
   * Invariant: nothing is acknowledged after a leftover that could pass for a frame. A failed group was one frame that
   * began at the position: its header is there, and everything after that is payload, which contains no header. The
   * leftover may be whole (a write can fail for its padding, or, on NFS, for what was written before it). Then it would
   * be replayed in place of the frames that got its sequence numbers. So its header is overwritten: by the next frame,
   * which begins at the same position, or with zeros before anything is written elsewhere.
   *
   * Crash: until a sync has covered that, a power cut may bring the group back in place of everything that came after it.
   */
  #writeFailed(segment: SegmentWriter, error: unknown): FlashTableError {
    const failure = this.#failed(error, `cannot write ${segment.handle.path}`)
    if (failure.code !== 'FLASHTABLE_DISK_FULL') return failure
    segment.fail()
    this.#leftover = segment
    try {
      this.#wipeLeftover()
    } catch (wipeFailure) {
      // If the disk is too full for this as well, it is tried again before anything is written elsewhere.
      if (this.#options.poison.latched) return wipeFailure as FlashTableError
    }
    return failure
  }

  /** Throws as `append` does. */
  #wipeLeftover(): void {
    const segment = this.#leftover
    if (segment === undefined) return
    try {
      segment.wipeLeftover()
    } catch (error) {
      throw this.#failed(error, `cannot write ${segment.handle.path}`)
    }
    this.#leftover = undefined
  }

  /** Latches every failure but a full disk; returns the error to throw. */
  #failed(error: unknown, what: string): FlashTableError {
    const failure = diskError(error, what)
    return failure.code === 'FLASHTABLE_DISK_FULL' ? failure : this.#options.poison.latch(failure)
  }

  /** Returns what a sync that begins now covers: everything that has been appended. */
  #beginSync(): SyncCover {
    assert(this.#appending === undefined, 'a sync covers only writes that have ended')
    // The sync would move the position away from a leftover inside a page.
    if (this.#leftover?.isInsidePage === true) this.#wipeLeftover()
    const unsynced = this.#pool.segments.filter(segment => segment.unsynced)
    this.#trickle.note(unsynced.reduce((bytes, segment) => bytes + segment.beginSync(), 0))
    this.#fillAhead()
    return {
      handles: unsynced.map(({ handle }) => handle),
      directory: unsynced.length > 0 ? this.#pool.takeChangedDirectory() : undefined,
      endSequence: this.#nextSequence,
    }
  }

  /** Without room for zeros the sync goes on: only the frames have to be there. Throws, and latches, any other failure. */
  #fillAhead(): void {
    const { active } = this.#pool
    try {
      active?.fillAhead(this.#trickle.aheadBytes, this.#segmentEnd)
    } catch (error) {
      const failure = this.#failed(error, `cannot write ${active!.handle.path}`)
      if (failure.code !== 'FLASHTABLE_DISK_FULL') throw failure
    }
  }
}
