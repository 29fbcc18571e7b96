/**
 * One session of a table, from its open to its close: which calls may run, and what happens to them when it is closed.
 *
 * The face checks and encodes, and the parts do the work. This file has what concerns the table as a whole: refresh,
 * clear, compact, checkpoint, bulk load, close. docs/internals.md, State.
 */
import { abortReason } from '../async/abort.js'
import { keepAlive } from '../async/keep-alive.js'
import { FlashTableError, callError, hasCode, outOfRange } from '../base/errors.js'
import { publishEvent, type TableEvent } from '../base/events.js'
import { bulkLoad, type ColumnSource } from '../bulk-load/bulk-load.js'
import type { Call } from '../commit/committer.js'
import type { GivenColumns } from '../encoding/given-columns.js'
import type { CompactOptions } from '../compaction/compactor.js'
import { Jobs } from '../jobs/jobs.js'
import type { ResolvedLoad, ResolvedOptions, ResolvedStoreOptions } from '../options/options.js'
import type { ResolvedRemoteOptions } from '../options/remote-options.js'
import type { JsonObject } from '../manifest/meta.js'
import type { PublishResult } from '../remote/publisher.js'
import type { Replica } from '../replica/replica.js'
import { Pins } from '../state/pins.js'
import type { View } from '../state/table-state.js'
import type { ObjectStore } from '../store/object-store.js'
import { writeCheckpoint } from './checkpoint.js'
import { closeTable } from './close-table.js'
import { newTableId } from './create-table.js'
import type { TableStatus } from './describe.js'
import type { Environment } from './environment.js'
import { openTable } from './open.js'
import { Publishing, type PublishOptions } from './publish.js'
import { Refreshing } from './refreshing.js'
import { Replicas } from './replicas.js'
import type { ReplicateOptions } from './replicate.js'
import { restoreFirst } from './restore-first.js'
import { RemoteReader } from './remote-reader.js'
import { tableStats, type TableStats } from './stats.js'
import type { TableParts, WriterParts } from './table-parts.js'
import type { RefreshOptions } from './table-types.js'

/** A read of the newest version that is forgotten meanwhile begins again, at most this often. */
const READS_MAX = 20

export class TableSession {
  #parts: TableParts
  readonly pins: Pins
  readonly #environment: Environment
  /** Running calls: `close` waits for them. */
  readonly #running = new Set<Promise<unknown>>()
  #closed: Promise<void> | undefined
  #status: TableStatus = 'open'
  readonly #refreshing: Refreshing
  readonly #publishing = new Publishing()
  readonly #replicas: Replicas
  /** That of {@link openWithStore}. */
  replica: Replica | undefined
  /** The newest version that this session has published, by store. */
  readonly #published = new Map<string, number>()

  private constructor(parts: TableParts, environment: Environment, publish: (event: TableEvent) => void) {
    this.#parts = parts
    this.#environment = environment
    this.#refreshing = new Refreshing({
      parts: () => this.#parts,
      replace: parts => (this.#parts = parts),
      track: promise => this.track(promise),
      environment,
    })
    this.#replicas = new Replicas({
      parts: () => this.#parts,
      refresh: () => this.#refreshing.once(),
      publishing: this.#publishing,
      environment,
    })
    this.pins = new Pins((what, { sequence }) => publish({ kind: 'forgotten', what, sequence }))
  }

  /** `location`: the directory as it was given, for events. Errors: as `openTable`. */
  static async open(
    directory: string,
    location: string,
    options: ResolvedOptions,
    environment: Environment,
  ): Promise<TableSession> {
    const publish = (event: TableEvent): void => publishEvent(location, event)
    return TableSession.#begin(
      openTable(directory, options, environment, publish),
      options,
      environment,
      publish,
    )
  }

  /** Opens a published table where it is. Errors: as `RemoteReader.open`. */
  static async openRemote(
    store: ObjectStore,
    options: ResolvedRemoteOptions,
    environment: Environment,
  ): Promise<TableSession> {
    const publish = (event: TableEvent): void => publishEvent(store.url, event)
    const opening = RemoteReader.open(store, options, environment)
    const session = await TableSession.#begin(opening, options.open, environment, publish)
    void session.#refreshing.follow()
    return session
  }

  static async #begin(
    opening: Promise<TableParts>,
    { signal }: ResolvedOptions,
    environment: Environment,
    publish: (event: TableEvent) => void,
  ): Promise<TableSession> {
    const session = new TableSession(await keepAlive(opening), environment, publish)
    if (signal?.aborted === true) {
      await session.close().catch(() => {})
      throw abortReason(signal)
    }
    return session
  }

  /**
   * Opens a table that is kept in the store, too: what is only there is restored first. Errors: as `open`, a restore and a
   * publish; then nothing is left open.
   */
  static async openWithStore(
    { store, ...replicate }: ResolvedStoreOptions & { readonly store: ObjectStore },
    directory: string,
    location: string,
    options: ResolvedOptions,
    environment: Environment,
  ): Promise<TableSession> {
    const { signal } = options
    const { takeOver } = replicate
    await keepAlive(restoreFirst(store, directory, options, takeOver, environment))
    const session = await TableSession.open(directory, location, options, environment)
    try {
      session.replica = await session.replicate(store, { ...replicate, signal }, true)
      return session
    } catch (error) {
      await session.close().catch(() => {})
      throw error
    }
  }

  /** The current parts. A refresh of a reader replaces them. */
  get parts(): TableParts {
    return this.#parts
  }

  get status(): TableStatus {
    return this.#status
  }

  /** Throws `FLASHTABLE_NOT_OPEN` as soon as `close` has been called. */
  assertOpen(): void {
    if (this.#closed !== undefined)
      throw new FlashTableError('FLASHTABLE_NOT_OPEN', `the table ${this.#parts.directory} is closed`)
  }

  /** The parts of the writer. Throws `FLASHTABLE_READ_ONLY` or `_NOT_OPEN`. */
  writer(): WriterParts {
    this.assertOpen()
    const { writer, directory } = this.#parts
    if (writer === undefined) {
      const how = this.#parts.remote === undefined ? 'with readOnly' : 'by openRemote, which only reads'
      throw new FlashTableError('FLASHTABLE_READ_ONLY', `the table ${directory} was opened ${how}`)
    }
    return writer
  }

  /** Throws as {@link writer}, or `FLASHTABLE_POISONED`. */
  checkWritable(): void {
    this.writer()
    this.#parts.poison.check()
  }

  /** The current state, for a read. */
  view(): View {
    return this.#parts.state.view()
  }

  /** Waits for the promise, and makes `close` wait for it. */
  async track<T>(promise: Promise<T>): Promise<T> {
    this.#running.add(promise)
    try {
      return await promise
    } finally {
      this.#running.delete(promise)
    }
  }

  /** As {@link track}, and keeps the process alive: for calls that may wait for something that is not a system call. */
  finish<T>(promise: Promise<T>): Promise<T> {
    return keepAlive(this.track(promise))
  }

  /** Waits for a read. It rejects if the table is closed meanwhile. Requires: it began while the table was open. */
  async read<T>(promise: Promise<T>): Promise<T> {
    try {
      const result = await this.track(promise)
      this.assertOpen()
      return result
    } catch (error) {
      throw callError(error, `${this.#parts.directory} cannot be read`)
    }
  }

  /** Commits a call of any number of operations. Throws a `RangeError` if it is larger than a memtable. */
  commit(call: Call, sync: boolean): Promise<void> {
    const { committer } = this.writer()
    const { count } = call.operations
    this.#checkRows(count)
    return count + call.deletes.length === 0 ? committer.barrier(sync) : committer.commit(call, sync)
  }

  /** Commits a put of columns that were checked, as {@link commit} does. They are read before it returns. */
  commitColumns(columns: GivenColumns, sync: boolean): Promise<void> {
    const { committer } = this.writer()
    const { rows } = columns
    this.#checkRows(rows)
    if (rows === 0) return committer.barrier(sync)
    const { schema } = this.#parts
    return committer.commitPuts(rows, (lanes, row) => schema.columnsToLanes(columns, lanes, row), sync)
  }

  /** The same for records that are put if their keys have none. Resolves to a 1 for each row that was put. */
  async commitColumnsIfAbsent(columns: GivenColumns, sync: boolean): Promise<Uint8Array<ArrayBuffer>> {
    const { committer } = this.writer()
    const { rows } = columns
    this.#checkRows(rows)
    if (rows > 0) {
      const { schema } = this.#parts
      return committer.commitPutsIfAbsent(
        rows,
        (lanes, row) => schema.columnsToLanes(columns, lanes, row),
        sync,
      )
    }
    await committer.barrier(sync)
    return new Uint8Array()
  }

  #checkRows(count: number): void {
    const { bufferRecords } = this.#parts.state.options
    if (count <= bufferRecords) return
    throw outOfRange(
      'FLASHTABLE_INVALID_VALUE',
      `a batch holds at most bufferBytes, here ${bufferRecords} records; found ${count}: ` +
        'use smaller batches, or FlashTable.bulkLoad for a new table',
    )
  }

  sync(): Promise<void> {
    return this.finish(this.writer().committer.barrier(true))
  }

  compact(options: CompactOptions): Promise<void> {
    const { committer, compactor, wal } = this.writer()
    const takeMemtables = (signal: AbortSignal): Promise<void> =>
      committer.exclusive(() => committer.seal(signal), signal)
    return this.finish(compactor.compactAll(takeMemtables, options).then(() => wal.trimSpares()))
  }

  /**
   * Deletes all records by one change of the manifest. It has a turn among the commits, so that it deletes what was put
   * before the call and nothing else.
   */
  clear(): Promise<void> {
    const { committer, compactor, wal, eventLog } = this.writer()
    const { state } = this.#parts
    const empty = async (): Promise<void> => {
      // The log segment ends only after a manifest without it is installed: a clear that fails leaves the log as it
      // was.
      const { segments } = await state.clear()
      wal.rotate()
      await wal.retire(segments)
      await wal.trimSpares()
      eventLog.note({ event: 'clear', reason: 'whole' })
    }
    const cleared = committer.inTurn(stopped =>
      compactor.holdMergesAtOnce(() => stopped(() => compactor.holdSeals(empty))),
    )
    return this.finish(cleared)
  }

  /** Deletes the records of a range by an operation like any other: `call` has it. */
  async clearRange(call: Call, sync: boolean): Promise<void> {
    const { eventLog } = this.writer()
    await this.commit(call, sync)
    if (call.deletes.length > 0) eventLog.note({ event: 'clear', reason: 'range' })
  }

  /**
   * Replaces the metadata. It has a turn among the commits: everything that was put before the call is on the device
   * before the metadata are, so that they are never ahead of the records.
   */
  setMeta(meta: JsonObject): Promise<void> {
    const { committer, wal } = this.writer()
    const { state } = this.#parts
    const replace = async (): Promise<void> => {
      // Crash: until the new manifest is installed the old metadata stand, beside more records than they tell of.
      await wal.sync()
      await state.installMeta(meta)
    }
    return this.finish(committer.inTurn(stopped => stopped(replace)))
  }

  /** Loads the columns into this table, which must be empty: no operation is in a file or in the log. */
  async load(source: ColumnSource<unknown>, load: ResolvedLoad): Promise<void> {
    const writer = this.writer()
    if (!this.#parts.state.isEmpty) {
      throw new FlashTableError(
        'FLASHTABLE_EXISTS',
        `a bulk load needs an empty table: there is something in ${this.#parts.directory}; ` +
          'clear() the table first, or load into a new directory',
      )
    }
    const { counters } = this.#parts.state
    const [before, startMs] = [counters.read(), this.#environment.now()]
    await this.finish(bulkLoad(this.#parts, writer, source, load))
    const after = counters.read()
    writer.eventLog.note({
      event: 'bulk-load',
      records: after.records - before.records,
      bytes: after.bucketBytes - before.bucketBytes,
      ms: this.#environment.now() - startMs,
    })
  }

  checkpoint(directory: string): Promise<void> {
    return this.finish(this.#checkpoint(directory))
  }

  async #checkpoint(directory: string): Promise<void> {
    const { state, options, writer, remote } = this.#parts
    if (remote !== undefined) {
      throw new FlashTableError(
        'FLASHTABLE_READ_ONLY',
        `${remote.url} is a published table: FlashTable.restore(store, location) makes a copy of it`,
      )
    }
    const jobs = writer?.jobs ?? new Jobs(this.#environment.newExecutor(), state.manifest.mode)
    // A refresh of the reader would release the state.
    const pin = writer === undefined ? this.pins.pin(state) : undefined
    try {
      // The copy holds everything that was put before the call.
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

  async publish(store: ObjectStore, options: PublishOptions | undefined): Promise<PublishResult> {
    const writer = this.writer()
    const startMs = this.#environment.now()
    const publishing = this.#publishing.publish(this.#parts, writer, store, options, this.#environment)
    const result = await this.finish(publishing)
    const { version, uploadedFiles: inputFiles, uploadedBytes: bytes } = result
    // Where nothing has changed, nothing was published.
    if (this.#published.get(store.url) !== version) {
      const ms = this.#environment.now() - startMs
      writer.eventLog.note({ event: 'publish', reason: `version ${version}`, inputFiles, bytes, ms })
    }
    this.#published.set(store.url, version)
    return result
  }

  /** Rejects as {@link Replicas.start}. The replica ends with the table. */
  replicate(store: ObjectStore, options: ReplicateOptions | undefined, poisons = false): Promise<Replica> {
    this.assertOpen()
    return this.finish(this.#replicas.start(store, options, poisons))
  }

  stats(): Promise<TableStats> {
    return this.track(tableStats(this.#parts, this.pins))
  }

  /** Moves a reader on. Rejects as {@link Refreshing.refresh}. */
  async refresh(options: RefreshOptions): Promise<void> {
    this.assertOpen()
    await this.finish(this.#refreshing.refresh(options))
  }

  /**
   * Runs a read of the newest state. Of a published table it may need an object that is gone, because the version was
   * forgotten: then it runs again, on the newest version.
   */
  async readNewest<T>(given: View, read: (view: View) => Promise<T>): Promise<T> {
    for (let view = given, attempt = 1; ; attempt++) {
      try {
        return await this.read(read(view))
      } catch (error) {
        const isExpired = hasCode(error, 'FLASHTABLE_SNAPSHOT_EXPIRED')
        if (!isExpired || this.#parts.remote?.follows !== true || attempt === READS_MAX) throw error
        const { path } = error as FlashTableError
        // Another read, or the clock, may have moved on already. A refresh that runs may have begun too early to see the
        // newer version: then the read fails once more, and the next refresh begins after that.
        if (this.view().version === view.version) await this.track(this.#refreshing.once(path))
        this.assertOpen()
        view = this.view()
      }
    }
  }

  /**
   * Runs a read of a state that is held: of a snapshot, or a step of a scan. An object that it needs may be gone. If the
   * newest manifest still names that, somebody has deleted it, and to begin again would not help: then it is damage.
   */
  async readHeld<T>(reading: Promise<T>): Promise<T> {
    try {
      return await this.read(reading)
    } catch (error) {
      if (hasCode(error, 'FLASHTABLE_SNAPSHOT_EXPIRED') && this.#parts.remote?.follows === true) {
        const { path } = error as FlashTableError
        await this.track(this.#refreshing.once(path)).catch((reason: unknown) => {
          if (hasCode(reason, 'FLASHTABLE_CORRUPTION')) throw reason
        })
      }
      throw error
    }
  }

  /** Idempotent. Rejects as `closeTable` does. */
  close(): Promise<void> {
    this.#closed ??= keepAlive(this.#close().finally(() => (this.#status = 'closed')))
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#status = 'closing'
    await this.#replicas.end()
    this.#refreshing.stop()
    await closeTable({
      parts: () => this.#parts,
      pins: this.pins,
      callsEnded: () => Promise.allSettled(this.#running),
      endPublishing: () => this.#publishing.close(),
    })
  }
}
