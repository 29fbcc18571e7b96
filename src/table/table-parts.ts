/** The parts that an open table consists of, and how each role - writer or reader - makes those that both have. */
import { FlashTableError } from '../base/errors.js'
import type { TableEvent } from '../base/events.js'
import type { Latency } from '../base/latency.js'
import type { Poison } from '../base/poison.js'
import { PageCache } from '../bucket-file/page-cache.js'
import { ReadPace } from '../bucket-file/read-pace.js'
import { sharedPageCache } from '../bucket-file/shared-page-cache.js'
import type { Committer } from '../commit/committer.js'
import type { Compactor } from '../compaction/compactor.js'
import type { WriteBudget } from '../compaction/write-budget.js'
import { Schema } from '../encoding/schema.js'
import type { EventLog } from '../event-log/event-log.js'
import type { Wear } from '../event-log/wear.js'
import { MANIFEST_NAME } from '../io/file-names.js'
import { fileModeText } from '../base/file-mode.js'
import { modedFileSystem } from '../io/moded-file-system.js'
import type { Home } from '../io/home.js'
import type { Jobs } from '../jobs/jobs.js'
import { tableIdBytes } from '../manifest/bucket-file-entry.js'
import { combineOf, type Manifest } from '../manifest/manifest.js'
import type { ResolvedOptions } from '../options/options.js'
import { TableReader } from '../query/reader.js'
import type { RecordLayout } from '../records/record-layout.js'
import type { TableState } from '../state/table-state.js'
import type { WalWriter } from '../wal/writer.js'
import type { RemoteReader } from './remote-reader.js'
import type { Environment } from './environment.js'
import type { RecoveryOptions } from './recovered.js'

/** A key takes four bytes in memory at least, however small it is, so the number of records is limited, too. */
const BUFFER_RECORDS_MAX = 2 ** 26
/** What gathers in memory is cut into memtables of no less than this, ... */
const MEMTABLE_BYTES_MIN = 2 ** 20
/** ... and into no more than that many: each run is one more place where a lookup looks. */
const MEMTABLES_MAX = 8
/** Of a cache of the table's own that was not asked for. */
const WATCHED_CACHE_BYTES = 2 ** 26

export interface TableParts {
  readonly directory: string
  readonly options: ResolvedOptions
  readonly schema: Schema
  readonly poison: Poison
  readonly state: TableState
  readonly reader: TableReader
  /** How fast the table writes. */
  readonly wear: () => Promise<Wear>
  /** `undefined`: opened with `readOnly`. */
  readonly writer: WriterParts | undefined
  /** `undefined`: opened without it. */
  readonly latency: Latency | undefined
  /** What reads it where it is published; `undefined`: it is in a directory. */
  readonly remote: RemoteReader | undefined
}

/** The parts that only a writer has. */
export interface WriterParts {
  readonly wal: WalWriter
  readonly committer: Committer
  readonly compactor: Compactor
  readonly jobs: Jobs
  readonly home: Home
  readonly eventLog: EventLog
  /** `undefined`: what merges write is not limited. */
  readonly budget: WriteBudget | undefined
  readonly lock: TableLock
  /** Tells subscribers and the event log. */
  readonly publish: (event: TableEvent) => void
}

/** The table's lock, and the directory that is held with it. */
export interface TableLock {
  release(): Promise<void>
}

/** The stored schema, checked against the encodings and options that the caller asks for. */
export function openSchema(directory: string, manifest: Manifest, options: ResolvedOptions): Schema {
  const path = `${directory}/${MANIFEST_NAME}`
  for (const name of ['pageBytes', 'duplicates', 'mode'] as const) {
    if (options[name] === undefined || options[name] === manifest[name]) continue
    const isCombined = name === 'duplicates' && combineOf(manifest) !== undefined
    const stored = isCombined ? 'combine' : `${name} ${storedText(name, manifest[name] as number | string)}`
    throw new FlashTableError(
      'FLASHTABLE_SCHEMA_MISMATCH',
      `${path}: the table was created with ${stored}, but ${isCombined ? 'duplicates ' : ''}${storedText(name, options[name])} was given; ` +
        'leave it out',
    )
  }
  return Schema.open(manifest.schema, path, options, combineOf(manifest))
}

/** The value of a stored option. */
function storedText(name: string, value: number | string | undefined): string {
  return name === 'mode' ? fileModeText(value as number) : String(value)
}

/** The page cache of the process, or one of the table's own: if it was asked for, or if freed memory is watched. */
function cacheFor(
  { cacheBytes }: ResolvedOptions,
  { pageBytes }: Manifest,
  memoryFreed: Environment['memoryFreed'],
): PageCache {
  if (cacheBytes === undefined && memoryFreed === undefined) return sharedPageCache(pageBytes)
  return new PageCache(cacheBytes ?? WATCHED_CACHE_BYTES, pageBytes, memoryFreed)
}

/** What recovery and state know about the table. */
export function recoveryOptions(
  directory: string,
  manifest: Manifest,
  { layout }: Schema,
  options: ResolvedOptions,
  { fileSystem, memoryFreed, now, runsPerFlush }: Environment,
): RecoveryOptions {
  const bufferRecords = bufferRecordsOf(options.bufferBytes, layout)
  const memtables = runsPerFlush ?? memtablesOfBuffer(options.bufferBytes)
  return {
    fileSystem: modedFileSystem(fileSystem, manifest.mode),
    directory,
    tableId: tableIdBytes(manifest.tableId),
    layout,
    signal: options.signal,
    pageBytes: manifest.pageBytes,
    cache: cacheFor(options, manifest, memoryFreed),
    pace: new ReadPace(now),
    memoryFreed,
    bufferRecords,
    runsPerFlush: memtables,
    memtableRecords: Math.ceil(bufferRecords / memtables),
  }
}

/** Records that gather in memory, and the most of a batch. */
export function bufferRecordsOf(bufferBytes: number, { recordBytes }: RecordLayout): number {
  return Math.min(BUFFER_RECORDS_MAX, Math.floor(bufferBytes / recordBytes))
}

/** Memtables in which the records gather that are flushed together: several, unless they are small. */
function memtablesOfBuffer(bufferBytes: number): number {
  return Math.max(1, Math.min(MEMTABLES_MAX, Math.floor(bufferBytes / MEMTABLE_BYTES_MIN)))
}

export function newReader(
  { layout, pageBytes }: RecoveryOptions,
  { duplicates }: Manifest,
  { keyRows }: Environment,
  latency: Latency | undefined,
): TableReader {
  return new TableReader({ layout, pageBytes, replace: duplicates === 'replace', keyRows, latency })
}
