/**
 * `FlashTable`, the face of the library: checks that the table is open, turns keys and values into lanes, and hands on
 * to the parts. No bytes and no files here. docs/api.md.
 */
import { abortReason } from './async/abort.js'
import { keepAlive } from './async/keep-alive.js'
import { Turns } from './async/turns.js'
import { FlashTableError, callError, outOfRange } from './base/errors.js'
import { publishEvent } from './base/events.js'
import type { TableEvent } from './base/events.js'
import { INSPECT, inspectAs, type Inspect } from './base/inspect.js'
import { bulkLoad, type ColumnSource } from './bulk-load/bulk-load.js'
import type { Call } from './commit/committer.js'
import { appendOperations } from './encoding/given-operations.js'
import { copyOfSchema } from './encoding/stored-schema.js'
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
import { Jobs } from './jobs/jobs.js'
import { invalidOption, refuseExtra } from './options/arguments.js'
import { absolutePath } from './options/location.js'
import {
  resolveLoadOptions,
  resolveOptions,
  type Duplicates,
  type ResolvedLoad,
  type ResolvedOptions,
  type TableOptions,
} from './options/options.js'
import { columnsInTurns } from './query/columns-in-turns.js'
import { findNear, orderHits } from './query/near.js'
import { checkRange } from './query/range-options.js'
import { eachKey, eachRow, stretches, type ScanOptions } from './query/ranges.js'
import { OperationBuffer, type Operations } from './records/operations.js'
import { Pins } from './state/pins.js'
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
import { writeCheckpoint } from './table/checkpoint.js'
import { encodingsOf, type TableEncodings, type TableStatus } from './table/describe.js'
import { nodeEnvironment, type Environment } from './table/environment.js'
import { newTableId } from './table/create-table.js'
import { openReader } from './table/open-reader.js'
import { openTable } from './table/open.js'
import type { TableParts, WriterParts } from './table/table-parts.js'
import { countRecords, tableStats, type TableStats } from './table/stats.js'
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
  #parts: TableParts
  readonly #environment: Environment
  readonly #pins: Pins
  readonly #key: Uint32Array
  /** Reads and compactions in flight: `close` waits for them. */
  readonly #running = new Set<Promise<unknown>>()
  #closed: Promise<void> | undefined
  #status: TableStatus = 'open'
  #declared: TableEncodings | undefined
  #refreshing: Promise<void> | undefined

  private constructor(parts: TableParts, environment: Environment, publish: (event: TableEvent) => void) {
    if (environment === undefined) throw invalidOption('a table is made by FlashTable.open')
    this.#parts = parts
    this.#environment = environment
    this.#pins = new Pins((what, { sequence }) => publish({ kind: 'forgotten', what, sequence }))
    this.#key = new Uint32Array(parts.schema.layout.keyLaneCount)
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
    return FlashTable.#open(directory, textOf(location), resolveOptions(options), environment)
  }

  static async #open(
    directory: string,
    given: string,
    options: ResolvedOptions,
    environment: Environment,
  ): Promise<FlashTable> {
    const publish = (event: TableEvent): void => publishEvent(given, event)
    const parts = await keepAlive(openTable(directory, options, environment, publish))
    const table = new FlashTable(parts, environment, publish)
    if (options.signal?.aborted === true) {
      await table.close().catch(() => {})
      throw abortReason(options.signal)
    }
    return table
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
    const table = await FlashTable.#open(directory, textOf(location), open, environment)
    try {
      await table.#load(source, load)
    } catch (error) {
      await table.close().catch(() => {})
      throw error
    }
    return table
  }

  /** The directory of the table. */
  get location(): string {
    return this.#parts.directory
  }

  /** Whether it was opened for reading alone. */
  get readOnly(): boolean {
    return this.#parts.writer === undefined
  }

  /** `'open'`; `'closing'` from the call of `close()`, `'closed'` when it has settled. */
  get status(): TableStatus {
    return this.#status
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
    return this.#parts.state.manifest.duplicates
  }

  /** What the table was created with: bytes of a page. */
  get pageBytes(): number {
    return this.#parts.state.manifest.pageBytes
  }

  /**
   * How it looks in `JSON.stringify`: what it is, and how many records it has, as `stats()` counts them.
   *
   * @internal
   */
  toJSON(): object {
    // The prototype, or an object made of it, has nothing to tell.
    if (!(#parts in this)) return {}
    const { location, status, readOnly, duplicates, pageBytes } = this
    const { state, schema } = this.#parts
    return {
      location,
      status,
      readOnly,
      schema: copyOfSchema(schema.stored),
      duplicates,
      pageBytes,
      ...countRecords(state),
    }
  }

  /**
   * How it looks in `util.inspect` and `console.log`.
   *
   * @internal
   */
  [INSPECT](depth: number, options: object, inspect: Inspect): string {
    if (!(#parts in this)) return 'FlashTable {}'
    const { location, status, readOnly, keyEncoding, valueEncoding, duplicates, pageBytes } = this
    const { records, recordsAreExact } = countRecords(this.#parts.state)
    const stored = { duplicates, pageBytes, records, recordsAreExact }
    const poisoned = this.#parts.poison.reason
    const fields = {
      location,
      status,
      ...(poisoned === undefined ? {} : { poisoned }),
      readOnly,
      keyEncoding,
      valueEncoding,
      ...stored,
    }
    return inspectAs('FlashTable', fields, depth, options, inspect)
  }

  #encodings(): TableEncodings {
    this.#declared ??= encodingsOf(this.#parts)
    return this.#declared
  }

  /**
   * Adds a record. It is visible and survives the end of the process when the promise resolves, with `sync` a power
   * cut too. Rejects with `FLASHTABLE_INVALID_KEY`, `_INVALID_VALUE`, `_DISK_FULL`, `_POISONED`, `_READ_ONLY`.
   */
  put(key: KeyIn<K>, ...given: ValueArguments<V, WriteOptions>): Promise<void> {
    return this.#commitRow('put', given, 1, (rows, { schema }) => schema.appendPut(rows, key, given[0]))
  }

  /** Deletes all records of the key that were put before. Errors as `put`. Cost: a log entry. */
  del(key: KeyIn<K>, ...given: [options?: WriteOptions]): Promise<void> {
    return this.#commitRow('del', given, 0, (rows, { schema }) => schema.appendDeleteKey(rows, key))
  }

  /** Deletes all records put before that equal this one. Errors as `put`. Cost: a log entry. */
  delRecord(key: KeyIn<K>, ...given: ValueArguments<V, WriteOptions>): Promise<void> {
    return this.#commitRow('delRecord', given, 1, (rows, { schema }) =>
      schema.appendDeleteRecord(rows, key, given[0]),
    )
  }

  /**
   * Hides all records put before whose fields have these values, whatever their key: `delWhere({ id: 42 })`. Several
   * fields mean "and". Errors as `put`. Cost: a log entry; merges drop what is hidden.
   */
  delWhere(where: WhereIn<V>, options?: WriteOptions, ...extra: never[]): Promise<void> {
    return this.#commit('delWhere', options, extra, ({ schema }) => {
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
    return this.#commit('batch', options, extra, ({ schema }) => {
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
    return this.#commit('putColumns', options, extra, ({ schema }) => ({
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
    const { reader, schema } = this.#parts
    const { lanes } = schema.keysToLanes(keys)
    const { hits, starts, ends } = await this.#read(reader.findMany(view, lanes, 1))
    const turns = new Turns()
    const values: (ValueOut<V> | undefined)[] = []
    for (const [i, start] of starts.entries()) {
      if (turns.due()) await turns.take()
      values.push(ends[i] === start ? undefined : this.#value(hits, start))
    }
    return values
  }

  /** Every record of the key, in insertion order. */
  getAll(key: KeyIn<K>, options?: ReadOptions, ...extra: never[]): Promise<ValueOut<V>[]> {
    return this.#find('getAll', key, Infinity, options, extra, rows =>
      rows.count <= VALUES_AT_ONCE ? this.#valuesOldestFirst(rows) : this.#valuesInTurns(rows),
    )
  }

  /** As `get`; blocks where a page must be read from disk. Throws what `get` rejects with. */
  getSync(key: KeyIn<K>, options?: ReadOptions, ...extra: never[]): ValueOut<V> | undefined {
    const rows = this.#findSync('getSync', key, 1, options, extra)
    const value = rows.count === 0 ? undefined : this.#value(rows, 0)
    this.#parts.reader.giveBack(rows)
    return value
  }

  /** As `getAll`; blocks where pages must be read from disk. */
  getAllSync(key: KeyIn<K>, options?: ReadOptions, ...extra: never[]): ValueOut<V>[] {
    return this.#valuesOldestFirst(this.#findSync('getAllSync', key, Infinity, options, extra))
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
    this.#assertOpen()
    refuseExtra('getColumns', extra)
    const { snapshot, within } = readNearOptions(options)
    const view = this.#viewOf(snapshot)
    const { schema, reader } = this.#parts
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
    return (await this.#read(columns)) as HitColumns<V>
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
    const { keyLaneCount } = this.#parts.schema.layout
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
    const { schema } = this.#parts
    for await (const { rows, from, to } of stretches(reader, pin, options)) {
      const ordered = options.reverse ? new OperationBuffer(schema.layout, to - from) : rows
      if (ordered instanceof OperationBuffer && options.reverse) ordered.appendReversed(rows, from, to)
      const start = options.reverse ? 0 : from
      yield schema.lanesToColumns(ordered.lanes, start, start + to - from, true) as ColumnsOut<K, V>
    }
  }

  /** Pins the state of this moment: everything put and resolved so far. Close it to give its files back. */
  snapshot(...extra: never[]): Snapshot {
    this.#assertOpen()
    refuseExtra('snapshot', extra)
    return new Snapshot(this.#pins.pin(this.#parts.state), this)
  }

  /** Everything put before is on the device when it resolves. Rejects with `FLASHTABLE_POISONED`. */
  async sync(...extra: never[]): Promise<void> {
    const { committer } = this.#writer()
    refuseExtra('sync', extra)
    await this.#finish(committer.barrier(true))
  }

  /**
   * Merges everything into one bucket file. Puts and reads go on. Rejects with `signal.reason`, `FLASHTABLE_DISK_FULL`
   * (nothing changed), `_POISONED`. Cost: reads and writes the whole table once.
   */
  async compact(options?: CompactOptions, ...extra: never[]): Promise<void> {
    const { committer, compactor, wal } = this.#writer()
    refuseExtra('compact', extra)
    const control = readCompactOptions(options)
    const takeMemtables = (signal: AbortSignal): Promise<void> =>
      committer.exclusive(() => committer.seal(signal), signal)
    await this.#finish(compactor.compactAll(takeMemtables, control).then(() => wal.trimSpares()))
  }

  /**
   * Makes a copy that can be opened in the new directory `directory`, a table of its own: hard links, or copies where
   * there are none, and what is in memory as a bucket file. Puts go on. A table opened with `readOnly` copies what it
   * shows, also beside a writer. The copy is complete and on the device when it resolves. Rejects with
   * `FLASHTABLE_EXISTS`, `_DISK_FULL`, `_IO_ERROR`, `_CORRUPTION`. Cost: writes the memtable.
   */
  async checkpoint(directory: string | URL, ...extra: never[]): Promise<void> {
    this.#assertOpen()
    refuseExtra('checkpoint', extra)
    await this.#finish(this.#checkpoint(absolutePath(directory, 'directory')))
  }

  /** Deletes all records, by one manifest change. */
  async clear(...extra: never[]): Promise<void> {
    const { committer, compactor, wal } = this.#writer()
    refuseExtra('clear', extra, adviceFor('clear'))
    const { state } = this.#parts
    const empty = async (): Promise<void> => {
      // A clear that fails leaves the log as it was: its segment ends only when the manifest does without it.
      const { segments } = await state.clear()
      wal.rotate()
      await wal.retire(segments)
      await wal.trimSpares()
    }
    // In the order of the calls: a put that comes later is not erased, however long this waits.
    const cleared = committer.inTurn(stopped =>
      compactor.holdMergesAtOnce(() => stopped(() => compactor.holdSeals(empty))),
    )
    await this.#finish(cleared)
  }

  /** A reader moves on to the newest state. Rejects for a table opened for writing, which always sees it. */
  async refresh(...extra: never[]): Promise<void> {
    this.#assertOpen()
    refuseExtra('refresh', extra)
    if (this.#parts.writer !== undefined) {
      throw new FlashTableError(
        'FLASHTABLE_READ_ONLY',
        'refresh() is for tables opened with readOnly; a writer sees every put',
      )
    }
    this.#refreshing ??= this.#finish(this.#refresh()).finally(() => (this.#refreshing = undefined))
    await this.#refreshing
  }

  /** Counts, sizes, levels, and what was written in the life of the table. */
  async stats(...extra: never[]): Promise<TableStats> {
    this.#assertOpen()
    refuseExtra('stats', extra)
    return this.#track(tableStats(this.#parts, this.#pins))
  }

  /**
   * Ends: what was put is committed and synced, running merges are abandoned, running reads reject. Idempotent.
   * Rejects with what kept the last sync from succeeding; everything is let go of nevertheless.
   */
  close(...extra: never[]): Promise<void> {
    try {
      refuseExtra('close', extra)
    } catch (error) {
      return Promise.reject(error)
    }
    this.#closed ??= keepAlive(this.#close().finally(() => (this.#status = 'closed')))
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#status = 'closing'
    const { writer } = this.#parts
    const failures: unknown[] = []
    const attempt = async (step: () => Promise<void> | undefined): Promise<void> => {
      try {
        await step()
      } catch (error) {
        failures.push(error)
      }
    }
    await attempt(() => this.#end(writer))
    await attempt(() => writer?.wal.close())
    // Those of now: a refresh may have ended meanwhile.
    await attempt(() => this.#parts.state.close())
    await attempt(() => writer?.lock.release())
    if (failures.length > 0) throw failures[0]
  }

  /** Waits for what runs; then a writer syncs its log and notes where it ends. */
  async #end(writer: WriterParts | undefined): Promise<void> {
    await writer?.committer.close()
    await writer?.compactor.close()
    await Promise.allSettled(this.#running)
    await writer?.jobs.close()
    await this.#pins.releaseAll()
    if (writer === undefined) return
    const { state, poison } = this.#parts
    const { wal, committer } = writer
    if (poison.latched) {
      // Whoever has not met the failure yet must not take this for the sync that it is not.
      if (wal.syncedSequence < wal.nextSequence || writer.home.moved) throw poison.error()
      return
    }
    await wal.sync()
    await state.installClean(committer.liveSegments())
    await wal.trimSpares()
  }

  async #load(source: ColumnSource<unknown>, load: ResolvedLoad): Promise<void> {
    const writer = this.#writer()
    if (this.#parts.state.manifest.nextSequence > 0) {
      throw new FlashTableError(
        'FLASHTABLE_EXISTS',
        `a bulk load makes a new table: ${this.location} has been written to`,
      )
    }
    await this.#finish(bulkLoad(this.#parts, writer, source, load))
  }

  async #checkpoint(directory: string): Promise<void> {
    const { state, options, writer } = this.#parts
    const jobs = writer?.jobs ?? new Jobs(this.#environment.newExecutor())
    // A refresh lets go of the state.
    const pin = writer === undefined ? this.#pins.pin(state) : undefined
    try {
      // Behind all that was put before.
      await writer?.committer.barrier(false)
      await writeCheckpoint(state, directory, {
        tableId: newTableId(this.#environment),
        jobs,
        filterBitsPerRecord: options.filterBitsPerRecord,
        replace: state.manifest.duplicates === 'replace',
      })
    } finally {
      await pin?.release()
      if (writer === undefined) await jobs.close()
    }
  }

  async #refresh(): Promise<void> {
    const { directory, options, state } = this.#parts
    // The signal was for the open.
    const reopening = { ...options, signal: undefined }
    const parts = await openReader(directory, reopening, this.#environment, state.manifest.tableId)
    this.#parts = parts
    await state.close()
  }

  #assertOpen(): void {
    if (this.#closed !== undefined)
      throw new FlashTableError('FLASHTABLE_NOT_OPEN', `the table ${this.location} is closed`)
  }

  #writer(): WriterParts {
    this.#assertOpen()
    const { writer } = this.#parts
    if (writer === undefined) {
      throw new FlashTableError('FLASHTABLE_READ_ONLY', `the table ${this.location} was opened with readOnly`)
    }
    return writer
  }

  /** Waits for the promise as {@link #track} does; the process lives as long. For what may wait for no call of the system. */
  #finish<T>(promise: Promise<T>): Promise<T> {
    return keepAlive(this.#track(promise))
  }

  /** Waits for the promise, and lets `close` wait for it. */
  async #track<T>(promise: Promise<T>): Promise<T> {
    this.#running.add(promise)
    try {
      return await promise
    } finally {
      this.#running.delete(promise)
    }
  }

  /** `given`: the arguments behind the key; the options stand at `optionsAt`. Hot: mostly there are none. */
  #commitRow(
    call: string,
    given: readonly unknown[],
    optionsAt: number,
    append: (rows: OperationBuffer, parts: TableParts) => void,
  ): Promise<void> {
    try {
      const { committer } = this.#writer()
      const sync = given.length > optionsAt && checkWrite(call, given[optionsAt], given.slice(optionsAt + 1))
      return committer.commitRow(rows => append(rows, this.#parts), sync)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #commit(
    call: string,
    options: unknown,
    extra: readonly unknown[],
    make: (parts: TableParts) => Call,
  ): Promise<void> {
    try {
      const { committer } = this.#writer()
      const sync = checkWrite(call, options, extra)
      const made = make(this.#parts)
      const { memtableRecords } = this.#parts.state.options
      if (made.operations.count > memtableRecords) {
        throw outOfRange(
          'FLASHTABLE_INVALID_VALUE',
          `a batch holds at most memtableBytes, here ${memtableRecords} records; found ${made.operations.count}: ` +
            'use smaller batches, or FlashTable.bulkLoad for a new table',
        )
      }
      if (made.operations.count + made.deletes.length === 0) return committer.barrier(sync)
      return committer.commit(made, sync)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * Commits operations as they are inside, for repair.
   *
   * @internal
   */
  commitOperations(call: Call): Promise<void> {
    return this.#commit('commitOperations', undefined, [], () => call)
  }

  /** The state that a read is of. */
  #view(call: string, options: unknown, extra: readonly unknown[]): View {
    this.#assertOpen()
    if (extra.length > 0) refuseExtra(call, extra, adviceFor(call))
    return options === undefined ? this.#parts.state.view() : this.#viewOf(readSnapshot(call, options))
  }

  #viewOf(snapshot: Snapshot | undefined): View {
    return snapshot === undefined ? this.#parts.state.view() : snapshot.viewFor(this)
  }

  #findSync(
    call: string,
    key: unknown,
    limit: number,
    options: unknown,
    extra: readonly unknown[],
  ): OperationBuffer {
    const view = this.#view(call, options, extra)
    this.#parts.schema.encodeKey(key, this.#key)
    return this.#parts.reader.findSync(view, this.#key, limit)
  }

  /** Answers at once where all is in memory; the next lookup uses the rows, so `answer` keeps none. */
  #find<T>(
    call: string,
    key: unknown,
    limit: number,
    options: unknown,
    extra: readonly unknown[],
    answer: (rows: Operations) => T | Promise<T>,
  ): Promise<T> {
    try {
      const view = this.#view(call, options, extra)
      const { schema, reader } = this.#parts
      schema.encodeKey(key, this.#key)
      const rows = reader.findInMemory(view, this.#key, limit)
      if (rows !== undefined) {
        const answered = answer(rows)
        if (limit === 1) reader.giveBack(rows)
        return Promise.resolve(answered)
      }
      return this.#read(reader.find(view, this.#key, limit)).then(answer)
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
    this.#parts.schema.encodeKey(key, this.#key)
    return this.#read(this.#parts.reader.count(view, this.#key, limit))
  }

  /** Requires: the promise was made while the table was open. */
  async #read<T>(promise: Promise<T>): Promise<T> {
    try {
      const result = await this.#track(promise)
      this.#assertOpen()
      return result
    } catch (error) {
      throw callError(error, `${this.location} cannot be read`)
    }
  }

  #scan(call: string, options: unknown, extra: readonly unknown[]): Parameters<typeof eachRow> {
    this.#assertOpen()
    refuseExtra(call, extra)
    const { snapshot, ...checked } = checkRange(call, this.#parts.schema, options)
    const view = this.#viewOf(optionalSnapshot(snapshot, 'snapshot'))
    // After `close` a scan has no files any more: its next step must not begin.
    const read = async <T>(step: () => Promise<T>): Promise<T> => {
      this.#assertOpen()
      return this.#read(step())
    }
    const scan: ScanOptions = { ...checked, read }
    return [this.#parts.reader, this.#pins.pinView(view, 'scan'), scan]
  }

  #keyOf(rows: Operations, row: number): KeyOut<K> {
    return this.#parts.schema.decodeKey(rows.lanes, row) as KeyOut<K>
  }

  #value(rows: Operations, row: number): ValueOut<V> {
    return this.#parts.schema.decodeValue(rows.lanes, row) as ValueOut<V>
  }

  #valuesOldestFirst(rows: Operations): ValueOut<V>[] {
    return Array.from({ length: rows.count }, (_, i) => this.#value(rows, rows.count - 1 - i))
  }

  async #valuesInTurns(rows: Operations): Promise<ValueOut<V>[]> {
    const turns = new Turns()
    const values: ValueOut<V>[] = []
    for (let row = rows.count - 1; row >= 0; row--) {
      if (turns.due()) await turns.take()
      values.push(this.#value(rows, row))
    }
    return values
  }
}

/** Values that are decoded at once; of more, the event loop turns in between. */
const VALUES_AT_ONCE = 4096

/** The location as it was given, for events. */
function textOf(location: string | URL): string {
  return typeof location === 'string' ? location : location.href
}

/** Refuses what a write does not take, before anything of it is read; whether it waits for the device. */
function checkWrite(call: string, options: unknown, extra: readonly unknown[]): boolean {
  if (extra.length > 0) refuseExtra(call, extra, adviceFor(call))
  return options === undefined ? false : readSync(call, options)
}
