/**
 * What nobody needs any more: objects of versions that may be forgotten, and objects that nothing names.
 *
 * Orphans are what interrupted publishes of earlier writers have left. First the objects are listed, then the manifest is
 * read: an object that an earlier writer still names by then is known. Objects and uploads of the newest epoch are never
 * touched: its writer may be about to name them. docs/internals.md, Publishing.
 */
import type { ObjectInfo, ObjectStore, StoreCall } from '../store/object-store.js'
import { changeRemote, loadRemote, type PointerOptions, type RemoteState } from './pointer.js'
import { epochOfFolder, epochOfKey, type RemoteManifest } from './remote-manifest.js'
import { chooseVersion, collected, newestOf } from './versions.js'

/** What begins like this is a bucket file. */
const PREFIX = 'e'

/** What a collection has removed, or would remove. */
export interface Garbage {
  /** Versions that can no longer be restored. */
  readonly versions: readonly number[]
  /** Objects that they alone had. */
  readonly dropped: readonly string[]
  /** Objects that nothing names. */
  readonly orphans: readonly ObjectInfo[]
}

/** The orphans of earlier epochs. Cost: a list of all objects. */
export async function findOrphans(store: ObjectStore, options: StoreCall): Promise<ObjectInfo[]> {
  const found: ObjectInfo[] = []
  for await (const info of store.list(PREFIX, options)) found.push(info)
  const state = await loadRemote(store, options)
  if (state === undefined) return []
  const { epoch, files } = state.remote
  const named = new Set(files.map(({ key }) => key))
  return found.filter(({ key }) => {
    const made = epochOfKey(key)
    return made !== undefined && made < epoch && !named.has(key)
  })
}

/** Removes them, and uploads that writers of epochs below `epoch` have not finished; resolves to the orphans. */
export async function removeOrphans(
  store: ObjectStore,
  epoch: number,
  options: StoreCall,
): Promise<ObjectInfo[]> {
  const orphans = await findOrphans(store, options)
  for (const { key } of orphans) await store.delete(key, options)
  await store.abortUploads(PREFIX, { ...options, which: key => (epochOfFolder(key) ?? epoch) < epoch })
  return orphans
}

/** What a collection is asked for. */
export interface GarbageRequest extends StoreCall {
  /** Instead of what the last publish has said. */
  readonly retentionMs?: number | undefined
  /** Names that are forgotten, and no longer keep their versions. */
  readonly forget?: readonly string[] | undefined
  readonly dryRun: boolean
}

/**
 * Forgets versions of which the time is over, and removes everything that nobody needs. The newest version always stays.
 * Resolves to `undefined` if nothing is published. Rejects with `FLASHTABLE_NOT_FOUND` if a name is not there.
 */
export async function collectRemote(
  pointer: PointerOptions,
  { retentionMs, forget = [], dryRun, signal }: GarbageRequest,
): Promise<Garbage | undefined> {
  const { store } = pointer
  const state = await loadRemote(store, { signal })
  if (state === undefined) return undefined
  for (const name of forget) chooseVersion(state.remote, store.url, { name })
  const now = await store.now({ signal })
  const collect = (remote: RemoteManifest): ReturnType<typeof collected> => {
    const names = remote.names.filter(({ name }) => !forget.includes(name))
    const at = Math.max(now, newestOf(remote).at)
    return collected({ ...remote, names }, at, retentionMs ?? remote.retentionMs)
  }
  if (dryRun) {
    const orphans = await findOrphans(store, { signal })
    return { ...garbageOf(state, collect), orphans }
  }
  let garbage = garbageOf(state, collect)
  const changed = await changeRemote(
    pointer,
    state,
    current => {
      if (current === undefined) return undefined
      garbage = garbageOf({ remote: current }, collect)
      const { remote } = collect(current)
      const isSame = garbage.versions.length === 0 && remote.names.length === current.names.length
      return isSame ? undefined : remote
    },
    { signal, isWriter: false },
  )
  if (changed === undefined) return undefined
  // Whatever is not deleted is an orphan once another writer has taken over.
  for (const key of garbage.dropped) await store.delete(key, { signal })
  return { ...garbage, orphans: await removeOrphans(store, changed.remote.epoch, { signal }) }
}

function garbageOf(
  { remote }: Pick<RemoteState, 'remote'>,
  collect: (remote: RemoteManifest) => ReturnType<typeof collected>,
): Omit<Garbage, 'orphans'> {
  const { remote: rest, dropped } = collect(remote)
  const kept = new Set(rest.versions.map(({ version }) => version))
  return {
    versions: remote.versions.map(({ version }) => version).filter(version => !kept.has(version)),
    dropped,
  }
}
