/** The options of `PartitionedTable.open`, checked once at the edge. docs/api.md, Partitions. */
import {
  invalidOption,
  optionalBoolean,
  outside,
  readOptions,
  unexpected,
  type Checked,
} from '../options/arguments.js'
import { absolutePath } from '../options/location.js'
import { checkCombine, OPEN_OPTIONS, type TableOptions } from '../options/options.js'
import {
  resolveRemoteOptions,
  VERSION_OPTIONS,
  versionChoice,
  type GivenVersion,
  type RemoteOptions,
  type ResolvedRemoteOptions,
} from '../options/remote-options.js'
import { Schema } from '../encoding/schema.js'
import { PARTITIONS_MAX } from './key-ranges.js'
import { isPartitionCount } from './partitions-object.js'

/** Options of `PartitionedTable.open` besides encodings and boundaries. */
export interface PartitionedOptions
  extends
    Pick<
      TableOptions,
      | 'lockTimeoutMs'
      | 'bufferBytes'
      | 'walBytes'
      | 'syncIntervalMs'
      | 'filterBitsPerRecord'
      | 'fanout'
      | 'eventLog'
      | 'mode'
      | 'signal'
      | 'pageBytes'
      | 'duplicates'
    >,
    Pick<
      RemoteOptions,
      'cacheDirectory' | 'cacheDiskBytes' | 'filterBytes' | 'refreshInterval' | 'at' | 'name'
    > {
  /** How many there are, a power of two up to 65536: by the leading bits of keys. Needed to create, unless boundaries are given. */
  readonly partitions?: number | undefined
  /** Which ones this process writes, by number, or all. Default: none, it only reads. */
  readonly write?: 'all' | readonly number[] | undefined
  /** Where those that are written have their tables, on a disk of this machine. Needed with `write`. */
  readonly directory?: string | URL | undefined
  /** Go on with partitions that another process has written, which can publish them no more. Default: false. */
  readonly takeOver?: boolean | undefined
}

const {
  keyEncoding,
  valueEncoding,
  duplicates,
  combine,
  pageBytes,
  mode,
  lockTimeoutMs,
  bufferBytes,
  walBytes,
  syncIntervalMs,
  filterBitsPerRecord,
  fanout,
  eventLog,
  signal,
} = OPEN_OPTIONS

/** Those of each table that is written. */
const TABLE_OPTIONS = {
  mode,
  lockTimeoutMs,
  bufferBytes,
  walBytes,
  syncIntervalMs,
  filterBitsPerRecord,
  fanout,
  eventLog,
}
/** Checked as those of `openRemote`. */
const asGiven = (value: unknown): unknown => value
const READER_OPTIONS = {
  cacheDirectory: asGiven,
  cacheDiskBytes: asGiven,
  filterBytes: asGiven,
  refreshInterval: asGiven,
}
const PARTITIONED_OPTIONS = {
  keyEncoding,
  valueEncoding,
  duplicates,
  combine,
  pageBytes,
  signal,
  ...TABLE_OPTIONS,
  ...READER_OPTIONS,
  at: VERSION_OPTIONS.at,
  name: VERSION_OPTIONS.name,
  partitions: optionalPartitions,
  boundaries: asGiven,
  write: optionalWrite,
  directory: (value: unknown, name: string) => (value === undefined ? undefined : absolutePath(value, name)),
  takeOver: optionalBoolean,
}

const MIB = 2 ** 20
/** What gathers in memory in all partitions together, and in each. */
const BUFFERS_BYTES = 256 * MIB
const BUFFER_BYTES_MIN = 4 * MIB
const BUFFER_BYTES_MAX = 128 * MIB
const WAL_BYTES_MAX = 16 * MIB
/** What the filters of all readers may take. */
const FILTERS_BYTES = 256 * MIB

/** Options that were checked. Numbers in `write` may be too large. */
export type GivenPartitioned = Checked<typeof PARTITIONED_OPTIONS>

/** Throws a `TypeError` or `RangeError` with `FLASHTABLE_INVALID_OPTION`. */
export function readPartitionedOptions(options: unknown): GivenPartitioned {
  const given = readOptions('PartitionedTable.open', options, PARTITIONED_OPTIONS)
  checkCombine(given)
  Schema.check(given)
  if (given.partitions !== undefined && given.boundaries !== undefined)
    throw invalidOption(
      "options 'partitions' and 'boundaries' exclude each other: boundaries say how many there are",
    )
  if (given.write === undefined || given.write.length === 0) {
    if (given.directory !== undefined)
      throw invalidOption(
        "option 'directory' is for partitions that are written: pass write, or leave it out",
      )
    if (given.takeOver === true)
      throw invalidOption("option 'takeOver' is for partitions that are written: pass write, or leave it out")
  } else if (given.directory === undefined)
    throw invalidOption("option 'directory': needed for the partitions that are written")
  else if (given.at !== undefined || given.name !== undefined)
    throw invalidOption("options 'at' and 'name' are for a table that is only read: leave write out, or them")
  versionOf(given)
  cacheOptions(given)
  return given
}

/** What all readers have together: the cache, and how often they look for newer versions. Throws as {@link readPartitionedOptions}. */
export function cacheOptions(given: GivenPartitioned): ResolvedRemoteOptions {
  const { cacheDirectory, cacheDiskBytes, filterBytes, refreshInterval } = given
  return resolveRemoteOptions({ cacheDirectory, cacheDiskBytes, filterBytes, refreshInterval })
}

/** Which version of each partition is read; empty: always the newest. Throws a `TypeError` with `FLASHTABLE_INVALID_OPTION`. */
export function versionOf({ at, name }: GivenPartitioned): GivenVersion {
  return versionChoice({ at, version: undefined, name })
}

/** The options of a reader of one partition, of `readers` that there may be: they share what filters may take. */
export function readerOptions(given: GivenPartitioned, readers: number): Readonly<Record<string, unknown>> {
  const { filterBytes = FILTERS_BYTES, refreshInterval } = given as {
    readonly filterBytes?: number
    readonly refreshInterval: unknown
  }
  return { filterBytes: Math.floor(filterBytes / Math.max(1, readers)), refreshInterval }
}

/** The options of the table of one partition, of `writers` that are written here. */
export function writerOptions(
  given: GivenPartitioned,
  writers: number,
): Readonly<Record<string, unknown>> & { readonly bufferBytes: number } {
  const { mode, lockTimeoutMs, walBytes, syncIntervalMs, filterBitsPerRecord, fanout, eventLog } = given
  const share = Math.floor(BUFFERS_BYTES / writers)
  const bufferBytes = given.bufferBytes ?? Math.max(BUFFER_BYTES_MIN, Math.min(BUFFER_BYTES_MAX, share))
  return {
    mode,
    lockTimeoutMs,
    syncIntervalMs,
    filterBitsPerRecord,
    fanout,
    eventLog,
    bufferBytes,
    walBytes: walBytes ?? Math.min(WAL_BYTES_MAX, Math.max(BUFFER_BYTES_MIN, share)),
  }
}

/** The numbers of the partitions that are written, ascending. Throws a `RangeError` if one is too large. */
export function writtenOf({ write }: GivenPartitioned, count: number): readonly number[] {
  if (write === undefined) return []
  if (write === 'all') return Array.from({ length: count }, (_, number) => number)
  const stranger = write.find(number => number >= count)
  if (stranger !== undefined)
    throw outside('write', `numbers from 0 to ${count - 1}, because there are ${count} partitions`, stranger)
  return write.toSorted((a, b) => a - b)
}

function optionalPartitions(value: unknown, name: string): number | undefined {
  if (value === undefined) return undefined
  const expected = `a power of two from 1 to ${PARTITIONS_MAX}`
  if (typeof value !== 'number') throw unexpected(name, expected, value)
  if (!isPartitionCount(value)) throw outside(name, expected, value)
  return value
}

function optionalWrite(value: unknown, name: string): 'all' | readonly number[] | undefined {
  if (value === undefined || value === 'all') return value
  const expected = "'all' or an array of different numbers of partitions"
  if (!Array.isArray(value)) throw unexpected(name, expected, value)
  const numbers: unknown[] = [...(value as unknown[])]
  const isFine = numbers.every(
    number => typeof number === 'number' && Number.isSafeInteger(number) && number >= 0,
  )
  if (!isFine || new Set(numbers).size < numbers.length) throw unexpected(name, expected, value)
  return numbers as number[]
}
