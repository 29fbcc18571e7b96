/**
 * Objects that nothing names: what interrupted publishes of earlier writers have left.
 *
 * First the objects are listed, then the manifest is read: an object that an earlier writer still names by then is known.
 * Objects of the newest epoch are never touched: its writer may be about to name them.
 */
import type { ObjectStore, StoreCall } from '../store/object-store.js'
import { loadRemote } from './pointer.js'
import { epochOfKey } from './remote-manifest.js'

/** What begins like this is a bucket file. */
const PREFIX = 'e'

/** The orphans of earlier epochs. Cost: a list of all objects. */
export async function findOrphans(store: ObjectStore, options: StoreCall): Promise<string[]> {
  const found: string[] = []
  for await (const { key } of store.list(PREFIX, options)) found.push(key)
  const state = await loadRemote(store, options)
  if (state === undefined) return []
  const { epoch, files } = state.remote
  const named = new Set(files.map(({ key }) => key))
  return found.filter(key => {
    const made = epochOfKey(key)
    return made !== undefined && made < epoch && !named.has(key)
  })
}

/** Removes them; resolves to their keys. Best effort: what stays is found the next time. */
export async function removeOrphans(store: ObjectStore, options: StoreCall): Promise<string[]> {
  const orphans = await findOrphans(store, options)
  for (const key of orphans) await store.delete(key, options)
  return orphans
}
