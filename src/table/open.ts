/**
 * Opens a table: checks the options, takes the lock, creates or recovers, and wires the parts.
 *
 * The only place that knows them all; `flash-table.ts` is the face of what is made here.
 */
import { Buffer } from 'node:buffer'
import { dirname } from 'node:path'
import { performance } from 'node:perf_hooks'
import { throwIfAborted } from '../async/abort.js'
import { FlashTableError, callError, codeOf, diskError, hasCode } from '../base/errors.js'
import type { TableEvent } from '../base/events.js'
import { Poison, latchedReason } from '../base/poison.js'
import { PageCache } from '../bucket-file/page-cache.js'
import { Committer } from '../commit/committer.js'
import { Compactor } from '../compaction/compactor.js'
import { Schema } from '../encoding/schema.js'
import { MANIFEST_NAME } from '../io/file-names.js'
import { Home, movedError } from '../io/home.js'
import { meteredFileSystem } from '../io/metered-file-system.js'
import { guardedExecutor } from '../jobs/guarded-executor.js'
import { Jobs } from '../jobs/jobs.js'
import { tableIdBytes } from '../manifest/bucket-file-entry.js'
import { countingItself, type Manifest } from '../manifest/manifest.js'
import { installManifest, loadManifest } from '../manifest/store.js'
import { DEFAULT_DUPLICATES, DEFAULT_PAGE_BYTES, type ResolvedOptions } from '../options/options.js'
import { TableReader } from '../query/reader.js'
import { newMemtable } from '../state/memtable-pool.js'
import { TableState } from '../state/table-state.js'
import { WalWriter } from '../wal/writer.js'
import type { Environment } from './environment.js'
import {
  assertNoTableFiles,
  recoverReader,
  recoverWriter,
  type Recovered,
  type RecoveryOptions,
} from './recovery.js'

/** A lane takes four bytes in memory, however small the field: records of a few bytes are limited by count. */
const MEMTABLE_RECORDS_MAX = 2 ** 26
/** An open that finds the directory exchanged while it waited for the lock starts over so often. */
const OPEN_ATTEMPTS = 50
/** Bytes of the random id that goes into all checksums. */
const TABLE_ID_BYTES = 16

/** A writer's parts. */
export interface WriterParts {
  readonly wal: WalWriter
  readonly committer: Committer
  readonly compactor: Compactor
  readonly jobs: Jobs
  readonly home: Home
  readonly lock: { release(): Promise<void> }
  /** Counters of the whole life of the table, up to now. */
  readonly counters: () => Manifest['counters']
}

export interface TableParts {
  readonly directory: string
  readonly options: ResolvedOptions
  readonly schema: Schema
  readonly poison: Poison
  readonly state: TableState
  readonly reader: TableReader
  /** `undefined`: opened with `readOnly`. */
  readonly writer: WriterParts | undefined
}

/** Opens the table in an absolute path. Errors: docs/api.md, `FlashTable.open`, but for wrong options. */
export async function openTable(
  directory: string,
  options: ResolvedOptions,
  environment: Environment,
  publish: (event: TableEvent) => void,
): Promise<TableParts> {
  // Before anything is made, or another writer is waited for.
  Schema.check(options)
  throwIfAborted(options.signal)
  try {
    if (options.readOnly) return await openReader(directory, options, environment)
    return await openWriter(directory, options, environment, publish)
  } catch (error) {
    // Whatever an abort has made of a call that it ended.
    throwIfAborted(options.signal)
    throw ownError(error, directory)
  }
}

/**
 * Opens for reading: takes no lock, writes nothing. `tableId`: of the table that it must be, of a reader that goes on;
 * `FLASHTABLE_MOVED` where it is another one.
 */
export async function openReader(
  directory: string,
  options: ResolvedOptions,
  environment: Environment,
  tableId?: string,
): Promise<TableParts> {
  const { fileSystem } = environment
  let schema!: Schema
  const poison = new Poison()
  const optionsFor = (manifest: Manifest): RecoveryOptions => {
    if (tableId !== undefined && manifest.tableId !== tableId)
      throw movedError(directory, 'another table has taken its place')
    schema = openSchema(directory, manifest, options)
    return recoveryOptions(directory, manifest, schema, options, environment)
  }
  const recovered = await recoverReader(optionsFor, fileSystem, directory)
  const state = newState(recovered, recovered.options, poison)
  return {
    directory,
    options,
    schema,
    poison,
    state,
    reader: newReader(recovered.options, recovered.manifest),
    writer: undefined,
  }
}

async function openWriter(
  directory: string,
  options: ResolvedOptions,
  environment: Environment,
  publish: (event: TableEvent) => void,
): Promise<TableParts> {
  await prepareDirectory(directory, options, environment)
  const poison = new Poison()
  const { home, lock } = await takeDirectory(directory, options, environment, poison)
  try {
    throwIfAborted(options.signal)
    await home.settle()
    const guarded: Environment = {
      ...environment,
      fileSystem: home.fileSystem,
      newExecutor: () => guardedExecutor(environment.newExecutor(), home),
    }
    return await openLocked(directory, options, guarded, { home, lock, poison }, publish)
  } catch (error) {
    // What kept it from opening tells more than what keeps LOCK from being removed.
    await lock.release().catch(() => {})
    throw error
  }
}

/** The directory that is held, and its lock: releasing it lets go of both. */
async function takeDirectory(
  directory: string,
  { lockTimeoutMs: timeoutMs, signal }: ResolvedOptions,
  { fileSystem, acquireLock }: Environment,
  poison: Poison,
): Promise<Pick<Locked, 'home' | 'lock'>> {
  for (let attempt = 1; ; attempt++) {
    const home = await Home.hold(fileSystem, directory, error => poison.latch(error))
    let lock: Locked['lock'] = { release: () => home.close() }
    try {
      const held = await acquireLock(directory, { timeoutMs, signal })
      lock = { release: () => held.release().finally(() => home.close()) }
      if (await home.isThere()) return { home, lock }
    } catch (error) {
      await lock.release().catch(() => {})
      throw error
    }
    // While it waited for the lock, another directory took the place: that one is what is asked for now.
    await lock.release()
    if (attempt === OPEN_ATTEMPTS) {
      throw new FlashTableError(
        'FLASHTABLE_IO_ERROR',
        `${directory} was another directory ${OPEN_ATTEMPTS} times while it was being opened: somebody exchanges it ` +
          'again and again, or its file system numbers it anew each time and can hold no table',
        { path: directory },
      )
    }
  }
}

/** Makes the directory where a table may be created; says so where none is and none may be. */
async function prepareDirectory(
  directory: string,
  options: ResolvedOptions,
  { fileSystem }: Environment,
): Promise<void> {
  const info = await fileSystem.info(directory)
  if (info !== undefined && info.kind === 'file') {
    throw new FlashTableError('FLASHTABLE_IO_ERROR', `${directory}: expected a directory, found a file`, {
      path: directory,
    })
  }
  // What stands there may be a link; by the dot it is followed.
  if (info?.kind === 'other' && (await fileSystem.info(`${directory}/.`)) === undefined) {
    throw new FlashTableError(
      'FLASHTABLE_IO_ERROR',
      `${directory} is a symbolic link to nothing; remove it`,
      {
        path: directory,
      },
    )
  }
  if (!options.createIfMissing) {
    if (info === undefined || (await fileSystem.info(`${directory}/${MANIFEST_NAME}`)) === undefined) {
      throw new FlashTableError('FLASHTABLE_NOT_FOUND', `there is no table in ${directory}`)
    }
  }
  if (info !== undefined) return
  // Throws where there is nothing to create a table with.
  if (options.keyEncoding === undefined) Schema.create(options)
  await fileSystem.makeDirectory(directory)
}

/** What an open for writing has got before it looks at the table. */
interface Locked {
  readonly home: Home
  readonly lock: { release(): Promise<void> }
  readonly poison: Poison
}

async function openLocked(
  directory: string,
  options: ResolvedOptions,
  environment: Environment,
  { home, lock, poison }: Locked,
  publish: (event: TableEvent) => void,
): Promise<TableParts> {
  const { fileSystem } = environment
  const loaded = await loadManifest(fileSystem, directory)
  if (loaded !== undefined && options.errorIfExists) {
    throw new FlashTableError('FLASHTABLE_EXISTS', `there is a table in ${directory} already`)
  }
  const schema =
    loaded === undefined ? Schema.create(options) : openSchema(directory, loaded.manifest, options)
  const jobs = new Jobs(environment.newExecutor(), directory)
  try {
    const base = loaded?.manifest ?? (await createTable(directory, schema, options, environment, poison))
    const recovery = recoveryOptions(directory, base, schema, options, environment)
    const replace = base.duplicates === 'replace'
    const startMs = performance.now()
    const recovered =
      loaded === undefined
        ? newTable(recovery, base)
        : await recoverWriter(recovery, base, {
            jobs,
            poison,
            replace,
            filterBitsPerRecord: options.filterBitsPerRecord,
            fanout: options.fanout,
          })
    if (loaded !== undefined) {
      const { operations, bytesWritten } = recovered.replayed
      publish({ kind: 'recovery', operations, bytesWritten, durationMs: performance.now() - startMs })
    }
    const state = newState(recovered, recovery, poison)
    let walBytes = 0
    const wal = new WalWriter({
      fileSystem: meteredFileSystem(fileSystem, bytes => (walBytes += bytes)),
      directory,
      tableId: recovery.tableId,
      layout: schema.layout,
      pageBytes: base.pageBytes,
      epoch: recovered.manifest.epoch,
      segmentBytes: options.walBytes,
      takeFileNumber: () => state.takeFileNumber(),
      nextSequence: recovered.active.memtable.endSequence,
      spares: [...recovered.spares],
      poison,
      checkHome: () => home.check(),
    })
    const atOpen = recovered.manifest.counters
    const counters = (): Manifest['counters'] => ({
      walBytes: atOpen.walBytes + walBytes,
      bucketBytes: base.counters.bucketBytes + jobs.bytesWritten,
      manifestBytes: state.manifestBytes,
      records: atOpen.records + committer.recordsPut,
      recordBytes: atOpen.recordBytes + committer.recordsPut * schema.layout.recordBytes,
    })
    const compactor: Compactor = new Compactor({
      state,
      jobs,
      fanout: options.fanout,
      filterBitsPerRecord: options.filterBitsPerRecord,
      replace,
      counters,
      retireSegments: numbers => wal.retire(numbers),
      wait: environment.wait,
      publish,
    })
    const committer: Committer = new Committer({
      state,
      wal,
      poison,
      layout: schema.layout,
      memtableRecords: recovery.memtableRecords,
      syncIntervalMs: options.syncIntervalMs,
      onSealed: () => compactor.wake(),
      sealFinished: () => compactor.sealFinished(),
      publish,
    })
    compactor.wake()
    const reader = newReader(recovery, base)
    return {
      directory,
      options,
      schema,
      poison,
      state,
      reader,
      writer: { wal, committer, compactor, jobs, home, lock, counters },
    }
  } catch (error) {
    await jobs.close()
    throw error
  }
}

/** The first manifest. Crash: before its rename there is no table, only a directory. */
export async function createTable(
  directory: string,
  schema: Schema,
  options: Pick<ResolvedOptions, 'pageBytes' | 'duplicates'>,
  environment: Environment,
  poison: Poison,
): Promise<Manifest> {
  const { fileSystem } = environment
  await assertNoTableFiles(fileSystem, directory)
  const manifest = countingItself({
    tableId: newTableId(environment),
    epoch: 1,
    schema: { ...schema.stored },
    pageBytes: options.pageBytes ?? DEFAULT_PAGE_BYTES,
    duplicates: options.duplicates ?? DEFAULT_DUPLICATES,
    files: [],
    log: { closed: [], firstSegment: 1 },
    firstLogSequence: 0,
    nextSequence: 0,
    nextFileNumber: 1,
    clean: false,
    counters: { walBytes: 0, bucketBytes: 0, manifestBytes: 0, recordBytes: 0, records: 0 },
  })
  // Crash: the directory may be new, made by an open that was cut off or by the user; without its entry all is lost.
  await fileSystem.syncDirectory(dirname(directory)).catch((error: unknown) => {
    // A parent that may not be read cannot be opened to be synced; its entry is older than this process.
    if (!hasCode(error, 'EACCES')) throw error
  })
  await installManifest(fileSystem, directory, manifest, poison)
  return manifest
}

/** The id of a table that is made now: no file of another one passes for one of its files. */
export function newTableId({ randomBytes }: Environment): string {
  return Buffer.from(randomBytes(TABLE_ID_BYTES)).toString('hex')
}

function newTable(options: RecoveryOptions, manifest: Manifest): Recovered {
  return {
    manifest,
    files: [],
    sealed: [],
    active: newMemtable(options, manifest.nextSequence),
    spares: [],
    replayed: { operations: 0, bytesWritten: 0 },
  }
}

function newState(recovered: Recovered, options: RecoveryOptions, poison: Poison): TableState {
  const { manifest, files, sealed, active } = recovered
  return new TableState({ ...options, poison }, manifest, files, sealed, active)
}

function newReader(options: RecoveryOptions, manifest: Manifest): TableReader {
  const { layout, pageBytes } = options
  return new TableReader({ layout, pageBytes, replace: manifest.duplicates === 'replace' })
}

function recoveryOptions(
  directory: string,
  manifest: Manifest,
  schema: Schema,
  options: ResolvedOptions,
  { fileSystem, memoryFreed }: Environment,
): RecoveryOptions {
  return {
    fileSystem,
    directory,
    tableId: tableIdBytes(manifest.tableId),
    layout: schema.layout,
    signal: options.signal,
    pageBytes: manifest.pageBytes,
    cache: new PageCache(options.cacheBytes, manifest.pageBytes, memoryFreed),
    memoryFreed,
    memtableRecords: Math.min(
      MEMTABLE_RECORDS_MAX,
      Math.floor(options.memtableBytes / schema.layout.recordBytes),
    ),
  }
}

/** The stored schema and stored options, checked against what the caller asks for. */
function openSchema(directory: string, manifest: Manifest, options: ResolvedOptions): Schema {
  const path = `${directory}/${MANIFEST_NAME}`
  for (const name of ['pageBytes', 'duplicates'] as const) {
    if (options[name] === undefined || options[name] === manifest[name]) continue
    throw new FlashTableError(
      'FLASHTABLE_SCHEMA_MISMATCH',
      `${path}: the table was created with ${name} ${manifest[name]}, asked for is ${options[name]}; leave it out`,
    )
  }
  return Schema.open(manifest.schema, path, options)
}

/**
 * Errors of Node's file system become ours, and so do memory that is lacking and a latch of a table that never opened; others
 * stay what they are.
 */
function ownError(error: unknown, directory: string): unknown {
  const reason = latchedReason(error)
  const code = codeOf(reason)
  const what = `${directory} cannot be opened`
  if (code === undefined) return callError(reason, what)
  return code.startsWith('FLASHTABLE_') ? reason : diskError(reason, what)
}
