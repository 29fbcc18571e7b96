/**
 * The files of the log's segments: opens the next one, keeps those that have ended, and recycles them.
 *
 * A segment goes through these states: active (takes frames), ended (its records are still in memtables), and retired
 * (its records are in bucket files). A retired one is kept as a spare, or removed. The next segment is a spare under a
 * new number: overwriting blocks that a file already has is faster than allocating new ones.
 * docs/file-format.md, WAL segments; docs/durability.md, Order of writes.
 */
import { assert } from '../base/assert.js'
import { diskError, isPassing } from '../base/errors.js'
import { fileSeed } from '../format/checksum.js'
import { walName } from '../io/file-names.js'
import type { DirectoryHandle, FileHandle } from '../io/file-system.js'
import type { SegmentInfo } from '../manifest/segment-info.js'
import type { TableFiles } from '../manifest/table-files.js'
import { SegmentWriter } from './segment-writer.js'

/** Bytes of spares that a closed table keeps: enough to make a short life quick. */
const SPARE_BYTES_AT_REST = 4 * 2 ** 20

export interface SegmentPoolOptions extends Omit<TableFiles, 'layout'> {
  readonly epoch: number
  /** The number for a new file: larger than all earlier ones. */
  readonly takeFileNumber: () => number
  /** Numbers of retired segments in the directory, to be renamed and overwritten. */
  readonly spares: readonly number[]
  /** Retired segments that are kept to be overwritten: one more than a flush retires. */
  readonly sparesMax: number
}

export class SegmentPool {
  readonly #options: SegmentPoolOptions
  readonly #spares: number[]
  #active: SegmentWriter | undefined
  /** The segment that is being opened. */
  #opening: SegmentInfo | undefined
  /** Ended and not yet retired, by number, oldest first. */
  readonly #ended = new Map<number, SegmentWriter>()
  /**
   * The directory, if one of its entries may not be synced yet. It is opened before the entry changes, while nothing is
   * written yet, so that a lack of descriptors cannot keep it from being synced.
   */
  #changedDirectory: DirectoryHandle | undefined

  constructor(options: SegmentPoolOptions) {
    this.#options = options
    this.#spares = options.spares.slice(0, options.sparesMax)
  }

  /** The segment that takes the next frame. */
  get active(): SegmentWriter | undefined {
    return this.#active
  }

  /** As {@link active}, from the moment its number is taken: with `bytes` 0 while it is being opened. */
  get activeInfo(): SegmentInfo | undefined {
    return this.#active?.info ?? this.#opening
  }

  /** Numbers of the retired segments that wait to be overwritten. */
  get spares(): readonly number[] {
    return this.#spares
  }

  /** The segments whose handles are open: ended ones, oldest first, then the active one. */
  get segments(): SegmentWriter[] {
    const ended = [...this.#ended.values()]
    return this.#active === undefined ? ended : [...ended, this.#active]
  }

  /**
   * Makes a new segment the active one: renames a spare, or creates a file. Its directory entry is synced with its first
   * sync: see {@link takeChangedDirectory}.
   *
   * Crash: leaves a file under a new number without a valid frame, since any frames in it have the seed of another number.
   */
  async openNext(firstSequence: number): Promise<SegmentWriter> {
    assert(this.#active === undefined && this.#opening === undefined, 'at most one segment is active')
    const { fileSystem, directory } = this.#options
    try {
      let number = this.#takeNumber(firstSequence)
      this.#changedDirectory ??= await fileSystem.openDirectory(directory)
      const spare = this.#spares.shift()
      const recycled = spare !== undefined && (await this.#renameSpare(spare, number))
      // A rename that failed may still have been done. Another number is surely free.
      if (spare !== undefined && !recycled) number = this.#takeNumber(firstSequence)
      const handle = await this.#openFile(number, recycled)
      // Where the size is not known, the file passes for one that need not grow.
      const recycledBytes = recycled ? await handle.size().catch(() => Infinity) : undefined
      return (this.#active = this.#writerOf(number, firstSequence, handle, recycledBytes))
    } finally {
      this.#opening = undefined
    }
  }

  /** Ends the active segment. It stays on disk until it is retired, and the next sync covers it first. */
  endActive(): void {
    const segment = this.#active
    assert(segment !== undefined, 'only an active segment ends')
    this.#ended.set(segment.number, segment)
    this.#active = undefined
  }

  /**
   * Keeps segments as spares or removes them; they have ended, in this epoch or an earlier one. A sync that began before
   * may still use their files: `runningSync` resolves when it has ended. Syncs that begin later leave these segments out.
   *
   * Requires: an installed manifest names the bucket files that hold their records. They need no sync any more.
   *
   * Crash: what is left of them is an orphan, removed by the next writer's open.
   */
  async retire(numbers: readonly number[], runningSync: Promise<void> | undefined): Promise<void> {
    const sorted = numbers.toSorted((a, b) => a - b)
    const handles: FileHandle[] = []
    for (const number of sorted) {
      assert(number !== this.activeInfo?.number, 'the active segment is not retired')
      const segment = this.#ended.get(number)
      if (segment === undefined) continue
      this.#ended.delete(number)
      handles.push(segment.handle)
    }
    await runningSync
    for (const handle of handles) {
      // Nothing in the file is needed: a failure loses nothing.
      await handle.close().catch(() => {})
    }
    for (const number of sorted) {
      await this.#keepOrRemove(number)
    }
  }

  /** Removes spares until at most a few MiB are left: for a table that is closed or has become small. Never rejects. */
  async trimSpares(): Promise<void> {
    let keptBytes = 0
    // A copy: the list changes below, and while this waits.
    const numbers = this.#spares.slice()
    for (const number of numbers) {
      const info = await this.#options.fileSystem.info(this.#pathOf(number)).catch(() => undefined)
      const bytes = info?.bytes ?? 0
      const index = this.#spares.indexOf(number)
      // An append may have taken the spare meanwhile.
      if (index < 0 || keptBytes + bytes <= SPARE_BYTES_AT_REST) {
        keptBytes += bytes
        continue
      }
      this.#spares.splice(index, 1)
      await this.#remove(number)
    }
  }

  /** Hands over the directory if it needs a sync. The caller syncs and closes it. */
  takeChangedDirectory(): DirectoryHandle | undefined {
    const directory = this.#changedDirectory
    this.#changedDirectory = undefined
    return directory
  }

  /** Closes all handles. Does not sync. Rejects with `FLASHTABLE_IO_ERROR` if a segment cannot be closed. */
  async close(): Promise<void> {
    const { segments } = this
    this.#ended.clear()
    this.#active = undefined
    await this.takeChangedDirectory()
      ?.close()
      .catch(() => {})
    const closed = await Promise.allSettled(segments.map(({ handle }) => handle.close()))
    for (const result of closed) {
      if (result.status === 'rejected') throw diskError(result.reason, 'cannot close a log segment')
    }
  }

  #takeNumber(sequence: number): number {
    const { epoch, takeFileNumber } = this.#options
    const number = takeFileNumber()
    this.#opening = { number, epoch, bytes: 0, firstSequence: sequence, endSequence: sequence }
    return number
  }

  async #openFile(number: number, recycled: boolean): Promise<FileHandle> {
    try {
      return await this.#options.fileSystem.open(this.#pathOf(number), recycled ? 'update' : 'create')
    } catch (error) {
      // The spare has its new number already. It holds no frame of that number, so it is still a spare.
      if (recycled) await this.#keepOrRemove(number)
      throw error
    }
  }

  #writerOf(
    number: number,
    firstSequence: number,
    handle: FileHandle,
    recycledBytes: number | undefined,
  ): SegmentWriter {
    const { tableId, epoch, pageBytes } = this.#options
    return new SegmentWriter(
      { number, epoch, firstSequence },
      handle,
      fileSeed(tableId, epoch, number),
      pageBytes,
      recycledBytes,
    )
  }

  /** Returns false if it fails. That does no harm: a new file is as good. */
  async #renameSpare(spare: number, number: number): Promise<boolean> {
    try {
      await this.#options.fileSystem.rename(this.#pathOf(spare), this.#pathOf(number))
      return true
    } catch (error) {
      const passes = isPassing(error) || diskError(error, 'rename').code === 'FLASHTABLE_DISK_FULL'
      // Any other failure may be caused by the spare: it is left as an orphan.
      if (passes) await this.#keepOrRemove(spare)
      return false
    }
  }

  /** Keeps a segment that is no longer needed as a spare, or removes it if there are enough. Never rejects. */
  async #keepOrRemove(number: number): Promise<void> {
    // A spare that could not be opened under its new number is kept, and a memtable may name that number too.
    if (this.#spares.includes(number)) return
    const { sparesMax } = this.#options
    if (this.#spares.length < sparesMax) this.#spares.push(number)
    else await this.#remove(number)
    assert(this.#spares.length <= sparesMax, 'at most `sparesMax` segments are spares')
  }

  async #remove(number: number): Promise<void> {
    await this.#options.fileSystem.unlink(this.#pathOf(number)).catch(() => {})
  }

  #pathOf(number: number): string {
    return `${this.#options.directory}/${walName(number)}`
  }
}
