/**
 * Writes the write-ahead log: frames one after another into segments, synced page by page.
 *
 * A put is acknowledged when `append` has handed its frame to the operating system, or when a `sync` that began later
 * has ended. One append runs at a time; syncs run beside them. docs/file-format.md, WAL segments;
 * docs/durability.md, Order of writes.
 */
import { newDeferred } from '../async/deferred.js'
import type { Deferred } from '../async/deferred.js'
import { assert } from '../base/assert.js'
import { diskError, hasCode, isPassing } from '../base/errors.js'
import type { FlashTableError } from '../base/errors.js'
import type { Poison } from '../base/poison.js'
import { fileSeed } from '../format/checksum.js'
import { FrameEncoder } from '../format/frame-encoder.js'
import { walName } from '../io/file-names.js'
import type { DirectoryHandle, FileHandle, FileSystem } from '../io/file-system.js'
import type { SegmentInfo } from '../manifest/segment-info.js'
import type { DeleteWhere, Operations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { SegmentWriter } from './segment-writer.js'

/** Retired segments that are kept to be overwritten: one for the next rotation, one for the memtable behind it. */
export const SPARES_MAX = 2
/** Spares that stay where a table rests: enough to make a short life quick. */
const SPARE_BYTES_AT_REST = 4 * 2 ** 20
/** Groups of up to so many bytes are written blocking: the call costs less than a turn of the event loop. */
const BLOCKING_WRITE_BYTES_MAX = 64 * 1024

export interface WalOptions {
  readonly fileSystem: FileSystem
  readonly directory: string
  readonly tableId: Uint8Array
  readonly layout: RecordLayout
  readonly pageBytes: number
  readonly epoch: number
  /** When a segment is full; the `walBytes` of the table. */
  readonly segmentBytes: number
  /** The number for a new file: larger than all before. */
  readonly takeFileNumber: () => number
  /** The sequence number of the next operation. Requires: everything below it is durable. */
  readonly nextSequence: number
  /** Numbers of retired segments in the directory, to be renamed and overwritten. */
  readonly spares: readonly number[]
  readonly poison: Poison
  /** Throws where the directory is not the one that was opened: what goes into its segments is lost then. */
  readonly checkHome: () => Promise<void>
}

export class WalWriter {
  readonly #options: WalOptions
  readonly #encoder: FrameEncoder
  readonly #spares: number[]
  #nextSequence: number
  #syncedSequence: number
  #active: SegmentWriter | undefined
  /** The number of the segment that is being opened. */
  #opening: number | undefined
  /** Rotated, not yet retired; oldest first. */
  readonly #ended = new Map<number, SegmentWriter>()
  /** The segment that has a leftover. There is one at most: nothing is appended elsewhere before it is wiped. */
  #leftover: SegmentWriter | undefined
  /**
   * The directory, where an entry in it may not be synced. Opened before the change, while nothing is written yet: no
   * descriptor that is lacking must keep it from its sync.
   */
  #changedDirectory: DirectoryHandle | undefined
  /** The append in flight; never rejects. */
  #appending: Promise<void> | undefined
  /** The sync in flight; never rejects. */
  #syncing: Promise<void> | undefined
  /** A sync that was asked for and has not begun. */
  #syncRequest: Deferred | undefined
  #closed = false

  constructor(options: WalOptions) {
    this.#options = options
    this.#encoder = new FrameEncoder(options.layout, options.pageBytes)
    this.#spares = options.spares.slice(0, SPARES_MAX)
    this.#nextSequence = options.nextSequence
    this.#syncedSequence = options.nextSequence
  }

  /** The sequence number that the next operation gets. */
  get nextSequence(): number {
    return this.#nextSequence
  }

  /** Everything below it is durable. */
  get syncedSequence(): number {
    return this.#syncedSequence
  }

  /** Goes on at `sequence`: what is below came another way, and is durable. Requires: nothing was ever appended. */
  setNextSequence(sequence: number): void {
    const isNew = this.#active === undefined && this.#appending === undefined && this.#ended.size === 0
    assert(isNew, 'a log without a frame starts anywhere')
    this.#nextSequence = this.#syncedSequence = sequence
  }

  /** Numbers of the retired segments that wait to be overwritten. */
  get spares(): readonly number[] {
    return this.#spares
  }

  /**
   * The segment that takes the next frame, from the moment its number is taken, so with `bytes` 0 at first; `undefined`
   * where the next append opens one.
   *
   * A manifest whose `firstSegment` is above its number would lose what is being written to it.
   */
  get activeSegment(): SegmentInfo | undefined {
    if (this.#active !== undefined) return this.#active.info
    if (this.#opening === undefined) return undefined
    const sequence = this.#nextSequence
    const { epoch } = this.#options
    return { number: this.#opening, epoch, bytes: 0, firstSequence: sequence, endSequence: sequence }
  }

  /**
   * Whether a frame with operations [from, to) and so many *delete where* entries surely fits into the active segment.
   * An empty segment, or one yet to be opened, takes any frame.
   */
  hasRoom(operations: Operations, from: number, to: number, deleteWhereCount: number): boolean {
    const segment = this.#active
    if (segment === undefined || segment.isEmpty) return true
    const { segmentBytes, pageBytes } = this.#options
    const frameBytes = this.#encoder.frameBytesMax(
      to - from,
      operations.kinds !== undefined,
      deleteWhereCount,
    )
    return segment.position + frameBytes <= segmentBytes - (segmentBytes % pageBytes)
  }

  /** Whether `append` of these operations and so many *delete where* entries will return without a promise. */
  appendsAtOnce(operations: Operations, deleteWhereCount: number): boolean {
    const { kinds, count } = operations
    const frameBytes = this.#encoder.frameBytesMax(count, kinds !== undefined, deleteWhereCount)
    // The padding of a page comes on top.
    return this.#active !== undefined && frameBytes + this.#options.pageBytes <= BLOCKING_WRITE_BYTES_MAX
  }

  /**
   * Appends operations [from, to) and the entries as one frame: all of it is recovered or none. The entries carry their
   * sequence numbers already, ascending in the range that begins at `nextSequence`; the operations take the others.
   *
   * The bytes are with the operating system when it returns, or when the promise that it returned resolves (large
   * frames, and the first of a segment). `FLASHTABLE_DISK_FULL`: nothing has changed, and a later append may succeed.
   * `FLASHTABLE_POISONED`: every other failure, latched. Thrown, or the promise rejects.
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
    const segment = this.#active
    if (segment === undefined) return this.#track(this.#appendToNew(operations, from, to, deletes))
    if (this.#leftover !== segment) this.#wipeLeftover()
    const endSequence = this.#nextSequence + (to - from) + deletes.length
    const frameBytes = this.#encode(segment, operations, from, to, deletes)
    const bytes = segment.bytesFor(this.#encoder, frameBytes)
    if (bytes.byteLength > BLOCKING_WRITE_BYTES_MAX) {
      return this.#track(this.#write(segment, bytes, frameBytes, endSequence))
    }
    try {
      segment.writeBlocking(bytes)
    } catch (error) {
      throw this.#writeFailed(segment, error)
    }
    this.#appended(segment, bytes, frameBytes, endSequence)
  }

  /**
   * Everything appended before this call is durable when it resolves. Calls that wait at the same time share one
   * `fdatasync`; appends go on meanwhile. `FLASHTABLE_POISONED` where it fails: latched, and never tried again.
   * `FLASHTABLE_DISK_FULL` where a failed append has left what cannot be wiped yet: nothing was synced, nothing latched.
   * `FLASHTABLE_IO_ERROR` where nothing can be known of the directory now: nothing counts as synced, nothing is latched.
   */
  sync(): Promise<void> {
    if (this.#syncRequest === undefined) {
      this.#syncRequest = newDeferred()
      // All calls of this moment join.
      void Promise.resolve().then(() => this.#beginSync())
    }
    return this.#syncRequest.promise
  }

  /**
   * Ends the active segment, so that the next append opens another; returns what it holds. It stays on disk until it is
   * retired, and the next sync covers it first. `undefined`: none was active, or nothing is in it; that one ends too,
   * or it would go on in a memtable that does not know it, below the first segment of the manifest.
   *
   * Requires: no append is in flight.
   */
  rotate(): SegmentInfo | undefined {
    assert(this.#appending === undefined, 'no rotation during an append')
    const segment = this.#active
    if (segment === undefined) return undefined
    this.#ended.set(segment.number, segment)
    this.#active = undefined
    return segment.isEmpty ? undefined : segment.info
  }

  /**
   * Lets go of ended segments, of this epoch or an earlier one: kept as spares, or removed.
   *
   * Requires: an installed manifest names the bucket files that hold their records. They need no sync any more.
   *
   * Crash: what is left of them is an orphan, removed by the next writer's open.
   */
  async retire(numbers: readonly number[]): Promise<void> {
    const sorted = numbers.toSorted((a, b) => a - b)
    const handles: FileHandle[] = []
    for (const number of sorted) {
      assert(number !== this.activeSegment?.number, 'the active segment is not retired')
      const segment = this.#ended.get(number)
      if (segment === undefined) continue
      this.#ended.delete(number)
      if (this.#leftover === segment) this.#leftover = undefined
      handles.push(segment.handle)
    }
    // It may have begun with some of them. One that begins later knows them no more.
    await this.#syncing
    for (const handle of handles) {
      // Nothing in them is needed: a failure loses nothing.
      await handle.close().catch(() => {})
    }
    for (const number of sorted) {
      if (this.#spares.length < SPARES_MAX) this.#spares.push(number)
      else await this.#options.fileSystem.unlink(this.#pathOf(number)).catch(() => {})
    }
  }

  /** Removes spares but a few MiB of them: for a table that is closed, or has just become small. Never rejects. */
  async trimSpares(): Promise<void> {
    const { fileSystem } = this.#options
    let keptBytes = 0
    const numbers = this.#spares.slice()
    for (const number of numbers) {
      const path = this.#pathOf(number)
      const info = await fileSystem.info(path).catch(() => undefined)
      keptBytes += info?.bytes ?? 0
      const at = this.#spares.indexOf(number)
      // An append may have taken it meanwhile.
      if (keptBytes <= SPARE_BYTES_AT_REST || at < 0) continue
      keptBytes -= info?.bytes ?? 0
      this.#spares.splice(at, 1)
      await fileSystem.unlink(path).catch(() => {})
    }
  }

  /** Waits for what is in flight and closes all handles. Does not sync. `FLASHTABLE_IO_ERROR` where a close fails. */
  async close(): Promise<void> {
    this.#closed = true
    while (this.#appending !== undefined || this.#syncing !== undefined || this.#syncRequest !== undefined) {
      await (this.#appending ?? this.#syncing ?? this.#syncRequest?.promise.catch(() => {}))
    }
    const segments = this.#segments()
    this.#ended.clear()
    this.#active = undefined
    await this.#changedDirectory?.close().catch(() => {})
    const closed = await Promise.allSettled(segments.map(({ handle }) => handle.close()))
    for (const result of closed) {
      if (result.status === 'rejected') throw diskError(result.reason, 'cannot close a log segment')
    }
  }

  // ---- appending ----

  /** Marks an append as the one in flight, until it has settled. */
  #track(append: Promise<void>): Promise<void> {
    const tracked = append.finally(() => {
      this.#appending = undefined
      // At once: a caller who goes on with the next append must not keep a sync waiting for ever.
      this.#beginSync()
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
    let segment: SegmentWriter
    try {
      segment = this.#active = await this.#openSegment()
    } catch (error) {
      const what = `cannot open a log segment in ${this.#options.directory}`
      // Nothing is written yet: the next append opens another.
      throw isPassing(error) ? diskError(error, what) : this.#failed(error, what)
    } finally {
      this.#opening = undefined
    }
    this.#options.poison.check()
    this.#wipeLeftover()
    const endSequence = this.#nextSequence + (to - from) + deletes.length
    const frameBytes = this.#encode(segment, operations, from, to, deletes)
    await this.#write(segment, segment.bytesFor(this.#encoder, frameBytes), frameBytes, endSequence)
  }

  /** Encodes the frame for the segment's position; returns its size. */
  #encode(
    segment: SegmentWriter,
    operations: Operations,
    from: number,
    to: number,
    deletes: readonly DeleteWhere[],
  ): number {
    const first = this.#nextSequence
    return this.#encoder.encode(operations, from, to, deletes, first, this.#syncedSequence, segment.frameSeed)
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
    segment.append(frameBytes, bytes.byteLength, endSequence)
    if (this.#leftover === segment) this.#leftover = undefined
    this.#nextSequence = endSequence
  }

  /**
   * Returns the error to throw. Where the disk is full, any part of the frame may be in the file: a leftover.
   *
   * Invariant: nothing is acknowledged behind a leftover that could pass for a frame. A failed group was one frame that
   * began at the position: its header stands there, and all behind it is payload, which holds no header. The leftover
   * may be whole (a write can fail for its padding, or, on NFS, for what was written before it), and then it would be
   * replayed in place of the frames that got its sequence numbers. So its header is overwritten: by the next frame,
   * which begins at the same place, or with zeros before anything goes to another place.
   *
   * Crash: until a sync has covered that, a power cut may bring the group back in place of all that came after it.
   */
  #writeFailed(segment: SegmentWriter, error: unknown): FlashTableError {
    const failure = this.#failed(error, `cannot write ${segment.handle.path}`)
    if (failure.code !== 'FLASHTABLE_DISK_FULL') return failure
    segment.fail()
    this.#leftover = segment
    try {
      this.#wipeLeftover()
    } catch (wipeFailure) {
      // Where the disk is full for this as well, whoever goes to another place tries again.
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

  /** Latches what is not a full disk; returns the error to throw. */
  #failed(error: unknown, what: string): FlashTableError {
    const failure = diskError(error, what)
    return failure.code === 'FLASHTABLE_DISK_FULL' ? failure : this.#options.poison.latch(failure)
  }

  // ---- segments ----

  /**
   * Renames a spare, or creates a file. The directory is synced before the segment's first sync counts.
   *
   * Crash: a file of a new number in which no frame is valid, since its frames are of another number's seed.
   */
  async #openSegment(): Promise<SegmentWriter> {
    const { fileSystem, directory, tableId, epoch, pageBytes } = this.#options
    let number = this.#takeNumber()
    this.#changedDirectory ??= await fileSystem.openDirectory(directory)
    const spare = this.#spares.shift()
    const recycled = spare !== undefined && (await this.#renameSpare(spare, number))
    // A rename that failed has perhaps been done all the same: another number is surely free.
    if (spare !== undefined && !recycled) number = this.#takeNumber()
    let handle: FileHandle
    try {
      handle = await fileSystem.open(this.#pathOf(number), recycled ? 'update' : 'create')
    } catch (error) {
      // Under its new number; no frame of that is in it.
      if (recycled) this.#spares.unshift(number)
      throw error
    }
    const segment = { number, epoch, firstSequence: this.#nextSequence }
    return new SegmentWriter(segment, handle, fileSeed(tableId, epoch, number), pageBytes)
  }

  #takeNumber(): number {
    return (this.#opening = this.#options.takeFileNumber())
  }

  /** False where it failed: no harm, a new file serves as well. */
  async #renameSpare(spare: number, number: number): Promise<boolean> {
    try {
      await this.#options.fileSystem.rename(this.#pathOf(spare), this.#pathOf(number))
      return true
    } catch (error) {
      // Of any other failure the spare may be the cause: it becomes an orphan.
      const passes = isPassing(error) || diskError(error, 'rename').code === 'FLASHTABLE_DISK_FULL'
      if (passes) this.#spares.unshift(spare)
      return false
    }
  }

  #segments(): SegmentWriter[] {
    return this.#active === undefined ? [...this.#ended.values()] : [...this.#ended.values(), this.#active]
  }

  #pathOf(number: number): string {
    return `${this.#options.directory}/${walName(number)}`
  }

  // ---- syncing ----

  /** Begins the sync that was asked for, unless an append or a sync is in flight: at the end of that it is called again. */
  #beginSync(): void {
    const request = this.#syncRequest
    if (request === undefined || this.#appending !== undefined || this.#syncing !== undefined) return
    this.#syncRequest = undefined
    this.#syncing = this.#syncAll()
      .then(request.resolve, request.reject)
      .then(() => {
        this.#syncing = undefined
        this.#beginSync()
      })
  }

  /** Syncs what has been appended so far, oldest first: nothing counts as synced before all that is older. */
  async #syncAll(): Promise<void> {
    const { poison, checkHome } = this.#options
    poison.check()
    if (this.#leftover?.isInsidePage === true) this.#wipeLeftover()
    const endSequence = this.#nextSequence
    const unsynced = this.#segments().filter(segment => segment.unsynced)
    const directory = unsynced.length > 0 ? this.#changedDirectory : undefined
    if (directory !== undefined) this.#changedDirectory = undefined
    for (const segment of unsynced) segment.beginSync()
    // Beside the syncs, which take longer.
    const home = checkHome()
    home.catch(() => {})
    try {
      for (const { handle } of unsynced) await handle.sync()
      await directory?.sync()
    } catch (error) {
      throw poison.latch(diskError(error, 'cannot sync the log'))
    } finally {
      await directory?.close().catch(() => {})
    }
    try {
      await home
    } catch (error) {
      // Nothing is in doubt where the directory could not be looked at: the next sync looks again.
      if (!hasCode(error, 'FLASHTABLE_MOVED')) throw diskError(error, 'cannot look where the synced log is')
      throw poison.latch(error)
    }
    this.#syncedSequence = endSequence
  }
}
