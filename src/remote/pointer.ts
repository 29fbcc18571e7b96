/**
 * The manifest of a published table, changed by compare-and-swap.
 *
 * Each state has a nonce. When the answer of a swap is lost, the manifest is read again: if it names a nonce that was sent,
 * the swap was done; if it is unchanged, the same bytes are sent again, so that a late first one and its twin are the same.
 * docs/internals.md, Publishing.
 */
import { newAbortController, throwIfAborted } from '../async/abort.js'
import { FlashTableError, hasCode } from '../base/errors.js'
import type { ObjectStore, StoreCall } from '../store/object-store.js'
import { REMOTE_MANIFEST_KEY, parseRemote, serializeRemote, type RemoteManifest } from './remote-manifest.js'

/** How often a swap whose outcome is unknown is looked into and sent again, and the wait before it. */
const ATTEMPTS = 6
const WAIT_MS = 100
const NEVER = newAbortController().signal
/** Changes of others that a change gives way to, in a row. */
const REBUILDS = 50

/** A state of the manifest; the version is the store's. */
export interface RemoteState {
  readonly remote: RemoteManifest
  readonly version: string
}

export interface PointerOptions {
  readonly store: ObjectStore
  /** 32 hexadecimal digits that were never used. */
  readonly newNonce: () => string
  /** Resolves after `ms` milliseconds, or when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>
}

/** What a change makes of the current state. `undefined`: nothing is to be changed. */
export type Change = (current: RemoteManifest | undefined) => RemoteManifest | undefined

/**
 * Reads the manifest; `undefined` if nothing is published. `known`: given back if it still is the newest state, since a large
 * manifest takes a while to parse. Rejects with `FLASHTABLE_UNAVAILABLE`, `_CORRUPTION`.
 */
export async function loadRemote(
  store: ObjectStore,
  options: StoreCall = {},
  known?: RemoteState,
): Promise<RemoteState | undefined> {
  const content = await store.load(REMOTE_MANIFEST_KEY, options)
  if (content === undefined || content.version === known?.version) return content && known
  return { remote: parseRemote(content.bytes, store.url), version: content.version }
}

/**
 * Changes the manifest, and resolves to what it is then.
 *
 * `current`: what it was when it was last read. `isWriter`: the new state is one of a writer, whose nonce becomes
 * `published`. `beforeSend` is called with each nonce before it is sent for the first time. `change` may be called again, on
 * a newer state, and may throw.
 */
export async function changeRemote(
  { store, newNonce, wait }: PointerOptions,
  current: RemoteState | undefined,
  change: Change,
  {
    signal,
    isWriter,
    beforeSend,
  }: StoreCall & {
    readonly isWriter: boolean
    readonly beforeSend?: (nonce: string) => Promise<void>
  },
): Promise<RemoteState | undefined> {
  let state = current
  const sent = new Set<string>()
  for (let rebuild = 0; rebuild < REBUILDS; rebuild++) {
    const changed = change(state?.remote)
    if (changed === undefined) return state
    const nonce = newNonce()
    const next: RemoteManifest = {
      ...changed,
      nonce,
      parent: state?.remote.nonce ?? '',
      published: isWriter ? nonce : changed.published,
    }
    const bytes = serializeRemote(next)
    await beforeSend?.(nonce)
    sent.add(nonce)
    for (let attempt = 1; ; attempt++) {
      const outcome = await swapOnce(store, bytes, state?.version, signal)
      if (outcome.version !== undefined) return { remote: next, version: outcome.version }
      const found = await loadRemote(store, { signal })
      if (found !== undefined && (sent.has(found.remote.nonce) || sent.has(found.remote.published)))
        return found
      if (found?.version !== state?.version) {
        state = found
        break
      }
      if (attempt === ATTEMPTS) throw outcome.error ?? contended(store)
      await wait(WAIT_MS * 2 ** attempt, signal ?? NEVER)
      throwIfAborted(signal)
    }
  }
  throw contended(store)
}

/** `version`: it was done. Otherwise it may have been. */
async function swapOnce(
  store: ObjectStore,
  bytes: Uint8Array,
  expected: string | undefined,
  signal: AbortSignal | undefined,
): Promise<{ readonly version?: string | undefined; readonly error?: unknown }> {
  try {
    return { version: await store.swap(REMOTE_MANIFEST_KEY, bytes, expected, { signal }) }
  } catch (error) {
    throwIfAborted(signal)
    if (!hasCode(error, 'FLASHTABLE_UNAVAILABLE')) throw error
    return { error }
  }
}

function contended(store: ObjectStore): FlashTableError {
  return new FlashTableError(
    'FLASHTABLE_UNAVAILABLE',
    `the manifest in ${store.url} cannot be replaced: the store refuses it again and again; try again later`,
  )
}
