/** What `stats()` reports: a table at one moment. docs/api.md, Statistics. */
import { Buffer } from 'node:buffer'
import { typedArrayName } from '../base/describe-value.js'
import type { Latency, LatencyStats } from '../base/latency.js'
import type { BucketFile } from '../bucket-file/reader.js'
import type { Schema } from '../encoding/schema.js'
import { copyOfSchema, type StoredSchema } from '../encoding/stored-schema.js'
import type { Wear } from '../event-log/wear.js'
import { diskUse } from '../io/disk-use.js'
import { bucketName, parseFileName } from '../io/file-names.js'
import { keyBounds, type KeyBounds } from '../memtable/key-bounds.js'
import { combineOf, type Manifest } from '../manifest/manifest.js'
import type { CombineFields, Duplicates } from '../options/options.js'
import { compareKeys } from '../records/compare.js'
import type { Pins } from '../state/pins.js'
import type { TableState, View } from '../state/table-state.js'
import { filesOf, type MemtableHandle } from '../state/version.js'
import type { RemoteStats } from './remote-reader.js'
import type { TableParts, WriterParts } from './table-parts.js'

/** One bucket file. */
export interface FileStats {
  readonly name: string
  readonly level: number
  /** Puts in it, including hidden ones. */
  readonly records: number
  readonly bytes: number
  /** Of these, only data pages. */
  readonly dataBytes: number
}

/** A table at a moment. */
export interface TableStats {
  /** What a record is, as it is stored: types by name. */
  readonly schema: StoredSchema
  /** `undefined`: it combines. */
  readonly duplicates: Duplicates | undefined
  /** How the records of a key become one; `undefined`: they do not. */
  readonly combine: CombineFields | undefined
  /** Bytes of a page. */
  readonly pageBytes: number
  /** Puts that are stored and not known to be hidden by deletes. */
  readonly records: number
  /** Whether `records` is exact: nothing was deleted, replaced or combined that no merge has dropped yet. */
  readonly recordsAreExact: boolean
  /**
   * No record has a smaller key. If `recordsAreExact`, a record has this one; otherwise a deleted record may have had
   * it. `undefined` if nothing is stored. Without its custom encoding, a key is its bytes.
   */
  readonly leastKey: unknown
  /** No record has a greater key; see `leastKey`. */
  readonly greatestKey: unknown
  /** Records put in the life of the table, including those that the last open found in the log. */
  readonly recordsPut: number
  /** Bytes of the records put in the life of the table. */
  readonly recordBytesPut: number
  /** Bytes handed to write calls in the life of the table, by purpose. */
  readonly bytesWritten: {
    readonly wal: number
    readonly buckets: number
    readonly manifest: number
    /** The event log. */
    readonly events: number
  }
  /** How fast the table writes: what its event log tells, and what was written since. */
  readonly wear: Wear
  /** The option `writeBudget`, and what of it is used; `undefined` without. */
  readonly budget:
    | {
        readonly bytesPerDay: number
        /** What was written and has not drained yet, at `bytesPerDay` a day. Merges wait if it is no less than that. */
        readonly usedBytes: number
        /** A merge is due, and waits for the budget. */
        readonly waiting: boolean
      }
    | undefined
  /** All bytes written / bytes of the records put; 0 if none was put. */
  readonly writeAmplification: number
  /** What the directory takes on the disk, as `du` counts it: its own blocks, and those of all files in it. */
  readonly bytesOnDisk: number
  /** Of these, data pages of bucket files. */
  readonly dataBytesOnDisk: number
  /** Of these, log segments that hold records of memtables. */
  readonly logBytesOnDisk: number
  /** Of these, segments that wait to be overwritten. */
  readonly spareBytesOnDisk: number
  /** In addition: bucket files that have no name any more, but that a snapshot, a scan or a job still reads. */
  readonly pinnedBytes: number
  /** How many bucket files each level has, from level 0 on. */
  readonly levels: readonly number[]
  /** Oldest first. */
  readonly files: readonly FileStats[]
  readonly memtable: {
    readonly operations: number
    readonly capacity: number
    /** Memtables that wait to become runs. */
    readonly sealed: number
  }
  /** Runs: memtables that were sorted and packed, and are not in a bucket file yet. */
  readonly runs: { readonly count: number; readonly operations: number }
  readonly sequence: { readonly next: number; readonly synced: number }
  /** Pages of bucket files that lookups read from disk since the files were opened. */
  readonly pageReads: number
  /** What is in memory, in bytes. */
  readonly memory: {
    /** Rows of memtables, and their hash indexes. */
    readonly memtables: number
    /** Runs: their pages and first keys. */
    readonly runs: number
    /** Memory of an old memtable, kept for the next one. */
    readonly spare: number
    /** Pages of filters in the cache: part of `cacheUsed`. */
    readonly filters: number
    /** First keys of pages, and where the cache has the pages: part of `cache`. */
    readonly fences: number
    /** What cached pages take, those of all tables that share the cache; and what pages and fences may take. */
    readonly cacheUsed: number
    readonly cache: number
  }
  /** Puts that waited for a seal, and their total time. */
  readonly waits: { readonly count: number; readonly totalMs: number }
  /** Delays of puts because flushes and merges are behind, and their total time. */
  readonly delays: { readonly count: number; readonly totalMs: number }
  /** How far flushes and merges are behind: from 0, they keep up, to 1. Puts are delayed the more, the higher it is. */
  readonly mergeDebt: number
  /** A flush or merge waits because the disk has no room for its output. */
  readonly waitingForSpace: boolean
  /** A seal, flush or merge waits for descriptors, memory or a thread. */
  readonly waitingForResources: boolean
  /** The failure that stopped all writes, as `FLASHTABLE_POISONED` reports it; `undefined` if nothing did. */
  readonly poisoned: string | undefined
  /** Snapshots and scans that pin files. */
  readonly pins: number
  /** How long things have taken since the open; `undefined`: opened without `latency`. */
  readonly latency: LatencyStats | undefined
  /** Of a table that `openRemote` has opened; `undefined` of others. */
  readonly remote: RemoteStats | undefined
}

/**
 * The table at the moment of the call: what is in memory is read at once. The sizes of log and manifest come from the
 * directory, a moment later. Rejects with `FLASHTABLE_IO_ERROR`.
 */
export async function tableStats(parts: TableParts, pins: Pins): Promise<TableStats> {
  const { state, schema } = parts
  const view = state.view()
  const inMemory = statsInMemory(parts, view, pins.size)
  // Until the keys of its memtables have been read.
  view.version.retain()
  try {
    const [bounds, onDisk, wear] = await Promise.all([boundsOf(view), bytesOnDisk(parts, pins), parts.wear()])
    const stats = {
      ...inMemory,
      leastKey: bounds === undefined ? undefined : keyOf(schema, bounds.least),
      greatestKey: bounds === undefined ? undefined : keyOf(schema, bounds.greatest),
      ...onDisk,
      wear,
    }
    return withJson(stats)
  } finally {
    await view.version.release()
  }
}

type StatsOnDisk = Pick<TableStats, 'bytesOnDisk' | 'logBytesOnDisk' | 'spareBytesOnDisk' | 'pinnedBytes'>
type StatsInMemory = Omit<TableStats, 'leastKey' | 'greatestKey' | 'wear' | keyof StatsOnDisk>

function statsInMemory(parts: TableParts, { version, active }: View, pins: number): StatsInMemory {
  const { state, writer, schema } = parts
  const { manifest } = state
  const { walBytes, bucketBytes, manifestBytes, eventBytes, recordBytes, records } = state.counters.read()
  const written = walBytes + bucketBytes + manifestBytes + eventBytes
  const files = version.stored.map(file => fileStats(file, manifest.pageBytes))
  return {
    schema: copyOfSchema(schema.stored),
    duplicates: duplicatesOf(manifest),
    combine: copyOfCombine(manifest),
    pageBytes: manifest.pageBytes,
    ...countRecords(state),
    recordsPut: records,
    recordBytesPut: recordBytes,
    bytesWritten: { wal: walBytes, buckets: bucketBytes, manifest: manifestBytes, events: eventBytes },
    budget: budgetOf(writer),
    writeAmplification: recordBytes === 0 ? 0 : written / recordBytes,
    dataBytesOnDisk: sum(files.map(file => file.dataBytes)),
    levels: levelsOf(files),
    files,
    memtable: {
      operations: active.memtable.count,
      capacity: active.memtable.capacity,
      sealed: version.sealed.length,
    },
    runs: {
      count: version.runs.length,
      operations: sum(filesOf(version.runs).map(({ entry }) => entry.endSequence - entry.firstSequence)),
    },
    sequence: {
      next: active.memtable.endSequence,
      synced: writer?.wal.syncedSequence ?? manifest.nextSequence,
    },
    pageReads: sum(version.files.map(file => file.pageReads)),
    memory: memoryOf(state),
    waits: { count: writer?.committer.waits ?? 0, totalMs: writer?.committer.waitedMs ?? 0 },
    delays: { count: writer?.committer.delays ?? 0, totalMs: writer?.committer.delayedMs ?? 0 },
    mergeDebt: writer?.compactor.debt ?? 0,
    waitingForSpace: writer?.compactor.waitingFor === 'space',
    waitingForResources: writer?.compactor.waitingFor === 'resources',
    poisoned: parts.poison.reason,
    pins,
    latency: parts.latency && latencyStats(parts.latency, writer !== undefined),
    remote: parts.remote?.stats(),
  }
}

/** A reader only looks up. */
export function latencyStats({ puts, commits, syncs, lookups }: Latency, writes: boolean): LatencyStats {
  return {
    puts: writes ? puts.read() : undefined,
    commits: writes ? commits.read() : undefined,
    syncs: writes ? syncs.read() : undefined,
    lookups: lookups.read(),
  }
}

function budgetOf(writer: WriterParts | undefined): TableStats['budget'] {
  if (writer?.budget === undefined) return undefined
  const { bytesPerDay, usedBytes } = writer.budget
  return { bytesPerDay, usedBytes: Math.round(usedBytes), waiting: writer.compactor.waitsForBudget }
}

function fileStats({ entry, footer }: BucketFile, pageBytes: number): FileStats {
  return {
    name: bucketName(entry.number),
    level: entry.level,
    records: entry.records,
    bytes: entry.pages * pageBytes,
    dataBytes: footer.dataPages * pageBytes,
  }
}

function levelsOf(files: readonly FileStats[]): number[] {
  const levels: number[] = []
  for (const { level } of files) {
    while (levels.length <= level) levels.push(0)
    levels[level]!++
  }
  return levels
}

/** Puts that are stored; exact if nothing may hide some of them. Cost: none per record. */
export function countRecords({ version, manifest }: TableState): {
  readonly records: number
  readonly recordsAreExact: boolean
} {
  const memtables = memtablesOf(version)
  const records =
    sum(version.files.map(({ entry }) => entry.records)) + sum(memtables.map(({ memtable }) => memtable.puts))
  const hidden =
    version.files.some(
      ({ footer, deletes }) => footer.deleteKeys + footer.deleteRecords + deletes.length > 0,
    ) || memtables.some(({ memtable }) => memtable.deletes.length > 0 || memtable.puts < memtable.count)
  // One bucket file holds a key once. Several files or a memtable may hold it more than once.
  const replaced =
    manifest.duplicates !== 'keep' &&
    (version.files.length > 1 || memtables.some(({ memtable }) => memtable.count > 0))
  return { records, recordsAreExact: !hidden && !replaced }
}

export function duplicatesOf({ duplicates }: Manifest): Duplicates | undefined {
  return typeof duplicates === 'string' ? duplicates : undefined
}

/** A copy for a caller, who may change it. */
export function copyOfCombine(manifest: Manifest): CombineFields | undefined {
  const combine = combineOf(manifest)
  return combine && { ...combine }
}

function memoryOf({ version, options, spareBytes }: TableState): TableStats['memory'] {
  const { cache } = options
  return {
    memtables: sum(memtablesOf(version).map(({ memtable }) => memtable.residentBytes)),
    runs: sum(filesOf(version.runs).map(({ memory, fenceBytes }) => memory!.bytes + fenceBytes)),
    spare: spareBytes,
    filters: sum(version.stored.map(file => file.filterBytes)),
    fences: sum(version.stored.map(file => file.fenceBytes)),
    cacheUsed: cache?.usedBytes ?? 0,
    cache: cache?.bytes ?? 0,
  }
}

function memtablesOf({ sealed, active }: View['version']): readonly MemtableHandle[] {
  return [...sealed, active]
}

/** The bounds of all operations in the files, by their footers, and of the puts in the memtables. */
async function boundsOf({ version, active, length }: View): Promise<KeyBounds | undefined> {
  const bounds: (KeyBounds | undefined)[] = version.files.map(({ footer }) =>
    footer.dataPages === 0 ? undefined : { least: footer.firstKey, greatest: footer.lastKey },
  )
  for (const { memtable } of version.sealed) bounds.push(await keyBounds(memtable, memtable.count))
  bounds.push(await keyBounds(active.memtable, length))
  return bounds.reduce((all, some) => {
    if (all === undefined || some === undefined) return all ?? some
    return {
      least: compareKeys(some.least, all.least) < 0 ? some.least : all.least,
      greatest: compareKeys(some.greatest, all.greatest) > 0 ? some.greatest : all.greatest,
    }
  }, undefined)
}

function keyOf(schema: Schema, key: Uint32Array): unknown {
  const lanes = Array.from(key, lane => Uint32Array.of(lane))
  try {
    return schema.decodeKey(lanes, 0)
  } catch {
    // Its encoding is a custom one, and was not given to this open.
    return schema.keyColumn(lanes, 0, 1)
  }
}

async function bytesOnDisk({ state, writer, directory }: TableParts, pins: Pins): Promise<StatsOnDisk> {
  const { fileSystem, pageBytes } = state.options
  // Taken before the names are listed, so that a file which is released meanwhile is still counted.
  const held = new Set([...pins.files, ...state.heldFiles])
  const { bytes, bytesOf } = await diskUse(fileSystem, directory)
  const { closed, firstSegment } = state.manifest.log
  const closedNumbers = new Set(closed.map(segment => segment.number))
  let [logBytesOnDisk, spareBytesOnDisk] = [0, 0]
  for (const [name, bytes] of bytesOf) {
    const file = parseFileName(name)
    if (file?.kind !== 'wal') continue
    const { number } = file
    const isSpare =
      writer === undefined
        ? number < firstSegment && !closedNumbers.has(number)
        : writer.wal.spares.includes(number)
    if (isSpare) spareBytesOnDisk += bytes
    else logBytesOnDisk += bytes
  }
  const nameless = [...held].filter(({ entry }) => !bytesOf.has(bucketName(entry.number)))
  const pinnedBytes = sum(nameless.map(({ entry }) => entry.pages)) * pageBytes
  return { bytesOnDisk: bytes, logBytesOnDisk, spareBytesOnDisk, pinnedBytes }
}

/** JSON has no bigint: keys are text there, as the command line takes them. */
function withJson(stats: TableStats): TableStats {
  const toJSON = (): object => ({
    ...stats,
    leastKey: keyText(stats.leastKey),
    greatestKey: keyText(stats.greatestKey),
  })
  return Object.defineProperty(stats, 'toJSON', { value: toJSON, enumerable: false })
}

function keyText(key: unknown): unknown {
  if (typeof key === 'bigint') return String(key)
  return typedArrayName(key) === 'Uint8Array' ? Buffer.from(key as Uint8Array).toString('hex') : key
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
