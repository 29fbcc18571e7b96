/**
 * Opens a table for writing.
 *
 * The steps: make the directory, take its lock, load or create the manifest, recover what is on disk, wire the parts.
 * A failure releases everything. docs/durability.md, Recovery.
 */
import { throwIfAborted } from '../async/abort.js'
import { FlashTableError } from '../base/errors.js'
import type { TableEvent } from '../base/events.js'
import { Poison } from '../base/poison.js'
import { Committer } from '../commit/committer.js'
import type { Presence } from '../commit/conditional-puts.js'
import { Compactor, type CompactorOptions } from '../compaction/compactor.js'
import { WriteBudget } from '../compaction/write-budget.js'
import { Schema } from '../encoding/schema.js'
import { totalBytes } from '../event-log/event.js'
import { historyIn } from '../event-log/wear.js'
import { MANIFEST_NAME } from '../io/file-names.js'
import { Home } from '../io/home.js'
import { meteredFileSystem } from '../io/metered-file-system.js'
import { guardedExecutor } from '../jobs/guarded-executor.js'
import { Jobs } from '../jobs/jobs.js'
import type { Manifest } from '../manifest/manifest.js'
import { loadManifest } from '../manifest/store.js'
import { assertNoStore } from '../manifest/table-directory.js'
import type { ResolvedOptions } from '../options/options.js'
import { ALL, type TableReader } from '../query/reader.js'
import { LifetimeCounters } from '../state/lifetime-counters.js'
import { newMemtable } from '../state/memtable-pool.js'
import { processBudget } from '../state/buffer-budget.js'
import { TableState } from '../state/table-state.js'
import { WalWriter } from '../wal/writer.js'
import { createTable } from './create-table.js'
import { latencyOf, type Environment } from './environment.js'
import type { RecoveryOptions } from './recovered.js'
import { noteEvents, totalsOf } from './note-events.js'
import { recoverWriter, sparesMax, type RecoveredWriter } from './recover-writer.js'
import {
  newReader,
  openSchema,
  recoveryOptions,
  type TableLock,
  type TableParts,
  type WriterParts,
} from './table-parts.js'

/** An open starts again if its directory was replaced while it waited for the lock, at most this often. */
const ATTEMPTS_MAX = 50

/** What every step of an open for writing works with. */
interface Opening {
  readonly directory: string
  readonly options: ResolvedOptions
  /** With the guarded file system and executor of the held directory, once there is one. */
  readonly environment: Environment
  readonly publish: (event: TableEvent) => void
  readonly poison: Poison
}

/** The same, once the counters are known. */
interface BudgetedOpening extends Opening {
  readonly budget: WriteBudget | undefined
}

/** The directory that is held, and its lock. */
interface Held {
  readonly home: Home
  /** Releases both. */
  readonly lock: TableLock
}

export async function openWriter(
  directory: string,
  options: ResolvedOptions,
  environment: Environment,
  publish: (event: TableEvent) => void,
): Promise<TableParts> {
  await prepareDirectory(directory, options, environment)
  const poison = new Poison()
  const held = await holdDirectory(directory, options, environment, poison)
  const { home, lock } = held
  try {
    throwIfAborted(options.signal)
    await home.settle()
    const guarded: Environment = {
      ...environment,
      fileSystem: home.fileSystem,
      newExecutor: () => guardedExecutor(environment.newExecutor(), home),
    }
    return await openLocked({ directory, options, environment: guarded, publish, poison }, held)
  } catch (error) {
    // The reason why it cannot be opened says more than the reason why LOCK cannot be removed.
    await lock.release().catch(() => {})
    throw error
  }
}

/** Makes the directory if a table may be created. Rejects if there is no table and none may be created. */
async function prepareDirectory(
  directory: string,
  options: ResolvedOptions,
  { fileSystem }: Environment,
): Promise<void> {
  const refuse = (message: string): never => {
    throw new FlashTableError('FLASHTABLE_IO_ERROR', message, { path: directory })
  }
  const info = await fileSystem.info(directory)
  if (info?.kind === 'file') refuse(`${directory}: expected a directory, found a file`)
  // It may be a link. The dot follows it.
  if (info?.kind === 'other' && (await fileSystem.info(`${directory}/.`)) === undefined)
    refuse(`${directory} is a symbolic link to nothing; remove it`)
  const manifest = info && (await fileSystem.info(`${directory}/${MANIFEST_NAME}`))
  if (manifest === undefined && !options.createIfMissing)
    throw new FlashTableError('FLASHTABLE_NOT_FOUND', `there is no table in ${directory}`)
  if (info !== undefined) {
    if (manifest === undefined) await assertNoStore(fileSystem, directory)
    return
  }
  // Throws if the options say too little to create a table.
  if (options.keyEncoding === undefined) Schema.create(options)
  await fileSystem.makeDirectory(directory, options.mode)
}

/** Holds the directory and takes its lock; starts again if another directory has its path by then. */
async function holdDirectory(
  directory: string,
  { lockTimeoutMs: timeoutMs, signal }: ResolvedOptions,
  { fileSystem, acquireLock }: Environment,
  poison: Poison,
): Promise<Held> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const home = await Home.hold(fileSystem, directory, error => poison.latch(error))
    let lock: TableLock = { release: () => home.close() }
    try {
      const held = await acquireLock(directory, { timeoutMs, signal })
      lock = { release: () => held.release().finally(() => home.close()) }
      if (await home.isThere()) return { home, lock }
    } catch (error) {
      await lock.release().catch(() => {})
      throw error
    }
    await lock.release()
  }
  throw new FlashTableError(
    'FLASHTABLE_IO_ERROR',
    `${directory} was another directory ${ATTEMPTS_MAX} times while it was being opened: somebody replaces it ` +
      'again and again, or its file system gives it a new number each time and cannot hold a table',
    { path: directory },
  )
}

async function openLocked(opening: Opening, held: Held): Promise<TableParts> {
  const { directory, options, environment, poison } = opening
  const loaded = await loadManifest(environment.fileSystem, directory)
  if (loaded !== undefined && options.errorIfExists)
    throw new FlashTableError('FLASHTABLE_EXISTS', `there is already a table in ${directory}`)
  const schema =
    loaded === undefined ? Schema.create(options) : openSchema(directory, loaded.manifest, options)
  const manifest = loaded?.manifest ?? (await createTable(directory, schema, options, environment, poison))
  const counters = new LifetimeCounters(manifest.counters, schema.layout.recordBytes)
  const written = { directory, onWritten: counters.countBuckets }
  const budgeted = { ...opening, budget: await openBudget(opening, counters) }
  const jobs = new Jobs(environment.newExecutor(), manifest.mode, written)
  try {
    const recovery = recoveryOptions(directory, manifest, schema, options, environment)
    if (loaded === undefined) {
      const parts = wire(budgeted, held, schema, jobs, recovery, newTable(recovery, manifest), counters)
      parts.writer.eventLog.note({ event: 'open', reason: 'created' })
      return parts
    }
    const { recovered, event } = await recover(budgeted, recovery, manifest, jobs, counters)
    const parts = wire(budgeted, held, schema, jobs, recovery, recovered, counters)
    parts.writer.eventLog.note({ event: 'open' })
    parts.writer.publish(event)
    return parts
  } catch (error) {
    await jobs.close()
    throw error
  }
}

/** The budget of what is written, if there is one. What the last day took of it is taken: an open does not renew it. */
async function openBudget(
  { directory, options: { writeBudget }, environment: { fileSystem, date, now } }: Opening,
  counters: LifetimeCounters,
): Promise<WriteBudget | undefined> {
  if (writeBudget === undefined) return undefined
  const nowMs = date()
  const writtenBytes = (): number => totalBytes(totalsOf(counters).written)
  const history = await historyIn(fileSystem, directory, nowMs)
  const { lastDay } = history.wear(nowMs, writtenBytes())
  return new WriteBudget({ ...writeBudget, usedBytes: lastDay.bytes, now, writtenBytes })
}

/** The contents of a table that was just created. */
function newTable(recovery: RecoveryOptions, manifest: Manifest): RecoveredWriter {
  const active = newMemtable(recovery, manifest.nextSequence)
  return { manifest, files: [], sealed: [], active, spares: [], operationsReplayed: 0, bytesWritten: 0 }
}

async function recover(
  { options, poison, budget, environment }: BudgetedOpening,
  recovery: RecoveryOptions,
  manifest: Manifest,
  jobs: Jobs,
  counters: LifetimeCounters,
): Promise<{ recovered: RecoveredWriter; event: TableEvent }> {
  const { filterBitsPerRecord, fanout } = options
  const startMs = environment.now()
  const recovered = await recoverWriter(
    {
      ...recovery,
      jobs,
      poison,
      counters,
      replace: manifest.duplicates === 'replace',
      filterBitsPerRecord,
      fanout,
      mergeOverdue: budget === undefined || budget.waitMs === 0,
    },
    manifest,
  )
  const { operationsReplayed: operations, bytesWritten } = recovered
  const durationMs = environment.now() - startMs
  const reason = manifest.clean ? 'after-close' : 'after-crash'
  return { recovered, event: { kind: 'recovery', reason, operations, bytesWritten, durationMs } }
}

/** Makes the parts of a writer and connects them: state, log, compactor, committer, reader. */
function wire(
  opening: BudgetedOpening,
  { home, lock }: Held,
  schema: Schema,
  jobs: Jobs,
  recovery: RecoveryOptions,
  recovered: RecoveredWriter,
  counters: LifetimeCounters,
): TableParts & { readonly writer: WriterParts } {
  const { directory, options, environment, publish: tell, poison, budget } = opening
  const { manifest } = recovered
  const onBuffered = joinBudget(environment, () => void flushSoon(committer, compactor))
  const latency = latencyOf(options, environment)
  const state = new TableState({ ...recovery, poison, onBuffered }, recovered, counters)
  const { eventLog, publish, countLog } = noteEvents(state, options.eventLog, environment, latency, tell)
  const wal = new WalWriter({
    fileSystem: meteredFileSystem(recovery.fileSystem, countLog),
    directory,
    tableId: recovery.tableId,
    layout: schema.layout,
    pageBytes: manifest.pageBytes,
    epoch: manifest.epoch,
    segmentBytes: options.walBytes,
    takeFileNumber: () => state.takeFileNumber(),
    nextSequence: state.active.memtable.endSequence,
    spares: [...recovered.spares],
    sparesMax: sparesMax(recovery.runsPerFlush),
    poison,
    checkHome: () => home.check(),
    latency,
  })
  const compactor = newCompactor(opening, recovery, { state, jobs, wal, publish })
  const reader = newReader(recovery, manifest, environment, latency)
  const committer: Committer = new Committer({
    state,
    wal,
    poison,
    layout: schema.layout,
    memtableRecords: recovery.memtableRecords,
    syncIntervalMs: options.syncIntervalMs,
    presence: presenceIn(state, reader),
    seals: compactor,
    wait: environment.wait,
    publish,
    latency,
  })
  compactor.wake()
  return {
    directory,
    options,
    schema,
    poison,
    state,
    reader,
    wear: () => eventLog.wear(),
    writer: { wal, committer, compactor, jobs, home, eventLog, budget, lock, publish },
    latency,
    remote: undefined,
  }
}

function newCompactor(
  { options, environment, budget }: BudgetedOpening,
  { runsPerFlush }: RecoveryOptions,
  { wal, ...parts }: Pick<CompactorOptions, 'state' | 'jobs' | 'publish'> & { readonly wal: WalWriter },
): Compactor {
  return new Compactor({
    ...parts,
    fanout: options.fanout,
    runsPerFlush,
    filterBitsPerRecord: options.filterBitsPerRecord,
    replace: parts.state.manifest.duplicates === 'replace',
    retireSegments: numbers => wal.retire(numbers),
    syncLog: () => wal.sync(),
    wait: environment.wait,
    now: environment.now,
    budget,
  })
}

/** What conditional puts ask for. */
function presenceIn(state: TableState, reader: TableReader): Presence {
  return {
    hasEach: keys => reader.hasEach(state.view(), keys),
    recordsOf: key => reader.find(state.view(), key, ALL),
  }
}

/** Gives what is told how much waits in memory here, of all tables; `flushEarly`: called when others need it. */
function joinBudget({ budget = processBudget() }: Environment, flushEarly: () => void) {
  const share = budget.join({ flushEarly })
  return (bytes: number): void => share.set(bytes)
}

/** Seals what is in memory, and flushes it soon. Never rejects. */
async function flushSoon(committer: Committer, compactor: Compactor): Promise<void> {
  try {
    await committer.exclusive(() => committer.seal())
    compactor.flushEarly()
  } catch {
    // The table is being closed, or is poisoned: other calls tell why.
  }
}
