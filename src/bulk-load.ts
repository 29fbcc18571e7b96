/**
 * Builds a table from columns without the log: sorted runs as large as a memtable, then one merge into one file.
 *
 * All or nothing: until the last manifest is installed the table is empty and the runs are orphans. While runs are
 * sorted and written by workers, the next one is filled; the merge keeps all of them busy too. docs/architecture.md, Bulk load.
 */
import type { CompactionControl, CompactionJob, CompactionResult } from './compaction/job.js'
import { mergeInRanges } from './compaction/merge-in-ranges.js'
import { diskError, type FlashTableError } from './errors.js'
import { bucketName } from './io/file-names.js'
import { Memtable } from './memtable/memtable.js'
import type { TableParts, WriterParts } from './open.js'
import { latchedReason } from './poison.js'

/** Runs are read once, from end to end. */
const NO_FILTER = 0

/** The columns to load: any iterable of what `putColumns` takes. */
export type ColumnSource<Columns> = Iterable<Columns> | AsyncIterable<Columns>

/** Loads everything that `source` gives into the empty table. Rejects with the source's error, or why it cannot be written. */
export async function bulkLoad(
  parts: TableParts,
  writer: WriterParts,
  source: ColumnSource<unknown>,
): Promise<void> {
  await writer.compactor.holdMerges(() =>
    writer.compactor.holdSeals(() => new BulkLoad(parts, writer).run(source)),
  )
}

class BulkLoad {
  readonly #parts: TableParts
  readonly #writer: WriterParts
  readonly #runs: CompactionResult[] = []
  /** Of memtables that have become runs. */
  readonly #spareMemory: SharedArrayBuffer[] = []
  #bytesWritten = 0
  #memtable: Memtable
  /** Runs that are being written, oldest first; a failure is met when room for another is made. */
  readonly #writing: Promise<CompactionResult>[] = []

  constructor(parts: TableParts, writer: WriterParts) {
    this.#parts = parts
    this.#writer = writer
    this.#memtable = this.#newMemtable(parts.state.active.memtable.endSequence)
  }

  async run(source: ColumnSource<unknown>): Promise<void> {
    const { signal } = this.#parts.options
    const numbers: number[] = []
    try {
      for await (const columns of source) {
        signal?.throwIfAborted()
        await this.#add(columns)
      }
      await this.#endRuns()
      numbers.push(...this.#runNumbers())
      await this.#finish()
    } catch (error) {
      // Those that are still being written are removed too, once they are there.
      while (this.#writing.length > 0) await this.#settleRun().catch(() => {})
      await this.#removeRuns([...numbers, ...this.#runNumbers()])
      throw error
    }
    await this.#removeRuns(numbers)
  }

  async #add(columns: unknown): Promise<void> {
    const rows = this.#parts.schema.columnsToOperations(columns)
    for (let from = 0; from < rows.count;) {
      if (this.#memtable.count === this.#memtable.capacity) await this.#startRun()
      const to = Math.min(rows.count, from + this.#memtable.capacity - this.#memtable.count)
      this.#memtable.append(rows, from, to)
      from = to
    }
  }

  /** Hands the memtable to the executor, once it has room. */
  async #startRun(): Promise<void> {
    if (this.#writing.length === this.#writer.executor.threads) await this.#settleRun()
    const full = this.#memtable
    this.#memtable = this.#newMemtable(full.endSequence)
    const writing = this.#run([full], NO_FILTER).finally(() => this.#spareMemory.push(full.memory))
    // Met by #settleRun.
    writing.catch(() => {})
    this.#writing.push(writing)
  }

  /** Waits for the oldest run that is being written. */
  async #settleRun(): Promise<void> {
    const writing = this.#writing.shift()
    if (writing === undefined) return
    const run = await writing
    this.#bytesWritten += run.bytesWritten
    this.#runs.push(run)
  }

  /** Writes what is left as the last run, unless it is all there is. */
  async #endRuns(): Promise<void> {
    const isAll = this.#runs.length + this.#writing.length === 0
    if (!isAll && this.#memtable.count > 0) await this.#startRun()
    while (this.#writing.length > 0) await this.#settleRun()
  }

  /** Merges the runs, or writes the only memtable, into the one file of the table. */
  async #finish(): Promise<void> {
    const { state, options } = this.#parts
    const start = state.active.memtable.endSequence
    const end = this.#memtable.endSequence
    if (end === start) return
    const result =
      this.#runs.length === 0
        ? await this.#run([this.#memtable], options.filterBitsPerRecord)
        : await this.#mergeRuns(options.filterBitsPerRecord)
    this.#bytesWritten += result.bytesWritten
    this.#writer.committer.recordsPut += end - start
    const entry = { ...result.entry!, level: this.#writer.compactor.levelFor(end - start) }
    try {
      await state.installLoaded(entry, end, this.#bytesWritten, this.#writer.counters())
    } catch (error) {
      throw this.#failure(latchedReason(error))
    }
  }

  #run(memtables: readonly Memtable[], filterBitsPerRecord: number): Promise<CompactionResult> {
    const job = this.#job([], memtables, filterBitsPerRecord)
    return this.#attempt(control => this.#writer.executor.run(job, control))
  }

  #mergeRuns(filterBitsPerRecord: number): Promise<CompactionResult> {
    const files = this.#runs.flatMap(({ entry }) => (entry === undefined ? [] : [entry]))
    const job = this.#job(files, [], filterBitsPerRecord)
    const { fileSystem } = this.#parts.state.options
    return this.#attempt(control => mergeInRanges(fileSystem, this.#writer.executor, job, control))
  }

  async #attempt(run: (control: CompactionControl) => Promise<CompactionResult>): Promise<CompactionResult> {
    const { signal } = this.#parts.options
    try {
      return await run({ signal })
    } catch (error) {
      throw signal?.aborted === true ? error : this.#failure(error)
    }
  }

  /** What went wrong with the table, apart from what the source throws. */
  #failure(error: unknown): FlashTableError {
    return diskError(error, `the bulk load of ${this.#parts.directory} failed`)
  }

  #job(
    files: CompactionJob['files'],
    memtables: readonly Memtable[],
    filterBitsPerRecord: number,
  ): CompactionJob {
    const { state } = this.#parts
    const { directory, tableId, layout, pageBytes } = state.options
    const ranges = [...files, ...memtables]
    return {
      directory,
      tableId,
      layout,
      pageBytes,
      replace: state.manifest.duplicates === 'replace',
      files,
      memtables: memtables.map(memtable => memtable.image()),
      deletes: [],
      ownDeletes: [],
      includesOldest: true,
      output: {
        number: state.takeFileNumber(),
        epoch: state.manifest.epoch,
        level: 0,
        filterBitsPerRecord,
        firstSequence: ranges[0]!.firstSequence,
        endSequence: ranges.at(-1)!.endSequence,
      },
    }
  }

  #runNumbers(): number[] {
    return this.#runs.flatMap(({ entry }) => (entry === undefined ? [] : [entry.number]))
  }

  /** Removes runs, but for one that has become the table's file. */
  async #removeRuns(numbers: readonly number[]): Promise<void> {
    const { fileSystem, directory } = this.#parts.state.options
    const live = new Set(this.#parts.state.manifest.files.map(file => file.number))
    for (const number of new Set(numbers)) {
      if (!live.has(number)) await fileSystem.unlink(`${directory}/${bucketName(number)}`).catch(() => {})
    }
  }

  #newMemtable(firstSequence: number): Memtable {
    const { layout, memtableRecords } = this.#parts.state.options
    return new Memtable(layout, memtableRecords, firstSequence, this.#spareMemory.pop())
  }
}
