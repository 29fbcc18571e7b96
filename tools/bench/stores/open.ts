/** Opens a store by name. A peer that is not installed, or does not load, is skipped with the reason. */
import { createRequire } from 'node:module'
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
  }
}

/** Loads a package of tools/bench, which the library's own type check does not know. */
export async function importPeer<T>(name: string): Promise<{ module: T; version: string }> {
  try {
    const module = (await import(name)) as T
    return { module, version: versionOf(name) }
  } catch (error) {
    throw new Skipped(
      `${name} does not load: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`,
    )
  }
}

function versionOf(name: string): string {
  const require = createRequire(import.meta.url)
  for (const path of require.resolve.paths(name) ?? []) {
    try {
      return (require(`${path}/${name}/package.json`) as { version: string }).version
    } catch {
      // Further up, or unknown.
    }
  }
  return 'unknown'
}
