/**
 * The options of one open: names, types, bounds and defaults, checked once at the edge.
 *
 * `pageBytes` and `duplicates` are stored when a table is created and stay `undefined` here if the caller left them
 * out. The encodings pass through untouched: encoding/ checks them. docs/api.md, Options.
 */
import { isFileMode } from '../base/file-mode.js'
import process from 'node:process'
import {
  invalidOption,
  optionalBoolean,
  optionalCallback,
  optionalSignal,
  outside,
  readOptions,
  unexpected,
  type Check,
  type Checked,
} from './arguments.js'
import { optionalDuration, optionalInterval } from './duration.js'
import { optionalKeep, type KeptPeriods } from './kept-periods.js'

/** `'keep'`: a multimap, every put adds a record. `'replace'`: a put replaces all older records of its key. */
export type Duplicates = 'keep' | 'replace'

/** What makes one value of those that a field has in the records of a key. */
export type CombineOperator = 'sum' | 'min' | 'max' | 'or' | 'and' | 'first' | 'last'

export const COMBINE_OPERATORS: readonly CombineOperator[] = [
  'sum',
  'min',
  'max',
  'or',
  'and',
  'first',
  'last',
]

/** How the records of a key become one: an operator for each field of the value. */
export type CombineFields = Readonly<Record<string, CombineOperator>>

/** The options of `FlashTable.open` besides the encodings. */
export interface TableOptions {
  /**
   * Opens without the lock and without writing anything; the table may be open for writing elsewhere. Default: false.
   */
  readonly readOnly?: boolean | undefined
  /** Whether a missing table is created. Default: true; with `readOnly`: false. */
  readonly createIfMissing?: boolean | undefined
  /** Whether an existing table is an error, `FLASHTABLE_EXISTS`. Default: false. */
  readonly errorIfExists?: boolean | undefined
  /** How long to wait for another writer to close, in milliseconds; `Infinity` waits forever. Default: 0. */
  readonly lockTimeoutMs?: number | undefined
  /** Bytes of raw records that gather in memory before they become a bucket file. Default: 128 MiB. */
  readonly bufferBytes?: number | undefined
  /** Bytes of a segment of the write-ahead log: one that is full ends. Default: 16 MiB. */
  readonly walBytes?: number | undefined
  /**
   * Bytes of pages of bucket files that are kept in memory, of this table alone. Default: the table shares the cache of
   * the process, an eighth of the memory that is available when the first table is opened, 64 MiB to 4 GiB.
   */
  readonly cacheBytes?: number | undefined
  /**
   * A sync starts at most this many milliseconds after a write; no put waits for it. 0: after each commit group;
   * `Infinity`: never by time. Default: 5000.
   */
  readonly syncIntervalMs?: number | undefined
  /** Filter bits for each record in new bucket files, 0 for no filter. Default: 10. */
  readonly filterBitsPerRecord?: number | undefined
  /** How many bucket files of a level are merged into one of the next. Default: 16. */
  readonly fanout?: number | undefined
  /** Whether what happens is noted in `LOG.jsonl`, see `readEventLog`. Default: true. */
  readonly eventLog?: boolean | undefined
  /**
   * What the table may write: background merges wait while it has written more, after a burst of a day at most. Nothing
   * else waits. Default: no limit.
   */
  readonly writeBudget?: { readonly bytesPerDay: number } | undefined
  /** Ends a waiting or running open: it rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined
  /** Stored at creation: bytes of a page, a power of two. Default: 4096, or what the table was created with. */
  readonly pageBytes?: number | undefined
  /** Stored at creation: see {@link Duplicates}. Default: `'keep'`, or what the table was created with. */
  readonly duplicates?: Duplicates | undefined
  /**
   * Stored at creation: permissions of all files, whatever the umask is; directories that are made let in who may read.
   * 0o600, with nothing, 4 or 6 for the group and for others. Default: 0o600, or what the table was created with.
   */
  readonly mode?: number | undefined
  /** Whether `stats().latency` tells how long puts, commits, syncs and lookups take. Default: false. */
  readonly latency?: boolean | undefined
}

/** The option `combine` where the fields are not known to the compiler. */
export interface CombineOption {
  /**
   * Stored at creation, instead of `duplicates`: an operator for each field of the value. The records of a key become one.
   * Default: none, or what the table was created with.
   */
  readonly combine?: CombineFields | undefined
}

/** What `FlashTable.bulkLoad` takes besides the options of an open. */
export interface LoadOptions {
  /**
   * Bytes of memory in which records may wait for the rest. Further records wait on the disk, and so are written twice.
   * Memtables take additional memory: two for each thread, and one. Default: a quarter of the available memory.
   */
  readonly memoryBytes?: number | undefined
  /**
   * Called from time to time while the file is built, after the source has ended, with the records in the file so far
   * and their total.
   */
  readonly onProgress?: ((progress: { done: number; total: number }) => void) | undefined
}

/** {@link TableOptions} checked, with their defaults. */
export interface ResolvedOptions {
  readonly readOnly: boolean
  readonly createIfMissing: boolean
  readonly errorIfExists: boolean
  readonly lockTimeoutMs: number
  readonly bufferBytes: number
  readonly walBytes: number
  /** `undefined`: the cache of the process. */
  readonly cacheBytes: number | undefined
  readonly syncIntervalMs: number
  readonly filterBitsPerRecord: number
  readonly fanout: number
  readonly eventLog: boolean
  readonly writeBudget: { readonly bytesPerDay: number } | undefined
  readonly signal: AbortSignal | undefined
  /** `undefined`: as stored, {@link DEFAULT_PAGE_BYTES} at creation. */
  readonly pageBytes: number | undefined
  /** `undefined`: as stored, {@link DEFAULT_DUPLICATES} at creation. */
  readonly duplicates: Duplicates | undefined
  /** `undefined`: as stored, {@link DEFAULT_FILE_MODE} at creation. */
  readonly mode: number | undefined
  /** `undefined`: as stored, none at creation. encoding/ checks the fields. */
  readonly combine: CombineFields | undefined
  /** As given; encoding/ checks it. */
  readonly keyEncoding: unknown
  /** As given; encoding/ checks it. */
  readonly valueEncoding: unknown
  readonly latency: boolean
  /** `undefined`: it is kept in no store. */
  readonly remote: ResolvedStoreOptions | undefined
}

/** The store in which a table is kept, too, and how. */
export interface ResolvedStoreOptions {
  /** As given; its calls are checked later. */
  readonly store: unknown
  readonly takeOver: boolean
  /** In milliseconds; `undefined`: as `replicate` has it. */
  readonly interval: number | undefined
  readonly retention: number | undefined
  readonly keep: KeptPeriods | undefined
}

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB

export const DEFAULT_PAGE_BYTES = 4 * KIB
export const DEFAULT_DUPLICATES: Duplicates = 'keep'

/** The smallest unit that flash devices and file systems write. */
export const MIN_PAGE_BYTES = 4 * KIB
/** A page is read for one record: more would only be read amplification. */
export const MAX_PAGE_BYTES = 64 * KIB

/** The largest record fits. */
const MIN_BUFFER_BYTES = 1 * KIB
/** In memory records take at most half as much again, for short keys and rests of bytes. */
const MAX_BUFFER_BYTES = 1 * GIB
const MIN_WAL_BYTES = MIN_PAGE_BYTES
const MAX_WAL_BYTES = 1 * GIB
/** One typed array holds the cache. */
const MAX_CACHE_BYTES = 8 * GIB
/** The longest delay of a Node.js timer. */
const MAX_TIMER_MS = 2 ** 31 - 1
const MAX_FILTER_BITS = 32
/** More than any machine has. */
const MAX_LOAD_MEMORY_BYTES = 2 ** 50
/** A bulk load takes a quarter of what is available. */
const AVAILABLE_MEMORY_SHARE = 4
const MIN_FANOUT = 2
const MAX_FANOUT = 64

/** encoding/ checks it. */
const asGiven = (value: unknown): unknown => value

export const optionalBufferBytes = optionalInteger(MIN_BUFFER_BYTES, MAX_BUFFER_BYTES)

export const OPEN_OPTIONS = {
  keyEncoding: asGiven,
  valueEncoding: asGiven,
  duplicates: optionalDuplicates,
  combine: optionalCombine,
  pageBytes: optionalPageBytes,
  mode: optionalFileMode,
  readOnly: optionalBoolean,
  createIfMissing: optionalBoolean,
  errorIfExists: optionalBoolean,
  lockTimeoutMs: optionalMilliseconds,
  bufferBytes: optionalBufferBytes,
  walBytes: optionalInteger(MIN_WAL_BYTES, MAX_WAL_BYTES),
  cacheBytes: optionalInteger(0, MAX_CACHE_BYTES),
  syncIntervalMs: optionalMilliseconds,
  filterBitsPerRecord: optionalInteger(0, MAX_FILTER_BITS),
  fanout: optionalInteger(MIN_FANOUT, MAX_FANOUT),
  eventLog: optionalBoolean,
  writeBudget: optionalWriteBudget,
  signal: optionalSignal,
  latency: optionalBoolean,
}

/** Options of an open with `remote`, as `replicate` has them. */
const REPLICA_OPTIONS = {
  takeOver: optionalBoolean,
  interval: optionalInterval,
  retention: optionalDuration,
  keep: optionalKeep,
}

const OPEN_WITH_STORE = { ...OPEN_OPTIONS, remote: asGiven, ...REPLICA_OPTIONS }

const LOAD_OPTIONS = {
  ...OPEN_OPTIONS,
  memoryBytes: optionalInteger(0, MAX_LOAD_MEMORY_BYTES),
  onProgress: optionalCallback<NonNullable<LoadOptions['onProgress']>>(),
}

/** {@link LoadOptions} checked, with their defaults. */
export interface ResolvedLoad {
  readonly memoryBytes: number
  readonly onProgress: LoadOptions['onProgress']
}

/**
 * Checks the options of an open and fills in the defaults.
 *
 * Throws a `TypeError` or `RangeError` with `FLASHTABLE_INVALID_OPTION` for an unknown name, a value of a wrong type or
 * out of bounds, and for options that exclude each other.
 */
export function resolveOptions(options: unknown): ResolvedOptions {
  const checked = readOptions('open', options, OPEN_WITH_STORE)
  const { remote: store, takeOver = false, interval, retention, keep, ...given } = checked
  if (store === undefined) {
    const names = Object.keys(REPLICA_OPTIONS) as (keyof typeof REPLICA_OPTIONS)[]
    const other = names.find(name => checked[name] !== undefined && checked[name] !== false)
    if (other !== undefined)
      throw invalidOption(`option '${other}' is for a table with a store: pass remote, or leave it out`)
    return resolveGiven(given)
  }
  if (given.readOnly === true)
    throw invalidOption(
      "options 'remote' and 'readOnly' exclude each other: openRemote reads a published table",
    )
  if (given.errorIfExists === true)
    throw invalidOption(
      "options 'remote' and 'errorIfExists' exclude each other: what is published is restored",
    )
  return { ...resolveGiven(given), remote: { store, takeOver, interval, retention, keep } }
}

/** The options of a bulk load, and of the open that it begins with. Throws as {@link resolveOptions}. */
export function resolveLoadOptions(options: unknown): { open: ResolvedOptions; load: ResolvedLoad } {
  const { memoryBytes, onProgress, ...open } = readOptions('bulkLoad', options, LOAD_OPTIONS)
  return {
    open: resolveGiven(open),
    load: {
      memoryBytes: memoryBytes ?? Math.floor(process.availableMemory() / AVAILABLE_MEMORY_SHARE),
      onProgress,
    },
  }
}

function resolveGiven(given: Checked<typeof OPEN_OPTIONS>): ResolvedOptions {
  const { readOnly = false, createIfMissing, errorIfExists = false } = given
  checkCombine(given)
  if (readOnly && createIfMissing === true) throw conflict('readOnly', 'createIfMissing')
  if (readOnly && errorIfExists) throw conflict('readOnly', 'errorIfExists')
  if (createIfMissing === false && errorIfExists) {
    throw invalidOption('createIfMissing: false and errorIfExists: true leave nothing to open')
  }
  return {
    ...given,
    readOnly,
    createIfMissing: createIfMissing ?? !readOnly,
    errorIfExists,
    lockTimeoutMs: given.lockTimeoutMs ?? 0,
    bufferBytes: given.bufferBytes ?? 128 * MIB,
    walBytes: given.walBytes ?? 16 * MIB,
    cacheBytes: given.cacheBytes,
    syncIntervalMs: given.syncIntervalMs ?? 5000,
    filterBitsPerRecord: given.filterBitsPerRecord ?? 10,
    fanout: given.fanout ?? 16,
    eventLog: given.eventLog ?? true,
    latency: given.latency ?? false,
    remote: undefined,
  }
}

export function optionalInteger(min: number, max: number): Check<number | undefined> {
  const expected = `an integer from ${min} to ${max}`
  return (value, name) => {
    if (value === undefined) return undefined
    if (typeof value !== 'number') throw unexpected(name, expected, value)
    if (!Number.isInteger(value) || value < min || value > max) throw outside(name, expected, value)
    return value
  }
}

function optionalMilliseconds(value: unknown, name: string): number | undefined {
  if (value === undefined || value === Infinity) return value
  const expected = `milliseconds, an integer from 0 to ${MAX_TIMER_MS} or Infinity`
  if (typeof value !== 'number') throw unexpected(name, expected, value)
  if (!Number.isInteger(value) || value < 0 || value > MAX_TIMER_MS) throw outside(name, expected, value)
  return value
}

function optionalWriteBudget(value: unknown, name: string): { readonly bytesPerDay: number } | undefined {
  if (value === undefined) return undefined
  const expected = 'an object { bytesPerDay } with a number of bytes'
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw unexpected(name, expected, value)
  const { bytesPerDay, ...others } = value as { readonly bytesPerDay?: unknown }
  const [other] = Object.keys(others)
  if (other !== undefined) throw unexpected(`${name}.${other}`, 'no other field than bytesPerDay', value)
  const bounds = `a number from 1 to ${Number.MAX_SAFE_INTEGER}`
  if (typeof bytesPerDay !== 'number') throw unexpected(`${name}.bytesPerDay`, bounds, bytesPerDay)
  if (!(bytesPerDay >= 1 && bytesPerDay <= Number.MAX_SAFE_INTEGER))
    throw outside(`${name}.bytesPerDay`, bounds, bytesPerDay)
  return { bytesPerDay }
}

export function optionalPageBytes(value: unknown, name: string): number | undefined {
  if (value === undefined) return undefined
  const expected = `a power of two from ${MIN_PAGE_BYTES} to ${MAX_PAGE_BYTES}`
  if (typeof value !== 'number') throw unexpected(name, expected, value)
  const isPowerOfTwo = Number.isInteger(value) && (value & (value - 1)) === 0
  if (!isPowerOfTwo || value < MIN_PAGE_BYTES || value > MAX_PAGE_BYTES) throw outside(name, expected, value)
  return value
}

export function optionalDuplicates(value: unknown, name: string): Duplicates | undefined {
  if (value === undefined || value === 'keep' || value === 'replace') return value
  throw unexpected(name, "'keep' or 'replace'", value)
}

export function optionalFileMode(value: unknown, name: string): number | undefined {
  if (value === undefined) return undefined
  const expected = 'permissions of files, 0o600 and besides 4 or 6 for group and others, such as 0o640'
  if (typeof value !== 'number') throw unexpected(name, expected, value)
  if (!isFileMode(value)) throw outside(name, expected, value)
  return value
}

/** The operators by field, in a copy; encoding/ knows the fields. */
export function optionalCombine(value: unknown, name: string): CombineFields | undefined {
  if (value === undefined) return undefined
  const expected = `an object with one of ${COMBINE_OPERATORS.join(', ')} for each field of the value`
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw unexpected(name, expected, value)
  const fields = Object.entries<unknown>({ ...value })
  for (const [field, operator] of fields)
    if (!isCombineOperator(operator))
      throw unexpected(`${name}.${field}`, COMBINE_OPERATORS.join(', '), operator)
  return Object.fromEntries(fields) as CombineFields
}

export function isCombineOperator(value: unknown): value is CombineOperator {
  return (COMBINE_OPERATORS as readonly unknown[]).includes(value)
}

/** Refuses both ways to say what becomes of the records of a key. */
export function checkCombine(given: { readonly duplicates: unknown; readonly combine: unknown }): void {
  if (given.duplicates === undefined || given.combine === undefined) return
  throw invalidOption(
    "options 'duplicates' and 'combine' exclude each other: records that are combined are neither kept nor replaced",
  )
}

function conflict(one: string, other: string): TypeError {
  return invalidOption(
    `options '${one}' and '${other}' exclude each other: nothing is created without writing`,
  )
}
