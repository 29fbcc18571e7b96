/**
 * The compactor: turns sealed memtables into bucket files and merges those, in the background.
 *
 * Two lanes, so that no seal waits for a long merge: one seals, oldest memtable first, one merges. A job reads and
 * writes through the executor; its result counts when the manifest is installed. A full disk only makes it wait: the
 * inputs are still there. Any other failure poisons the table. docs/architecture.md, Compaction.
 */
import { performance } from 'node:perf_hooks'
import { Mutex } from 'async-mutex'
import { linkSignals, newAbortController, throwIfAborted } from '../abort.js'
import type { BucketFile } from '../bucket-file/reader.js'
import { FlashTableError, diskError, hasCode } from '../errors.js'
import type { DeleteWhere } from '../columns/operations.js'
import type { TableState } from '../state/table-state.js'
import type { MemtableInUse, Version } from '../state/version.js'
import type { TableEvent } from '../table-event.js'
import type { CompactionJob, CompactionResult } from './job.js'
import type { Jobs } from './jobs.js'
import { operationsIn } from './run.js'
import { HiddenEstimates } from './hidden.js'
import { hiddenMerge, levelOf, nextMerge, type PlannedMerge } from './policy.js'

/** How long to wait before a full disk is tried again. */
const DISK_FULL_PAUSE_MS = 1000
/** `compact` takes memtables as inputs where the files hold no more than so many memtables. */
const SMALL_TABLE_MEMTABLES = 8

export interface CompactorOptions {
  readonly state: TableState
  readonly jobs: Jobs
  readonly fanout: number
  readonly filterBitsPerRecord: number
  readonly replace: boolean
  /** Counters that change outside of compactions, for the manifest. */
  readonly counters: () => { walBytes: number; records: number; recordBytes: number }
  /** Log segments whose records are in installed bucket files. */
  readonly retireSegments: (numbers: number[]) => Promise<void>
  /** Resolves after so many milliseconds, or when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>
  readonly publish: (event: TableEvent) => void
}

export interface CompactOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: { done: number; total: number }) => void) | undefined
}

/** What goes into a job and where its output stands. */
interface Inputs {
  readonly files: readonly BucketFile[]
  readonly memtables: readonly MemtableInUse[]
  readonly includesOldest: boolean
  readonly level: number
}

export class Compactor {
  readonly #options: CompactorOptions
  readonly #sealing = new Mutex()
  readonly #merging = new Mutex()
  readonly #closing = newAbortController()
  readonly #hidden: HiddenEstimates
  /** Aborts the background merge that runs, so that `compact` need not wait for it. */
  #backgroundMerge: AbortController | undefined
  #sealLane: Promise<void> | undefined
  #mergeLane: Promise<void> | undefined
  #sealWaiters: { resolve: () => void; reject: (reason: unknown) => void }[] = []
  /** Whether the last job was put off because the disk is full. */
  waitingForSpace = false

  constructor(options: CompactorOptions) {
    this.#options = options
    const { layout, pageBytes } = options.state.options
    this.#hidden = new HiddenEstimates({ layout, pageBytes, replace: options.replace })
  }

  /** Starts what is due. To be called after each seal; never rejects, failures are latched. */
  wake(): void {
    if (this.#closing.signal.aborted) return
    this.#sealLane ??= this.#runSeals().finally(() => (this.#sealLane = undefined))
    this.#mergeLane ??= this.#runMerges().finally(() => (this.#mergeLane = undefined))
  }

  /** Resolves when a seal has ended; rejects where the disk is full, the table poisoned, or no seal will begin any more. */
  async sealFinished(): Promise<void> {
    throwIfAborted(this.#closing.signal)
    await new Promise<void>((resolve, reject) => {
      this.#sealWaiters.push({ resolve, reject })
      this.wake()
    })
  }

  /**
   * Merges everything into one file of at most one level. `takeMemtables`: seals the active memtable, so that it can be
   * an input; called while no seal runs.
   */
  async compactAll(takeMemtables: () => Promise<void>, options: CompactOptions): Promise<void> {
    await this.holdMerges(() => this.#takeAndCompact(takeMemtables, options))
  }

  /**
   * Runs `action` while nothing is merged; a merge that runs is aborted and starts again afterwards.
   *
   * Invariant: whoever needs several takes them in this order: merges, commits, seals. A put that waits for a seal holds
   * the commits.
   */
  async holdMerges(action: () => Promise<void>): Promise<void> {
    this.#backgroundMerge?.abort()
    try {
      await this.#merging.runExclusive(action)
    } finally {
      // However it ended, it may have sealed a memtable, and it has aborted the merge that ran.
      this.wake()
    }
  }

  /** Runs `action` while nothing is sealed. */
  async holdSeals(action: () => Promise<void>): Promise<void> {
    await this.#sealing.runExclusive(action)
  }

  /** The level where a file of so many records belongs. */
  levelFor(records: number): number {
    return levelOf(records, this.#options.state.options.memtableRecords, this.#options.fanout)
  }

  /** Aborts merges, waits for the seal that runs. */
  async close(): Promise<void> {
    this.#closing.abort(new FlashTableError('FLASHTABLE_NOT_OPEN', 'the table was closed'))
    this.#backgroundMerge?.abort()
    await this.#sealLane
    // First: a `compact` that waits for seals holds the merges.
    this.#settleSealWaiters(this.#closing.signal.reason)
    await this.#mergeLane
    await this.#merging.runExclusive(() => {})
    await this.#sealing.runExclusive(() => {})
  }

  async #takeAndCompact(takeMemtables: () => Promise<void>, options: CompactOptions): Promise<void> {
    throwIfAborted(options.signal)
    const { state } = this.#options
    const fileRecords = state.manifest.files.reduce((sum, file) => sum + file.records, 0)
    const small = fileRecords <= SMALL_TABLE_MEMTABLES * state.options.memtableRecords
    await takeMemtables()
    if (small) await this.#sealing.runExclusive(() => this.#compactInputs(state.version.sealed, options))
    else {
      // The memtables are little beside the files: sealed first, so that puts do not wait for the long merge.
      // Not those that are sealed meanwhile: puts that go on would keep it from ever beginning.
      const taken = new Set(state.version.sealed)
      while (state.version.sealed.some(sealed => taken.has(sealed))) {
        throwIfAborted(options.signal)
        await this.#sealOldest()
      }
      await this.#compactInputs([], options)
    }
  }

  async #compactInputs(memtables: readonly MemtableInUse[], options: CompactOptions): Promise<void> {
    const { state } = this.#options
    const { files } = state.version
    const onlyFile =
      files.length === 1 && memtables.every(({ memtable }) => memtable.endSequence === memtable.firstSequence)
    const nothingHidden = files.every(
      ({ footer, deletes }) => footer.deleteKeys + footer.deleteRecords + deletes.length === 0,
    )
    if ((onlyFile && nothingHidden) || (files.length === 0 && memtables.length === 0)) return
    const records =
      files.reduce((sum, file) => sum + file.entry.records, 0) +
      memtables.reduce((sum, { memtable }) => sum + memtable.count, 0)
    await this.#requireRoomFor(files)
    const level = this.levelFor(records)
    const either = linkSignals(this.#closing.signal, options.signal)
    try {
      await this.#run('compact', { files, memtables, includesOldest: true, level }, either.signal, options)
    } finally {
      either.release()
    }
  }

  /** The seal lane: until nothing is sealed any more. */
  async #runSeals(): Promise<void> {
    const { state } = this.#options
    while (state.version.sealed.length > 0 && !state.options.poison.latched) {
      try {
        await this.#sealOldest()
      } catch (error) {
        if (!isDiskFull(error) || this.#closing.signal.aborted) return
        await this.#options.wait(DISK_FULL_PAUSE_MS, this.#closing.signal)
      }
      if (this.#closing.signal.aborted) return
      this.#mergeLane ??= this.#runMerges().finally(() => (this.#mergeLane = undefined))
    }
    this.#settleSealWaiters(state.options.poison.latched ? state.options.poison.error() : undefined)
  }

  /** Turns the oldest sealed memtable, where there is one, into a bucket file; tells those who wait how it ended. */
  async #sealOldest(): Promise<void> {
    const { state } = this.#options
    try {
      await this.#sealing.runExclusive(async () => {
        const oldest = state.version.sealed[0]
        if (oldest === undefined) return
        const includesOldest = state.version.files.length === 0
        await this.#run('seal', { files: [], memtables: [oldest], includesOldest, level: 0 }, undefined, {})
      })
    } catch (error) {
      this.#settleSealWaiters(error)
      throw error
    }
    this.#settleSealWaiters()
  }

  /** The merge lane: until the policy has nothing to do. */
  async #runMerges(): Promise<void> {
    const { state } = this.#options
    for (;;) {
      if (this.#closing.signal.aborted || state.options.poison.latched) return
      const abort = newAbortController()
      try {
        const more = await this.#merging.runExclusive(async () => {
          this.#backgroundMerge = abort
          const { files } = state.version
          const planned = await this.#plan(state.version, abort.signal)
          // A seal may have ended while samples were read.
          if (planned === undefined) return state.version.files !== files
          const inputs = files.slice(planned.from, planned.to)
          await this.#requireRoomFor(inputs)
          const { level } = planned
          const includesOldest = planned.from === 0
          await this.#run('merge', { files: inputs, memtables: [], includesOldest, level }, abort.signal, {})
          return true
        })
        this.waitingForSpace = false
        if (!more) return
      } catch (error) {
        if (abort.signal.aborted || !isDiskFull(error)) return
        this.waitingForSpace = true
        this.#options.publish({ kind: 'wait', reason: 'space', durationMs: DISK_FULL_PAUSE_MS })
        await this.#options.wait(DISK_FULL_PAUSE_MS, this.#closing.signal)
      } finally {
        this.#backgroundMerge = undefined
      }
    }
  }

  /** What is due: a full level, or else much that is hidden. */
  async #plan(version: Version, signal: AbortSignal): Promise<PlannedMerge | undefined> {
    const { state, fanout } = this.#options
    const { files } = version
    const full = nextMerge(
      files.map(file => file.entry),
      fanout,
    )
    if (full !== undefined) return full
    const letGo = version.hold(files, [])
    try {
      return hiddenMerge(await this.#hidden.of(files, state.view().deletes, signal))
    } finally {
      await letGo()
    }
  }

  /** Throws where the disk has no room for the output, which is no larger than the inputs together. */
  async #requireRoomFor(files: readonly BucketFile[]): Promise<void> {
    const { fileSystem, directory, pageBytes } = this.#options.state.options
    const bytes = files.reduce((sum, file) => sum + file.entry.pages, 0) * pageBytes
    // Where the system does not tell, the write itself will.
    const freeBytes = await fileSystem.freeBytes(directory).catch(() => Infinity)
    if (freeBytes >= bytes) return
    throw new FlashTableError(
      'FLASHTABLE_DISK_FULL',
      `${directory}: a merge needs up to ${bytes} bytes, ${freeBytes} are free`,
    )
  }

  async #run(
    kind: 'seal' | 'merge' | 'compact',
    inputs: Inputs,
    signal: AbortSignal | undefined,
    { onProgress }: CompactOptions,
  ): Promise<void> {
    const { state, jobs, retireSegments, counters } = this.#options
    const total = operationsIn({
      files: inputs.files.map(file => file.entry),
      memtables: inputs.memtables.map(({ memtable }) => memtable),
    })
    const startMs = performance.now()
    let result: CompactionResult
    try {
      result = await jobs.run(
        {
          version: state.version,
          files: inputs.files,
          memtables: inputs.memtables.map(memtable => ({ memtable })),
        },
        this.#job(inputs),
        { signal, onProgress: onProgress && (done => onProgress({ done: Math.min(done, total), total })) },
      )
      await state.install(
        {
          removeFiles: inputs.files.map(file => file.entry.number),
          addFile: result.entry,
          removeSealed: inputs.memtables.length,
          bucketBytes: result.bytesWritten,
        },
        counters,
      )
    } catch (error) {
      if (signal?.aborted === true) throw error
      const failure = diskError(error, `a ${kind} failed in ${state.options.directory}`)
      if (isDiskFull(failure)) throw failure
      throw state.options.poison.latched ? state.options.poison.error() : state.options.poison.latch(failure)
    }
    await retireSegments(inputs.memtables.flatMap(({ segments }) => segments))
    onProgress?.({ done: total, total })
    this.#options.publish({
      kind,
      inputFiles: inputs.files.length,
      operations: total,
      bytesWritten: result.bytesWritten,
      durationMs: performance.now() - startMs,
    })
  }

  #job({ files, memtables, includesOldest, level }: Inputs): Omit<CompactionJob, 'files' | 'memtables'> {
    const { state, filterBitsPerRecord, replace } = this.#options
    const { directory, tableId, layout, pageBytes } = state.options
    const ownDeletes: DeleteWhere[] = [
      ...files.flatMap(file => file.deletes),
      ...memtables.flatMap(({ memtable }) => memtable.deletes),
    ]
    const ranges = [...files.map(file => file.entry), ...memtables.map(({ memtable }) => memtable)]
    return {
      directory,
      tableId,
      layout,
      pageBytes,
      replace,
      // Crash: entries that are in the log alone could be lost, while what they hide would be gone for good.
      deletes: [
        ...state.version.files.flatMap(file => file.deletes),
        ...memtables.flatMap(({ memtable }) => memtable.deletes),
      ],
      ownDeletes,
      includesOldest,
      output: {
        number: state.takeFileNumber(),
        epoch: state.manifest.epoch,
        level,
        filterBitsPerRecord,
        firstSequence: ranges[0]!.firstSequence,
        endSequence: ranges.at(-1)!.endSequence,
      },
    }
  }

  #settleSealWaiters(error?: unknown): void {
    const waiters = this.#sealWaiters
    this.#sealWaiters = []
    for (const { resolve, reject } of waiters) {
      if (error === undefined) resolve()
      else reject(error)
    }
  }
}

function isDiskFull(error: unknown): boolean {
  return hasCode(error, 'FLASHTABLE_DISK_FULL')
}
