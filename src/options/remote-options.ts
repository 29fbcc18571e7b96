/** The options of `FlashTable.openRemote`, checked once at the edge. docs/api.md, FlashTable.openRemote. */
import { readOptions, unexpected, outside, invalidOption } from './arguments.js'
import { optionalInterval } from './duration.js'
import { absolutePath } from './location.js'
import { OPEN_OPTIONS, optionalInteger, resolveOptions, type ResolvedOptions } from './options.js'

/** Options of `openRemote` besides the encodings. At most one of `at`, `version` and `name`; default: the newest version. */
export interface RemoteOptions {
  /** Where blocks of files are kept on this machine: a directory, made if it is missing. Default: nowhere. */
  readonly cacheDirectory?: string | URL | undefined
  /** Bytes that they may take there. Default: 1 GiB. */
  readonly cacheDiskBytes?: number | undefined
  /** Bytes of pages that are kept in memory, of this table alone. Default: the table shares the cache of the process. */
  readonly cacheBytes?: number | undefined
  /**
   * Bytes of filters that are fetched beforehand, in the background, of the smallest files first. 0: none. Default: half of the
   * cache, 256 MiB at most.
   */
  readonly filterBytes?: number | undefined
  /**
   * How often to look for a newer version: milliseconds, or a text such as `'1m'`; `Infinity`: only when `refresh` is called.
   * Default: 10 seconds.
   */
  readonly refreshInterval?: number | string | undefined
  /** The version that was the newest at that time, by the store's clock. It stays open. */
  readonly at?: Date | undefined
  /** The version with this number. It stays open. */
  readonly version?: number | undefined
  /** The version that was given this name. It stays open. */
  readonly name?: string | undefined
  /** Ends a running open: it rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined
  /** Whether `stats().latency` tells how long lookups take. Default: false. */
  readonly latency?: boolean | undefined
}

/** Which version is meant; empty: always the newest. */
export interface GivenVersion {
  readonly at?: number
  readonly version?: number
  readonly name?: string
}

/** {@link RemoteOptions} checked, with their defaults. */
export interface ResolvedRemoteOptions {
  readonly open: ResolvedOptions
  readonly choice: GivenVersion
  readonly cacheDirectory: string | undefined
  readonly cacheDiskBytes: number
  /** `undefined`: by the size of the cache. */
  readonly filterBytes: number | undefined
  readonly refreshIntervalMs: number
}

/** As those of restore. */
export const VERSION_OPTIONS = { at: optionalDate, version: optionalVersion, name: optionalText }

const MIB = 2 ** 20
const CACHE_DISK_BYTES = 1024 * MIB
/** Less is no cache. */
export const CACHE_DISK_BYTES_MIN = 16 * MIB
const REFRESH_INTERVAL_MS = 10_000

const { keyEncoding, valueEncoding, duplicates, combine, pageBytes, cacheBytes, signal, latency } =
  OPEN_OPTIONS
const TABLE_OPTIONS = {
  keyEncoding,
  valueEncoding,
  duplicates,
  combine,
  pageBytes,
  cacheBytes,
  signal,
  latency,
}
const REMOTE_OPTIONS = {
  ...TABLE_OPTIONS,
  ...VERSION_OPTIONS,
  cacheDirectory: (value: unknown, name: string) =>
    value === undefined ? undefined : absolutePath(value, name),
  cacheDiskBytes: optionalInteger(CACHE_DISK_BYTES_MIN, 2 ** 50),
  filterBytes: optionalInteger(0, Number.MAX_SAFE_INTEGER),
  refreshInterval: (value: unknown, name: string) =>
    value === Infinity ? Infinity : optionalInterval(value, name),
}

/** Throws a `TypeError` or `RangeError` with `FLASHTABLE_INVALID_OPTION`. */
export function resolveRemoteOptions(options: unknown): ResolvedRemoteOptions {
  const given = readOptions('openRemote', options, REMOTE_OPTIONS)
  const { at, version, name, cacheDirectory, cacheDiskBytes, filterBytes, refreshInterval, ...open } = given
  if (cacheDiskBytes !== undefined && cacheDirectory === undefined)
    throw invalidOption('openRemote: cacheDiskBytes is for a cacheDirectory, and none is given')
  return {
    open: resolveOptions({ ...open, readOnly: true }),
    choice: versionChoice({ at, version, name }),
    cacheDirectory,
    cacheDiskBytes: cacheDiskBytes ?? CACHE_DISK_BYTES,
    filterBytes,
    refreshIntervalMs: refreshInterval ?? REFRESH_INTERVAL_MS,
  }
}

/** The version that the options mean, of which only one may be given. */
export function versionChoice({
  at,
  version,
  name,
}: {
  readonly at: number | undefined
  readonly version: number | undefined
  readonly name: string | undefined
}): GivenVersion {
  const choice = {
    ...(at === undefined ? {} : { at }),
    ...(version === undefined ? {} : { version }),
    ...(name === undefined ? {} : { name }),
  }
  if (Object.keys(choice).length > 1)
    throw unexpected('at, version and name', 'only one of them', Object.keys(choice).join(' and '))
  return choice
}

function optionalDate(value: unknown, name: string): number | undefined {
  if (value === undefined) return undefined
  if (!isDate(value)) throw unexpected(name, 'a valid Date', value)
  return value.getTime()
}

/** By what it does: it may come from another realm. */
export function isDate(value: unknown): value is Date {
  return Object.prototype.toString.call(value) === '[object Date]' && !Number.isNaN((value as Date).getTime())
}

export function optionalVersion(value: unknown, name: string): number | undefined {
  if (value === undefined) return undefined
  const expected = 'the number of a version, from 1 on'
  if (typeof value !== 'number') throw unexpected(name, expected, value)
  if (!Number.isSafeInteger(value) || value < 1) throw outside(name, expected, value)
  return value
}

function optionalText(value: unknown, name: string): string | undefined {
  if (value === undefined || typeof value === 'string') return value
  throw unexpected(name, 'the name of a version, a text', value)
}
