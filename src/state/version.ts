/**
 * A version: the immutable set of sealed memtables and bucket files that a read looks at.
 *
 * Each install makes a new one. Whoever reads across an `await` retains the version that it reads; bucket files close
 * when the last version that names them is let go. docs/architecture.md, Versions.
 */
import type { BucketFile } from '../bucket-file/reader.js'
import { assert } from '../assert.js'
import type { Memtable } from '../memtable/memtable.js'
import type { OrderedView } from '../memtable/ordered-view.js'

/** A memtable with what belongs to it. */
export interface MemtableInUse {
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
  readonly sealed: readonly MemtableInUse[]
  /** Newer than all sealed ones; it grows. */
  readonly active: MemtableInUse
  readonly #holders: Holders
  #references = 1

  constructor(
    files: readonly BucketFile[],
    sealed: readonly MemtableInUse[],
    active: MemtableInUse,
    holders: Holders,
  ) {
    this.files = files
    this.sealed = sealed
    this.active = active
    this.#holders = holders
    for (const file of files) holders.hold(file)
    for (const { memtable } of this.#memtables()) holders.hold(memtable)
  }

  retain(): void {
    assert(this.#references > 0, 'a version is retained only while somebody holds it')
    this.#references++
  }

  /** Lets go; files that no other version names are closed, and the memory of such memtables is free. */
  async release(): Promise<void> {
    assert(this.#references > 0, 'a version is released once for each retain')
    if (--this.#references > 0) return
    for (const { memtable } of this.#memtables()) this.#holders.letGoOfMemtable(memtable)
    for (const file of this.files) await this.#holders.letGoOfFile(file)
  }

  #memtables(): MemtableInUse[] {
    return [...this.sealed, this.active]
  }
}

/** Counts the versions that hold each open bucket file and each memtable. */
export class Holders {
  readonly #counts = new Map<BucketFile | Memtable, number>()
  readonly #onMemtableFree: (memtable: Memtable) => void

  constructor(onMemtableFree: (memtable: Memtable) => void) {
    this.#onMemtableFree = onMemtableFree
  }

  hold(held: BucketFile | Memtable): void {
    this.#counts.set(held, (this.#counts.get(held) ?? 0) + 1)
  }

  async letGoOfFile(file: BucketFile): Promise<void> {
    if (this.#letGo(file)) await file.close()
  }

  letGoOfMemtable(memtable: Memtable): void {
    if (this.#letGo(memtable)) this.#onMemtableFree(memtable)
  }

  /** Whether nobody holds it any more. */
  #letGo(held: BucketFile | Memtable): boolean {
    const count = this.#counts.get(held)! - 1
    if (count > 0) this.#counts.set(held, count)
    else this.#counts.delete(held)
    return count === 0
  }
}
