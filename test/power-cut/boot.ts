/**
 * A power cut ends all processes. The one that cuts lives on, and a cut may bring back the LOCK of its last look at the
 * table: so that LOCK is made one of another boot, which it would be. docs/durability.md, Locking.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LOCK_NAME } from '../../src/io/file-names.js'

const BOOT_ID = '/proc/sys/kernel/random/boot_id'
const OTHER_BOOT_ID = '00000000-0000-4000-8000-000000000000'

/** Everything that holds the lock of the table, or waits for it, is of another boot from now on. */
export function changeBoot(directory: string, bootId = readFileSync(BOOT_ID, 'utf8').trim()): void {
  if (!existsSync(directory)) return
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(LOCK_NAME)) continue
    const path = join(directory, name)
    // As text: it may be torn.
    const found = readFileSync(path, 'latin1')
    const changed = found.replaceAll(bootId, OTHER_BOOT_ID)
    if (changed !== found) writeFileSync(path, changed, 'latin1')
  }
}
