/** How the workloads open each store, unless they say otherwise. */
import { DEFAULT_DUPLICATES, DEFAULT_PAGE_BYTES, resolveOptions } from '../../src/options/options.js'
import type { StoreName } from './workload.js'

export const SETTINGS: Readonly<Record<StoreName, string>> = {
  flashtable: `defaults: ${flashtableDefaults()}`,
  rocksdb: 'defaults; batches with sync: true',
  leveldb: 'defaults; batches with sync: true',
  lmdb: 'defaults; dupSort, no compression',
  sqlite: 'defaults; journal_mode WAL, synchronous FULL for batches and NORMAL for single puts',
  memmap: '32 slots of 16 bytes a bucket, flush() after each batch',
  duckdb: 'defaults; a database file',
}

function flashtableDefaults(): string {
  const { bufferBytes, walBytes, cacheBytes, syncIntervalMs, filterBitsPerRecord, fanout } = resolveOptions(
    {},
  )
  const shown = {
    bufferBytes,
    walBytes,
    cacheBytes,
    syncIntervalMs,
    filterBitsPerRecord,
    fanout,
    pageBytes: DEFAULT_PAGE_BYTES,
    duplicates: DEFAULT_DUPLICATES,
  }
  return Object.entries(shown)
    .map(([name, value]) => `${name} ${value ?? 'shared by the process'}`)
    .join(', ')
}
