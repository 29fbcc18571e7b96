/** The replicas of an open table: they end with it. docs/internals.md, Replicas. */
import { newAbortController } from '../async/abort.js'
import { FlashTableError } from '../base/errors.js'
import type { Replica } from '../replica/replica.js'
import type { ObjectStore } from '../store/object-store.js'
import { startReplica, type ReplicatedTable, type ReplicateOptions } from './replicate.js'

/** How long the close of a table waits for a last publish. */
const END_MS = 5000

export class Replicas {
  readonly #table: ReplicatedTable
  readonly #open = new Set<Replica>()
  #isEnding = false

  constructor(table: ReplicatedTable) {
    this.#table = table
  }

  /**
   * `poisons`: when another writer has taken over, nothing can be put into the table any more. Rejects as a publish, and with
   * `FLASHTABLE_NOT_OPEN` if the table is closed meanwhile.
   */
  async start(store: ObjectStore, options: ReplicateOptions | undefined, poisons: boolean): Promise<Replica> {
    const replica = await startReplica(this.#table, store, options, poisons)
    for (const other of this.#open) if (other.isClosed) this.#open.delete(other)
    this.#open.add(replica)
    if (!this.#isEnding) return replica
    await replica.close().catch(() => {})
    const { directory } = this.#table.parts()
    throw new FlashTableError('FLASHTABLE_NOT_OPEN', `the table ${directory} is closed`)
  }

  /** They publish what is new for the last time, as long as that does not take long. Never rejects. */
  async end(): Promise<void> {
    this.#isEnding = true
    if (this.#open.size === 0) return
    const controller = newAbortController()
    const late = this.#table.environment.wait(END_MS, controller.signal).then(() => controller.abort())
    // Their `status()` tells what has kept them from it.
    await Promise.allSettled([...this.#open].map(replica => replica.close({ signal: controller.signal })))
    controller.abort()
    await late
  }
}
