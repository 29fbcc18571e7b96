/**
 * What an open for writing does to the bucket files. It writes the records of the log to new files, and merges small and
 * overdue ones: a program that is always closed before its background merges end would otherwise pile up files.
 *
 * Crash: outputs are orphans until a manifest names them, and no file that the old manifest names is removed here.
 * Requires: no other job of the table runs. docs/internals.md, Short lives.
 */
import { diskError } from '../base/errors.js'
import { BucketFile, type BucketFileOptions } from '../bucket-file/reader.js'
import { bucketName } from '../io/file-names.js'
import type { CompactionControl, CompactionResult } from '../jobs/job.js'
import type { Jobs } from '../jobs/jobs.js'
import type { BucketFileEntry } from '../manifest/bucket-file-entry.js'
import { newMemtable } from '../state/memtable-pool.js'
import { RefCounts, Version, type MemtableHandle } from '../state/version.js'
import { mergeWithLog, overdueMerge, sizeLevels, storedLevel } from './policy.js'

/** The most bytes of overdue merges in one open, about ten seconds of work, ... */
const MERGED_BYTES_MAX = 2 ** 30
/** ... unless there are more files than this: a process might not be able to open them all. */
const FILES_MAX = 64
/** The most inputs of one merge, unless `fanout` is more: a process with few descriptors cannot open more. */
const INPUTS_MAX = 8

export interface FilesAtOpenOptions extends BucketFileOptions {
  readonly memtableRecords: number
  readonly bufferRecords: number
  readonly runsPerFlush: number
  readonly jobs: Jobs
  readonly replace: boolean
  readonly filterBitsPerRecord: number
  readonly fanout: number
  /** The epoch of this open. */
  readonly epoch: number
}

/** Inputs that become one file: files that are neighbours in age, and newer memtables, oldest first. */
interface Task {
  readonly files: readonly BucketFileEntry[]
  readonly memtables: readonly MemtableHandle[]
  readonly includesOldest: boolean
  readonly level: number
}

export class FilesAtOpen {
  readonly #options: FilesAtOpenOptions
  readonly #named: ReadonlySet<number>
  #entries: readonly BucketFileEntry[]
  #nextNumber: number
  #bytesWritten = 0

  /** `entries`: the files that the manifest names. */
  constructor(options: FilesAtOpenOptions, entries: readonly BucketFileEntry[], nextNumber: number) {
    this.#options = options
    this.#entries = entries
    this.#named = new Set(entries.map(({ number }) => number))
    this.#nextNumber = nextNumber
  }

  /** The files that the next manifest must name, oldest first. */
  get entries(): readonly BucketFileEntry[] {
    return this.#entries
  }

  get nextNumber(): number {
    return this.#nextNumber
  }

  /** Bytes handed to write calls. */
  get bytesWritten(): number {
    return this.#bytesWritten
  }

  /** Files of the old manifest that the next one does not name. */
  get replaced(): number[] {
    const kept = new Set(this.#entries.map(({ number }) => number))
    return [...this.#named].filter(number => !kept.has(number))
  }

  /**
   * Writes memtables to bucket files, the oldest ones merged with tiny files. Requires: the memtables come oldest first and
   * are newer than all files.
   */
  async writeLog(memtables: readonly MemtableHandle[], control: CompactionControl): Promise<void> {
    const [first, ...rest] = this.#groups(memtables)
    if (first === undefined) return
    const { from, level } = this.#beforeLog(first)
    const write = async (from: number, level: number): Promise<void> => {
      const taken = this.#entries.slice(from)
      const tasks: Task[] = [{ files: taken, memtables: first, includesOldest: from === 0, level }]
      for (const memtables of rest) tasks.push({ files: [], memtables, includesOldest: false, level: 0 })
      await this.#replace(from, taken.length, await this.#run(tasks, control))
    }
    const last = this.#entries.length
    // The log must be written. The merge is optional: if a file cannot be read or the disk is full, it stays as it is.
    if (from === last || !(await this.#succeeds(write(from, level), control))) await write(last, 0)
  }

  /** Memtables that become a file together: no more than a flush takes, and no fewer groups than threads. */
  #groups(memtables: readonly MemtableHandle[]): MemtableHandle[][] {
    const { jobs, runsPerFlush } = this.#options
    const size = Math.min(runsPerFlush, Math.ceil(memtables.length / jobs.threads))
    const groups: MemtableHandle[][] = []
    for (let from = 0; from < memtables.length; from += size) groups.push(memtables.slice(from, from + size))
    return groups
  }

  /** Merges the files of overdue levels. */
  async mergeOverdue(control: CompactionControl): Promise<void> {
    const { bufferRecords, fanout, pageBytes } = this.#options
    let inputsMax = Math.max(INPUTS_MAX, fanout)
    for (let mergedBytes = 0; ;) {
      const due = overdueMerge(sizeLevels(this.#entries, bufferRecords, fanout), fanout, inputsMax)
      if (due === undefined) return
      const inputs = this.#entries.slice(due.from, due.to)
      const bytes = inputs.reduce((sum, { pages }) => sum + pages, 0) * pageBytes
      mergedBytes += bytes
      if (mergedBytes > MERGED_BYTES_MAX && this.#entries.length <= FILES_MAX) return
      const merge = async (): Promise<void> => {
        const level = storedLevel(due.level)
        const task = { files: inputs, memtables: [], includesOldest: due.from === 0, level }
        await this.#replace(due.from, inputs.length, await this.#run([task], control))
      }
      if (!(await this.#hasRoomFor(bytes))) return
      if (await this.#succeeds(merge(), control)) continue
      // If descriptors were lacking, a merge of fewer inputs may succeed.
      inputsMax >>= 1
      if (inputsMax < 2) return
    }
  }

  /** Returns whether the merge succeeded. It is optional, so only an abort rejects. */
  async #succeeds(merge: Promise<void>, { signal }: CompactionControl): Promise<boolean> {
    try {
      await merge
      return true
    } catch (error) {
      if (signal?.aborted === true) throw error
      return false
    }
  }

  async #hasRoomFor(bytes: number): Promise<boolean> {
    const { fileSystem, directory } = this.#options
    // If the system cannot report free space, the write itself will fail.
    return (await fileSystem.freeBytes(directory).catch(() => Infinity)) >= bytes
  }

  /** The first file that is merged with the first memtables of the log, and the level of the output. */
  #beforeLog(memtables: readonly MemtableHandle[]): { from: number; level: number } {
    const { layout, pageBytes, bufferRecords, fanout } = this.#options
    const pagesOf = (records: number): number => Math.ceil((records * layout.recordBytes) / pageBytes)
    const { firstSequence } = memtables[0]!.memtable
    const { endSequence } = memtables.at(-1)!.memtable
    const log = { level: 0, firstSequence, endSequence, pages: pagesOf(endSequence - firstSequence) }
    const files = sizeLevels([...this.#entries, log], bufferRecords, fanout)
    const { from, level } = mergeWithLog(files, fanout, pagesOf(bufferRecords))
    return { from, level: storedLevel(level) }
  }

  /** Runs as many tasks at once as there are threads; returns the new files. If one fails, all outputs are removed. */
  async #run(tasks: readonly Task[], control: CompactionControl): Promise<BucketFileEntry[]> {
    const { jobs, directory } = this.#options
    const outputs: BucketFileEntry[] = []
    for (let from = 0; from < tasks.length; from += jobs.threads) {
      const running = tasks.slice(from, from + jobs.threads).map(task => this.#perform(task, control))
      const failures: unknown[] = []
      for (const settled of await Promise.allSettled(running)) {
        if (settled.status === 'rejected') failures.push(settled.reason)
        else {
          this.#bytesWritten += settled.value.bytesWritten
          if (settled.value.entry !== undefined) outputs.push(settled.value.entry)
        }
      }
      if (failures.length === 0) continue
      await this.#remove(outputs)
      throw diskError(failures[0], `the log of ${directory} cannot be written to a bucket file`)
    }
    return outputs
  }

  async #perform(task: Task, control: CompactionControl): Promise<CompactionResult> {
    const { jobs, directory, tableId, layout, pageBytes, replace, filterBitsPerRecord, epoch } = this.#options
    const number = this.#nextNumber++
    const files = await this.#open(task.files)
    const { memtables, level, includesOldest } = task
    const active = newMemtable({ layout, memtableRecords: 1 }, 0)
    const parts = { stored: files, runs: [], sealed: memtables, active }
    const version = new Version(parts, new RefCounts(() => {}))
    const output = { number, epoch, level, filterBitsPerRecord }
    try {
      // Delete-where entries of other files stay in those files, and mask the output whether they are applied now or not.
      return await jobs.merge(
        { version, files, memtables: memtables.map(memtable => ({ memtable })) },
        { directory, ofRecovery: true, tableId, layout, pageBytes, replace, includesOldest, output },
        control,
      )
    } catch (error) {
      // A thread that died may have left a part of it.
      await this.#remove([output])
      throw error
    } finally {
      // Closes the files.
      await version.release()
    }
  }

  async #open(entries: readonly BucketFileEntry[]): Promise<BucketFile[]> {
    const files: BucketFile[] = []
    try {
      for (const entry of entries) files.push(await BucketFile.open(this.#options, entry))
      return files
    } catch (error) {
      for (const file of files) await file.close()
      throw error
    }
  }

  async #replace(from: number, count: number, outputs: readonly BucketFileEntry[]): Promise<void> {
    const gone = this.#entries.slice(from, from + count)
    this.#entries = this.#entries.toSpliced(from, count, ...outputs)
    await this.#remove(gone.filter(({ number }) => !this.#named.has(number)))
  }

  /** Removes files that no manifest has ever named. A file that cannot be removed is left to the next open. */
  async #remove(entries: readonly Pick<BucketFileEntry, 'number'>[]): Promise<void> {
    const { fileSystem, directory } = this.#options
    for (const { number } of entries)
      await fileSystem.unlink(`${directory}/${bucketName(number)}`).catch(() => {})
  }
}
