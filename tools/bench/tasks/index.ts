/** What workloads do in processes of their own. */
import { coldColumns, coldHits, diskReads } from './cold-lookups.js'
import { heldMemory } from './held-memory.js'
import { openOnce } from './open-once.js'
import { lookupsAsIs, warmHits, warmLookups } from './warm-lookups.js'

export const TASKS = {
  warmHits,
  warmLookups,
  lookupsAsIs,
  coldHits,
  coldColumns,
  diskReads,
  heldMemory,
  openOnce,
}

export type TaskName = keyof typeof TASKS
export type TaskSettings = { readonly [Name in TaskName]: Parameters<(typeof TASKS)[Name]>[0] }
