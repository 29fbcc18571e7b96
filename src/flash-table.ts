/**
 * `FlashTable`, the face of the library: checks the arguments, turns keys and values into lanes and back, and hands on to
 * the session of the table and its parts. No bytes and no files here. docs/api.md.
 */
import { INSPECT, inspectAs, type Inspect } from './base/inspect.js'
import type { ColumnSource } from './bulk-load/bulk-load.js'
import type { Call } from './commit/committer.js'
import { appendOperations } from './encoding/given-operations.js'
import type { Schema } from './encoding/schema.js'
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
import { invalidOption, refuseExtra } from './options/arguments.js'
import { absolutePath, locationText } from './options/location.js'
import { resolveLoadOptions, resolveOptions, type Duplicates, type TableOptions } from './options/options.js'
import { columnsInTurns } from './query/columns-in-turns.js'
import { findNear, orderHits } from './query/near.js'
import { checkRange } from './query/range-options.js'
import { eachKey, eachRow, batches, type ScanOptions } from './query/ranges.js'
import type { Answer } from './query/reader.js'
import { valuesInTurns } from './query/values-in-turns.js'
import { DELETE_KEY, DELETE_RECORD, OperationBuffer, PUT, type Operations } from './records/operations.js'
import { Snapshot, optionalSnapshot } from './state/snapshot.js'
import type { View } from './state/table-state.js'
import {
  adviceFor,
  checkSource,
  readCompactOptions,
  readNearOptions,
  readSnapshot,
  readSync,
} from './table/call-options.js'
import {
  encodingsOf,
  tableAsFields,
  tableAsJson,
  type TableEncodings,
  type TableStatus,
} from './table/describe.js'
import { nodeEnvironment, type Environment } from './table/environment.js'
import type { TableStats } from './table/stats.js'
import { TableSession } from './table/table-session.js'
import type {
  BatchOperation,
  BulkLoadOptions,
  CompactOptions,
  HitColumns,
  NearColumns,
  OpenOptions,
  RangeOptions,
  ReadOptions,
  ValueArguments,
  WriteOptions,
} from './table/table-types.js'

/**
 * A multimap of fixed-width records in the files of one directory.
 *
 * All methods reject with `FLASHTABLE_NOT_OPEN` once it is closed.
 */
export class FlashTable<K extends KeyEncoding = KeyEncoding, V extends ValueEncoding = ValueEncoding> {
  readonly #session: TableSession
  /** The lanes of the key that is being looked up. */
  readonly #key: Uint32Array
  #declared: TableEncodings | undefined

  private constructor(session: TableSession) {
    if (!(session instanceof TableSession)) throw invalidOption('a table is made by FlashTable.open')
    this.#session = session
    this.#key = new Uint32Array(session.parts.schema.layout.keyLaneCount)
  }

  /**
   * Opens the table in directory `location`, or creates it.
   *
   * An existing table knows its encodings: they may be left out, others are refused (`FLASHTABLE_SCHEMA_MISMATCH`).
   * Rejects with `FLASHTABLE_LOCKED` where another writer has it open, `_NOT_FOUND`, `_EXISTS`, `_CORRUPTION`,
   * `_UNSUPPORTED_FORMAT`, `_DISK_FULL`, `_IO_ERROR`, `_INVALID_OPTION`, or `signal.reason`. Cost: reads the log and all
   * filters and fences; writes the manifest and, after an unclean end, the log's records as a bucket file.
   */
  static open<const K extends KeyEncoding, const V extends ValueEncoding = undefined>(
    location: string | URL,
    options: OpenOptions<K, V>,
  ): Promise<FlashTable<K, V>>
  static open(location: string | URL, options?: TableOptions): Promise<FlashTable>
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
    return new FlashTable(await TableSession.open(directory, locationText(location), resolved, environment))
  }

  /**
   * Builds a table from an (async) iterable of columns, without the log, as one file, all or nothing.
   * Resolves to the open table. Errors as `open` (`FLASHTABLE_EXISTS` where there are records already) and `putColumns`,
   * or what the source throws. Cost: writes everything once where it fits `memoryBytes`, the rest twice.
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

  /** Whether it was opened for reading alone. */
  get readOnly(): boolean {
    return this.#session.parts.writer === undefined
  }

  /** `'open'`; `'closing'` from the call of `close()`, `'closed'` when it has settled. */
  get status(): TableStatus {
    return this.#session.status
  }

  /**
   * What a key is: as it was given to `open`, or as the table was created. It can be given to another open; but an encoding
   * of your own that this open was not given is known by its name alone, and reads no keys.
   */
  get keyEncoding(): K {
    return this.#encodings().keyEncoding as K
  }

  /** What a value is, see `keyEncoding`; `undefined`: the table is a set. */
  get valueEncoding(): V {
    return this.#encodings().valueEncoding as V
  }

  /** What the table was created with: `'keep'` or `'replace'`. */
  get duplicates(): Duplicates {
    return this.#session.parts.state.manifest.duplicates
  }

  /** What the table was created with: bytes of a page. */
  get pageBytes(): number {
    return this.#session.parts.state.manifest.pageBytes
  }

  /**
   * How it looks in `JSON.stringify`: what it is, and how many records it has, as `stats()` counts them.
   *
   * @internal
   */
  toJSON(): object {
    // The prototype, or an object made of it, has nothing to tell.
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
   * Adds a record. It is visible and survives the end of the process when the promise resolves, with `sync` a power
   * cut too. Rejects with `FLASHTABLE_INVALID_KEY`, `_INVALID_VALUE`, `_DISK_FULL`, `_POISONED`, `_READ_ONLY`.
   */
  put(key: KeyIn<K>, ...given: ValueArguments<V, WriteOptions>): Promise<void> {
    return this.#commitRow('put', PUT, key, given, 1)
  }

  /** Deletes all records of the key that were put before. Errors as `put`. Cost: a log entry. */
  del(key: KeyIn<K>, ...given: [options?: WriteOptions]): Promise<void> {
    return this.#commitRow('del', DELETE_KEY, key, given, 0)
  }

  /** Deletes all records put before that equal this one. Errors as `put`. Cost: a log entry. */
  delRecord(key: KeyIn<K>, ...given: ValueArguments<V, WriteOptions>): Promise<void> {
    return this.#commitRow('delRecord', DELETE_RECORD, key, given, 1)
  }

  /**
   * Hides all records put before whose fields have these values, whatever their key: `delWhere({ id: 42 })`. Several
   * fields mean "and". Errors as `put`. Cost: a log entry; merges drop what is hidden.
   */
  delWhere(where: WhereIn<V>, options?: WriteOptions, ...extra: never[]): Promise<void> {
    return this.#commit('delWhere', options, extra, schema => {
      const { lanes, values } = schema.whereLanes(where)
      return { operations: new OperationBuffer(schema.layout, 1), deletes: [{ position: 0, lanes, values }] }
    })
  }

  /** Commits operations as one: all become visible at once and are recovered whole or not at all. Errors as `put`. */
  batch(
    operations: Iterable<BatchOperation<KeyIn<K>, ValueIn<V>>>,
    options?: WriteOptions,
    ...extra: never[]
  ): Promise<void> {
    return this.#commit('batch', options, extra, schema => {
      const rows = new OperationBuffer(schema.layout)
      appendOperations(rows, schema, operations)
      return { operations: rows, deletes: [] }
    })
  }

  /**
   * Adds a record for each row of the columns, as one atomic batch: typed arrays of one length, `key` and one a field
   * (`value` where the value is no struct). They are copied. Errors as `put`; `RangeError` for more than
   * `memtableBytes`.
   */
  putColumns(columns: ColumnsIn<K, V>, options?: WriteOptions, ...extra: never[]): Promise<void> {
    return this.#commit('putColumns', options, extra, schema => ({
      operations: schema.columnsToOperations(columns),
      deletes: [],
    }))
  }

  /** The newest record of the key, or `undefined`. Rejects with `FLASHTABLE_CORRUPTION`, `_IO_ERROR`. Cost: a page read. */
  get(key: KeyIn<K>, options?: ReadOptions, ...extra: never[]): Promise<ValueOut<V> | undefined> {
    return this.#find('get', key, 1, options, extra, rows =>
      rows.count === 0 ? undefined : this.#value(rows, 0),
    )
  }

  /** The newest record of each key, or `undefined`, in the order of the keys. */
  async getMany(
    keys: KeysIn<K>,
    options?: ReadOptions,
    ...extra: never[]
  ): Promise<(ValueOut<V> | undefined)[]> {
    const view = this.#view('getMany', options, extra)
    const { reader, schema } = this.#session.parts
    const { lanes } = schema.keysToLanes(keys)
    const { hits, starts, ends } = await this.#session.read(reader.findMany(view, lanes, 1))
    return valuesInTurns(starts.length, i =>
      ends[i] === starts[i] ? undefined : this.#value(hits, starts[i]!),
    )
  }

  /** Every record of the key, in insertion order. */
  getAll(key: KeyIn<K>, options?: ReadOptions, ...extra: never[]): Promise<ValueOut<V>[]> {
    return this.#find('getAll', key, Infinity, options, extra, rows =>
      rows.count <= VALUES_AT_ONCE
        ? this.#valuesOldestFirst(rows)
        : valuesInTurns(rows.count, i => this.#value(rows, rows.count - 1 - i)),
    )
  }

  /** As `get`; blocks where a page must be read from disk. Throws what `get` rejects with. */
  getSync(key: KeyIn<K>, options?: ReadOptions, ...extra: never[]): ValueOut<V> | undefined {
    const view = this.#view('getSync', options, extra)
    const { schema, reader } = this.#session.parts
    schema.encodeKey(key, this.#key)
    return reader.newestSync(view, this.#key, schema) as ValueOut<V> | undefined
  }

  /** As `getAll`; blocks where pages must be read from disk. */
  getAllSync(key: KeyIn<K>, options?: ReadOptions, ...extra: never[]): ValueOut<V>[] {
    return this.#findSync('getAllSync', key, Infinity, options, extra, rows => this.#valuesOldestFirst(rows))
  }

  /**
   * All records of all keys as columns: `query` (which key, as a position in `keys`) and one a field; in query order,
   * then key order, then insertion order. With `within: r` all records whose key differs by at most r, and a column
   * `key`. The columns belong to the caller. Rejects with `FLASHTABLE_INVALID_KEY`, `_CORRUPTION`, `_IO_ERROR`.
   */
  getColumns(
    keys: KeysIn<K>,
    options: ReadOptions & { readonly within: number | bigint },
  ): Promise<NearColumns<K, V>>
  getColumns(keys: KeysIn<K>, options?: ReadOptions & { readonly within?: undefined }): Promise<HitColumns<V>>
  async getColumns(
    keys: KeysIn<K>,
    options?: ReadOptions & { readonly within?: number | bigint | undefined },
    ...extra: unknown[]
  ): Promise<HitColumns<V>> {
    this.#session.assertOpen()
    refuseExtra('getColumns', extra)
    const { snapshot, within } = readNearOptions(options)
    const view = this.#viewOf(snapshot)
    const { schema, reader } = this.#session.parts
    const { layout } = schema
    const { lanes } = schema.keysToLanes(keys)
    const found =
      within === undefined
        ? reader.findMany(view, lanes, Infinity).then(hits => orderHits(layout, hits))
        : findNear(reader, layout, view, lanes, within)
    const columns = found.then(async ({ query, rows }) => ({
      query,
      ...(await columnsInTurns(schema, rows, within !== undefined)),
    }))
    return (await this.#session.read(columns)) as HitColumns<V>
  }

  /** Whether the key has a record. */
  async has(key: KeyIn<K>, options?: ReadOptions, ...extra: never[]): Promise<boolean> {
    return (await this.#count('has', key, 1, options, extra)) > 0
  }

  /** How many records the key has. */
  async count(key: KeyIn<K>, options?: ReadOptions, ...extra: never[]): Promise<number> {
    return this.#count('count', key, Infinity, options, extra)
  }

  /** `[key, value]` of each record in the range. One consistent state, taken when the iteration starts. */
  async *entries(
    range?: RangeOptions<KeyIn<K>>,
    ...extra: never[]
  ): AsyncGenerator<[KeyOut<K>, ValueOut<V>], void> {
    for await (const { rows, row } of eachRow(...this.#scan('entries', range, extra)))
      yield [this.#keyOf(rows, row), this.#value(rows, row)]
  }

  /** Each key in the range once. */
  async *keys(range?: RangeOptions<KeyIn<K>>, ...extra: never[]): AsyncGenerator<KeyOut<K>, void> {
    const { keyLaneCount } = this.#session.parts.schema.layout
    for await (const { rows, row } of eachKey(...this.#scan('keys', range, extra), keyLaneCount))
      yield this.#keyOf(rows, row)
  }

  /** The value of each record in the range. */
  async *values(range?: RangeOptions<KeyIn<K>>, ...extra: never[]): AsyncGenerator<ValueOut<V>, void> {
    for await (const { rows, row } of eachRow(...this.#scan('values', range, extra)))
      yield this.#value(rows, row)
  }

  /** The records in the range as columns, some thousand rows at a time. The columns belong to the caller. */
  async *scanColumns(
    range?: RangeOptions<KeyIn<K>>,
    ...extra: never[]
  ): AsyncGenerator<ColumnsOut<K, V>, void> {
    const [reader, pin, options] = this.#scan('scanColumns', range, extra)
    const { schema } = this.#session.parts
    for await (const { rows, from, to } of batches(reader, pin, options)) {
      const ordered = options.reverse ? new OperationBuffer(schema.layout, to - from) : rows
      if (ordered instanceof OperationBuffer && options.reverse) ordered.appendReversed(rows, from, to)
      const start = options.reverse ? 0 : from
      yield schema.lanesToColumns(ordered.lanes, start, start + to - from, true) as ColumnsOut<K, V>
    }
  }

  /** Pins the state of this moment: everything put and resolved so far. Close it to release its files. */
  snapshot(...extra: never[]): Snapshot {
    this.#session.assertOpen()
    refuseExtra('snapshot', extra)
    const { pins, parts } = this.#session
    return new Snapshot(pins.pin(parts.state), this)
  }

  /** Everything put before is on the device when it resolves. Rejects with `FLASHTABLE_POISONED`. */
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
   * Makes a copy that can be opened in the new directory `directory`, a table of its own: hard links, or copies where
   * there are none, and what is in memory as a bucket file. Puts go on. A table opened with `readOnly` copies what it
   * shows, also beside a writer. The copy is complete and on the device when it resolves. Rejects with
   * `FLASHTABLE_EXISTS`, `_DISK_FULL`, `_IO_ERROR`, `_CORRUPTION`. Cost: writes the memtable.
   */
  async checkpoint(directory: string | URL, ...extra: never[]): Promise<void> {
    this.#session.assertOpen()
    refuseExtra('checkpoint', extra)
    await this.#session.checkpoint(absolutePath(directory, 'directory'))
  }

  /** Deletes all records, by one manifest change. */
  async clear(...extra: never[]): Promise<void> {
    this.#session.writer()
    refuseExtra('clear', extra, adviceFor('clear'))
    await this.#session.clear()
  }

  /** A reader moves on to the newest state. Rejects for a table opened for writing, which always sees it. */
  async refresh(...extra: never[]): Promise<void> {
    this.#session.assertOpen()
    refuseExtra('refresh', extra)
    await this.#session.refresh()
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

  /** `given`: the arguments after the key. The options are at `optionsAt`. Hot: mostly there are none. */
  #commitRow(
    call: string,
    kind: number,
    key: unknown,
    given: readonly unknown[],
    optionsAt: number,
  ): Promise<void> {
    try {
      this.#session.writer()
      const sync = given.length > optionsAt && checkWrite(call, given[optionsAt], given.slice(optionsAt + 1))
      const { schema } = this.#session.parts
      const record = kind === DELETE_KEY ? schema.encodeDeleteKey(key) : schema.encodeRecord(key, given[0])
      // Asked again: an encoding of the caller may have closed the table.
      return this.#session.writer().committer.commitRow(kind, record, sync)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #commit(
    call: string,
    options: unknown,
    extra: readonly unknown[],
    encode: (schema: Schema) => Call,
  ): Promise<void> {
    try {
      this.#session.writer()
      const sync = checkWrite(call, options, extra)
      return this.#session.commit(encode(this.#session.parts.schema), sync)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * Commits operations that are encoded already, for repair.
   *
   * @internal
   */
  commitOperations(call: Call): Promise<void> {
    return this.#commit('commitOperations', undefined, [], () => call)
  }

  /** The state that a read is of. */
  #view(call: string, options: unknown, extra: readonly unknown[]): View {
    this.#session.assertOpen()
    if (extra.length > 0) refuseExtra(call, extra, adviceFor(call))
    return options === undefined ? this.#session.view() : this.#viewOf(readSnapshot(call, options))
  }

  #viewOf(snapshot: Snapshot | undefined): View {
    return snapshot === undefined ? this.#session.view() : snapshot.viewFor(this)
  }

  #findSync<T>(
    call: string,
    key: unknown,
    limit: number,
    options: unknown,
    extra: readonly unknown[],
    answer: Answer<T>,
  ): T {
    const view = this.#view(call, options, extra)
    const { schema, reader } = this.#session.parts
    schema.encodeKey(key, this.#key)
    return reader.findSync(view, this.#key, limit, answer)
  }

  /** Most keys are answered at once from memory; only where a page must be read does the lookup run as a tracked read. */
  #find<T>(
    call: string,
    key: unknown,
    limit: number,
    options: unknown,
    extra: readonly unknown[],
    answer: Answer<T | Promise<T>>,
  ): Promise<T> {
    try {
      const view = this.#view(call, options, extra)
      const { schema, reader } = this.#session.parts
      schema.encodeKey(key, this.#key)
      return (
        reader.findInMemory(view, this.#key, limit, answer) ??
        this.#session.read(reader.find(view, this.#key, limit)).then(answer)
      )
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #count(
    call: string,
    key: unknown,
    limit: number,
    options: unknown,
    extra: readonly unknown[],
  ): Promise<number> {
    const view = this.#view(call, options, extra)
    const { schema, reader } = this.#session.parts
    schema.encodeKey(key, this.#key)
    return this.#session.read(reader.count(view, this.#key, limit))
  }

  #scan(call: string, options: unknown, extra: readonly unknown[]): Parameters<typeof eachRow> {
    const session = this.#session
    session.assertOpen()
    refuseExtra(call, extra)
    const { snapshot, ...checked } = checkRange(call, session.parts.schema, options)
    const view = this.#viewOf(optionalSnapshot(snapshot, 'snapshot'))
    // After `close` a scan has no files any more: its next step must not begin.
    const read = async <T>(step: () => Promise<T>): Promise<T> => {
      session.assertOpen()
      return session.read(step())
    }
    const scan: ScanOptions = { ...checked, read }
    return [session.parts.reader, session.pins.pinView(view, 'scan'), scan]
  }

  #keyOf(rows: Operations, row: number): KeyOut<K> {
    return this.#session.parts.schema.decodeKey(rows.lanes, row) as KeyOut<K>
  }

  #value(rows: Operations, row: number): ValueOut<V> {
    return this.#session.parts.schema.decodeValue(rows.lanes, row) as ValueOut<V>
  }

  #valuesOldestFirst(rows: Operations): ValueOut<V>[] {
    return Array.from({ length: rows.count }, (_, i) => this.#value(rows, rows.count - 1 - i))
  }
}

/** Values that are decoded at once; of more, the event loop turns in between. */
const VALUES_AT_ONCE = 4096

/** Refuses what a write does not take, before anything of it is read; whether it waits for the device. */
function checkWrite(call: string, options: unknown, extra: readonly unknown[]): boolean {
  if (extra.length > 0) refuseExtra(call, extra, adviceFor(call))
  return options === undefined ? false : readSync(call, options)
}
