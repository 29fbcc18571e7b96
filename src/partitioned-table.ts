/**
 * `PartitionedTable`: one table in many parts, each of which one process writes. Documents every call and hands it on, as
 * `FlashTable` does: reads go to `partitions/partitioned-reads.ts`, writes to `partitions/partitioned-writes.ts`. docs/api.md,
 * Partitions.
 */
import { INSPECT, inspectAs, type Inspect } from './base/inspect.js'
import { declaredKey, declaredValue } from './encoding/declared.js'
import { copyOfSchema } from './encoding/stored-schema.js'
import type {
  ColumnsIn,
  ColumnsOut,
  Combine,
  EncodingOptions,
  KeyEncoding,
  KeyIn,
  KeyOut,
  KeysIn,
  ValueEncoding,
  ValueIn,
  ValueOut,
  WhereIn,
} from './encoding/types.js'
import { invalidOption, refuseExtra } from './options/arguments.js'
import type { CombineFields, CombineOption, Duplicates } from './options/options.js'
import { agree, claimDirectory, type Agreement } from './partitions/agree.js'
import {
  readPartitionedOptions,
  writerOptions,
  writtenOf,
  type GivenPartitioned,
  type PartitionedOptions,
} from './partitions/open-options.js'
import { openPartitions } from './partitions/open-partitions.js'
import { PartitionedReads } from './partitions/partitioned-reads.js'
import type { PartitionedSnapshot } from './partitions/partitioned-snapshot.js'
import type { PartitionedReplica } from './partitions/partitioned-replica.js'
import { partitionedStats, type PartitionedStats } from './partitions/partitioned-stats.js'
import {
  PartitionedWrites,
  type PartitionedPublishOptions,
  type PartitionedPublishResult,
  type PartitionedReplicateOptions,
} from './partitions/partitioned-writes.js'
import { PartitionsInUse } from './partitions/partitions-in-use.js'
import { keepAlive } from './async/keep-alive.js'
import type { ObjectStore } from './store/object-store.js'
import type { TableStatus } from './table/describe.js'
import { nodeEnvironment, type Environment } from './table/environment.js'
import { checkStore } from './table/publish.js'
import { bufferRecordsOf } from './table/table-parts.js'
import type {
  BatchOperation,
  CountOptions,
  FirstOptions,
  GetAllOptions,
  HitColumns,
  NearColumns,
  NoEncodings,
  PutColumnsOptions,
  RangeOptions,
  ReadOptions,
  ValueArguments,
  WriteOptions,
} from './table/table-types.js'

/** Options of a table's read, with the snapshot of a table with partitions. */
type OfPartitions<Options> = Omit<Options, 'snapshot'> & {
  /** Read this state instead of the newest. */
  readonly snapshot?: PartitionedSnapshot | undefined
}
export type PartitionedReadOptions = OfPartitions<ReadOptions>
export type PartitionedRangeOptions<K, Where = Readonly<Record<string, unknown>>> = OfPartitions<
  RangeOptions<K, Where>
>

/** What `PartitionedTable.open` takes: encodings and options. */
export type PartitionedOpenOptions<K extends KeyEncoding, V extends ValueEncoding> = EncodingOptions<K, V> &
  PartitionedOptions & {
    /** The first key of each partition but the first, ascending, instead of `partitions`. */
    readonly boundaries?: KeysIn<K> | undefined
    readonly combine?: Combine<V> | undefined
  }

/** Options of `PartitionedTable.refresh`. */
export interface PartitionedRefreshOptions {
  /** Versions that a publish elsewhere has resolved to, one for each partition; 0 for any. */
  readonly atLeast?: readonly number[] | undefined
  /** The call rejects with `signal.reason`; the refresh goes on. */
  readonly signal?: AbortSignal | undefined
}

/** The rows of one partition, as `splitColumns` gives them. */
export interface PartColumns<K extends KeyEncoding, V extends ValueEncoding> {
  readonly partition: number
  /** Which rows of the whole they are, ascending. */
  readonly rows: Uint32Array<ArrayBuffer>
  readonly columns: ColumnsOut<K, V>
}

/**
 * A table that is divided by key into partitions, each a published table of its own. A process writes those it was told to,
 * and reads all.
 *
 * All methods reject with `FLASHTABLE_NOT_OPEN` once it is closed. What goes wrong in one partition rejects with an error that
 * names it, `partition 0a: ...`.
 */
export class PartitionedTable<K extends KeyEncoding = KeyEncoding, V extends ValueEncoding = ValueEncoding> {
  readonly #use: PartitionsInUse
  readonly #agreement: Agreement
  readonly #given: GivenPartitioned
  readonly #reads: PartitionedReads
  readonly #writes: PartitionedWrites

  private constructor(use: PartitionsInUse, agreement: Agreement, given: GivenPartitioned) {
    if (!(use instanceof PartitionsInUse))
      throw invalidOption('a table with partitions is made by PartitionedTable.open')
    this.#use = use
    this.#agreement = agreement
    this.#given = given
    this.#reads = new PartitionedReads(use, this)
    const { bufferBytes } = writerOptions(given, Math.max(1, use.written.length))
    this.#writes = new PartitionedWrites(use, bufferRecordsOf(bufferBytes, use.schema.layout))
  }

  /**
   * Opens the table in a store, or creates it if partitions are written: then `partitions` or `boundaries`, and `keyEncoding`, say
   * what it is for good. Those to be written are claimed: restored if the directory has not got them, and published. The others
   * are opened when a read needs them. Rejects with `FLASHTABLE_NOT_FOUND`, `_SCHEMA_MISMATCH` if it was created otherwise,
   * `_FENCED` if another process writes a partition and `takeOver` is not given, and as `FlashTable.open`, `restore` and `publish`.
   */
  static open(
    store: ObjectStore,
    options?: PartitionedOptions & CombineOption & NoEncodings,
  ): Promise<PartitionedTable>
  static open<const K extends KeyEncoding, const V extends ValueEncoding = undefined>(
    store: ObjectStore,
    options: PartitionedOpenOptions<K, V>,
  ): Promise<PartitionedTable<K, V>>
  static async open(store: ObjectStore, options?: unknown, ...extra: unknown[]): Promise<PartitionedTable> {
    refuseExtra('PartitionedTable.open', extra)
    return PartitionedTable.openIn(store, options, nodeEnvironment)
  }

  /**
   * `open` on another disk, lock or clock.
   *
   * @internal
   */
  static async openIn(
    store: ObjectStore,
    options: unknown,
    environment: Environment,
  ): Promise<PartitionedTable> {
    const checked = checkStore('PartitionedTable.open', store, true)
    const given = readPartitionedOptions(options)
    return keepAlive(PartitionedTable.#open(checked, given, environment))
  }

  static async #open(
    store: ObjectStore,
    given: GivenPartitioned,
    environment: Environment,
  ): Promise<PartitionedTable> {
    const agreement = await agree(store, given, environment)
    const { object, schema, ranges } = agreement
    const written = writtenOf(given, ranges.count)
    if (written.length > 0) await claimDirectory(given.directory!, object, environment)
    const partitions = await openPartitions(store, agreement, written, given, environment)
    return new PartitionedTable(new PartitionsInUse(store.url, schema, ranges, partitions), agreement, given)
  }

  /** The address of the store. */
  get location(): string {
    return this.#use.location
  }

  /** Where each partition is: the directory of the table if this process writes it, else the address of the published one. */
  get locations(): readonly string[] {
    return this.#use.all.map(({ location }) => location)
  }

  /** How many partitions there are. */
  get partitions(): number {
    return this.#use.ranges.count
  }

  /** The numbers of those that this process writes. */
  get written(): readonly number[] {
    return this.#use.written.map(({ number }) => number)
  }

  /** `'open'`; `'closing'` from the call of `close()`, `'closed'` when it has settled. */
  get status(): TableStatus {
    return this.#use.status
  }

  /** What a key is: as it was given to `open`, or as the table was created. */
  get keyEncoding(): K {
    return (this.#given.keyEncoding ?? declaredKey(this.#use.schema.stored.key)) as K
  }

  /** What a value is; `undefined`: the table is a set. */
  get valueEncoding(): V {
    const { keyEncoding, valueEncoding } = this.#given
    return (keyEncoding === undefined ? declaredValue(this.#use.schema.stored.value) : valueEncoding) as V
  }

  /** What the table was created with: `'keep'` or `'replace'`; `undefined`: `combine`. */
  get duplicates(): Duplicates | undefined {
    const { duplicates } = this.#agreement.object
    return typeof duplicates === 'string' ? duplicates : undefined
  }

  /** What the table was created with: an operator for each field; `undefined`: it does not combine. */
  get combine(): CombineFields | undefined {
    const { duplicates } = this.#agreement.object
    return typeof duplicates === 'string' ? undefined : { ...duplicates }
  }

  /** The number of the partition that has the key. Throws with `FLASHTABLE_INVALID_KEY`. */
  partitionOf(key: KeyIn<K>, ...extra: never[]): number {
    refuseExtra('partitionOf', extra)
    return this.#use.ofKey(key).number
  }

  /**
   * The rows of the columns by partition, in new columns: to send each to the process that writes it. Throws as `putColumns`
   * rejects.
   */
  splitColumns(columns: ColumnsIn<K, V>, ...extra: never[]): PartColumns<K, V>[] {
    return this.#writes.splitColumns(columns, extra) as unknown as PartColumns<K, V>[]
  }

  /** As `put` of a table. Rejects with `FLASHTABLE_READ_ONLY` if this process does not write the partition of the key. */
  put(key: KeyIn<K>, ...given: ValueArguments<V, WriteOptions>): Promise<void> {
    return this.#writes.row('put', key, table => table.put(key, ...(given as [unknown])))
  }

  /** As `putIfAbsent` of a table; errors as `put`. */
  putIfAbsent(key: KeyIn<K>, ...given: ValueArguments<V, WriteOptions>): Promise<boolean> {
    return this.#writes.row('putIfAbsent', key, table => table.putIfAbsent(key, ...(given as [unknown])))
  }

  /** As `del` of a table; errors as `put`. */
  del(key: KeyIn<K>, ...given: [options?: WriteOptions]): Promise<void> {
    return this.#writes.row('del', key, table => table.del(key, ...given))
  }

  /** As `delRecord` of a table; errors as `put`. */
  delRecord(key: KeyIn<K>, ...given: ValueArguments<V, WriteOptions>): Promise<void> {
    return this.#writes.row('delRecord', key, table => table.delRecord(key, ...(given as [unknown])))
  }

  /**
   * As `delWhere` of a table, in every partition that this process writes, and in no other one: each process that writes has to
   * call it. Not atomic: a failure in one partition leaves it done in others.
   */
  delWhere(where: WhereIn<V>, options?: WriteOptions, ...extra: never[]): Promise<void> {
    return this.#writes.delWhere(where, options, extra)
  }

  /**
   * As `batch` of a table, for keys of any partitions that this process writes. All is checked before anything is written.
   * Atomic within each partition only. Errors as `put`.
   */
  batch(
    operations: Iterable<BatchOperation<KeyIn<K>, ValueIn<V>>>,
    options?: WriteOptions,
    ...extra: never[]
  ): Promise<void> {
    return this.#writes.batch(operations, options, extra)
  }

  /** As `putColumns` of a table, with the promises of `batch`. */
  putColumns(
    columns: ColumnsIn<K, V>,
    options: PutColumnsOptions & { readonly ifAbsent: true },
  ): Promise<Uint8Array<ArrayBuffer>>
  putColumns(
    columns: ColumnsIn<K, V>,
    options?: PutColumnsOptions & { readonly ifAbsent?: false | undefined },
  ): Promise<void>
  putColumns(columns: ColumnsIn<K, V>, options?: PutColumnsOptions): Promise<void | Uint8Array<ArrayBuffer>>
  putColumns(
    columns: ColumnsIn<K, V>,
    options?: PutColumnsOptions,
    ...extra: unknown[]
  ): Promise<void | Uint8Array<ArrayBuffer>> {
    return this.#writes.putColumns(columns, options, extra)
  }

  /** The newest record of the key, or `undefined`. */
  get(key: KeyIn<K>, options?: PartitionedReadOptions, ...extra: never[]): Promise<ValueOut<V> | undefined> {
    return this.#reads.get(key, options, extra)
  }

  /** The newest record of each key, or `undefined`, in the order of the keys. */
  getMany(
    keys: KeysIn<K>,
    options?: PartitionedReadOptions,
    ...extra: never[]
  ): Promise<(ValueOut<V> | undefined)[]> {
    return this.#reads.getMany(keys, options, extra)
  }

  /** The records of the key, as `getAll` of a table. */
  getAll(key: KeyIn<K>, options?: OfPartitions<GetAllOptions>, ...extra: never[]): Promise<ValueOut<V>[]> {
    return this.#reads.getAll(key, options, extra)
  }

  /** All records of all keys as columns, in the order of a table's. Partitions are read side by side. */
  getColumns(
    keys: KeysIn<K>,
    options: PartitionedReadOptions & { readonly within: number | bigint },
  ): Promise<NearColumns<K, V>>
  getColumns(
    keys: KeysIn<K>,
    options?: PartitionedReadOptions & { readonly within?: undefined },
  ): Promise<HitColumns<V>>
  getColumns(
    keys: KeysIn<K>,
    options?: PartitionedReadOptions & { readonly within?: number | bigint | undefined },
    ...extra: unknown[]
  ): Promise<HitColumns<V>> {
    return this.#reads.getColumns(keys, options, extra)
  }

  /** Whether the key has a record. */
  has(key: KeyIn<K>, options?: PartitionedReadOptions, ...extra: never[]): Promise<boolean> {
    return this.#reads.has(key, options, extra)
  }

  /** How many records the key has, or a range, or the table: as `count` of a table. */
  count(key: KeyIn<K>, options?: PartitionedReadOptions): Promise<number>
  count(range?: OfPartitions<CountOptions<KeyIn<K>, WhereIn<V>>>): Promise<number>
  count(given?: unknown, ...rest: unknown[]): Promise<number> {
    return this.#reads.count(given, rest)
  }

  /**
   * `[key, value]` of each record in the range, in key order across partitions. Of what this process writes the state of when the
   * iteration starts; of other partitions that of when it comes to them.
   */
  entries(
    range?: PartitionedRangeOptions<KeyIn<K>, WhereIn<V>>,
    ...extra: never[]
  ): AsyncGenerator<[KeyOut<K>, ValueOut<V>], void> {
    return this.#reads.entries(range, extra)
  }

  /** Each key in the range once; as `entries`. */
  keys(
    range?: PartitionedRangeOptions<KeyIn<K>, WhereIn<V>>,
    ...extra: never[]
  ): AsyncGenerator<KeyOut<K>, void> {
    return this.#reads.keys(range, extra)
  }

  /** The value of each record in the range; as `entries`. */
  values(
    range?: PartitionedRangeOptions<KeyIn<K>, WhereIn<V>>,
    ...extra: never[]
  ): AsyncGenerator<ValueOut<V>, void> {
    return this.#reads.values(range, extra)
  }

  /** The records in the range as columns, some thousand rows at a time; as `entries`. */
  scanColumns(
    range?: PartitionedRangeOptions<KeyIn<K>, WhereIn<V>>,
    ...extra: never[]
  ): AsyncGenerator<ColumnsOut<K, V>, void> {
    return this.#reads.scanColumns(range, extra)
  }

  /** `[key, value]` of the first record in the range, or `undefined`: what `entries` gives first. */
  first(
    range?: OfPartitions<FirstOptions<KeyIn<K>>>,
    ...extra: never[]
  ): Promise<[KeyOut<K>, ValueOut<V>] | undefined> {
    return this.#reads.first('first', range, extra)
  }

  /** `[key, value]` of the last record in the range, or `undefined`. */
  last(
    range?: OfPartitions<FirstOptions<KeyIn<K>>>,
    ...extra: never[]
  ): Promise<[KeyOut<K>, ValueOut<V>] | undefined> {
    return this.#reads.first('last', range, extra)
  }

  /**
   * Pins a state of each partition: a consistent one of each, not one of all. Those that this process writes are pinned in one
   * moment, so a batch is in it whole or not at all if it had resolved or was not called yet. Cost: opens all partitions.
   */
  snapshot(...extra: never[]): Promise<PartitionedSnapshot> {
    return this.#reads.snapshot(extra)
  }

  /** When it resolves, everything put before in this process is on its device. */
  sync(...extra: never[]): Promise<void> {
    return this.#writes.sync(extra)
  }

  /** Merges each partition that this process writes into one bucket file, one after another. */
  compact(options?: { readonly signal?: AbortSignal | undefined }, ...extra: never[]): Promise<void> {
    return this.#writes.compact(options, extra)
  }

  /**
   * Publishes the partitions that this process writes: then others see them. Resolves to the version of each. If one fails, the
   * others are published nevertheless. With `FLASHTABLE_FENCED` another process has taken the partition over: this one can
   * write it no more.
   */
  publish(options?: PartitionedPublishOptions, ...extra: never[]): Promise<PartitionedPublishResult> {
    return this.#writes.publish(options, extra)
  }

  /**
   * Publishes what is new in the partitions that this process writes, every few seconds, until the replica or the table is closed.
   * When another process has taken over a partition, this one can write it no more. Errors: as `publish`.
   */
  replicate(options?: PartitionedReplicateOptions, ...extra: never[]): Promise<PartitionedReplica> {
    return this.#writes.replicate(options, extra)
  }

  /**
   * Moves on to the newest versions of the partitions that others write, at least to those of `atLeast`: what a publish elsewhere
   * has resolved to. Rejects with `FLASHTABLE_UNAVAILABLE` if there is an older one.
   */
  refresh(options?: PartitionedRefreshOptions, ...extra: never[]): Promise<void> {
    return this.#writes.refresh(options, extra)
  }

  /** Sums, and the statistics of each partition. Cost: opens all partitions. */
  async stats(...extra: never[]): Promise<PartitionedStats> {
    this.#use.assertOpen()
    refuseExtra('stats', extra)
    await this.#reads.openAll()
    return partitionedStats(this.#use)
  }

  /**
   * Closes all partitions. What was put and not published stays in the directory, and is published after the next open. Idempotent.
   * Rejects as `close` of a table.
   */
  close(...extra: never[]): Promise<void> {
    try {
      refuseExtra('close', extra)
      return this.#use.close()
    } catch (error) {
      return Promise.reject(error)
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /**
   * Why nothing is kept in `cacheDirectory`.
   *
   * @internal
   */
  get cacheFailure(): string | undefined {
    return this.#use.cacheFailure
  }

  /**
   * How it looks in `JSON.stringify`.
   *
   * @internal
   */
  toJSON(): object {
    // The prototype has nothing to show.
    if (!(#use in this)) return {}
    const { duplicates, combine } = this
    return {
      ...this.#shape(),
      schema: copyOfSchema(this.#use.schema.stored),
      ...(combine === undefined ? { duplicates } : { combine }),
    }
  }

  /**
   * How it looks in `util.inspect` and `console.log`.
   *
   * @internal
   */
  [INSPECT](depth: number, options: object, inspect: Inspect): string {
    if (!(#use in this)) return 'PartitionedTable {}'
    const { keyEncoding, valueEncoding, duplicates, combine } = this
    const fields = {
      ...this.#shape(),
      keyEncoding,
      valueEncoding,
      ...(combine === undefined ? { duplicates } : { combine }),
    }
    return inspectAs('PartitionedTable', fields, depth, options, inspect)
  }

  #shape(): object {
    const { location, status, partitions, written } = this
    return { location, status, partitions, written: written.length === partitions ? 'all' : written }
  }
}
