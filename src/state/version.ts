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
  readonly #holders: FileHolders
  #references = 1

  constructor(files: readonly BucketFile[], sealed: readonly MemtableInUse[], holders: FileHolders) {
    this.files = files
    this.sealed = sealed
    this.#holders = holders
    for (const file of files) holders.hold(file)
  }

  retain(): void {
    assert(this.#references > 0, 'a version is retained only while somebody holds it')
    this.#references++
  }

  /** Lets go; files that no other version names are closed. */
  async release(): Promise<void> {
    assert(this.#references > 0, 'a version is released once for each retain')
    if (--this.#references > 0) return
    for (const file of this.files) await this.#holders.letGo(file)
  }
}

/** Counts the versions that hold each open bucket file. */
export class FileHolders {
  readonly #counts = new Map<BucketFile, number>()

  hold(file: BucketFile): void {
    this.#counts.set(file, (this.#counts.get(file) ?? 0) + 1)
  }

  async letGo(file: BucketFile): Promise<void> {
    const count = this.#counts.get(file)! - 1
    if (count > 0) {
      this.#counts.set(file, count)
      return
    }
    this.#counts.delete(file)
    await file.close()
  }
}
