/**
 * Builds a table from columns without the log. What does not fit into a memtable is set aside in spills, split by key,
 * in memory as long as there is room. From the spills the one file is built, one range of keys after another.
 *
 * All or nothing: until the last manifest is installed the table is empty and the spills are orphans.
 * docs/internals.md, Bulk load.
 */
import { throwIfAborted, unlessAborted } from '../async/abort.js'
import { Progress } from '../async/progress.js'
import { Turns } from '../async/turns.js'
import { callError, diskError, type FlashTableError } from '../base/errors.js'
import { hintFreed } from '../base/gc-hint.js'
import { latchedReason, type Poison } from '../base/poison.js'
import type { Compactor } from '../compaction/compactor.js'
import type { Schema } from '../encoding/schema.js'
import { bucketName } from '../io/file-names.js'
import { meteredFileSystem } from '../io/metered-file-system.js'
import type { BuildResult, CompactionControl, CompactionOutput, SpillJob } from '../jobs/job.js'
import type { Jobs } from '../jobs/jobs.js'
import type { ResolvedLoad, ResolvedOptions } from '../options/options.js'
import type { WideOperations } from '../records/operations.js'
import { bytesInMemory, memorySpillBytes } from '../spill/memory-spill.js'
import type { Spill } from '../spill/spill.js'
import { removeSpills } from '../spill/writer.js'
import { MemtablePool } from '../state/memtable-pool.js'
import type { TableState } from '../state/table-state.js'
import { Version, type MemtableHandle } from '../state/version.js'
import type { WalWriter } from '../wal/writer.js'
import { buildInRanges } from './build-file.js'

/**
 * Several, so that what was read is removed while the file grows. In the end this takes an eighth more room than the
 * file.
 */
const SPILLS_PER_MEMTABLE = 8

/** The parts of an open table that a bulk load uses. */
export interface LoadedTable {
  readonly directory: string
  readonly options: Pick<ResolvedOptions, 'signal' | 'filterBitsPerRecord'>
  readonly schema: Schema
  readonly poison: Poison
  readonly state: TableState
}

/** The parts of its writer that a bulk load uses. */
export interface LoadingWriter {
  readonly wal: WalWriter
  readonly compactor: Compactor
  readonly jobs: Jobs
}

/** The columns to load: any iterable of what `putColumns` takes. */
export type ColumnSource<Columns> = Iterable<Columns> | AsyncIterable<Columns>

/**
 * Loads everything that `source` gives into the empty table, of which `memoryBytes` may wait in memory. Rejects with
 * the error of the source or of `onProgress`, or with the reason why the table cannot be written.
 */
export async function bulkLoad(
  parts: LoadedTable,
  writer: LoadingWriter,
  source: ColumnSource<unknown>,
  options: ResolvedLoad,
): Promise<void> {
  await writer.compactor.holdMerges(
    () => writer.compactor.holdSeals(() => new BulkLoad(parts, writer, options).run(source)),
    parts.options.signal,
  )
}

class BulkLoad {
  readonly #parts: LoadedTable
  readonly #writer: LoadingWriter
  readonly #firstSequence: number
  /** The sequence number that the next record gets. */
  #endSequence: number
  readonly #progress: Progress
  /** Rows that are not set aside yet. */
  #memtable: MemtableHandle | undefined
  /** Bytes of memory in which spills may stay. */
  #memoryLeft: number
  /** Oldest first. A spill is removed once it is fully written to the output. */
  readonly #spills: Spill[] = []
  /** Spills that are being made, oldest first. A failure is reported when room for more is made. */
  readonly #spilling: { readonly spills: Promise<Spill[]>; readonly reservedBytes: number }[] = []
  /** Reuses the memory of memtables that have become spills, and of the copies that were made for that. */
  readonly #memtables: MemtablePool

  constructor(parts: LoadedTable, writer: LoadingWriter, { memoryBytes, onProgress }: ResolvedLoad) {
    this.#progress = new Progress(onProgress)
    this.#parts = parts
    this.#writer = writer
    this.#memoryLeft = memoryBytes
    this.#memtables = new MemtablePool(parts.state.options, Infinity)
    this.#firstSequence = this.#endSequence = parts.state.active.memtable.endSequence
  }

  async run(source: ColumnSource<unknown>): Promise<void> {
    try {
      await this.#addAll(source)
      await this.#finish()
    } finally {
      // Spills that are still being made are removed too, once they exist.
      while (this.#spilling.length > 0) await this.#settleSpills().catch(() => {})
      const { fileSystem, directory } = this.#parts.state.options
      await removeSpills(fileSystem, directory, this.#spills)
      this.#memtables.close()
    }
  }

  /**
   * As `for await`, but a signal ends it even while the source gives nothing, without waiting for the source to end.
   */
  async #addAll(source: ColumnSource<unknown>): Promise<void> {
    const { signal } = this.#parts.options
    const turns = new Turns()
    const steps = stepsOf(source)
    for (;;) {
      throwIfAborted(signal)
      if (turns.due()) await turns.take()
      let step: IteratorResult<unknown>
      try {
        step = await unlessAborted(steps.next(), signal)
      } catch (error) {
        if (signal?.aborted === true) void endOf(steps)
        throw error
      }
      if (step.done === true) return
      try {
        await this.#add(step.value)
      } catch (error) {
        await unlessAborted(endOf(steps), signal).catch(() => {})
        throw callError(error, this.#what)
      }
    }
  }

  async #add(columns: unknown): Promise<void> {
    const { schema } = this.#parts
    const given = schema.checkColumns(columns)
    const { memtable } = (this.#memtable ??= this.#memtables.make(this.#endSequence))
    if (given.rows <= memtable.capacity - memtable.count) {
      memtable.reserveRows(given.rows)
      schema.columnsToLanes(given, memtable.lanes, memtable.count)
      memtable.appendTail(given.rows)
      this.#endSequence += given.rows
    } else await this.#addInParts(schema.toOperations(given))
  }

  /** Adds rows for more than one memtable. */
  async #addInParts(rows: WideOperations): Promise<void> {
    for (let from = 0; from < rows.count;) {
      const { memtable } = (this.#memtable ??= this.#memtables.make(this.#endSequence))
      const to = Math.min(rows.count, from + memtable.capacity - memtable.count)
      memtable.append(rows, from, to)
      this.#endSequence += to - from
      from = to
      // Only when more comes: a load that fits into the memtable is not set aside.
      if (from < rows.count) await this.#startSpills(false)
    }
  }

  /** Hands the memtable to the executor, once the executor has room. The last one always stays in memory. */
  async #startSpills(isLast: boolean): Promise<void> {
    const { jobs } = this.#writer
    if (this.#spilling.length === jobs.threads) await this.#settleSpills()
    const full = this.#memtable!
    this.#memtable = undefined
    const { state } = this.#parts
    const { directory, tableId, layout } = state.options
    const memoryBytes = memorySpillBytes(layout, full.memtable.count)
    const stays = isLast || memoryBytes <= this.#memoryLeft
    const reservedBytes = stays ? memoryBytes : 0
    this.#memoryLeft -= reservedBytes
    const target: SpillJob['target'] = stays
      ? { kind: 'memory', shares: SPILLS_PER_MEMTABLE }
      : {
          kind: 'files',
          numbers: Array.from({ length: SPILLS_PER_MEMTABLE }, () => state.takeFileNumber()),
          epoch: state.manifest.epoch,
        }
    // Only the job holds them: when it ends, the next ones get their memory.
    const scratch = this.#memtables.make(0)
    scratch.memtable.reserveRows(full.memtable.count)
    const version = newVersion([scratch], full, this.#memtables)
    const job = { directory, tableId, layout, target }
    const spills = this.#attempt(control => jobs.spill(version, job, { signal: control.signal }))
    // #settleSpills reports the failure.
    spills.catch(() => {})
    this.#spilling.push({ spills, reservedBytes })
    await version.release()
  }

  /** Waits for the spills of the oldest memtable that is being set aside. */
  async #settleSpills(): Promise<void> {
    const { spills, reservedBytes } = this.#spilling.shift()!
    const made = await spills
    this.#memoryLeft += reservedBytes - bytesInMemory(made)
    this.#spills.push(...made)
  }

  /** Builds the one file of the table, from the spills or from the only memtable, and installs it. */
  async #finish(): Promise<void> {
    const records = this.#endSequence - this.#firstSequence
    if (records === 0) return
    const { entry } =
      this.#memtable?.memtable.count === records
        ? await this.#runMemtable(this.#memtable)
        : await this.#buildFile()
    const { state, poison } = this.#parts
    const { fileSystem, directory } = state.options
    if (this.#progress.signal.aborted) {
      await fileSystem.unlink(`${directory}/${bucketName(entry.number)}`).catch(() => {})
      throwIfAborted(this.#progress.signal)
    }
    const leveled = { ...entry, level: this.#writer.compactor.levelFor(records) }
    try {
      await state.installLoaded(leveled)
    } catch (error) {
      // A manifest that may be there names the file.
      if (!poison.latched) await fileSystem.unlink(`${directory}/${bucketName(entry.number)}`).catch(() => {})
      throw this.#failure(latchedReason(error))
    }
    this.#writer.wal.setNextSequence(this.#endSequence)
  }

  async #runMemtable(memtable: MemtableHandle) {
    const version = newVersion([], memtable, this.#memtables)
    const inputs = { version, files: [], memtables: [{ memtable }] }
    const target = { ...this.#job(), includesOldest: true }
    const { jobs } = this.#writer
    const { entry } = await this.#attempt(control => jobs.merge(inputs, target, control))
    // As the other path does: the thread has grown, and may not be needed again for a long time.
    await jobs.endIdle()
    return { entry: entry! }
  }

  async #buildFile(): Promise<Pick<BuildResult, 'entry'>> {
    await this.#startSpills(true)
    while (this.#spilling.length > 0) await this.#settleSpills()
    // Release the memory of the memtables before the threads that build ranges allocate theirs.
    hintFreed(this.#memtables.drain())
    const { state } = this.#parts
    const { fileSystem, memoryFreed } = state.options
    const job = { ...this.#job(), spills: this.#spills }
    const { jobs } = this.#writer
    // This thread writes the file, not a job.
    const metered = meteredFileSystem(fileSystem, state.counters.countBuckets)
    return this.#attempt(control => buildInRanges(metered, jobs, job, control, { memoryFreed }))
  }

  /** The part of the job that both paths share. */
  #job() {
    const { state, options } = this.#parts
    const { directory, tableId, layout, pageBytes } = state.options
    const output: CompactionOutput = {
      number: state.takeFileNumber(),
      epoch: state.manifest.epoch,
      level: 0,
      filterBitsPerRecord: options.filterBitsPerRecord,
      firstSequence: this.#firstSequence,
      endSequence: this.#endSequence,
    }
    return { directory, tableId, layout, pageBytes, replace: state.manifest.duplicates === 'replace', output }
  }

  async #attempt<T>(run: (control: CompactionControl) => Promise<T>): Promise<T> {
    const { signal } = this.#parts.options
    let result: T
    try {
      result = await run({
        signal,
        onProgress: done => this.#progress.report(done, this.#endSequence - this.#firstSequence),
      })
    } catch (error) {
      throw signal?.aborted === true ? error : this.#failure(error)
    }
    return result
  }

  get #what(): string {
    return `the bulk load of ${this.#parts.directory} failed`
  }

  /** What went wrong with the table, apart from what the source throws. */
  #failure(error: unknown): FlashTableError {
    return diskError(error, this.#what)
  }
}

/** The steps of an iteration, as `for await` makes them. */
interface Steps {
  next(): Promise<IteratorResult<unknown>>
  return?(): PromiseLike<unknown>
}

function stepsOf(source: ColumnSource<unknown>): Steps {
  if (Symbol.asyncIterator in source) {
    const iterator = source[Symbol.asyncIterator]()
    return {
      next: async () => iterator.next(),
      return: async () => iterator.return?.(),
    }
  }
  const iterator = source[Symbol.iterator]()
  return {
    async next() {
      const { done, value } = iterator.next()
      return done === true ? { done, value } : { done: false, value: await value }
    },
    return: async () => iterator.return?.(),
  }
}

/** Tells the source that no more is taken; its answer no longer matters. */
async function endOf(steps: Steps): Promise<void> {
  try {
    await steps.return?.()
  } catch {
    // The load has failed for another reason.
  }
}

/** A version of memtables alone. */
function newVersion(
  sealed: readonly MemtableHandle[],
  active: MemtableHandle,
  { refCounts }: MemtablePool,
): Version {
  return new Version({ stored: [], runs: [], sealed, active }, refCounts)
}
