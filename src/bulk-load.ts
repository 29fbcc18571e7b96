/**
 * Builds a table from columns without the log: sorted runs as large as a memtable, then one merge into one file.
 *
 * All or nothing: until the last manifest is installed the table is empty and the runs are orphans. While a run is
 * sorted and written by a worker, the next one is filled. docs/architecture.md, Bulk load.
 */
import type { CompactionJob, CompactionResult } from './compaction/job.js'
import { diskError, type FlashTableError } from './errors.js'
import { bucketName } from './io/file-names.js'
import { Memtable } from './memtable/memtable.js'
import type { TableParts, WriterParts } from './open.js'
import { latchedReason } from './poison.js'

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
  #bytesWritten = 0
  #memtable: Memtable
  /** The run that is being written; its failure is met at the next run. */
  #writing: Promise<CompactionResult> | undefined

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
      await this.#settleRun()
      numbers.push(...this.#runNumbers())
      await this.#finish()
    } catch (error) {
      // One that is still being written is removed too, once it is there.
      await this.#settleRun().catch(() => {})
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

  /** Hands the full memtable to the executor, once it has written the one before. */
  async #startRun(): Promise<void> {
    await this.#settleRun()
    const full = this.#memtable
    this.#memtable = this.#newMemtable(full.endSequence)
    this.#writing = this.#compact([], [full])
    // Met by #settleRun.
    this.#writing.catch(() => {})
  }

  async #settleRun(): Promise<void> {
    const writing = this.#writing
    if (writing === undefined) return
    const run = await writing
    this.#writing = undefined
    this.#bytesWritten += run.bytesWritten
    this.#runs.push(run)
  }

  /** Merges the runs and the last memtable into the one file of the table. */
  async #finish(): Promise<void> {
    const { state } = this.#parts
    const files = this.#runs.flatMap(({ entry }) => (entry === undefined ? [] : [entry]))
    const memtable = this.#memtable
    const memtables = memtable.count === 0 ? [] : [memtable]
    if (files.length + memtables.length === 0) return
    const start = state.active.memtable.endSequence
    const records = memtable.endSequence - start
    const result =
      files.length === 1 && memtables.length === 0 ? this.#runs[0]! : await this.#compact(files, memtables)
    if (result !== this.#runs[0]) this.#bytesWritten += result.bytesWritten
    this.#writer.committer.recordsPut += records
    const entry = { ...result.entry!, level: this.#writer.compactor.levelFor(records) }
    try {
      await state.installLoaded(entry, memtable.endSequence, this.#bytesWritten, this.#writer.counters())
    } catch (error) {
      throw this.#failure(latchedReason(error))
    }
  }

  async #compact(files: CompactionJob['files'], memtables: readonly Memtable[]): Promise<CompactionResult> {
    const { signal } = this.#parts.options
    try {
      return await this.#writer.executor.run(this.#job(files, memtables), { signal })
    } catch (error) {
      throw signal?.aborted === true ? error : this.#failure(error)
    }
  }

  /** What went wrong with the table, apart from what the source throws. */
  #failure(error: unknown): FlashTableError {
    return diskError(error, `the bulk load of ${this.#parts.directory} failed`)
  }

  #job(files: CompactionJob['files'], memtables: readonly Memtable[]): CompactionJob {
    const { state, options } = this.#parts
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
        filterBitsPerRecord: options.filterBitsPerRecord,
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
    return new Memtable(layout, memtableRecords, firstSequence)
  }
}
