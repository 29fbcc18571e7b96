/**
 * The compactor: turns sealed memtables into runs, runs into bucket files, and bucket files into fewer ones, in the
 * background.
 *
 * How a memtable becomes a run, in the seal queue:
 * 1. The committer makes the active memtable a sealed one and wakes the compactor.
 * 2. The oldest sealed memtable goes to a thread, which sorts it and packs it: a bucket file in memory.
 * 3. The run takes its place in the version; puts that waited for a seal go on. The log still holds the records.
 *
 * How runs become a file, in the flush queue, once there are enough:
 * 4. All runs go to a thread, which merges them into a bucket file of level 0 and syncs it.
 * 5. A manifest that names the file is installed; memory and log segments of the runs are released.
 *
 * How files become one, in the merge queue:
 * 6. Files whose records are all hidden are dropped: a manifest without them is installed, and they are removed.
 * 7. The policy names neighbours in age: the files of a full level, or files that hold much garbage.
 * 8. If the disk has room, they go to a thread, which merges them into one file and syncs it.
 * 9. A manifest that names the output in place of its inputs is installed; the inputs are removed. Then step 6 again.
 *
 * A full disk and a lack of descriptors, memory or threads make a job wait and try again: its inputs are still there.
 * Any other failure poisons the table. Crash: an output on disk is an orphan until step 5 or 9. docs/internals.md,
 * Compaction.
 */
import {
  abortReason,
  newAbortController,
  throwIfAborted,
  unlessAborted,
  withSignals,
} from '../async/abort.js'
import { newDeferred, type Deferred } from '../async/deferred.js'
import { Progress } from '../async/progress.js'
import { assert } from '../base/assert.js'
import { FlashTableError, diskError, hasCode, isPassing } from '../base/errors.js'
import type { FlushReason, MergeReason, TableEvent } from '../base/events.js'
import type { BucketFile } from '../bucket-file/reader.js'
import { bucketName } from '../io/file-names.js'
import type { FileMemory } from '../io/memory-file.js'
import type { CompactionResult } from '../jobs/job.js'
import type { Jobs, MergeTarget } from '../jobs/jobs.js'
import type { DeleteWhere } from '../records/operations.js'
import type { TableState } from '../state/table-state.js'
import { filesOf, type MemtableHandle, type Run, type Version } from '../state/version.js'
import { GarbageEstimates } from './garbage-estimate.js'
import { hiddenFiles, isHiddenBy } from './hidden-files.js'
import { JobQueue, type Lacking } from './job-queue.js'
import { garbageMerge, levelOf, nextMerge, sizeLevels, storedLevel, type PlannedMerge } from './policy.js'
import { debtOfFiles, debtOfRuns, dueFlush, filesBeyondFree, runsMax } from './pressure.js'
import { operationsIn } from './run.js'
import type { WriteBudget } from './write-budget.js'

/** How long a job that lacks something waits before the next try. */
const PAUSE_MS = 1000
/** How long merges wait for the budget at a time. */
const BUDGET_LOOK_MS = 3_600_000
/** `compact` takes runs as inputs if the files hold at most this many times what is in memory before a flush. */
const SMALL_TABLE_BUFFERS = 2
export interface CompactorOptions {
  readonly state: TableState
  readonly jobs: Jobs
  readonly fanout: number
  /** Runs that make a flush due. */
  readonly runsPerFlush: number
  readonly filterBitsPerRecord: number
  readonly replace: boolean
  /** Log segments whose records are in installed bucket files. */
  readonly retireSegments: (numbers: number[]) => Promise<void>
  /** Resolves when all of the log so far is on the device. */
  readonly syncLog: () => Promise<void>
  /** Resolves after that number of milliseconds, or when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>
  /** Milliseconds from any moment on: how long a job took. */
  readonly now: () => number
  readonly publish: (event: TableEvent) => void
  /** What merges may write, if that is limited. */
  readonly budget?: WriteBudget | undefined
}

/** Options of `compact`. */
export interface CompactOptions {
  /** Stops the merge; the table stays as it was. */
  readonly signal?: AbortSignal | undefined
  /** Called from time to time with the operations merged so far and their total. */
  readonly onProgress?: ((progress: { done: number; total: number }) => void) | undefined
}

/** The reason that aborts a `compactAll` so that it starts again. */
const RESTART = new Error('the compaction starts again')

/** The result of a job that had nothing to read. */
const NOTHING_LEFT: CompactionResult = { entry: undefined, bytesWritten: 0, operationsRead: 0 }

/** What is published of a job. */
type CompactionEvent = Extract<TableEvent, { inputFiles: number }>

/** What a job reads, and the place of its output. */
interface Inputs {
  /** Bucket files on disk. */
  readonly files: readonly BucketFile[]
  /** Runs, the oldest that there are. */
  readonly runs: readonly Run[]
  readonly includesOldest: boolean
  readonly level: number
}

export class Compactor {
  readonly #options: CompactorOptions
  readonly #seals = new JobQueue(() => this.#runSeals())
  readonly #flushes = new JobQueue(() => this.#runFlushes())
  readonly #merges = new JobQueue(() => this.#runMerges())
  readonly #closing = newAbortController()
  readonly #garbage: GarbageEstimates
  /** Aborts the running background merge, so that `compact` need not wait for it. */
  #backgroundMerge: AbortController | undefined
  /** What the background merge reads. */
  #merging: readonly BucketFile[] = []
  /** There are hidden files that the merge queue has not seen yet. */
  #dropDue = false
  /** Files that have come while merges waited for the budget, and are still too many: they are no debt. */
  #excusedFiles = 0
  /** Whether the merges are woken when the budget allows them. */
  #isBudgetTimed = false
  /** Aborts each `compactAll`, which then starts again or ends. */
  readonly #compactions = new Set<AbortController>()
  /** Runs with operations below this sequence number are flushed soon. */
  #flushBelow = 0
  #sealWaiters: { resolve: () => void; reject: (reason: unknown) => void }[] = []
  /** Settled when runs have become a file, or could not. */
  #flushEnded: Deferred | undefined

  constructor(options: CompactorOptions) {
    this.#options = options
    const { layout, pageBytes } = options.state.options
    this.#garbage = new GarbageEstimates({ layout, pageBytes, replace: options.replace })
  }

  /**
   * How far flushes and merges are behind: from 0, they keep up, to 1. What waits for space, resources or the budget does
   * not count: it would go no faster if puts were slower.
   */
  get debt(): number {
    const { state, fanout, runsPerFlush } = this.#options
    const { stored, runs } = state.version
    return Math.max(
      this.#merges.waitingFor === undefined ? debtOfFiles(stored.length - this.#excusedFiles, fanout) : 0,
      this.#flushes.waitingFor === undefined ? debtOfRuns(runs.length, runsPerFlush) : 0,
    )
  }

  /** What a seal, a flush or a merge waits for before it is tried again. */
  get waitingFor(): Lacking | undefined {
    const lacking = [this.#seals, this.#flushes, this.#merges].map(queue => queue.waitingFor)
    return lacking.find((what): what is Lacking => what !== undefined && what !== 'budget')
  }

  /** Whether a merge is due, and waits for the budget. */
  get waitsForBudget(): boolean {
    return this.#merges.waitingFor === 'budget'
  }

  /** Starts what is due. Call it after each seal. Never rejects: failures are latched. */
  wake(): void {
    if (this.#closing.signal.aborted) return
    this.#seals.wake()
    this.#flushes.wake()
    this.#merges.wake()
  }

  /**
   * Takes note of a *delete where* that was just put: files whose records it hides all are dropped soon. A background merge
   * that reads one of them is aborted: what it has still to write would be dropped next.
   */
  noteDelete(where: DeleteWhere): void {
    if (this.#closing.signal.aborted) return
    const { version, options } = this.#options.state
    if (!version.stored.some(file => isHiddenBy(file, where, options.layout))) return
    const hidden = this.#hidden()
    if (hidden.length === 0) return
    if (hidden.some(file => this.#merging.includes(file))) this.#backgroundMerge?.abort()
    this.#dropDue = true
    // If the queue runs, it may be past the place where it looks for them.
    void this.#merges.finished().then(() => {
      if (this.#dropDue) this.#merges.wake()
    })
  }

  /**
   * Resolves when a seal has ended. Rejects if it was put off, if the table is poisoned, or if no more seals will
   * begin.
   */
  async sealFinished(): Promise<void> {
    throwIfAborted(this.#closing.signal)
    // A queue that has failed has rejected the calls that waited then, and would never answer this one.
    this.#options.state.options.poison.check()
    await new Promise<void>((resolve, reject) => {
      this.#sealWaiters.push({ resolve, reject })
      this.wake()
    })
  }

  /**
   * Merges everything into at most one file. `takeMemtables`: seals the active memtable, so that it becomes a run and can
   * be an input. If `onProgress` throws, that aborts the merge as the signal does: nothing has changed.
   */
  async compactAll(
    takeMemtables: (signal: AbortSignal) => Promise<void>,
    options: CompactOptions,
  ): Promise<void> {
    const progress = new Progress(options.onProgress)
    const over = [options.signal, progress.signal]
    for (let again = true; again;) {
      throwIfAborted(this.#closing.signal)
      // `close` aborts this, too: if many listened to one signal, Node would warn of a leak.
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
   * Runs `action` while nothing is merged, for a caller that puts wait for. A running merge and each `compactAll` are
   * aborted, and start again afterwards.
   */
  holdMergesAtOnce(action: () => Promise<void>): Promise<void> {
    const held = this.holdMerges(action)
    for (const compaction of this.#compactions) compaction.abort(RESTART)
    return held
  }

  /**
   * Runs `action` while nothing is merged. A running merge is aborted, and starts again afterwards.
   *
   * Invariant: a caller that needs several locks takes them in this order: merges, commits, flushes, seals. A put that
   * waits for a seal holds the commits, and a seal may wait for a flush.
   */
  async holdMerges(action: () => Promise<void>, signal?: AbortSignal): Promise<void> {
    this.#backgroundMerge?.abort()
    try {
      await this.#merges.hold(action, signal)
    } finally {
      // However `action` ended, it may have sealed a memtable, and a running merge was aborted.
      this.wake()
    }
  }

  /** Runs `action` while no memtable becomes a run and no run a file. Requires: the caller holds the merges. */
  async holdSeals(action: () => Promise<void>): Promise<void> {
    assert(this.#merges.isHeld, 'the merges are held before the seals')
    await this.#flushes.hold(() => this.#seals.hold(action))
    this.#endFlush()
  }

  /** The level of a file with this number of records. */
  levelFor(records: number): number {
    return levelOf(records, this.#options.state.options.bufferRecords, this.#options.fanout)
  }

  /** Aborts merges, and waits for the running seal. */
  async close(): Promise<void> {
    this.#closing.abort(new FlashTableError('FLASHTABLE_NOT_OPEN', 'the table was closed'))
    this.#backgroundMerge?.abort()
    for (const compaction of this.#compactions) compaction.abort(this.#closing.signal.reason)
    // A running flush goes on to its end: it is not much that would have to be done again, but it is written.
    await this.#flushes.finished()
    this.#endFlush()
    await this.#seals.finished()
    // First: a `compact` that waits for seals holds the merges.
    this.#settleSealWaiters(this.#closing.signal.reason)
    await this.#merges.finished()
    await this.#merges.hold(() => Promise.resolve())
    await this.#flushes.hold(() => Promise.resolve())
    await this.#seals.hold(() => Promise.resolve())
  }

  async #takeAndCompact(
    takeMemtables: (signal: AbortSignal) => Promise<void>,
    signal: AbortSignal,
    progress: Progress,
  ): Promise<void> {
    const { state } = this.#options
    // If there is nothing to do, nothing else would report the failure.
    state.options.poison.check()
    const fileRecords = state.manifest.files.reduce((sum, file) => sum + file.records, 0)
    const small = fileRecords <= SMALL_TABLE_BUFFERS * state.options.bufferRecords
    await this.#sealTaken(takeMemtables, signal)
    if (small) {
      await this.#flushes.hold(() => this.#compactInputs(state.version.runs, signal, progress), signal)
      return
    }
    // The runs are small beside the files. They are flushed first, so that puts do not wait for the long merge.
    await this.#flushRuns(signal)
    await this.#compactInputs([], signal, progress)
  }

  /** Makes a bucket file of everything that is in memory. `takeMemtables`: as for {@link compactAll}. */
  async flushAll(
    takeMemtables: (signal: AbortSignal) => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    throwIfAborted(this.#closing.signal)
    this.#options.state.options.poison.check()
    await withSignals([signal, this.#closing.signal], async either => {
      await this.#sealTaken(takeMemtables, either)
      await this.#flushRuns(either)
    })
    this.#merges.wake()
  }

  /** Takes the memtables, and waits until they are runs. */
  async #sealTaken(
    takeMemtables: (signal: AbortSignal) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const { state } = this.#options
    await takeMemtables(signal)
    // Memtables that are sealed meanwhile do not count: otherwise puts could keep this from ever ending.
    const taken = new Set(state.version.sealed)
    while (state.version.sealed.some(sealed => taken.has(sealed))) {
      throwIfAborted(signal)
      // A seal goes on to its end: puts may wait for it too.
      await unlessAborted(this.sealFinished(), signal)
    }
  }

  /** Flushes the runs that there are now. */
  async #flushRuns(signal: AbortSignal): Promise<void> {
    const { state } = this.#options
    const runs = new Set(state.version.runs)
    while (state.version.runs.some(run => runs.has(run))) {
      throwIfAborted(signal)
      await unlessAborted(this.#flush('compact'), signal)
    }
  }

  async #compactInputs(runs: readonly Run[], signal: AbortSignal, progress: Progress): Promise<void> {
    const { state } = this.#options
    const { stored } = state.version
    const files = [...stored, ...filesOf(runs)]
    const nothingHidden = files.every(
      ({ footer, deletes }) => footer.deleteKeys + footer.deleteRecords + deletes.length === 0,
    )
    if (files.length === 0 || (runs.length === 0 && files.length === 1 && nothingHidden)) return
    const records = files.reduce((sum, file) => sum + file.entry.records, 0)
    await this.#requireRoomFor(files)
    const level = this.levelFor(records)
    await this.#run(
      { kind: 'compact' },
      { files: stored, runs, includesOldest: true, level },
      signal,
      progress,
    )
  }

  /** Steps 2 and 3, while there are sealed memtables. */
  async #runSeals(): Promise<void> {
    const { state } = this.#options
    while (state.version.sealed.length > 0 && !state.options.poison.latched) {
      if (this.#hasAllRuns()) {
        const { promise } = (this.#flushEnded ??= newDeferred())
        this.#flushes.wake()
        await promise
        if (this.#closing.signal.aborted) return
        continue
      }
      try {
        await this.#sealOldest()
        this.#seals.waitingFor = undefined
      } catch (error) {
        const lacking = lackingOf(error)
        if (lacking === undefined || this.#closing.signal.aborted) return
        await this.#pause(this.#seals, lacking)
      }
      if (this.#closing.signal.aborted) return
      this.#flushes.wake()
    }
    this.#settleSealWaiters(state.options.poison.latched ? state.options.poison.error() : undefined)
  }

  /** Turns the oldest sealed memtable, if there is one, into a run; tells the waiting calls how that ended. */
  async #sealOldest(): Promise<void> {
    const { state } = this.#options
    try {
      await this.#seals.hold(async () => {
        const oldest = state.version.sealed[0]
        if (oldest !== undefined) await this.#seal(oldest)
      })
    } catch (error) {
      this.#settleSealWaiters(error)
      throw error
    }
    this.#settleSealWaiters()
  }

  async #seal(sealed: MemtableHandle): Promise<void> {
    const { state, jobs } = this.#options
    const { version } = state
    const startMs = this.#options.now()
    const { memtable } = sealed
    let room: FileMemory | undefined
    try {
      room = state.takeRunMemory(memtable)
      const target = this.#target(
        { includesOldest: version.files.length === 0, level: 0 },
        state.takeRunNumber(),
        room,
      )
      const inputs = { version, files: [], older: version.files, memtables: [{ memtable: sealed }] }
      const { entry, memory } = await jobs.merge(inputs, target)
      await state.installRun(entry, memory)
      // The job has filled the first blocks, in order.
      state.giveBackRunMemory(room, memory?.blocks.length)
      room = undefined
    } catch (error) {
      if (room !== undefined) state.giveBackRunMemory(room)
      throw this.#latched(diskError(error, `a seal failed in ${state.options.directory}`))
    }
    this.#options.publish({
      kind: 'seal',
      inputFiles: 0,
      operations: memtable.count,
      bytesWritten: 0,
      durationMs: this.#options.now() - startMs,
    })
  }

  /** Steps 4 and 5, while there are enough runs. */
  async #runFlushes(): Promise<void> {
    const { state } = this.#options
    try {
      for (;;) {
        const reason = this.#dueFlush()
        if (reason === undefined || state.options.poison.latched) return
        try {
          await this.#flush(reason)
          this.#flushes.waitingFor = undefined
        } catch (error) {
          const lacking = lackingOf(error)
          if (lacking === undefined || this.#closing.signal.aborted) return
          await this.#pause(this.#flushes, lacking)
        }
        if (this.#closing.signal.aborted) return
        this.#merges.wake()
      }
    } finally {
      this.#endFlush()
    }
  }

  /** Flushes soon what has been put so far. The caller has sealed it. */
  flushEarly(): void {
    this.#flushBelow = this.#options.state.active.memtable.firstSequence
    this.wake()
  }

  /** Why a flush is due, if one is. */
  #dueFlush(): FlushReason | undefined {
    const { state, runsPerFlush } = this.#options
    const { bufferRecords, layout } = state.options
    const { runs } = state.version
    const due = dueFlush(runs, runsPerFlush, bufferRecords, layout.recordBytes)
    const wasAskedFor = runs.length > 0 && runs[0]!.firstSequence < this.#flushBelow
    return due ?? (wasAskedFor ? 'memory-budget' : undefined)
  }

  /** Whether seals have to wait for a flush. */
  #hasAllRuns(): boolean {
    const { state, runsPerFlush } = this.#options
    return state.version.runs.length >= runsMax(runsPerFlush)
  }

  /** Turns all runs into one bucket file; tells the seals that wait, and the calls that wait for them, how that ended. */
  async #flush(reason: FlushReason): Promise<void> {
    const { state } = this.#options
    try {
      await this.#flushes.hold(async () => {
        const { runs, stored } = state.version
        const includesOldest = stored.length === 0
        if (runs.length === 0) return
        await this.#run({ kind: 'flush', reason }, { files: [], runs, includesOldest, level: 0 })
      })
    } catch (error) {
      // They wait for a seal that this flush holds up.
      if (this.#hasAllRuns()) this.#settleSealWaiters(error)
      throw error
    }
  }

  #endFlush(): void {
    this.#flushEnded?.resolve()
    this.#flushEnded = undefined
  }

  /** Waits before the next try of the queue, and publishes that it waits. */
  async #pause(queue: JobQueue, lacking: Lacking): Promise<void> {
    const again = queue.waitingFor === lacking
    queue.waitingFor = lacking
    this.#options.publish({ kind: 'wait', reason: lacking, again, durationMs: PAUSE_MS })
    await this.#options.wait(PAUSE_MS, this.#closing.signal)
  }

  /** Steps 6 to 9, while there are files to drop, or the policy names a merge. */
  async #runMerges(): Promise<void> {
    const { state } = this.#options
    for (;;) {
      if (this.#closing.signal.aborted || state.options.poison.latched) return
      this.#excuseFiles(this.#excusedFiles)
      const abort = newAbortController()
      try {
        const more = await this.#merges.hold(async () => {
          this.#backgroundMerge = abort
          if (await this.#dropHidden()) return true
          const { stored } = state.version
          const planned = await this.#plan(state.version, abort.signal)
          // A flush may have ended while samples were read.
          if (planned === undefined) return state.version.stored !== stored
          if (this.#isOverBudget()) return 'later'
          if (this.waitsForBudget) this.#merges.waitingFor = undefined
          const inputs = stored.slice(planned.from, planned.to)
          await this.#requireRoomFor(inputs)
          const level = storedLevel(planned.level)
          const includesOldest = planned.from === 0
          this.#merging = inputs
          const { reason } = planned
          const files = { files: inputs, runs: [], includesOldest, level }
          await this.#run({ kind: 'merge', reason }, files, abort.signal)
          return true
        })
        if (more === 'later') return
        this.#merges.waitingFor = undefined
        if (!more) return
      } catch (error) {
        const lacking = lackingOf(error)
        if (abort.signal.aborted || lacking === undefined) return
        await this.#pause(this.#merges, lacking)
      } finally {
        this.#backgroundMerge = undefined
        this.#merging = []
      }
    }
  }

  /**
   * Whether a merge that is due has to wait for the budget. Then the queue does not wait - hidden files are dropped
   * meanwhile, and `compact` need not ask -, but is woken again.
   */
  #isOverBudget(): boolean {
    const { budget, publish, wait } = this.#options
    const waitMs = budget?.waitMs ?? 0
    if (waitMs === 0) return false
    const again = this.waitsForBudget
    this.#merges.waitingFor = 'budget'
    this.#excuseFiles(Infinity)
    if (!again) publish({ kind: 'wait', reason: 'budget', again, durationMs: waitMs })
    if (this.#isBudgetTimed) return true
    this.#isBudgetTimed = true
    void wait(Math.min(waitMs, BUDGET_LOOK_MS), this.#closing.signal).then(() => {
      this.#isBudgetTimed = false
      if (!this.#closing.signal.aborted) this.#merges.wake()
    })
    return true
  }

  /** Excuses at most that many of the files beyond those with which puts are free. */
  #excuseFiles(most: number): void {
    const { state, fanout } = this.#options
    this.#excusedFiles = Math.min(most, filesBeyondFree(state.version.stored.length, fanout))
  }

  /** Drops files whose records are all hidden; returns whether there were any. Requires: the merges are held. */
  async #dropHidden(): Promise<boolean> {
    const { state, syncLog, publish } = this.#options
    this.#dropDue = false
    const hidden = this.#hidden()
    if (hidden.length === 0) return false
    const startMs = this.#options.now()
    try {
      // Crash: an entry that is only in the log could be lost, while what it hides would be gone for good.
      await syncLog()
      await state.install({ removeFiles: hidden.map(({ entry }) => entry.number), removeRuns: 0 })
    } catch (error) {
      throw this.#latched(diskError(error, `hidden files cannot be dropped from ${state.options.directory}`))
    }
    publish({
      kind: 'drop',
      reason: 'hidden',
      inputFiles: hidden.length,
      operations: operationsIn({ files: hidden.map(({ entry }) => entry), memtables: [] }),
      bytesWritten: 0,
      durationMs: this.#options.now() - startMs,
    })
    return true
  }

  #hidden(): BucketFile[] {
    const { state, replace } = this.#options
    const { files, stored, sealed, active } = state.version
    const memtables = [...sealed, active].map(({ memtable }) => memtable)
    const deletes = [...files, ...memtables].flatMap(holder => holder.deletes)
    return hiddenFiles(stored, deletes, state.options.layout, replace)
  }

  /** The merge that is due: of a full level, or else of files that hold much garbage. */
  async #plan(
    version: Version,
    signal: AbortSignal,
  ): Promise<(PlannedMerge & { readonly reason: MergeReason }) | undefined> {
    const { state, fanout } = this.#options
    const { stored } = version
    const entries = stored.map(file => file.entry)
    const full = nextMerge(sizeLevels(entries, state.options.bufferRecords, fanout), fanout)
    if (full !== undefined) return { ...full, reason: 'level-full' }
    const release = version.retainInputs(stored, [])
    try {
      const due = garbageMerge(await this.#garbage.of(stored, state.view().deletes, signal))
      return due && { ...due, reason: 'garbage' }
    } finally {
      await release()
    }
  }

  /** Throws if the disk has no room for the output, which is no larger than the inputs together. */
  async #requireRoomFor(files: readonly BucketFile[]): Promise<void> {
    const { fileSystem, directory, pageBytes } = this.#options.state.options
    const bytes = files.reduce((sum, file) => sum + file.entry.pages, 0) * pageBytes
    // If the system cannot report free space, the write itself will fail.
    const freeBytes = await fileSystem.freeBytes(directory).catch(() => Infinity)
    if (freeBytes >= bytes) return
    throw new FlashTableError(
      'FLASHTABLE_DISK_FULL',
      `${directory}: a merge needs up to ${bytes} bytes, ${freeBytes} are free; make room and try again`,
    )
  }

  async #run(
    what: Pick<CompactionEvent, 'kind' | 'reason'>,
    inputs: Inputs,
    signal?: AbortSignal,
    progress?: Progress,
  ): Promise<void> {
    const { state, jobs, retireSegments } = this.#options
    const files = [...inputs.files, ...filesOf(inputs.runs)]
    const total = operationsIn({ files: files.map(file => file.entry), memtables: [] })
    const target = this.#target(inputs, state.takeFileNumber())
    const startMs = this.#options.now()
    let result: CompactionResult
    try {
      result =
        files.length === 0
          ? NOTHING_LEFT
          : await jobs.merge(
              { version: state.version, files, older: olderThan(state.version, files), memtables: [] },
              target,
              { signal, onProgress: progress && (done => progress.report(done, total)) },
            )
      // Before the output counts, so that a callback that throws leaves everything as it was.
      progress?.report(total, total)
      await progress?.check()
      throwIfAborted(signal)
      await state.install({
        removeFiles: inputs.files.map(file => file.entry.number),
        addFile: result.entry,
        removeRuns: inputs.runs.length,
      })
    } catch (error) {
      throw await this.#failed(what.kind, target, error, signal)
    } finally {
      if (inputs.runs.length > 0) this.#endFlush()
    }
    // A segment of an earlier life may hold records of the next memtable, too.
    const needed = new Set(state.version.segments)
    await retireSegments(
      inputs.runs.flatMap(({ segments }) => segments).filter(number => !needed.has(number)),
    )
    this.#options.publish({
      ...what,
      inputFiles: files.length,
      operations: total,
      bytesWritten: result.bytesWritten,
      durationMs: this.#options.now() - startMs,
    })
  }

  /** Removes what the job has left, and latches a failure that will not pass; returns the error to throw. */
  async #failed(
    kind: string,
    { directory, output }: MergeTarget,
    error: unknown,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const { poison, fileSystem } = this.#options.state.options
    if (poison.latched) return poison.error()
    // The file is whole if the install failed, and partial if its thread died. No manifest names it.
    await fileSystem.unlink(`${directory}/${bucketName(output.number)}`).catch(() => {})
    if (signal?.aborted === true) return abortReason(signal)
    return this.#latched(diskError(error, `a ${kind} failed in ${directory}`))
  }

  /** Latches a failure that will not pass. */
  #latched(failure: Error): Error {
    const { poison } = this.#options.state.options
    if (poison.latched) return poison.error()
    return lackingOf(failure) === undefined ? poison.latch(failure) : failure
  }

  /** `memory`: the output is a run in it. */
  #target(
    { includesOldest, level }: Pick<Inputs, 'includesOldest' | 'level'>,
    number: number,
    memory?: FileMemory,
  ): MergeTarget {
    const { state, filterBitsPerRecord, replace } = this.#options
    const { directory, tableId, layout, pageBytes } = state.options
    const output = { number, epoch: state.manifest.epoch, level, filterBitsPerRecord, memory }
    return { directory, tableId, layout, pageBytes, replace, includesOldest, output }
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

/** The files that are older than all inputs. */
function olderThan({ files }: Version, inputs: readonly BucketFile[]): readonly BucketFile[] {
  return files.slice(0, files.indexOf(inputs[0]!))
}

/** What was lacking, if the failure is one that passes. */
function lackingOf(error: unknown): Lacking | undefined {
  if (hasCode(error, 'FLASHTABLE_DISK_FULL')) return 'space'
  return isPassing(error) ? 'resources' : undefined
}
