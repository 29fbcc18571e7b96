/**
 * The only way to run jobs on threads. A job retains its inputs until it has ended.
 *
 * 1. The caller names memtables and files of a version.
 * 2. Their references are counted; then they become plain data, which the executor hands to a thread.
 * 3. When the executor reports that the job has ended, the references are released, however the job ended.
 *
 * So no memory goes to the next memtable, and no file is closed, while a thread still reads it. docs/internals.md,
 * Versions.
 */
import type { BuiltPages } from '../bucket-file/page-builder.js'
import type { BucketFile } from '../bucket-file/reader.js'
import type { DeleteWhere } from '../records/operations.js'
import { mayMatch } from '../records/record-bounds.js'
import type { Spill } from '../spill/spill.js'
import type { MemtableHandle, Version } from '../state/version.js'
import type {
  CompactionControl,
  CompactionJob,
  CompactionOutput,
  CompactionResult,
  Executor,
  RangeJob,
  SpillJob,
} from './job.js'

/** A memtable, or what belongs to a view of it. */
export interface MemtableInput {
  readonly memtable: MemtableHandle
  /** Rows from here on are not read; absent: all are. */
  readonly rows?: number | undefined
  /** *Delete where* entries with this sequence number and above are not read; absent: all are. */
  readonly before?: number | undefined
}

/** What a job reads, all of it part of the version. */
export interface JobInputs {
  readonly version: Version
  /** Oldest first. */
  readonly files: readonly BucketFile[]
  /** All bucket files that are older than the inputs; absent: it is not known which there are. */
  readonly older?: readonly BucketFile[] | undefined
  /** Oldest first. */
  readonly memtables: readonly MemtableInput[]
}

/** What the inputs are merged into; the inputs themselves say which sequence numbers it holds. */
export interface MergeTarget extends Pick<
  CompactionJob,
  'directory' | 'ofRecovery' | 'tableId' | 'layout' | 'pageBytes' | 'replace' | 'includesOldest'
> {
  readonly output: Omit<CompactionOutput, 'firstSequence' | 'endSequence'>
}

/** The table that the jobs belong to. */
export interface JobsOfTable {
  readonly directory: string
  /** Called with the bytes that write calls have transferred to its directory, however the job ends. */
  readonly onWritten: (bytes: number) => void
}

export class Jobs {
  readonly #executor: Executor
  readonly #fileMode: number
  readonly #table: JobsOfTable | undefined

  /** `fileMode`: permissions of the files that jobs make. `table`: left out if the jobs only write to other directories. */
  constructor(executor: Executor, fileMode: number, table?: JobsOfTable) {
    this.#executor = executor
    this.#fileMode = fileMode
    this.#table = table
  }

  /** How many jobs are worth running at once if nothing else wants the processors. */
  get threads(): number {
    return this.#executor.threads
  }

  /** Merges the inputs into one bucket file. Rejects as `runCompaction` does. */
  async merge(
    inputs: JobInputs,
    target: MergeTarget,
    control: CompactionControl = {},
  ): Promise<CompactionResult> {
    const { version, files, memtables } = inputs
    const release = version.retainInputs(
      files,
      memtables.map(({ memtable }) => memtable),
    )
    try {
      const job = { ...mergeJob(inputs, target), fileMode: this.#fileMode }
      return await this.#executor.run(job, this.#counted(target, control))
    } finally {
      await release()
    }
  }

  /** Sets the active memtable of the version aside; the job writes into the memory of its only sealed one. */
  async spill(
    version: Version,
    job: Omit<SpillJob, 'memtable' | 'scratch'>,
    control: CompactionControl,
  ): Promise<Spill[]> {
    const { active, sealed } = version
    const release = version.retainInputs([], [...sealed, active])
    try {
      const scratch = sealed[0]!.memtable.image()
      const image = active.memtable.image()
      const whole = { ...job, memtable: image, scratch, fileMode: this.#fileMode }
      return await this.#executor.spill(whole, this.#counted(job, control))
    } finally {
      await release()
    }
  }

  /** Builds the data pages of a range. Requires: the spills that it reads stay where they are until it has ended. */
  build(job: RangeJob, control: CompactionControl): Promise<BuiltPages> {
    return this.#executor.build(job, control)
  }

  /** Bytes of a checkpoint do not count: it is written elsewhere, and is not part of this table. */
  #counted({ directory }: { readonly directory: string }, control: CompactionControl): CompactionControl {
    return directory === this.#table?.directory ? { ...control, onWritten: this.#table.onWritten } : control
  }

  /** Gives back what is kept for later jobs. */
  endIdle(): Promise<void> {
    return this.#executor.endIdle()
  }

  /** Waits for the running jobs. No more jobs follow. */
  close(): Promise<void> {
    return this.#executor.close()
  }
}

/** The job as plain data. */
function mergeJob({ version, files, older, memtables }: JobInputs, target: MergeTarget): CompactionJob {
  const entries = files.map(({ entry, memory }) => (memory === undefined ? entry : { ...entry, memory }))
  const deletesOfMemtables = memtables.flatMap(deletesIn)
  const ranges = [...entries, ...memtables.map(sequencesOf)]
  const { firstSequence } = ranges[0]!
  const { endSequence } = ranges.at(-1)!
  return {
    ...target,
    files: entries,
    memtables: memtables.map(({ memtable: { memtable }, rows, before }) => memtable.image(rows, before)),
    // Crash: entries that are only in the log could be lost, while what they hide would be gone for good. So these are
    // the entries of all files on disk, but of no runs and memtables except the inputs.
    deletes: [...new Set([...version.stored, ...files])]
      .flatMap(file => file.deletes)
      .concat(deletesOfMemtables),
    ownDeletes: stillNeeded([...files.flatMap(file => file.deletes), ...deletesOfMemtables], older, target),
    output: { ...target.output, firstSequence, endSequence },
  }
}

/** The entries that may hide something older than the job's inputs. */
function stillNeeded(
  deletes: readonly DeleteWhere[],
  older: readonly BucketFile[] | undefined,
  { layout }: MergeTarget,
): readonly DeleteWhere[] {
  if (older === undefined) return deletes
  return deletes.filter(where => older.some(({ footer }) => mayMatch(layout, where, footer)))
}

function deletesIn({ memtable: { memtable }, before = Infinity }: MemtableInput): DeleteWhere[] {
  return memtable.deletes.filter(entry => entry.sequence < before)
}

function sequencesOf(input: MemtableInput): { firstSequence: number; endSequence: number } {
  const { firstSequence, count } = input.memtable.memtable
  const { rows = count } = input
  return { firstSequence, endSequence: firstSequence + rows + deletesIn(input).length }
}
