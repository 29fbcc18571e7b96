/** Opens a store by its name. */
import { Skipped, type StoreName } from '../workload.js'
import type { Store } from './store.js'

export async function openStore(name: StoreName, directory: string): Promise<Store> {
  switch (name) {
    case 'flashtable':
      return (await import('./flashtable.js')).openFlashtable(directory)
    case 'rocksdb':
      return (await import('./level.js')).openRocksdb(directory)
    case 'leveldb':
      return (await import('./level.js')).openLeveldb(directory)
    case 'lmdb':
      return (await import('./lmdb.js')).openLmdb(directory)
    case 'sqlite':
      return (await import('./sqlite.js')).openSqlite(directory)
    case 'memmap':
      throw new Skipped('numpy.memmap runs in the load workload alone')
    case 'duckdb':
      throw new Skipped('DuckDB runs in the interop workload alone')
  }
}
