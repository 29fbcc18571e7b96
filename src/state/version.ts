/**
 * A version: the immutable set of memtables, runs and bucket files that a read looks at.
 *
 * Each seal and each install makes a new version. A read that goes on after an `await` retains the version, and a job
 * retains the files and memtables that it reads. When the last reference is released, a bucket file closes and the
 * memory of a memtable is free. docs/internals.md, Versions.
 */
import { assert } from '../base/assert.js'
import { BucketFile } from '../bucket-file/reader.js'
import type { Memtable } from '../memtable/memtable.js'
import type { OrderedView } from '../memtable/ordered-view.js'

/** A memtable with what belongs to it. */
export interface MemtableHandle {
  readonly memtable: Memtable
  /** Its rows in key order, built when a scan asks for them. */
  readonly ordered: OrderedView
  /** Numbers of the log segments that hold its records. */
  readonly segments: number[]
  /** Bytes of these segments, known once it is sealed; 0 if they are of an earlier life. */
  logBytes: number
}

/** A run: what was a sealed memtable, as a bucket file in memory. */
export interface Run {
  /** `undefined`: nothing is left of it. */
  readonly file: BucketFile | undefined
  readonly firstSequence: number
  /** Numbers of the log segments that hold its records, and their bytes. */
  readonly segments: readonly number[]
  readonly logBytes: number
}

/** What a version consists of, each list oldest first. */
export interface VersionParts {
  /** Bucket files on disk. */
  readonly stored: readonly BucketFile[]
  /** Newer than all files on disk. */
  readonly runs: readonly Run[]
  /** Newer than all runs. */
  readonly sealed: readonly MemtableHandle[]
  /** Newer than all sealed ones; it grows. */
  readonly active: MemtableHandle
}

export class Version implements VersionParts {
  readonly stored: readonly BucketFile[]
  readonly runs: readonly Run[]
  readonly sealed: readonly MemtableHandle[]
  readonly active: MemtableHandle
  /** Bucket files on disk and in memory, oldest first. */
  readonly files: readonly BucketFile[]
  readonly #refCounts: RefCounts
  #references = 1

  constructor({ stored, runs, sealed, active }: VersionParts, refCounts: RefCounts) {
    this.stored = stored
    this.runs = runs
    this.sealed = sealed
    this.active = active
    this.files = runs.length === 0 ? stored : [...stored, ...filesOf(runs)]
    this.#refCounts = refCounts
    refCounts.retain(this.files, this.#memtables())
  }

  /** Numbers of the log segments that hold what is in no bucket file on disk. */
  get segments(): number[] {
    return [...this.runs, ...this.#memtables()].flatMap(({ segments }) => segments)
  }

  retain(): void {
    assert(this.#references > 0, 'a version is retained only while it is in use')
    this.#references++
  }

  /** Releases one reference. The last one releases the files and memtables. */
  async release(): Promise<void> {
    assert(this.#references > 0, 'a version is released once for each retain')
    if (--this.#references > 0) return
    await this.#refCounts.release(this.files, this.#memtables())
  }

  /**
   * Retains some files and memtables of this version. Returns the function that releases them. So a long job keeps only
   * its inputs, not the rest of the version.
   */
  retainInputs(files: readonly BucketFile[], memtables: readonly MemtableHandle[]): () => Promise<void> {
    assert(this.#references > 0, 'inputs are retained from a version that is in use')
    const own = this.#memtables()
    assert(
      files.every(file => this.files.includes(file)) && memtables.every(memtable => own.includes(memtable)),
      'inputs are part of the version',
    )
    this.#refCounts.retain(files, memtables)
    let retained = true
    return async () => {
      assert(retained, 'inputs are released once')
      retained = false
      await this.#refCounts.release(files, memtables)
    }
  }

  #memtables(): MemtableHandle[] {
    return [...this.sealed, this.active]
  }
}

/** The files of runs. */
export function filesOf(runs: readonly Run[]): BucketFile[] {
  return runs.flatMap(({ file }) => file ?? [])
}

/** Counts the references of versions and jobs to each open bucket file and each memtable. */
export class RefCounts {
  readonly #counts = new Map<BucketFile | Memtable, number>()
  readonly #onMemtableFree: (memtable: Memtable) => void

  constructor(onMemtableFree: (memtable: Memtable) => void) {
    this.#onMemtableFree = onMemtableFree
  }

  retain(files: readonly BucketFile[], memtables: readonly MemtableHandle[]): void {
    for (const counted of [...files, ...memtables.map(({ memtable }) => memtable)])
      this.#counts.set(counted, (this.#counts.get(counted) ?? 0) + 1)
  }

  /** The files that have references. */
  get files(): BucketFile[] {
    return [...this.#counts.keys()].filter(counted => counted instanceof BucketFile)
  }

  /** Closes the files, and frees the memtables, that have no other reference. */
  async release(files: readonly BucketFile[], memtables: readonly MemtableHandle[]): Promise<void> {
    for (const { memtable } of memtables) if (this.#isLast(memtable)) this.#onMemtableFree(memtable)
    for (const file of files) if (this.#isLast(file)) await file.close()
  }

  /** Takes one reference away. Returns whether it was the last one. */
  #isLast(counted: BucketFile | Memtable): boolean {
    const count = (this.#counts.get(counted) ?? 0) - 1
    assert(count >= 0, 'what is released was retained')
    if (count > 0) this.#counts.set(counted, count)
    else this.#counts.delete(counted)
    return count === 0
  }
}
