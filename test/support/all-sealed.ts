import type { FlashTable } from '../../src/index.js'

/** Resolves when every sealed memtable has become a bucket file. */
export async function allSealed(table: Pick<FlashTable, 'stats'>): Promise<void> {
  while ((await table.stats()).memtable.sealed > 0) await new Promise(resolve => void setImmediate(resolve))
}
