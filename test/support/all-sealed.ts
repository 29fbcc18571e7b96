import type { FlashTable } from '../../src/index.js'

/** Resolves when every sealed memtable has become a bucket file. Requires: each run is flushed on its own. */
export async function allSealed(table: Pick<FlashTable, 'stats'>): Promise<void> {
  const waits = async (): Promise<boolean> => {
    const { memtable, runs } = await table.stats()
    return memtable.sealed + runs.count > 0
  }
  while (await waits()) await new Promise(resolve => void setImmediate(resolve))
}
