/** One compaction as plain data: it can be handed to a worker thread as it is. */
import type { BuiltPages } from '../bucket-file/page-builder.js'
import type { BucketFileEntry } from '../columns/bucket-file-entry.js'
import type { KeyRange } from '../columns/key-range.js'
import type { DeleteWhere } from '../columns/operations.js'
import type { RecordLayout } from '../columns/record-layout.js'
import type { MemtableImage } from '../memtable/memtable.js'

export interface CompactionJob {
  readonly directory: string
  readonly tableId: Uint8Array
  readonly layout: RecordLayout
  readonly pageBytes: number
  /** `duplicates: 'replace'`. */
  readonly replace: boolean
  /** Inputs, oldest first: neighbours in age. */
  readonly files: readonly BucketFileEntry[]
  /** Inputs that are newer than all files, oldest first. */
  readonly memtables: readonly MemtableImage[]
  /** Every *delete where* entry of the table. */
  readonly deletes: readonly DeleteWhere[]
  /** Those of the inputs: they stay in the output, unless it includes the oldest data. */
  readonly ownDeletes: readonly DeleteWhere[]
  /** Nothing is older than the inputs: what deletes hide is gone afterwards, and so are they. */
  readonly includesOldest: boolean
  readonly output: CompactionOutput
}

export interface CompactionOutput {
  readonly number: number
  readonly epoch: number
  readonly level: number
  readonly filterBitsPerRecord: number
  readonly firstSequence: number
  readonly endSequence: number
}

export interface CompactionResult {
  /** `undefined`: nothing was left, and there is no file. */
  readonly entry: BucketFileEntry | undefined
  readonly bytesWritten: number
  /** Operations read. */
  readonly operationsRead: number
}

export interface CompactionControl {
  readonly signal?: AbortSignal | undefined
  /** Operations written so far. */
  readonly onProgress?: ((operations: number) => void) | undefined
}

/** A part of a job: the pages with keys of a range, to be built apart. Requires: its inputs are files alone. */
export interface RangeJob extends CompactionJob {
  readonly range: KeyRange
}

/** Where jobs run: in worker threads, or inline for tests on a simulated file system. */
export interface Executor {
  /** How many jobs are worth running at once where nothing else wants the processors. */
  readonly threads: number
  run(job: CompactionJob, control: CompactionControl): Promise<CompactionResult>
  /** Builds the data pages of a range; writes nothing. */
  build(job: RangeJob, control: CompactionControl): Promise<BuiltPages>
  /** Lets go of threads. Requires: no job is running. */
  close(): Promise<void>
}
