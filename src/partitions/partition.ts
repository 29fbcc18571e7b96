/**
 * One partition, as this process has it: a table that it writes, a reader of the published table, or nothing yet.
 *
 * A reader is opened when it is first needed. A partition that nobody has published is empty; it is looked for again after a
 * while. docs/internals.md, Partitions.
 */
import { FlashTableError, hasCode } from '../base/errors.js'
import type { FlashTable } from '../flash-table.js'
import type { ObjectStore } from '../store/object-store.js'
import type { Replica } from '../replica/replica.js'
import type { PublishOptions } from '../table/publish.js'
import type { ReplicateOptions } from '../table/replicate.js'
import type { PublishResult } from '../remote/publisher.js'

export interface PartitionOptions {
  readonly number: number
  /** Its number as hexadecimal digits. */
  readonly name: string
  /** Where it is published. */
  readonly store: ObjectStore
  /** The table of what is written here; `undefined`: somebody else writes it. */
  readonly writer: FlashTable | undefined
  /** Resolves to `undefined` if nobody has published it. */
  readonly openReader: (store: ObjectStore) => Promise<FlashTable | undefined>
  /** How long a partition is taken for empty that was not there. */
  readonly lookAgainMs: number
  readonly now: () => number
}

export class Partition {
  readonly #options: PartitionOptions
  #table: FlashTable | undefined
  #opening: Promise<FlashTable | undefined> | undefined
  /** When it was looked for in vain. */
  #missedMs = -Infinity
  /** Why it can be written here no more. */
  #fenced: FlashTableError | undefined

  constructor(options: PartitionOptions) {
    this.#options = options
    this.#table = options.writer
  }

  get number(): number {
    return this.#options.number
  }

  get name(): string {
    return this.#options.name
  }

  get isWritten(): boolean {
    return this.#options.writer !== undefined
  }

  /** The directory of the table that is written here, or the address of the published one. */
  get location(): string {
    return this.#options.writer?.location ?? this.#options.store.url
  }

  /** The table that is open; `undefined`: none is yet. */
  get table(): FlashTable | undefined {
    return this.#table
  }

  /** The table, opened if need be; `undefined` as long as nobody has published it. */
  async open(): Promise<FlashTable | undefined> {
    if (this.#table !== undefined) return this.#table
    const { now, lookAgainMs } = this.#options
    if (now() - this.#missedMs < lookAgainMs) return undefined
    this.#opening ??= this.#openReader().finally(() => (this.#opening = undefined))
    return this.#opening
  }

  async #openReader(): Promise<FlashTable | undefined> {
    const { openReader, store, now } = this.#options
    this.#table = await openReader(store)
    if (this.#table === undefined) this.#missedMs = now()
    return this.#table
  }

  /** Reads it; `none`: what is found where nothing is. */
  async read<T>(none: T, read: (table: FlashTable) => Promise<T>): Promise<T> {
    try {
      const table = this.#table ?? (await this.open())
      return table === undefined ? none : await read(table)
    } catch (error) {
      throw this.named(error)
    }
  }

  /** Throws unless it can be written here: also if an earlier failure has stopped its table. `call`: for messages. */
  checkWritable(call: string): void {
    if (this.#fenced !== undefined) throw this.#fenced
    const { writer } = this.#options
    if (writer !== undefined) {
      try {
        return writer.checkWritable()
      } catch (error) {
        throw this.named(error)
      }
    }
    const { name, store } = this.#options
    throw new FlashTableError(
      'FLASHTABLE_READ_ONLY',
      `${call}: partition ${name} is not written by this process: send the records to the one that does ` +
        `(partitionOf, splitColumns), or open with ${this.number} in write (${store.url})`,
    )
  }

  async write<T>(call: string, write: (table: FlashTable) => Promise<T>): Promise<T> {
    this.checkWritable(call)
    try {
      return await write(this.#options.writer!)
    } catch (error) {
      throw this.named(error)
    }
  }

  /** Publishes it. */
  publish(options: PublishOptions): Promise<PublishResult> {
    return this.#claim('publish', table => table.publish(this.#options.store, options))
  }

  /** Keeps what is published a few seconds behind. */
  replicate(options: ReplicateOptions): Promise<Replica> {
    return this.#claim('replicate', table => table.replicateAlone(this.#options.store, options))
  }

  /** When another process has taken it over, nothing can be written here from then on. */
  async #claim<T>(call: string, publish: (table: FlashTable) => Promise<T>): Promise<T> {
    try {
      return await this.write(call, publish)
    } catch (error) {
      if (hasCode(error, 'FLASHTABLE_FENCED')) this.#fenced = error as FlashTableError
      throw error
    }
  }

  /** Moves a reader on, to this version at least. Rejects as `refresh` of a table. */
  async refresh(atLeast: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.isWritten) return
    this.#missedMs = -Infinity
    const { name, store } = this.#options
    // It is opened at its newest version.
    if (this.#table === undefined && atLeast === 0) return
    const found = await this.read(false, async table => {
      await table.refresh({ signal, ...(atLeast > 0 ? { atLeast } : {}) })
      return true
    })
    if (found || atLeast === 0) return
    throw new FlashTableError(
      'FLASHTABLE_UNAVAILABLE',
      `partition ${name}: nothing is published in ${store.url}, and version ${atLeast} was asked for: ` +
        'it counts when its publish has resolved',
    )
  }

  async close(): Promise<void> {
    // A failure was told to who has asked for it.
    await this.#opening?.catch(() => {})
    try {
      await this.#table?.close()
    } catch (error) {
      throw this.named(error)
    }
  }

  /** The error of a call, with the partition in its message. Wrong arguments and reasons of signals stay as they are. */
  named(error: unknown): unknown {
    if (!(error instanceof FlashTableError)) return error
    const { code, message, path, offset } = error
    const { name } = this.#options
    if (message.startsWith(`partition ${name}: `)) return error
    return new FlashTableError(code, `partition ${name}: ${message}`, {
      cause: error,
      ...(path === undefined ? {} : { path }),
      ...(offset === undefined ? {} : { offset }),
    })
  }
}
