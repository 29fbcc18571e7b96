/**
 * Reads a published table where it is: which version is open, when it moves on to a newer one, and what of the filters is
 * fetched. It never writes to the store, and holds nothing there. docs/internals.md, Remote readers.
 */
import { abortReason, newSharedAbortController, throwIfAborted } from '../async/abort.js'
import { corruption, FlashTableError, hasCode, messageOf } from '../base/errors.js'
import type { Latency } from '../base/latency.js'
import type { BlockCacheOptions } from '../block-cache/block-cache.js'
import { BlockReader, openBlockReader } from '../block-cache/block-reader.js'
import type { ObjectReader, ObjectReaderStats } from '../block-cache/object-reader.js'
import type { BucketFile } from '../bucket-file/reader.js'
import { movedError } from '../io/home.js'
import type { ResolvedRemoteOptions } from '../options/remote-options.js'
import { nothingPublished } from '../remote/nothing-published.js'
import { loadRemote, type RemoteState } from '../remote/pointer.js'
import { remoteFileSystem } from '../remote/remote-file-system.js'
import { REMOTE_MANIFEST_KEY, type RemoteManifest, type RemoteVersion } from '../remote/remote-manifest.js'
import { chooseVersion, newestOf } from '../remote/versions.js'
import type { ObjectStore } from '../store/object-store.js'
import { latencyOf, type Environment } from './environment.js'
import { openReader } from './open-reader.js'
import type { TableParts } from './table-parts.js'

/** An open that finds objects gone begins again with the next version, at most this often. */
const ATTEMPTS = 20
/** Bytes of filters that are fetched at once. */
const FILTER_PIECE_BYTES = 8 * 2 ** 20
/** Filters take at most this, and half of the cache. */
const FILTER_BYTES_MAX = 256 * 2 ** 20

/** What a reader of a published table says about itself. */
export interface RemoteStats extends ObjectReaderStats {
  readonly url: string
  /** The version that is open, and when it was published, by the clock of the store. */
  readonly version: number
  readonly at: Date
  /** When the reader has last seen which version is the newest. */
  readonly checkedAt: Date
  /** Why it could not see that since; `undefined`: it could. It is tried again. */
  readonly failure: string | undefined
}

export class RemoteReader {
  readonly #store: ObjectStore
  readonly #options: ResolvedRemoteOptions
  readonly #environment: Environment
  readonly #objects: ObjectReader
  readonly #latency: Latency | undefined
  readonly #closing = newSharedAbortController()
  /** Files whose filters were fetched, or are being. */
  readonly #filtersOf = new WeakSet<BucketFile>()
  #fetching: Promise<void> = Promise.resolve()
  /** The newest manifest that was seen. */
  #state: RemoteState | undefined
  /** What is open. */
  #version: RemoteVersion | undefined
  #checkedMs = 0
  #failure: string | undefined

  private constructor(
    store: ObjectStore,
    options: ResolvedRemoteOptions,
    environment: Environment,
    objects: ObjectReader,
  ) {
    this.#store = store
    this.#options = options
    this.#environment = environment
    this.#objects = objects
    this.#latency = latencyOf(options.open, environment)
  }

  /**
   * Opens the version that the options mean. Rejects with `FLASHTABLE_NOT_FOUND`, `_UNAVAILABLE`, `_CORRUPTION`,
   * `_SCHEMA_MISMATCH`, `_UNSUPPORTED_FORMAT`, or `signal.reason`.
   */
  static async open(
    store: ObjectStore,
    options: ResolvedRemoteOptions,
    environment: Environment,
  ): Promise<TableParts> {
    const { blockCache } = environment
    const objects =
      blockCache === undefined
        ? await openBlockReader(store, environment, blockCacheOptions(options, environment))
        : new BlockReader(store, blockCache)
    const reader = new RemoteReader(store, options, environment, objects)
    const { signal } = options.open
    // A server that does not answer must not hold it.
    const stop = (): void => reader.stop()
    signal?.addEventListener('abort', stop)
    try {
      return await reader.moveOn(undefined)
    } catch (error) {
      await reader.close()
      throw signal?.aborted === true ? abortReason(signal) : error
    } finally {
      signal?.removeEventListener('abort', stop)
    }
  }

  get url(): string {
    return this.#store.url
  }

  /** Whether it moves on to newer versions. */
  get follows(): boolean {
    return Object.keys(this.#options.choice).length === 0
  }

  /** How long to wait between two looks; `undefined`: nobody looks unless `refresh` is called. */
  get intervalMs(): number | undefined {
    const { refreshIntervalMs } = this.#options
    return this.follows && Number.isFinite(refreshIntervalMs) ? refreshIntervalMs : undefined
  }

  /** The number of the version that is open. */
  get version(): number {
    return this.#version!.version
  }

  stats(): RemoteStats {
    const { version, at } = this.#version!
    return {
      url: this.url,
      version,
      at: new Date(at),
      checkedAt: new Date(this.#checkedMs),
      failure: this.#failure,
      ...this.#objects.stats(),
    }
  }

  /**
   * Opens the newest version, or returns the parts of the open one if that is it, or if it is to stay open. `gone`: an
   * object that the open version needs and that the store does not have. Errors: as {@link open}, and `FLASHTABLE_MOVED`.
   */
  async moveOn(previous: TableParts | undefined, gone?: string): Promise<TableParts> {
    // A name may be another version's by now, and the one that is open may be forgotten: it stays as long as it can be read.
    if (previous !== undefined && !this.follows) return previous
    try {
      const parts = await this.#moveOn(previous, gone)
      this.#failure = undefined
      return parts
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#failure = messageOf(error)
      throw error
    }
  }

  async #moveOn(previous: TableParts | undefined, gone: string | undefined): Promise<TableParts> {
    let missing = gone
    let seen = gone === undefined ? undefined : this.#state?.remote
    for (let attempt = 1; ; attempt++) {
      const remote = await this.#load(previous)
      const version = chooseVersion(remote, this.url, this.#options.choice)
      const isOpen = previous !== undefined && version.version === this.version
      if (isOpen || remote.nonce === seen?.nonce) this.#expectGone(missing, remote)
      if (isOpen) return previous
      try {
        return await this.#openVersion(remote, version, previous)
      } catch (error) {
        if (!hasCode(error, 'FLASHTABLE_SNAPSHOT_EXPIRED') || attempt === ATTEMPTS) throw error
        missing = (error as FlashTableError).path!
        seen = remote
      }
    }
  }

  /** Throws if the manifest still names this object, which the store does not have. */
  #expectGone(path: string | undefined, { files }: RemoteManifest): void {
    if (path === undefined || !files.some(({ key }) => `${this.url}/${key}` === path)) return
    throw corruption(path, 0, 'an object that the manifest names', 'none: somebody has deleted it')
  }

  /** The newest manifest, of the same published table as before. */
  async #load(previous: TableParts | undefined): Promise<RemoteManifest> {
    const signal = previous === undefined ? this.#options.open.signal : this.#closing.signal
    const state = await loadRemote(this.#store, { signal }, this.#state)
    this.#checkedMs = this.#environment.date()
    if (state === undefined) throw await nothingPublished(this.#store, { signal })
    const { remote } = state
    const before = this.#state?.remote
    if (before !== undefined && identityOf(before) !== identityOf(remote))
      throw movedError(`${this.url}/${REMOTE_MANIFEST_KEY}`, 'another published table has taken its place')
    // A reader never goes back: a file server, or a proxy before the store, may give what it has kept.
    if (before !== undefined && newestOf(remote).version < newestOf(before).version)
      throw new FlashTableError(
        'FLASHTABLE_UNAVAILABLE',
        `the store ${this.url} gave an older ${REMOTE_MANIFEST_KEY} than before, of version ${newestOf(remote).version} ` +
          `instead of ${newestOf(before).version}; try again, and let nothing between here and the store keep it`,
      )
    this.#state = state
    return remote
  }

  async #openVersion(
    remote: RemoteManifest,
    version: RemoteVersion,
    previous: TableParts | undefined,
  ): Promise<TableParts> {
    const { url } = this
    const fileSystem = remoteFileSystem(url, remote, version, this.#objects)
    // The signal was for the open.
    const options = { ...this.#options.open, ...(previous === undefined ? {} : { signal: undefined }) }
    const environment = { ...this.#environment, fileSystem }
    const parts = await openReader(url, options, environment, this.#latency, { previous, remote: this })
    this.#version = version
    this.#chooseFilters(parts)
    return parts
  }

  /**
   * Filters are fetched of the smallest files first, as far as the budget goes: these answer most keys that are not there. In
   * a file without, a key costs a page of data.
   */
  #chooseFilters({ state }: TableParts): void {
    const { pageBytes, cache } = state.options
    const budget = this.#options.filterBytes ?? Math.min(FILTER_BYTES_MAX, (cache?.bytes ?? 0) / 2)
    const files = state.version.stored.toSorted((a, b) => a.footer.filterPages - b.footer.filterPages)
    const wanted: BucketFile[] = []
    let bytes = 0
    for (const file of files) {
      bytes += file.footer.filterPages * pageBytes
      file.readsFilter = bytes <= budget
      if (!file.readsFilter || this.#filtersOf.has(file)) continue
      this.#filtersOf.add(file)
      wanted.push(file)
    }
    if (wanted.length === 0) return
    const release = state.version.retainInputs(wanted, [])
    // What is not fetched here is fetched by lookups.
    this.#fetching = this.#fetching
      .then(() => this.#fetchFilters(wanted, pageBytes))
      .catch(() => {})
      .finally(release)
  }

  async #fetchFilters(files: readonly BucketFile[], pageBytes: number): Promise<void> {
    const pages = Math.max(1, Math.floor(FILTER_PIECE_BYTES / pageBytes))
    for (const file of files) {
      const { dataPages, filterPages } = file.footer
      const end = dataPages + filterPages
      for (let page = dataPages; page < end; page += pages) {
        throwIfAborted(this.#closing.signal)
        await file.loadPages(page, Math.min(end, page + pages))
      }
    }
  }

  /** Ends what is under way. Idempotent. Requires: nobody reads any more. */
  async close(): Promise<void> {
    this.#end()
    await this.#fetching
    await this.#objects.close()
  }

  /** Ends fetches, also those that somebody waits for, and looks at the store. Nothing can be read any more. */
  stop(): void {
    this.#end()
    void this.#objects.close()
  }

  /** What is under way rejects with this, a refresh for instance. */
  #end(): void {
    this.#closing.abort(new FlashTableError('FLASHTABLE_NOT_OPEN', `the table ${this.url} is closed`))
  }
}

/** Of the cache that the options ask for. */
export function blockCacheOptions(
  { cacheDirectory, cacheDiskBytes }: ResolvedRemoteOptions,
  { blockBytes }: Environment,
): BlockCacheOptions {
  return {
    memoryBytes: blockBytes,
    disk: cacheDirectory === undefined ? undefined : { directory: cacheDirectory, bytes: cacheDiskBytes },
  }
}

/** What stays the same as long as it is the same published table. */
function identityOf({ lineage, table: { schema, pageBytes, duplicates } }: RemoteManifest): string {
  return JSON.stringify({ lineage, schema, pageBytes, duplicates })
}
