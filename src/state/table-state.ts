/**
 * What the table consists of right now: manifest, version, active memtable. Everything else reads it here, and changes it
 * only through `seal` and the installs: `install`, `installRun`, `installLoaded`, `installMeta`, `installClean`, `clear`.
 *
 * Invariant: active memtable, sealed memtables, runs and bucket files on disk hold, in this order of age and without overlap, every
 * operation up to the next sequence number. docs/internals.md, State.
 */
import { Mutex } from 'async-mutex'
import { assert } from '../base/assert.js'
import type { Poison } from '../base/poison.js'
import { BucketFile, type BucketFileOptions } from '../bucket-file/reader.js'
import { bucketName } from '../io/file-names.js'
import type { FileMemory } from '../io/memory-file.js'
import { meteredFileSystem } from '../io/metered-file-system.js'
import { tableIdText, type BucketFileEntry } from '../manifest/bucket-file-entry.js'
import { countingItself, type Manifest } from '../manifest/manifest.js'
import type { JsonObject } from '../manifest/meta.js'
import type { SegmentInfo } from '../manifest/segment-info.js'
import { installManifest } from '../manifest/store.js'
import type { Memtable } from '../memtable/memtable.js'
import { DeleteWhereIndex } from '../records/delete-where-index.js'
import type { DeleteWhere } from '../records/operations.js'
import type { LifetimeCounters } from './lifetime-counters.js'
import { MemtablePool, type MemtablePoolOptions } from './memtable-pool.js'
import { runMemory } from './run-memory.js'
import { filesOf, Version, type MemtableHandle, type VersionParts } from './version.js'

/** Memtables whose memory is kept for the next ones. */
const SPARE_MEMORY_MAX = 1

/** A memtable with fewer rows is too small to be told of. */
const FIRST_TOLD_ROWS = 4096
/** The table stays what it is. */
const NO_CHANGE: StateChange = { removeFiles: [], removeRuns: 0 }

/** A point in time: the version, and how much of the active memtable belongs to it. */
export interface View {
  readonly version: Version
  readonly active: MemtableHandle
  /** Rows of the active memtable that are part of the view. */
  readonly length: number
  /** Operations with this sequence number and above are not part of the view. */
  readonly sequence: number
  readonly deletes: DeleteWhereIndex
}

/** A change of what the manifest names. */
export interface StateChange {
  /** Numbers of the files to remove; neighbours, where a file takes their place. */
  readonly removeFiles: readonly number[]
  /** The file that takes their place; after all others if none is removed. */
  readonly addFile?: BucketFileEntry | undefined
  /** How many of the oldest runs the new file holds. */
  readonly removeRuns: number
}

/** What a table consists of when it is opened. */
export interface TableContents {
  readonly manifest: Manifest
  /** Oldest first. */
  readonly files: readonly BucketFile[]
  /** Oldest first. */
  readonly sealed: readonly MemtableHandle[]
  readonly active: MemtableHandle
}

export interface TableStateOptions extends BucketFileOptions, MemtablePoolOptions {
  /** Called with the bytes that wait in memory: with each seal, run and install, and while the active memtable grows. */
  readonly onBuffered?: ((bytes: number) => void) | undefined
  /** Records that gather in memory before they are flushed to a bucket file: those of one or several memtables. */
  readonly bufferRecords: number
  readonly poison: Poison
}

export class TableState {
  readonly options: TableStateOptions
  /** What was put and written in the life of the table. Every manifest that is installed stores them. */
  readonly counters: LifetimeCounters
  #manifest: Manifest
  #version: Version
  #deletes: DeleteWhereIndex
  #view: View | undefined
  readonly #memtables: MemtablePool
  readonly #installing = new Mutex()
  /** Settles when the versions that were replaced are released. */
  #released: Promise<unknown> = Promise.resolve()
  #nextFileNumber: number
  #nextRunNumber = 1

  /**
   * `previous`: the state that this one takes the place of, for a reader that moves on: files that both have are counted
   * together, and stay open when that one is closed.
   */
  constructor(
    options: TableStateOptions,
    { manifest, files, sealed, active }: TableContents,
    counters: LifetimeCounters,
    previous?: TableState,
  ) {
    this.options = options
    this.counters = counters
    this.#memtables =
      previous === undefined ? new MemtablePool(options, SPARE_MEMORY_MAX) : previous.#memtables
    this.#manifest = manifest
    this.#version = new Version({ stored: files, runs: [], sealed, active }, this.#memtables.refCounts)
    this.#deletes = this.#indexDeletes()
    this.#nextFileNumber = manifest.nextFileNumber
  }

  get manifest(): Manifest {
    return this.#manifest
  }

  get version(): Version {
    return this.#version
  }

  /** Bucket files on disk that versions or jobs hold. */
  get heldFiles(): BucketFile[] {
    return this.#memtables.refCounts.files.filter(({ memory }) => memory === undefined)
  }

  /** Bytes of memory that wait for the next memtable. */
  get spareBytes(): number {
    return this.#memtables.spareBytes
  }

  get active(): MemtableHandle {
    return this.#version.active
  }

  /** Whether no operation is in the table, not even a delete: not in a file, and not in memory, so not in the log. */
  get isEmpty(): boolean {
    const { stored, runs, sealed, active } = this.#version
    const { firstSequence, endSequence } = active.memtable
    return stored.length + runs.length + sealed.length === 0 && firstSequence === endSequence
  }

  /** A number that no file of the table has had in this epoch. */
  takeFileNumber(): number {
    return this.#nextFileNumber++
  }

  /** A number that no other run of this open has had. */
  takeRunNumber(): number {
    return this.#nextRunNumber++
  }

  /** The view of everything put so far. Valid until the next `await` unless its version is retained. */
  view(): View {
    const { memtable } = this.active
    if (this.#view === undefined || this.#view.sequence !== memtable.endSequence) {
      this.#view = {
        version: this.#version,
        active: this.active,
        length: memtable.count,
        sequence: memtable.endSequence,
        deletes: this.#deletes,
      }
    }
    return this.#view
  }

  /** Rows that the active memtable has before {@link tellBuffered} is due again: twice as many as the last time. */
  nextTold = FIRST_TOLD_ROWS

  /** Tells what waits in memory. */
  tellBuffered(): void {
    const { onBuffered } = this.options
    const { runs, sealed, active } = this.#version
    this.nextTold = Math.max(FIRST_TOLD_ROWS, 2 * active.memtable.count)
    if (onBuffered === undefined) return
    let bytes = 0
    for (const file of filesOf(runs)) bytes += file.memory!.bytes
    for (const { memtable } of [...sealed, active]) bytes += memtable.residentBytes
    onBuffered(bytes)
  }

  /** Counts a *delete where* entry that the active memtable has just taken. */
  addDelete(entry: DeleteWhere): void {
    this.#deletes.add(entry)
  }

  /** Allocates memory for the next memtable, so that `seal` of these rows allocates none. Throws if there is none. */
  reserveMemory(rows?: number): void {
    this.#memtables.reserve(rows)
  }

  /** The active memtable becomes the newest sealed one; a new one is active, with room for that many rows at least. */
  seal(rows?: number): void {
    const { sealed, active } = this.#version
    const next = this.#memtables.make(active.memtable.endSequence, rows)
    this.#setVersion({ sealed: [...sealed, active], active: next })
  }

  /** A memtable with room for that many rows takes the place of the active one, which is empty. */
  replaceActive(rows: number): void {
    const { memtable } = this.active
    assert(memtable.firstSequence === memtable.endSequence, 'only an empty memtable is replaced')
    this.#setVersion({ active: this.#memtables.make(memtable.endSequence, rows) })
  }

  /** Room for the run that a memtable becomes. Throws if there is no memory. */
  takeRunMemory({ count }: Memtable): FileMemory {
    const { layout, pageBytes } = this.options
    return runMemory.takeForRows(count, layout.recordBytes, pageBytes)
  }

  /** Takes back room for a run: all of it, or from this block on. */
  giveBackRunMemory({ blocks, blockBytes }: FileMemory, from = 0): void {
    runMemory.giveBack({ blocks: blocks.slice(from), blockBytes })
  }

  /**
   * The oldest sealed memtable becomes the newest run, with the file in `memory` that a job has made of it; without a file,
   * because nothing is left of it, it only leaves. Nothing on disk changes: the log holds its records.
   */
  async installRun(entry: BucketFileEntry | undefined, memory: FileMemory | undefined): Promise<void> {
    await this.#installing.runExclusive(async () => {
      // A checkpoint has another id, and reads it anyway.
      const own = entry && { tableId: tableIdText(this.options.tableId), ...entry }
      const file =
        own && (await BucketFile.inMemory(this.options, own, memory!, freed => this.#freeRun(freed)))
      const { runs, sealed } = this.#version
      const { memtable, segments, logBytes } = sealed[0]!
      // Without a file it is there anyway: its segments may only go when those of older records have.
      const run = { file, firstSequence: memtable.firstSequence, segments, logBytes }
      this.#setVersion({ runs: [...runs, run], sealed: sealed.slice(1) })
      this.#deletes = this.#indexDeletes()
    })
  }

  /**
   * Replaces inputs by their output: opens the new file, installs the manifest, then swaps the version and removes the
   * inputs. Rejects with the old state intact; failures that leave the manifest in doubt have poisoned the table.
   *
   * Crash: before the rename the output is an orphan, after it the inputs are.
   */
  async install(change: StateChange): Promise<void> {
    await this.#installing.runExclusive(async () => {
      const added =
        change.addFile === undefined ? undefined : await BucketFile.open(this.options, change.addFile)
      try {
        await this.#write(this.#changedManifest(change))
      } catch (error) {
        await added?.close()
        throw error
      }
      const { stored, runs } = this.#version
      this.#setVersion({
        stored: replaceFiles(stored, file => file.entry.number, change.removeFiles, added),
        runs: runs.slice(change.removeRuns),
      })
      this.#deletes = this.#indexDeletes()
    })
    await this.#removeFiles(change.removeFiles)
  }

  /** The last manifest of a session: the log ends here, and everything in it is accounted for. */
  async installClean(segments: readonly SegmentInfo[]): Promise<void> {
    await this.#installing.runExclusive(() => {
      const old = this.#manifest
      const known = new Set(old.log.closed.map(segment => segment.number))
      return this.#write({
        ...old,
        log: {
          closed: [...old.log.closed, ...segments.filter(segment => !known.has(segment.number))],
          firstSegment: this.#nextFileNumber,
        },
        nextSequence: this.active.memtable.endSequence,
        nextFileNumber: this.#nextFileNumber,
        clean: true,
      })
    })
  }

  /**
   * Drops all records at once: a manifest without files, and an empty memtable. Resolves to the log segments that are
   * no longer needed. Requires: nothing is committed or compacted meanwhile.
   */
  async clear(): Promise<{ segments: number[] }> {
    const { stored, segments } = this.#version
    await this.#installing.runExclusive(async () => {
      const { endSequence } = this.active.memtable
      await this.#write({
        ...this.#manifest,
        files: [],
        log: { closed: [], firstSegment: this.#nextFileNumber },
        firstLogSequence: endSequence,
        nextSequence: endSequence,
        nextFileNumber: this.#nextFileNumber,
      })
      this.#setVersion({ stored: [], runs: [], sealed: [], active: this.#memtables.make(endSequence) })
      this.#deletes = this.#indexDeletes()
    })
    await this.#removeFiles(stored.map(file => file.entry.number))
    return { segments }
  }

  /**
   * Installs the one file of a bulk load in the empty table: its sequence numbers go on from what was cleared. Requires:
   * nothing is committed or compacted meanwhile.
   */
  async installLoaded(entry: BucketFileEntry): Promise<void> {
    const { endSequence } = entry
    await this.#installing.runExclusive(async () => {
      assert(this.isEmpty, 'a bulk load is all that there is in its table')
      const file = await BucketFile.open(this.options, entry)
      try {
        const manifest = {
          ...this.#manifest,
          files: [entry],
          log: { closed: [], firstSegment: this.#nextFileNumber },
          firstLogSequence: endSequence,
          nextSequence: endSequence,
          nextFileNumber: this.#nextFileNumber,
        }
        await this.#write(manifest, entry.records)
        this.counters.countPuts(entry.records)
      } catch (error) {
        await file.close()
        throw error
      }
      this.#setVersion({ stored: [file], active: this.#memtables.make(endSequence) })
    })
  }

  /** Replaces the metadata. */
  async installMeta(meta: JsonObject): Promise<void> {
    await this.#installing.runExclusive(() => this.#write({ ...this.#changedManifest(NO_CHANGE), meta }))
  }

  /** Runs `action` while no manifest is installed: the files that the version names stay in the directory. */
  async holdFiles<T>(action: (view: View) => Promise<T>): Promise<T> {
    return this.#installing.runExclusive(() => action(this.view()))
  }

  /** Releases the newest version, and waits until the files of older ones are closed. */
  async close(): Promise<void> {
    await this.#version.release()
    await this.#released
    this.options.onBuffered?.(0)
    this.#memtables.close()
  }

  /** The manifest after the change; its log begins at the first segment that a memtable still needs. */
  #changedManifest(change: StateChange): Manifest {
    const old = this.#manifest
    const files = replaceFiles(old.files, file => file.number, change.removeFiles, change.addFile)
    const runs = this.#version.runs.slice(change.removeRuns)
    const memtables = [...this.#version.sealed, this.active]
    const needed = new Set([...runs, ...memtables].flatMap(({ segments }) => segments))
    const closed = old.log.closed.filter(segment => needed.has(segment.number))
    const open = [...needed].filter(number => !closed.some(segment => segment.number === number))
    return {
      ...old,
      files,
      log: { closed, firstSegment: Math.min(this.#nextFileNumber, ...open) },
      firstLogSequence: runs[0]?.firstSequence ?? memtables[0]!.memtable.firstSequence,
      nextSequence: this.active.memtable.endSequence,
      nextFileNumber: this.#nextFileNumber,
    }
  }

  /** `morePuts`: records of a bulk load, which count once the manifest is installed. */
  async #write(manifest: Manifest, morePuts = 0): Promise<void> {
    const { fileSystem, directory, poison } = this.options
    poison.check()
    const counters = this.counters.read(morePuts)
    const counted = countingItself({ ...manifest, counters })
    const metered = meteredFileSystem(fileSystem, this.counters.countManifest)
    await installManifest(metered, directory, counted, poison)
    this.#manifest = counted
  }

  /**
   * Unlinks files that the manifest no longer names. What cannot be removed is an orphan: the next open tries again.
   */
  async #removeFiles(numbers: readonly number[]): Promise<void> {
    const { fileSystem, directory } = this.options
    for (const number of numbers)
      await fileSystem.unlink(`${directory}/${bucketName(number)}`).catch(() => {})
  }

  #setVersion(change: Partial<VersionParts>): void {
    const old = this.#version
    const { stored, runs, sealed, active } = old
    this.#version = new Version({ stored, runs, sealed, active, ...change }, this.#memtables.refCounts)
    this.#view = undefined
    this.tellBuffered()
    this.#released = Promise.all([this.#released, old.release()])
  }

  #freeRun(memory: FileMemory): void {
    for (const block of memory.blocks) this.options.memoryFreed?.(new Uint8Array(block))
    runMemory.giveBack(memory)
  }

  #indexDeletes(): DeleteWhereIndex {
    const index = new DeleteWhereIndex(this.options.layout)
    for (const file of this.#version.files) for (const entry of file.deletes) index.add(entry)
    for (const { memtable } of [...this.#version.sealed, this.active]) {
      for (const entry of memtable.deletes) index.add(entry)
    }
    return index
  }
}

/** The files without those removed, and `added` in their place; after all others if none was removed. */
function replaceFiles<T>(
  files: readonly T[],
  numberOf: (file: T) => number,
  removed: readonly number[],
  added: T | undefined,
): T[] {
  const gone = new Set(removed)
  const at = files.findIndex(file => gone.has(numberOf(file)))
  const kept = files.filter(file => !gone.has(numberOf(file)))
  if (added !== undefined) kept.splice(at < 0 ? kept.length : at, 0, added)
  return kept
}
