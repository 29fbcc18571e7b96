/**
 * The compactor: turns sealed memtables into bucket files and merges those, in the background.
 *
 * Two lanes, so that no seal waits for a long merge: one seals, oldest memtable first, one merges. A job reads and
 * writes through the executor; its result counts when the manifest is installed. A full disk and what the process lacks
 * for a moment (descriptors, memory, threads) only make it wait: the inputs are still there. Any other failure poisons
 * the table. docs/internals.md, Compaction.
 */
import { performance } from 'node:perf_hooks'
import { Mutex } from 'async-mutex'
import {
  abortReason,
  newAbortController,
  runExclusive,
  throwIfAborted,
  unlessAborted,
  withSignals,
} from '../async/abort.js'
import { Progress, type ProgressReport } from '../async/progress.js'
import { FlashTableError, diskError, hasCode, isPassing } from '../base/errors.js'
import type { TableEvent } from '../base/events.js'
import type { BucketFile } from '../bucket-file/reader.js'
import { bucketName } from '../io/file-names.js'
import type { CompactionJob, CompactionResult } from '../jobs/job.js'
import type { Jobs } from '../jobs/jobs.js'
import type { DeleteWhere } from '../records/operations.js'
import type { TableState } from '../state/table-state.js'
import type { MemtableHandle, Version } from '../state/version.js'
import { GarbageEstimates } from './garbage-estimate.js'
import { garbageMerge, levelOf, nextMerge, sizeLevels, storedLevel, type PlannedMerge } from './policy.js'
import { operationsIn } from './run.js'

/** How long to wait before what failed is tried again. */
const PAUSE_MS = 1000
/** `compact` takes memtables as inputs where the files hold no more than so many memtables. */
const SMALL_TABLE_MEMTABLES = 8

export interface CompactorOptions {
  readonly state: TableState
  readonly jobs: Jobs
  readonly fanout: number
  readonly filterBitsPerRecord: number
  readonly replace: boolean
  /** Log segments whose records are in installed bucket files. */
  readonly retireSegments: (numbers: number[]) => Promise<void>
  /** Resolves after so many milliseconds, or when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>
  readonly publish: (event: TableEvent) => void
}

export interface CompactOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: ProgressReport) => void) | undefined
}

/** What a job waits for: room on the disk; or descriptors, memory, threads. */
export type Lacking = 'space' | 'resources'

/** Why a `compactAll` was aborted that is to start again. */
const RESTART = new Error('to start again')

/** What goes into a job and where its output stands. */
interface Inputs {
  readonly files: readonly BucketFile[]
  readonly memtables: readonly MemtableHandle[]
  readonly includesOldest: boolean
  readonly level: number
}

export class Compactor {
  readonly #options: CompactorOptions
  readonly #sealing = new Mutex()
  readonly #merging = new Mutex()
  readonly #closing = newAbortController()
  readonly #garbage: GarbageEstimates
  /** Aborts the background merge that runs, so that `compact` need not wait for it. */
  #backgroundMerge: AbortController | undefined
  /** Aborts each `compactAll`: so that it starts again, or for good. */
  readonly #compactions = new Set<AbortController>()
  #sealLane: Promise<void> | undefined
  #mergeLane: Promise<void> | undefined
  #sealWaiters: { resolve: () => void; reject: (reason: unknown) => void }[] = []
  /** Why the last seal and the last merge were put off. */
  readonly #putOff: { seal: Lacking | undefined; merge: Lacking | undefined } = {
    seal: undefined,
    merge: undefined,
  }

  constructor(options: CompactorOptions) {
    this.#options = options
    const { layout, pageBytes } = options.state.options
    this.#garbage = new GarbageEstimates({ layout, pageBytes, replace: options.replace })
  }

  /** What a seal or a merge waits for before it is tried again. */
  get waitingFor(): Lacking | undefined {
    return this.#putOff.seal ?? this.#putOff.merge
  }

  /** Starts what is due. To be called after each seal; never rejects, failures are latched. */
  wake(): void {
    if (this.#closing.signal.aborted) return
    this.#sealLane ??= this.#runSeals().finally(() => (this.#sealLane = undefined))
    this.#mergeLane ??= this.#runMerges().finally(() => (this.#mergeLane = undefined))
  }

  /** Resolves when a seal has ended; rejects where it was put off, the table is poisoned, or no seal will begin any more. */
  async sealFinished(): Promise<void> {
    throwIfAborted(this.#closing.signal)
    // A lane that ends with the failure of now has told those who waited, and tells nobody who comes later.
    this.#options.state.options.poison.check()
    await new Promise<void>((resolve, reject) => {
      this.#sealWaiters.push({ resolve, reject })
      this.wake()
    })
  }

  /**
   * Merges everything into one file of at most one level. `takeMemtables`: seals the active memtable, so that it can be
   * an input; called while no seal runs. What `onProgress` throws aborts as the signal does: nothing has changed.
   */
  async compactAll(
    takeMemtables: (signal: AbortSignal) => Promise<void>,
    options: CompactOptions,
  ): Promise<void> {
    const progress = new Progress(options.onProgress)
    const over = [options.signal, progress.signal]
    for (let again = true; again;) {
      throwIfAborted(this.#closing.signal)
      // Also what `close` aborts: many that listened to one signal would make Node warn of a leak.
      const restart = newAbortController()
      this.#compactions.add(restart)
      try {
        await withSignals([...over, restart.signal], signal =>
          this.holdMerges(() => this.#takeAndCompact(takeMemtables, signal, progress), signal),
        )
        again = false
      } catch (error) {
        if (error !== RESTART) throw error
        for (const signal of over) throwIfAborted(signal)
      } finally {
        this.#compactions.delete(restart)
      }
    }
  }

  /**
   * Runs `action` while nothing is merged, for somebody whom puts wait for: a merge that runs, and each `compactAll`, is
   * aborted and starts again afterwards.
   */
  holdMergesAtOnce(action: () => Promise<void>): Promise<void> {
    const held = this.holdMerges(action)
    for (const compaction of this.#compactions) compaction.abort(RESTART)
    return held
  }

  /**
   * Runs `action` while nothing is merged; a merge that runs is aborted and starts again afterwards.
   *
   * Invariant: whoever needs several takes them in this order: merges, commits, seals. A put that waits for a seal holds
   * the commits.
   */
  async holdMerges(action: () => Promise<void>, signal?: AbortSignal): Promise<void> {
    this.#backgroundMerge?.abort()
    try {
      await runExclusive(this.#merging, signal, action)
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
    for (const compaction of this.#compactions) compaction.abort(this.#closing.signal.reason)
    await this.#sealLane
    // First: a `compact` that waits for seals holds the merges.
    this.#settleSealWaiters(this.#closing.signal.reason)
    await this.#mergeLane
    await this.#merging.runExclusive(() => {})
    await this.#sealing.runExclusive(() => {})
  }

  async #takeAndCompact(
    takeMemtables: (signal: AbortSignal) => Promise<void>,
    signal: AbortSignal,
    progress: Progress,
  ): Promise<void> {
    const { state } = this.#options
    // Where there is nothing to do, nothing else would meet it.
    state.options.poison.check()
    const fileRecords = state.manifest.files.reduce((sum, file) => sum + file.records, 0)
    const small = fileRecords <= SMALL_TABLE_MEMTABLES * state.options.memtableRecords
    await takeMemtables(signal)
    if (small) {
      await runExclusive(this.#sealing, signal, () =>
        this.#compactInputs(state.version.sealed, signal, progress),
      )
    } else {
      // The memtables are little beside the files: sealed first, so that puts do not wait for the long merge.
      // Not those that are sealed meanwhile: puts that go on would keep it from ever beginning.
      const taken = new Set(state.version.sealed)
      while (state.version.sealed.some(sealed => taken.has(sealed))) {
        throwIfAborted(signal)
        // A seal goes on to its end: puts may wait for it too.
        await unlessAborted(this.#sealOldest(), signal)
      }
      await this.#compactInputs([], signal, progress)
    }
  }

  async #compactInputs(
    memtables: readonly MemtableHandle[],
    signal: AbortSignal,
    progress: Progress,
  ): Promise<void> {
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
    await this.#run('compact', { files, memtables, includesOldest: true, level }, signal, progress)
  }

  /** The seal lane: until nothing is sealed any more. */
  async #runSeals(): Promise<void> {
    const { state } = this.#options
    while (state.version.sealed.length > 0 && !state.options.poison.latched) {
      try {
        await this.#sealOldest()
        this.#putOff.seal = undefined
      } catch (error) {
        const lacking = lackingOf(error)
        if (lacking === undefined || this.#closing.signal.aborted) return
        await this.#pause('seal', lacking)
      }
      if (this.#closing.signal.aborted) return
      this.#mergeLane ??= this.#runMerges().finally(() => (this.#mergeLane = undefined))
    }
    this.#settleSealWaiters(state.options.poison.latched ? state.options.poison.error() : undefined)
  }

  /** Waits before the lane's next try, for all to see. */
  async #pause(lane: 'seal' | 'merge', lacking: Lacking): Promise<void> {
    this.#putOff[lane] = lacking
    this.#options.publish({ kind: 'wait', reason: lacking, durationMs: PAUSE_MS })
    await this.#options.wait(PAUSE_MS, this.#closing.signal)
  }

  /** Turns the oldest sealed memtable, where there is one, into a bucket file; tells those who wait how it ended. */
  async #sealOldest(): Promise<void> {
    const { state } = this.#options
    try {
      await this.#sealing.runExclusive(async () => {
        const oldest = state.version.sealed[0]
        if (oldest === undefined) return
        const includesOldest = state.version.files.length === 0
        await this.#run('seal', { files: [], memtables: [oldest], includesOldest, level: 0 })
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
          const level = storedLevel(planned.level)
          const includesOldest = planned.from === 0
          await this.#run('merge', { files: inputs, memtables: [], includesOldest, level }, abort.signal)
          return true
        })
        this.#putOff.merge = undefined
        if (!more) return
      } catch (error) {
        const lacking = lackingOf(error)
        if (abort.signal.aborted || lacking === undefined) return
        await this.#pause('merge', lacking)
      } finally {
        this.#backgroundMerge = undefined
      }
    }
  }

  /** What is due: a full level, or else much that is hidden. */
  async #plan(version: Version, signal: AbortSignal): Promise<PlannedMerge | undefined> {
    const { state, fanout } = this.#options
    const { files } = version
    const entries = files.map(file => file.entry)
    const full = nextMerge(sizeLevels(entries, state.options.memtableRecords, fanout), fanout)
    if (full !== undefined) return full
    const release = version.retainInputs(files, [])
    try {
      return garbageMerge(await this.#garbage.of(files, state.view().deletes, signal))
    } finally {
      await release()
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
      `${directory}: a merge needs up to ${bytes} bytes, ${freeBytes} are free; make room and try again`,
    )
  }

  async #run(
    kind: 'seal' | 'merge' | 'compact',
    inputs: Inputs,
    signal?: AbortSignal,
    progress?: Progress,
  ): Promise<void> {
    const { state, jobs, retireSegments } = this.#options
    const total = operationsIn({
      files: inputs.files.map(file => file.entry),
      memtables: inputs.memtables.map(({ memtable }) => memtable),
    })
    const job = this.#job(inputs)
    const startMs = performance.now()
    let result: CompactionResult
    try {
      result = await jobs.run(
        {
          version: state.version,
          files: inputs.files,
          memtables: inputs.memtables.map(memtable => ({ memtable })),
        },
        job,
        { signal, onProgress: progress && (done => progress.report(done, total)) },
      )
      // Before it counts: so a callback that throws leaves all as it was.
      progress?.report(total, total)
      await progress?.check()
      throwIfAborted(signal)
      await state.install({
        removeFiles: inputs.files.map(file => file.entry.number),
        addFile: result.entry,
        removeSealed: inputs.memtables.length,
      })
    } catch (error) {
      throw await this.#failed(kind, job, error, signal)
    }
    await retireSegments(inputs.memtables.flatMap(({ segments }) => segments))
    this.#options.publish({
      kind,
      inputFiles: inputs.files.length,
      operations: total,
      bytesWritten: result.bytesWritten,
      durationMs: performance.now() - startMs,
    })
  }

  /** Removes what the job has left, and latches a failure that will not pass; returns the error to throw. */
  async #failed(
    kind: string,
    { directory, output }: Pick<CompactionJob, 'directory' | 'output'>,
    error: unknown,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const { poison, fileSystem } = this.#options.state.options
    if (poison.latched) return poison.error()
    // Whole where the install failed, a part where its thread died. No manifest names it.
    await fileSystem.unlink(`${directory}/${bucketName(output.number)}`).catch(() => {})
    if (signal?.aborted === true) return abortReason(signal)
    const failure = diskError(error, `a ${kind} failed in ${directory}`)
    return lackingOf(failure) === undefined ? poison.latch(failure) : failure
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

/** What was lacking where the failure is one that passes. */
function lackingOf(error: unknown): Lacking | undefined {
  if (hasCode(error, 'FLASHTABLE_DISK_FULL')) return 'space'
  return isPassing(error) ? 'resources' : undefined
}
