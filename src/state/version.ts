/**
 * A version: the immutable set of sealed memtables and bucket files that a read looks at.
 *
 * Each install makes a new one. Whoever reads across an `await` retains the version that it reads, or holds what it
 * reads of it; bucket files close when nobody holds them any more. docs/architecture.md, Versions.
 */
import { assert } from '../base/assert.js'
import { BucketFile } from '../bucket-file/reader.js'
import type { Memtable } from '../memtable/memtable.js'
import type { OrderedView } from '../memtable/ordered-view.js'

/** A memtable with what belongs to it. */
export interface MemtableHandle {
  readonly memtable: Memtable
  /** Its rows in key order, built when a scan asks. */
  readonly ordered: OrderedView
  /** Numbers of the log segments that hold its records. */
  readonly segments: number[]
}

export class Version {
  /** Oldest first. */
  readonly files: readonly BucketFile[]
  /** Oldest first; all newer than the files. */
  readonly sealed: readonly MemtableHandle[]
  /** Newer than all sealed ones; it grows. */
  readonly active: MemtableHandle
  readonly #refCounts: RefCounts
  #references = 1

  constructor(
    files: readonly BucketFile[],
    sealed: readonly MemtableHandle[],
    active: MemtableHandle,
    refCounts: RefCounts,
  ) {
    this.files = files
    this.sealed = sealed
    this.active = active
    this.#refCounts = refCounts
    refCounts.hold(files, this.#memtables())
  }

  retain(): void {
    assert(this.#references > 0, 'a version is retained only while somebody holds it')
    this.#references++
  }

  /** Lets go; files that nobody else holds are closed, and the memory of such memtables is free. */
  async release(): Promise<void> {
    assert(this.#references > 0, 'a version is released once for each retain')
    if (--this.#references > 0) return
    await this.#refCounts.letGo(this.files, this.#memtables())
  }

  /**
   * Holds these files and memtables, of this version, until the function that it returns is called: a job that takes long
   * keeps what it reads, and not the rest of the version.
   */
  hold(files: readonly BucketFile[], memtables: readonly MemtableHandle[]): () => Promise<void> {
    assert(this.#references > 0, 'what is held is part of a version that somebody holds')
    const own = this.#memtables()
    assert(
      files.every(file => this.files.includes(file)) && memtables.every(memtable => own.includes(memtable)),
      'what is held is part of the version',
    )
    this.#refCounts.hold(files, memtables)
    let held = true
    return async () => {
      assert(held, 'what is held is let go once')
      held = false
      await this.#refCounts.letGo(files, memtables)
    }
  }

  #memtables(): MemtableHandle[] {
    return [...this.sealed, this.active]
  }
}

/** Counts who holds each open bucket file and each memtable: versions, and jobs. */
export class RefCounts {
  readonly #counts = new Map<BucketFile | Memtable, number>()
  readonly #onMemtableFree: (memtable: Memtable) => void

  constructor(onMemtableFree: (memtable: Memtable) => void) {
    this.#onMemtableFree = onMemtableFree
  }

  hold(files: readonly BucketFile[], memtables: readonly MemtableHandle[]): void {
    for (const held of [...files, ...memtables.map(({ memtable }) => memtable)])
      this.#counts.set(held, (this.#counts.get(held) ?? 0) + 1)
  }

  /** The files that somebody holds. */
  get files(): BucketFile[] {
    return [...this.#counts.keys()].filter(held => held instanceof BucketFile)
  }

  /** Files that nobody holds any more are closed, memtables are free. */
  async letGo(files: readonly BucketFile[], memtables: readonly MemtableHandle[]): Promise<void> {
    for (const { memtable } of memtables) if (this.#isLast(memtable)) this.#onMemtableFree(memtable)
    for (const file of files) if (this.#isLast(file)) await file.close()
  }

  /** Takes one holder away; whether it was the last one. */
  #isLast(held: BucketFile | Memtable): boolean {
    const count = this.#counts.get(held)! - 1
    if (count > 0) this.#counts.set(held, count)
    else this.#counts.delete(held)
    return count === 0
  }
}
