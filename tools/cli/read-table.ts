/**
 * What the commands that read records need of a table: one adapter for a table, and one for a table with partitions, so that
 * each command works with both.
 */
import {
  FlashTable,
  PartitionedTable,
  type ObjectStore,
  type PartitionedStats,
  type TableStats,
} from '../../src/index.js'
import type { StoredSchema } from '../../src/encoding/stored-schema.js'
import type { PartitionsObject } from '../../src/partitions/partitions-object.js'
import { loadRemote } from '../../src/remote/pointer.js'
import type { Described } from './dump/header.js'
import { readableEncodings } from './encodings.js'
import { placesOf } from './partitions.js'
import type { Scan } from './records.js'
import type { RowColumns } from './rows/row-format.js'

export interface ReadTable {
  scanColumns(wanted: Scan): AsyncGenerator<RowColumns, void>
  count(wanted?: Scan): Promise<number>
  getColumns(keys: readonly unknown[], options: { readonly within: number }): Promise<RowColumns>
  stats(): Promise<TableStats | PartitionedStats>
  /** What it was created with, and what it holds besides records. */
  describe(): Promise<Described>
  /** Why nothing is kept in the directory of the cache. */
  cacheFailure(): Promise<string | undefined>
  close(): Promise<void>
}

/** The calls of both kinds, which differ in their types alone. */
type Calls = Pick<ReadTable, 'scanColumns' | 'count' | 'getColumns' | 'stats' | 'close'>

/** How a partitioned table is opened to be read. */
export interface PartitionedReading {
  readonly schema: StoredSchema
  readonly at: Date | undefined
  readonly name: string | undefined
  readonly cache: string | undefined
  readonly signal: AbortSignal
}

/** No version is later: each partition is read as its newest version, and stays as it was when it was first needed. */
const LATEST = new Date(8.64e15)

/** The mode of a dump of partitions that nobody has published. */
const OWNER_ONLY = 0o600

export async function readTable(opening: Promise<unknown>): Promise<ReadTable> {
  const table = (await opening) as FlashTable
  return {
    ...callsOf(table),
    describe: () => Promise.resolve(table),
    cacheFailure: async () => (await table.stats()).remote?.disk?.off,
  }
}

export async function readPartitions(
  store: ObjectStore,
  object: PartitionsObject,
  { schema, at, name, cache, signal }: PartitionedReading,
): Promise<ReadTable> {
  const table = await PartitionedTable.open(store, {
    ...readableEncodings(schema),
    ...(name === undefined ? { at: at ?? LATEST } : { name }),
    refreshInterval: Infinity,
    // One command asks for few keys: filters would cost more than they spare.
    filterBytes: 0,
    cacheDirectory: cache,
    signal,
  })
  return {
    ...callsOf(table),
    async describe() {
      const { duplicates, combine } = table
      const mode = await modeOf(store, object, signal)
      return { duplicates, combine, pageBytes: object.pageBytes, mode, meta: {} }
    },
    cacheFailure: () => Promise.resolve(table.cacheFailure),
  }
}

function callsOf(table: object): Calls {
  const calls = table as Calls
  return {
    scanColumns: wanted => calls.scanColumns(wanted),
    count: wanted => (wanted === undefined ? calls.count() : calls.count(wanted)),
    getColumns: (keys, options) => calls.getColumns(keys, options),
    stats: () => calls.stats(),
    close: () => calls.close(),
  }
}

/** Permissions that all partitions give: a copy shows nobody what a partition did not. */
async function modeOf(store: ObjectStore, object: PartitionsObject, signal: AbortSignal): Promise<number> {
  let mode: number | undefined
  for (const place of placesOf(store, object)) {
    const state = await loadRemote(place.store, { signal })
    if (state !== undefined) mode = (mode ?? state.remote.table.mode) & state.remote.table.mode
  }
  return mode ?? OWNER_ONLY
}
