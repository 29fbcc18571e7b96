/**
 * `FlashTable`, the face of the library: documents every call and hands it on. Reads go to `table/read-calls.ts`, writes to
 * `table/write-calls.ts`, and what concerns the table as a whole to `table/table-session.ts`. docs/api.md.
 */
import { INSPECT, inspectAs, type Inspect } from './base/inspect.js'
import type { ColumnSource } from './bulk-load/bulk-load.js'
import type { Call } from './commit/committer.js'
import type {
  ColumnsIn,
  ColumnsOut,
  KeyEncoding,
  KeyIn,
  KeyOut,
  KeysIn,
  ValueEncoding,
  ValueIn,
  ValueOut,
  WhereIn,
} from './encoding/types.js'
import type { JsonObject } from './manifest/meta.js'
import { invalidOption, refuseExtra } from './options/arguments.js'
import { absolutePath, locationText } from './options/location.js'
import { resolveRemoteOptions, type RemoteOptions } from './options/remote-options.js'
import {
  resolveLoadOptions,
  resolveOptions,
  type CombineFields,
  type CombineOption,
  type Duplicates,
  type TableOptions,
} from './options/options.js'
import { DELETE_KEY, DELETE_RECORD, PUT } from './records/operations.js'
import type { PublishResult } from './remote/publisher.js'
import type { Replica } from './replica/replica.js'
import { Snapshot } from './state/snapshot.js'
import type { ObjectStore } from './store/object-store.js'
import { checkSource, readCompactOptions, readRefreshOptions } from './table/call-options.js'
import {
  encodingsOf,
  tableAsFields,
  tableAsJson,
  type TableEncodings,
  type TableStatus,
} from './table/describe.js'
import { nodeEnvironment, type Environment } from './table/environment.js'
import { checkStore, type PublishOptions } from './table/publish.js'
import { ReadCalls } from './table/read-calls.js'
import type { ReplicateOptions } from './table/replicate.js'
import { restoreTable, type RestoreOptions, type RestoreResult } from './table/restore.js'
import { copyOfCombine, duplicatesOf, type TableStats } from './table/stats.js'
import { TableSession } from './table/table-session.js'
import type {
  BatchOperation,
  BulkLoadOptions,
  ClearOptions,
  CompactOptions,
  CountOptions,
  FirstOptions,
  FirstSyncOptions,
  HitColumns,
  NearColumns,
  NoEncodings,
  OpenOptions,
  PutColumnsOptions,
  RangeOptions,
  GetAllOptions,
  ReadOptions,
  RefreshOptions,
  RemoteOpenOptions,
  StoreOpenOptions,
  ValueArguments,
  WriteOptions,
} from './table/table-types.js'
import { WriteCalls } from './table/write-calls.js'

/**
 * A multimap of fixed-width records in the files of one directory.
 *
 * All methods reject with `FLASHTABLE_NOT_OPEN` once it is closed.
 */
export class FlashTable<K extends KeyEncoding = KeyEncoding, V extends ValueEncoding = ValueEncoding> {
  readonly #session: TableSession
  readonly #reads: ReadCalls
  readonly #writes: WriteCalls
  #declared: TableEncodings | undefined

  private constructor(session: TableSession) {
    if (!(session instanceof TableSession)) throw invalidOption('a table is made by FlashTable.open')
    this.#session = session
    this.#reads = new ReadCalls(session, this)
    this.#writes = new WriteCalls(session)
  }

  /**
   * Opens the table in directory `location`, or creates it.
   *
   * An existing table knows its encodings: they may be left out, others are refused (`FLASHTABLE_SCHEMA_MISMATCH`).
   * Rejects with `FLASHTABLE_LOCKED` if another writer has it open, `_NOT_FOUND`, `_EXISTS`, `_CORRUPTION`,
   * `_UNSUPPORTED_FORMAT`, `_DISK_FULL`, `_IO_ERROR`, `_INVALID_OPTION`, or `signal.reason`. Cost: reads the log and
   * all filters and fences; writes the manifest and, after an unclean end, the log's records as a bucket file. With `remote` it also
   * restores, publishes and replicates, and rejects as these do.
   */
  static open(
    location: string | URL,
    options?: TableOptions & CombineOption & NoEncodings & StoreOpenOptions,
  ): Promise<FlashTable>
  // The last one: of a call that fits none, the compiler tells what does not fit this one.
  static open<const K extends KeyEncoding, const V extends ValueEncoding = undefined>(
    location: string | URL,
    options: OpenOptions<K, V>,
  ): Promise<FlashTable<K, V>>
  static async open(location: string | URL, options?: unknown, ...extra: unknown[]): Promise<FlashTable> {
    refuseExtra('open', extra, 'open(location, options) returns a promise')
    return FlashTable.openIn(location, options, nodeEnvironment)
  }

  /**
   * `open` on another disk, lock or clock.
   *
   * @internal
   */
  static async openIn(
    location: string | URL,
    options: unknown,
    environment: Environment,
  ): Promise<FlashTable> {
    const directory = absolutePath(location, 'location')
    const resolved = resolveOptions(options)
    const text = locationText(location)
    return new FlashTable(
      resolved.remote === undefined
        ? await TableSession.open(directory, text, resolved, environment)
        : await TableSession.openWithStore(
            { ...resolved.remote, store: checkStore('open', resolved.remote.store) },
            directory,
            text,
            resolved,
            environment,
          ),
    )
  }

  /**
   * Builds a table from an (async) iterable of columns, without the log, as one file, all or nothing. Resolves to the
   * open table. The table is new, or empty after `clear()`. Errors as `open` (`FLASHTABLE_EXISTS` if it is not empty) and `putColumns`, or what the
   * source throws. Cost: writes what fits `memoryBytes` once, the rest twice.
   */
  static async bulkLoad<const K extends KeyEncoding, const V extends ValueEncoding = undefined>(
    location: string | URL,
    options: BulkLoadOptions<K, V>,
    source: ColumnSource<ColumnsIn<K, V>>,
    ...extra: never[]
  ): Promise<FlashTable<K, V>> {
    refuseExtra('bulkLoad', extra)
    const table = await FlashTable.bulkLoadIn(location, options, source, nodeEnvironment)
    return table as unknown as FlashTable<K, V>
  }

  /**
   * `bulkLoad` on another disk, lock or clock.
   *
   * @internal
   */
  static async bulkLoadIn(
    location: string | URL,
    options: unknown,
    source: ColumnSource<unknown>,
    environment: Environment,
  ): Promise<FlashTable> {
    const directory = absolutePath(location, 'location')
    const { open, load } = resolveLoadOptions(options)
    checkSource(source)
    const session = await TableSession.open(directory, locationText(location), open, environment)
    try {
      await session.load(source, load)
    } catch (error) {
      await session.close().catch(() => {})
      throw error
    }
    return new FlashTable(session)
  }

  /** The directory of the table. */
  get location(): string {
    return this.#session.parts.directory
  }

  /** Whether it was opened only for reading. */
  get readOnly(): boolean {
    return this.#session.parts.writer === undefined
  }

  /** What keeps the table in the store of the option `remote`; `undefined`: it was opened without. */
  get replica(): Replica | undefined {
    return this.#session.replica
  }

  /** `'open'`; `'closing'` from the call of `close()`, `'closed'` when it has settled. */
  get status(): TableStatus {
    return this.#session.status
  }

  /**
   * What a key is: as it was given to `open`, or as the table was created. It can be given to another open. If this
   * open was not given a custom encoding, only its name is known, and it reads no keys.
   */
  get keyEncoding(): K {
    return this.#encodings().keyEncoding as K
  }

  /** What a value is, see `keyEncoding`; `undefined`: the table is a set. */
  get valueEncoding(): V {
    return this.#encodings().valueEncoding as V
  }

  /** What the table was created with: `'keep'` or `'replace'`; `undefined`: `combine`. */
  get duplicates(): Duplicates | undefined {
    return duplicatesOf(this.#session.parts.state.manifest)
  }

  /** What the table was created with: an operator for each field; `undefined`: it does not combine. */
  get combine(): CombineFields | undefined {
    return copyOfCombine(this.#session.parts.state.manifest)
  }

  /** What the table was created with: bytes of a page. */
  get pageBytes(): number {
    return this.#session.parts.state.manifest.pageBytes
  }

  /** What the table was created with: permissions of its files. */
  get mode(): number {
    return this.#session.parts.state.manifest.mode
  }

  /**
   * The metadata that the last `setMeta` has left, `{}` at first; deeply frozen. Of a table opened with `readOnly` those of
   * its open, or of its last `refresh`.
   */
  get meta(): JsonObject {
    return this.#session.parts.state.manifest.meta
  }

  /**
   * How it looks in `JSON.stringify`: what it is, and how many records it has, as `stats()` counts them.
   *
   * @internal
   */
  toJSON(): object {
    // The prototype, or an object made from it, has nothing to show.
    if (!(#session in this)) return {}
    return tableAsJson(this.#session.parts, this.status)
  }

  /**
   * How it looks in `util.inspect` and `console.log`.
   *
   * @internal
   */
  [INSPECT](depth: number, options: object, inspect: Inspect): string {
    if (!(#session in this)) return 'FlashTable {}'
    const fields = tableAsFields(this.#session.parts, this.status, this.#encodings())
    return inspectAs('FlashTable', fields, depth, options, inspect)
  }

  #encodings(): TableEncodings {
    this.#declared ??= encodingsOf(this.#session.parts)
    return this.#declared
  }

  /**
   * Adds a record. When the promise resolves, it is visible and survives the end of the process, with `sync` also a
   * power cut. Rejects with `FLASHTABLE_INVALID_KEY`, `_INVALID_VALUE`, `_DISK_FULL`, `_POISONED`, `_READ_ONLY`.
   */
  put(key: KeyIn<K>, ...given: ValueArguments<V, WriteOptions>): Promise<void> {
    return this.#writes.row('put', PUT, key, given, 1)
  }

  /**
   * Adds the record if its key has none: `true`; else adds nothing: `false`. No other write comes between the look and the
   * put, so of calls that run at once for a key one puts. Resolves and rejects as `put` does, and with
   * `FLASHTABLE_CORRUPTION` or `_IO_ERROR` if the key cannot be looked up. Cost: a lookup, and a put.
   */
  putIfAbsent(key: KeyIn<K>, ...given: ValueArguments<V, WriteOptions>): Promise<boolean> {
    return this.#writes.putIfAbsent(key, given)
  }

  /** Deletes all records of the key that were put before. Errors as `put`. Cost: a log entry. */
  del(key: KeyIn<K>, ...given: [options?: WriteOptions]): Promise<void> {
    return this.#writes.row('del', DELETE_KEY, key, given, 0)
  }

  /** Deletes all records put before that equal this one. Errors as `put`. Cost: a log entry. */
  delRecord(key: KeyIn<K>, ...given: ValueArguments<V, WriteOptions>): Promise<void> {
    return this.#writes.row('delRecord', DELETE_RECORD, key, given, 1)
  }

  /**
   * Hides all records put before whose fields have these values, or compare so with one or two (`lt`, `lte`, `gt`,
   * `gte`), whatever their key: `delWhere({ id: 42, time: { lt: 1_700_000 } })`. Several
   * fields mean "and". Errors as `put`. Cost: a log entry; merges drop what is hidden.
   */
  delWhere(where: WhereIn<V>, options?: WriteOptions, ...extra: never[]): Promise<void> {
    return this.#writes.delWhere(where, options, extra)
  }

  /** Commits operations as one: all become visible at once and are recovered whole or not at all. Errors as `put`. */
  batch(
    operations: Iterable<BatchOperation<KeyIn<K>, ValueIn<V>>>,
    options?: WriteOptions,
    ...extra: never[]
  ): Promise<void> {
    return this.#writes.batch(operations, options, extra)
  }

  /**
   * Adds a record for each row of the columns, as one atomic batch: typed arrays of one length, `key` and one for each
   * field (`value` if the value is not a struct). They are copied. Errors as `put`; `RangeError` for more than
   * `bufferBytes`. With `ifAbsent` it adds only the rows whose keys have no record, of rows with one key the first, and
   * resolves to a 1 for each row that was added, else 0; then it rejects as `putIfAbsent` does.
   */
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

  /** The newest record of the key, or `undefined`. Rejects with `FLASHTABLE_CORRUPTION`, `_IO_ERROR`. Cost: a page read. */
  get(key: KeyIn<K>, options?: ReadOptions, ...extra: never[]): Promise<ValueOut<V> | undefined> {
    return this.#reads.get('get', key, options, extra)
  }

  /** The newest record of each key, or `undefined`, in the order of the keys. */
  getMany(keys: KeysIn<K>, options?: ReadOptions, ...extra: never[]): Promise<(ValueOut<V> | undefined)[]> {
    return this.#reads.getMany('getMany', keys, options, extra)
  }

  /**
   * The records of the key, in insertion order, with `reverse` from the newest on: `limit` at most, after `offset` that are
   * passed over. Memory: for what it returns.
   */
  getAll(key: KeyIn<K>, options?: GetAllOptions, ...extra: never[]): Promise<ValueOut<V>[]> {
    return this.#reads.getAll('getAll', key, options, extra)
  }

  /** As `get`; blocks if a page must be read from disk. Throws what `get` rejects with. */
  getSync(key: KeyIn<K>, options?: ReadOptions, ...extra: never[]): ValueOut<V> | undefined {
    return this.#reads.getSync('getSync', key, options, extra)
  }

  /**
   * As `getAll`; blocks if pages must be read from disk. With `limit` or `offset` and without `reverse` it counts the records
   * first, as `count` does.
   */
  getAllSync(key: KeyIn<K>, options?: GetAllOptions, ...extra: never[]): ValueOut<V>[] {
    return this.#reads.getAllSync('getAllSync', key, options, extra)
  }

  /**
   * All records of all keys as columns: `query` (which key, as a position in `keys`) and one for each field; in query
   * order, then key order, then insertion order. With `within: r` all records whose key differs by at most r, and a
   * column `key`. The columns belong to the caller. Rejects with `FLASHTABLE_INVALID_KEY`, `_CORRUPTION`, `_IO_ERROR`.
   */
  getColumns(
    keys: KeysIn<K>,
    options: ReadOptions & { readonly within: number | bigint },
  ): Promise<NearColumns<K, V>>
  getColumns(keys: KeysIn<K>, options?: ReadOptions & { readonly within?: undefined }): Promise<HitColumns<V>>
  getColumns(
    keys: KeysIn<K>,
    options?: ReadOptions & { readonly within?: number | bigint | undefined },
    ...extra: unknown[]
  ): Promise<HitColumns<V>> {
    return this.#reads.getColumns('getColumns', keys, options, extra)
  }

  /** Whether the key has a record. */
  async has(key: KeyIn<K>, options?: ReadOptions, ...extra: never[]): Promise<boolean> {
    return (await this.#reads.count('has', key, 1, options, extra)) > 0
  }

  /**
   * How many records the key has; or how many there are in a range, of those that match `where`, or in the whole table:
   * `count({ where: { id: 42 } })`, `count()`. Where keys may be objects (`fixed('json', n)`, custom encodings), what is given
   * is a key. Cost: pages are not
   * decoded, unless deletes may hide some of their records.
   */
  count(key: KeyIn<K>, options?: ReadOptions): Promise<number>
  count(range?: CountOptions<KeyIn<K>, WhereIn<V>>): Promise<number>
  count(given?: unknown, ...rest: unknown[]): Promise<number> {
    if (this.#reads.isRange(given))
      return this.#reads.countRange(given, rest.length === 1 && rest[0] === undefined ? [] : rest)
    return this.#reads.count('count', given, Infinity, rest[0], rest.slice(1))
  }

  /** `[key, value]` of each record in the range. One consistent state, taken when the iteration starts. */
  entries(
    range?: RangeOptions<KeyIn<K>, WhereIn<V>>,
    ...extra: never[]
  ): AsyncGenerator<[KeyOut<K>, ValueOut<V>], void> {
    return this.#reads.entries('entries', range, extra)
  }

  /** Each key in the range once. */
  keys(range?: RangeOptions<KeyIn<K>, WhereIn<V>>, ...extra: never[]): AsyncGenerator<KeyOut<K>, void> {
    return this.#reads.keys('keys', range, extra)
  }

  /** The value of each record in the range. */
  values(range?: RangeOptions<KeyIn<K>, WhereIn<V>>, ...extra: never[]): AsyncGenerator<ValueOut<V>, void> {
    return this.#reads.values('values', range, extra)
  }

  /** The records in the range as columns, some thousand rows at a time. The columns belong to the caller. */
  scanColumns(
    range?: RangeOptions<KeyIn<K>, WhereIn<V>>,
    ...extra: never[]
  ): AsyncGenerator<ColumnsOut<K, V>, void> {
    return this.#reads.scanColumns('scanColumns', range, extra)
  }

  /**
   * `[key, value]` of the first record in the range, or `undefined`: what `entries` gives first. Rejects as `get`, or
   * with `signal.reason`. Cost: two page reads for each file, none if they are in the cache; the first call after puts
   * sorts what is in memory. Keys without a record are passed over, many of them by a scan.
   */
  first(range?: FirstOptions<KeyIn<K>>, ...extra: never[]): Promise<[KeyOut<K>, ValueOut<V>] | undefined> {
    return this.#reads.first('first', range, false, extra)
  }

  /** `[key, value]` of the last record in the range, or `undefined`: what `entries` with `reverse` gives first. As `first`. */
  last(range?: FirstOptions<KeyIn<K>>, ...extra: never[]): Promise<[KeyOut<K>, ValueOut<V>] | undefined> {
    return this.#reads.first('last', range, true, extra)
  }

  /**
   * As `first`; blocks if pages must be read, and for the sorting: 0.1 us for each record in memory that no call has
   * seen. A microsecond or two more for each key without a record before it, and for all records of its key. Throws
   * what `get` rejects with.
   */
  firstSync(range?: FirstSyncOptions<KeyIn<K>>, ...extra: never[]): [KeyOut<K>, ValueOut<V>] | undefined {
    return this.#reads.firstSync('firstSync', range, false, extra)
  }

  /** As `last`; blocks as `firstSync` does. */
  lastSync(range?: FirstSyncOptions<KeyIn<K>>, ...extra: never[]): [KeyOut<K>, ValueOut<V>] | undefined {
    return this.#reads.firstSync('lastSync', range, true, extra)
  }

  /** Pins the state of this moment: everything put and resolved so far. Close it to release its files. */
  snapshot(...extra: never[]): Snapshot {
    this.#session.assertOpen()
    refuseExtra('snapshot', extra)
    const { pins, parts } = this.#session
    return new Snapshot(pins.pin(parts.state), this)
  }

  /** When it resolves, everything put before is on the device. Rejects with `FLASHTABLE_POISONED`. */
  async sync(...extra: never[]): Promise<void> {
    this.#session.writer()
    refuseExtra('sync', extra)
    await this.#session.sync()
  }

  /**
   * Merges everything into one bucket file. Puts and reads go on. Rejects with `signal.reason`, `FLASHTABLE_DISK_FULL`
   * (nothing changed), `_POISONED`. Cost: reads and writes the whole table once.
   */
  async compact(options?: CompactOptions, ...extra: never[]): Promise<void> {
    this.#session.writer()
    refuseExtra('compact', extra)
    await this.#session.compact(readCompactOptions(options))
  }

  /**
   * Makes a copy in the new directory `directory`, a separate table that can be opened: hard links, or copies if there
   * are none, and what is in memory as a bucket file. Puts go on. A table opened with `readOnly` copies what it shows,
   * also beside a writer. The copy is complete and on the device when it resolves. Rejects with `FLASHTABLE_EXISTS`,
   * `_DISK_FULL`, `_IO_ERROR`, `_CORRUPTION`. Cost: writes the memtable.
   */
  async checkpoint(directory: string | URL, ...extra: never[]): Promise<void> {
    this.#session.assertOpen()
    refuseExtra('checkpoint', extra)
    await this.#session.checkpoint(absolutePath(directory, 'directory'))
  }

  /**
   * Publishes everything put before the call to an object store, as a new version: uploads the bucket files that are not there
   * yet, then replaces one object. Puts go on. When it resolves, the version can be restored anywhere. Rejects with
   * `FLASHTABLE_FENCED` if another writer publishes there, `_EXISTS` if another table is there, `_UNAVAILABLE` if the store
   * cannot be reached (try again: nothing is lost), `_UNSUPPORTED_STORE`, or as a put. Cost: a flush; the bytes of the new files;
   * three requests besides.
   */
  async publish(store: ObjectStore, options?: PublishOptions, ...extra: never[]): Promise<PublishResult> {
    this.#session.writer()
    refuseExtra('publish', extra)
    return this.#session.publish(checkStore('publish', store), options)
  }

  /**
   * Keeps a published table a few seconds behind this one, until the replica or the table is closed: every `interval` it
   * publishes what is new, files and what is in memory, without a flush. Of a table opened with `readOnly` it replicates what the
   * writer puts in another process. Resolves when the first version is published. Errors: as `publish`; later ones are told by
   * `status()` of the replica, and tried again. Cost: nothing while nothing is put; else two requests and a file an interval.
   */
  async replicate(store: ObjectStore, options?: ReplicateOptions, ...extra: never[]): Promise<Replica> {
    this.#session.assertOpen()
    refuseExtra('replicate', extra)
    return this.#session.replicate(checkStore('replicate', store), options)
  }

  /**
   * Throws as a put rejects: if the table only reads, is closed, or an earlier failure has stopped all writes.
   *
   * @internal
   */
  checkWritable(): void {
    this.#session.checkWritable()
  }

  /**
   * As `replicate`; when another writer has taken over, nothing can be put into this table any more.
   *
   * @internal
   */
  replicateAlone(store: ObjectStore, options: ReplicateOptions): Promise<Replica> {
    return this.#session.replicate(store, options, true)
  }

  /**
   * Restores a published table into the new directory `location`: the newest version, or one by its time, number or name.
   * What it was published from may go on meanwhile. To publish the copy to the same store, pass `takeOver`. When it resolves,
   * the copy is complete and on the device; if it rejects, nothing is left of it. Rejects with `FLASHTABLE_NOT_FOUND`,
   * `_EXISTS`, `_UNAVAILABLE`, `_CORRUPTION`, `_DISK_FULL`, `_IO_ERROR`. Cost: fetches the bytes of the version.
   */
  static async restore(
    store: ObjectStore,
    location: string | URL,
    options?: RestoreOptions,
    ...extra: never[]
  ): Promise<RestoreResult> {
    refuseExtra('restore', extra)
    return FlashTable.restoreIn(store, location, options, nodeEnvironment)
  }

  /**
   * `restore` on another disk.
   *
   * @internal
   */
  static async restoreIn(
    store: ObjectStore,
    location: string | URL,
    options: RestoreOptions | undefined,
    environment: Environment,
  ): Promise<RestoreResult> {
    return restoreTable(
      checkStore('restore', store),
      absolutePath(location, 'location'),
      options,
      environment,
    )
  }

  /**
   * Opens a published table where it is, for reading, on any machine: fetches what lookups and scans need, and keeps some of
   * it. It moves on to newer versions, unless it was told which one is meant. It writes nothing to the store. Rejects with
   * `FLASHTABLE_NOT_FOUND`, `_UNAVAILABLE`, `_CORRUPTION`, `_SCHEMA_MISMATCH`. Cost: fetches the manifest, and footer and
   * fences of each file.
   */
  static openRemote(
    store: ObjectStore,
    options?: RemoteOptions & CombineOption & NoEncodings,
  ): Promise<FlashTable>
  static openRemote<const K extends KeyEncoding, const V extends ValueEncoding = undefined>(
    store: ObjectStore,
    options: RemoteOpenOptions<K, V>,
  ): Promise<FlashTable<K, V>>
  static async openRemote(store: ObjectStore, options?: unknown, ...extra: unknown[]): Promise<FlashTable> {
    refuseExtra('openRemote', extra)
    return FlashTable.openRemoteIn(store, options, nodeEnvironment)
  }

  /**
   * `openRemote` on another disk and clock.
   *
   * @internal
   */
  static async openRemoteIn(
    store: ObjectStore,
    options: unknown,
    environment: Environment,
  ): Promise<FlashTable> {
    const resolved = resolveRemoteOptions(options)
    return new FlashTable(
      await TableSession.openRemote(checkStore('openRemote', store), resolved, environment),
    )
  }

  /**
   * Deletes all records, by one manifest change. With bounds (`gt`, `gte`, `lt`, `lte`) all records put before whose key is
   * in the range. Errors as `put`. Cost of a range: a log entry; whole files and pages in it are never read again.
   */
  clear(range?: ClearOptions<KeyIn<K>>, ...extra: never[]): Promise<void> {
    return this.#writes.clear(range, extra)
  }

  /**
   * Replaces `meta` as a whole: a plain JSON object of at most 64 KiB and 32 levels, kept by checkpoints, `clear`,
   * `bulkLoad` and repair. When it resolves, the object and everything put before the call are on the device; in a crash
   * the old one or the new one is left, and the records that were put before. Rejects with `FLASHTABLE_INVALID_VALUE` for
   * what JSON would change or drop, `_DISK_FULL` (nothing changed), `_POISONED`, `_READ_ONLY`. Cost: a sync of the log,
   * and a manifest.
   */
  setMeta(meta: JsonObject, ...extra: never[]): Promise<void> {
    return this.#writes.setMeta(meta, extra)
  }

  /**
   * A reader moves on to the newest state, of a published table to its newest version. Rejects with `FLASHTABLE_READ_ONLY` for
   * a table opened for writing, which always sees it; `_MOVED` if another table is there now; `_UNAVAILABLE`.
   */
  async refresh(options?: RefreshOptions, ...extra: never[]): Promise<void> {
    this.#session.assertOpen()
    refuseExtra('refresh', extra)
    await this.#session.refresh(readRefreshOptions(options))
  }

  /** Counts, sizes, levels, and what was written in the life of the table. */
  async stats(...extra: never[]): Promise<TableStats> {
    this.#session.assertOpen()
    refuseExtra('stats', extra)
    return this.#session.stats()
  }

  /**
   * Closes the table: commits and syncs what was put, aborts running merges, rejects running reads. Idempotent. Rejects
   * with what kept the last sync from succeeding; everything is released in any case.
   */
  close(...extra: never[]): Promise<void> {
    try {
      refuseExtra('close', extra)
      return this.#session.close()
    } catch (error) {
      return Promise.reject(error)
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /**
   * Commits operations that are encoded already, for repair and for partitions.
   *
   * @internal
   */
  commitOperations(call: Call, sync = false): Promise<void> {
    return this.#writes.operations(call, sync)
  }
}
