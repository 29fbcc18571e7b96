/** What worker threads do, as plain data: compactions, and the two steps of a bulk load. */
import type { BuiltPages } from '../bucket-file/page-builder.js'
import type { BucketFileTarget } from '../bucket-file/writer.js'
import type { BucketFileEntry } from '../manifest/bucket-file-entry.js'
import type { FileMemory } from '../io/memory-file.js'
import type { TableFormat } from '../manifest/table-files.js'
import type { MemtableImage } from '../memtable/memtable.js'
import type { KeyRange } from '../records/key-range.js'
import type { DeleteWhere } from '../records/operations.js'
import type { Spill } from '../spill/spill.js'

/** Where a job writes. */
interface Place {
  readonly directory: string
  /**
   * Which directory that is, as {@link Stamp.identity}: `guardedExecutor` adds it, and the job checks it before it
   * acts.
   */
  readonly home?: string | undefined
  /** Part of a recovery: the manifest still has the previous epoch. */
  readonly ofRecovery?: boolean | undefined
  /** Permissions of the files that it makes: `Jobs` adds them. Absent: those of a table for its owner alone. */
  readonly fileMode?: number | undefined
}

export interface CompactionJob extends Place, TableFormat {
  /** `duplicates: 'replace'`. */
  readonly replace: boolean
  /** Inputs, oldest first: neighbours in age. */
  readonly files: readonly InputFile[]
  /** Inputs that are newer than all files, oldest first. */
  readonly memtables: readonly MemtableImage[]
  /** Every *delete where* entry of the table. */
  readonly deletes: readonly DeleteWhere[]
  /** Those of the inputs that may hide something older: they stay in the output, unless it includes the oldest data. */
  readonly ownDeletes: readonly DeleteWhere[]
  /** Nothing is older than the inputs: the output has neither deletes nor what they hide. */
  readonly includesOldest: boolean
  readonly output: CompactionOutput
}

/** A bucket file that a job reads. */
export interface InputFile extends BucketFileEntry {
  /** Where it is, if it is in memory. */
  readonly memory?: FileMemory | undefined
}

/** What a job knows about the file that it writes. */
export interface CompactionOutput extends Pick<
  BucketFileTarget,
  'number' | 'epoch' | 'level' | 'filterBitsPerRecord' | 'firstSequence' | 'endSequence'
> {
  /** Room for it in memory: then it is not written to disk. The job takes more if that is too little. */
  readonly memory?: FileMemory | undefined
}

export interface CompactionResult {
  /** `undefined`: nothing was left, and there is no file. */
  readonly entry: BucketFileEntry | undefined
  /** The file, if it is in memory. */
  readonly memory?: FileMemory | undefined
  /** Bytes of disk writes. */
  readonly bytesWritten: number
  /** Operations read. */
  readonly operationsRead: number
}

/** What a {@link BuildJob} has made. */
export interface BuildResult {
  readonly entry: BucketFileEntry
  readonly bytesWritten: number
}

export interface CompactionControl {
  readonly signal?: AbortSignal | undefined
  /** Operations written so far. */
  readonly onProgress?: ((operations: number) => void) | undefined
  /** Called with the bytes that write calls have transferred since its last call. All are reported before the job ends. */
  readonly onWritten?: ((bytes: number) => void) | undefined
}

/** The first step of a bulk load, for each memtable: sets its records aside. */
export interface SpillJob extends Place, Omit<TableFormat, 'pageBytes'> {
  /** Puts, at least one. */
  readonly memtable: MemtableImage
  /** An empty memtable with room for as many rows, which nobody uses meanwhile. */
  readonly scratch: MemtableImage
  /** At most this many spills in memory, or one in each file. */
  readonly target:
    | { readonly kind: 'memory'; readonly shares: number }
    | { readonly kind: 'files'; readonly numbers: readonly number[]; readonly epoch: number }
}

/** The second step: all spills become a bucket file, range by range. */
export interface BuildJob extends Place, TableFormat {
  /** `duplicates: 'replace'`. */
  readonly replace: boolean
  /** Oldest first. A spill is taken out once all of its records are written. */
  readonly spills: Spill[]
  readonly output: CompactionOutput
}

/** A part of a build job: the pages with the keys of a range, as `piecesIn` takes it. */
export interface RangeJob extends BuildJob {
  readonly range: KeyRange
  /** Memory for its pages: chunks of written pages. The job takes it over, and allocates more if it is too little. */
  readonly spareChunks: readonly Uint8Array<ArrayBuffer>[]
}

/**
 * Where jobs run: in worker threads, or inline for tests on a simulated file system.
 *
 * Invariant: however a job ends, its promise settles only when nothing reads its inputs any more and nothing writes. The
 * caller then releases memory and files.
 */
export interface Executor {
  /** How many jobs are worth running at once if nothing else wants the processors. */
  readonly threads: number
  run(job: CompactionJob, control: CompactionControl): Promise<CompactionResult>
  /** Sets a memtable aside; removes what it has written if it rejects. */
  spill(job: SpillJob, control: CompactionControl): Promise<Spill[]>
  /** Builds the data pages of a range; writes nothing. */
  build(job: RangeJob, control: CompactionControl): Promise<BuiltPages>
  /** Gives back what is kept for later jobs: threads, which have grown. More jobs may follow. */
  endIdle(): Promise<void>
  /** Waits for the jobs of this table, then releases the threads. No more jobs follow. */
  close(): Promise<void>
}
