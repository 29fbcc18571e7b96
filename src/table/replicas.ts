/** The replicas of an open table: they end with it. docs/internals.md, Replicas. */
import { abortReason, newAbortController, newSharedAbortController } from '../async/abort.js'
import { FlashTableError } from '../base/errors.js'
import type { Replica } from '../replica/replica.js'
import type { ObjectStore } from '../store/object-store.js'
import {
  readReplicateOptions,
  startReplica,
  type ReplicatedTable,
  type ReplicateOptions,
} from './replicate.js'

/** How long the close of a table waits for a last publish. */
const END_MS = 5000

export class Replicas {
  readonly #table: ReplicatedTable
  readonly #open = new Set<Replica>()
  /** Where those publish for the first time that begin. */
  readonly #beginning = new Set<string>()
  /** Aborts when the table is closed. */
  readonly #ending = newSharedAbortController()

  constructor(table: ReplicatedTable) {
    this.#table = table
  }

  /**
   * `poisons`: when another writer has taken over, nothing can be put into the table any more. Rejects as a publish, with
   * `FLASHTABLE_LOCKED` if it has a replica there, and with `FLASHTABLE_NOT_OPEN` if the table is closed meanwhile.
   */
  async start(store: ObjectStore, options: ReplicateOptions | undefined, poisons: boolean): Promise<Replica> {
    const given = readReplicateOptions(options)
    const { url } = store
    const { directory } = this.#table.parts()
    const ending = this.#ending.signal
    for (const other of this.#open) if (other.hasEnded) this.#open.delete(other)
    // Each would drop what the other one has published of the tail.
    if (this.#beginning.has(url) || [...this.#open].some(other => other.url === url))
      throw new FlashTableError(
        'FLASHTABLE_LOCKED',
        `${directory} has a replica in ${url} already: go on with that one, or close it first`,
      )
    this.#beginning.add(url)
    try {
      const replica = await startReplica(this.#table, store, given, { poisons, ending })
      this.#open.add(replica)
      if (!ending.aborted) return replica
      // It was too late to give it up.
      await replica.close().catch(() => {})
      throw abortReason(ending)
    } finally {
      this.#beginning.delete(url)
    }
  }

  /**
   * They publish what is new for the last time, as long as that does not take long; those that have only begun are given up. Never
   * rejects.
   */
  async end(): Promise<void> {
    const { directory } = this.#table.parts()
    this.#ending.abort(new FlashTableError('FLASHTABLE_NOT_OPEN', `the table ${directory} is closed`))
    if (this.#open.size === 0) return
    const controller = newAbortController()
    const late = this.#table.environment.wait(END_MS, controller.signal).then(() => controller.abort())
    // Their `status()` tells what has kept them from it.
    await Promise.allSettled([...this.#open].map(replica => replica.close({ signal: controller.signal })))
    controller.abort()
    await late
  }
}
