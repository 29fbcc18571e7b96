/**
 * Publishes the states of one table to one store: claims it, uploads what is missing, swaps the manifest, and deletes what
 * nobody needs any more. docs/internals.md, Publishing.
 *
 * Every key is used once. An object is deleted only after a swap of this writer has dropped its name, or if it is one of
 * an earlier writer that nothing names. So what a writer does that was paused and replaced cannot harm anybody. After a
 * failure the table is claimed anew: that finds out what has become of the last change, and removes what was uploaded.
 */
import { throwIfAborted } from '../async/abort.js'
import { FlashTableError, hasCode } from '../base/errors.js'
import type { FileSystem } from '../io/file-system.js'
import type { Manifest } from '../manifest/manifest.js'
import type { KeptPeriods } from '../options/kept-periods.js'
import type { ObjectSource, ObjectStore, StoreCall } from '../store/object-store.js'
import { removeOrphans } from './garbage.js'
import { changeRemote, loadRemote, type PointerOptions, type RemoteState } from './pointer.js'
import { hasPartitions } from './nothing-published.js'
import { probe } from './probe.js'
import { fileIdentity, remoteKey, type RemoteManifest } from './remote-manifest.js'
import { loadRemotes, saveRemote, type KnownRemote } from './remote-state.js'
import {
  collected,
  keysByIdentity,
  newestOf,
  withKeptPeriods,
  withVersion,
  type PublishedFile,
} from './versions.js'

/** What the publisher needs from the world, and from the table. */
export interface PublisherOptions {
  readonly store: ObjectStore
  readonly fileSystem: FileSystem
  readonly directory: string
  /** That many random bytes as hexadecimal digits. */
  readonly randomHex: (bytes: number) => string
  /** Says who writes, for people: machine, directory. */
  readonly label: string
  readonly wait: PointerOptions['wait']
}

/** A state of the table, as it is to be published. Its files can be read until the publish ends. */
export interface PublishedState {
  /** As a checkpoint would have it: without a log. */
  readonly manifest: Manifest
  /** The content of a bucket file. */
  sourceOf(number: number): ObjectSource
}

/** What `publish` was asked for. */
export interface PublishRequest extends StoreCall {
  readonly name?: string | undefined
  readonly expiresAt?: ((now: number) => number) | undefined
  readonly takeOver: boolean
  /** `undefined`: as long as the last publish has said, or else an hour. */
  readonly retentionMs: number | undefined
  /** Of which periods the last versions get names. */
  readonly keep?: KeptPeriods | undefined
  /** A replica asks: of its older versions only some are kept. */
  readonly isReplicated?: boolean
  /** Called with the bytes uploaded so far, and those of all uploads. */
  readonly onBytes?: ((done: number, total: number) => void) | undefined
}

/** What a publish has done. */
export interface PublishResult {
  /** The number of the version. */
  readonly version: number
  /** Everything put before this sequence number is in it. */
  readonly sequence: number
  /** Of bucket files. */
  readonly uploadedBytes: number
  readonly uploadedFiles: number
}

/** A file of the version, and whether it has to be uploaded. */
interface PlannedFile extends PublishedFile {
  readonly isNew: boolean
}

const NONCE_BYTES = 16
const KEY_BYTES = 8
/** How long a version can be restored after the next one was published, unless something else is asked for. */
const RETENTION_MS = 3_600_000

export class Publisher {
  #options: PublisherOptions
  #pointer: PointerOptions
  /** As it was last seen by the writer that has the epoch. `undefined`: nothing is published, or it is not claimed. */
  #state: RemoteState | undefined
  #known: KnownRemote | undefined
  #isClaimed = false
  /** Whether the store is another one than that which was claimed. */
  #isOther = false

  constructor(options: PublisherOptions) {
    this.#options = options
    const { store, randomHex, wait } = options
    this.#pointer = { store, newNonce: () => randomHex(NONCE_BYTES), wait }
  }

  /** Goes on with another store of the same url: with a new one, for instance, where the last one was closed. */
  useStore(store: ObjectStore): void {
    if (store === this.#options.store) return
    this.#options = { ...this.#options, store }
    this.#pointer = { ...this.#pointer, store }
    this.#isOther = true
  }

  /**
   * Publishes the state. One at a time. Rejects with `FLASHTABLE_FENCED` if another writer has taken over, or has to be
   * taken over first; `_EXISTS` if another table is published there; `_NOT_FOUND` if what was published there is gone;
   * `_UNSUPPORTED_STORE`; `_UNAVAILABLE`: nothing has changed, or the next publish finds that it has.
   */
  async publish(taken: PublishedState, request: PublishRequest): Promise<PublishResult> {
    const wasClaimed = this.#isClaimed
    try {
      return await this.#attempt(taken, request)
    } catch (error) {
      // What is gone since it was claimed is begun anew by a claim.
      if (!wasClaimed || !request.takeOver || !hasCode(error, 'FLASHTABLE_NOT_FOUND')) throw error
      return this.#attempt(taken, request)
    }
  }

  async #attempt(taken: PublishedState, request: PublishRequest): Promise<PublishResult> {
    try {
      if (this.#isClaimed && this.#isOther) await this.#compare(request)
      this.#isOther = false
      if (!this.#isClaimed) await this.#claim(taken.manifest, request)
      return await this.#publish(taken, request)
    } catch (error) {
      this.#isClaimed = false
      this.#state = undefined
      throw error
    }
  }

  /** Two stores may have one url by mistake: what is published in this one must be what was published last. */
  async #compare({ signal }: PublishRequest): Promise<void> {
    const found = await loadRemote(this.#options.store, { signal })
    this.#isClaimed = found !== undefined && found.remote.published === this.#state?.remote.published
    this.#state = this.#isClaimed ? found : undefined
  }

  async #publish(taken: PublishedState, request: PublishRequest): Promise<PublishResult> {
    const remote = this.#state?.remote
    const files = this.#planFiles(taken.manifest)
    const newest = remote?.versions.at(-1)
    const keepsNames = request.name === undefined
    const keepsRetention = [undefined, remote?.retentionMs].includes(request.retentionMs)
    if (newest !== undefined && keepsNames && keepsRetention && isSame(remote!, taken.manifest, files)) {
      await this.#expectWriter(taken.manifest, request)
      const { version, sequence } = newest
      return { version, sequence, uploadedBytes: 0, uploadedFiles: 0 }
    }
    const uploads = files.filter(({ isNew }) => isNew)
    const uploadedBytes = await this.#upload(uploads, taken, request)
    const { version, sequence } = await this.#install(taken.manifest, files, request)
    return { version, sequence, uploadedBytes, uploadedFiles: uploads.length }
  }

  /** Nothing is to be changed: a look tells whether another writer has taken over since, and has forgotten this version. */
  async #expectWriter(manifest: Manifest, { takeOver, signal }: PublishRequest): Promise<void> {
    const found = await loadRemote(this.#options.store, { signal })
    this.#checkWriter(this.#state?.remote, found?.remote, manifest, takeOver)
    this.#state = found
  }

  /** What the newest version has already keeps its key. Everything else gets one that was never used. */
  #planFiles({ files, tableId }: Manifest): PlannedFile[] {
    const remote = this.#state?.remote
    const epoch = remote?.epoch ?? 1
    const keys = remote === undefined ? new Map<string, string>() : keysByIdentity(remote)
    return files.map(given => {
      const entry = { tableId, ...given }
      const key = keys.get(fileIdentity(entry))
      return key === undefined
        ? { entry, key: remoteKey(epoch, entry.number, this.#options.randomHex(KEY_BYTES)), isNew: true }
        : { entry, key, isNew: false }
    })
  }

  /** Resolves to the bytes that were uploaded. */
  async #upload(
    files: readonly PlannedFile[],
    { manifest, sourceOf }: PublishedState,
    { signal, onBytes }: PublishRequest,
  ): Promise<number> {
    const total = files.reduce((sum, { entry }) => sum + entry.pages * manifest.pageBytes, 0)
    let done = 0
    for (const { entry, key } of files) {
      const source = sourceOf(entry.number)
      let read = 0
      await this.#options.store.put(
        key,
        {
          bytes: source.bytes,
          async read(position, buffer) {
            await source.read(position, buffer)
            // Pieces may be read side by side, or again.
            read = Math.min(source.bytes, read + buffer.byteLength)
            onBytes?.(done + read, total)
          },
        },
        { signal },
      )
      done += source.bytes
      onBytes?.(done, total)
    }
    return done
  }

  /** The new version counts from the swap on. */
  async #install(
    manifest: Manifest,
    files: readonly PublishedFile[],
    { signal, name, expiresAt, retentionMs, keep = {}, takeOver, isReplicated = false }: PublishRequest,
  ): Promise<{ readonly version: number; readonly sequence: number }> {
    const { store } = this.#options
    const before = this.#state?.remote
    // The clock of the store may be set back.
    const now = Math.max(await store.now({ signal }), before === undefined ? 0 : newestOf(before).at)
    const expires = expiresAt === undefined ? {} : { expiresAt: Math.round(expiresAt(now)) }
    const { tableId, epoch, schema, pageBytes, duplicates, mode, nextSequence, nextFileNumber } = manifest
    const { counters, meta } = manifest
    let dropped: readonly string[] = []
    const { remote } = await this.#change(current => {
      this.#checkWriter(before, current, manifest, takeOver)
      const base = before === undefined ? this.#claimed(current, manifest) : current!
      const at = Math.max(Math.floor(now), newestOf(base).at)
      const next = withVersion(base, {
        table: { tableId, epoch, schema, pageBytes, duplicates, mode },
        files,
        name: name === undefined ? undefined : { name, ...expires },
        at,
        sequence: nextSequence,
        nextFileNumber,
        counters,
        meta,
        ...(isReplicated ? { replicated: true } : {}),
      })
      const retention = retentionMs ?? base.retentionMs
      const kept = withKeptPeriods({ ...next, retentionMs: retention }, keep)
      const rest = collected(kept, at, retention)
      dropped = rest.dropped
      return rest.remote
    }, signal)
    // What is not deleted is an orphan, which the next claim removes.
    for (const key of dropped) await store.delete(key, { signal }).catch(() => {})
    return newestOf(remote)
  }

  /** Makes sure that this table may publish here: takes the next epoch. Where nothing is published, nothing is stored. */
  async #claim(manifest: Manifest, { takeOver, signal }: PublishRequest): Promise<void> {
    const { store, fileSystem, directory, randomHex, label } = this.#options
    const seen = await loadRemote(store, { signal })
    const remotes = await loadRemotes(fileSystem, directory)
    if (seen === undefined) {
      this.#known = this.#newLineage(remotes, takeOver)
      if (await hasPartitions(store, { signal }))
        throw new FlashTableError(
          'FLASHTABLE_EXISTS',
          `${store.url} has a table with partitions: publish elsewhere`,
        )
      await probe(store, randomHex, { signal })
      this.#isClaimed = true
      return
    }
    const known = remotes.find(({ lineage }) => lineage === seen.remote.lineage)
    this.#known = known && { ...known, url: store.url }
    this.#checkClaim(seen.remote, manifest, takeOver)
    const writer = { id: this.#known!.writer, label }
    this.#state = seen
    const { remote } = await this.#change(current => {
      if (current === undefined) throw this.#gone()
      this.#checkClaim(current, manifest, takeOver)
      return { ...current, epoch: current.epoch + 1, writer }
    }, signal)
    this.#isClaimed = true
    // Best effort: what stays is found by the next claim.
    await removeOrphans(store, remote.epoch, { signal }).catch(() => throwIfAborted(signal))
  }

  /** What this directory will be known by. */
  #newLineage(remotes: readonly KnownRemote[], takeOver: boolean): KnownRemote {
    const { store, randomHex } = this.#options
    const { url } = store
    const last = remotes.find(remote => remote.url === url)
    if (last !== undefined && last.published !== '' && !takeOver) throw this.#gone()
    // The first state may have been sent already, and arrive late.
    if (last !== undefined && last.published === '' && last.pending.length > 0) return last
    return {
      lineage: randomHex(NONCE_BYTES),
      url,
      writer: randomHex(NONCE_BYTES),
      published: '',
      pending: [],
    }
  }

  /** Throws if this directory may not go on with the published table. */
  #checkClaim(remote: RemoteManifest, { tableId, nextSequence }: Manifest, takeOver: boolean): void {
    const { url } = this.#options.store
    const known = this.#known
    const { writer, lineage, published } = remote
    const { version, sequence } = newestOf(remote)
    if (known === undefined || known.lineage !== lineage)
      throw new FlashTableError(
        'FLASHTABLE_EXISTS',
        `${url} holds another table (of ${writer.label}), which ${tableId} does not come from: publish elsewhere, ` +
          'or restore that one and go on with the copy',
      )
    if (published !== known.published && !known.pending.includes(published))
      throw this.#fence(
        `the table in ${url} has gone on (${writer.label}, version ${version}) since this copy was made or last ` +
          `published. ${this.#adviceToFenced()}`,
      )
    if (writer.id !== known.writer && !takeOver)
      throw this.#fence(
        `${writer.label} publishes to ${url}: if it has ended for good, pass takeOver: true, and it can publish no more`,
      )
    if (sequence > nextSequence)
      throw this.#fence(
        `version ${version} in ${url} has operations up to ${sequence}, and this table has lost those from ` +
          `${nextSequence} on: restore it, or publish elsewhere`,
      )
  }

  /** Throws if another writer has taken over since the manifest was `before`. */
  #checkWriter(
    before: RemoteManifest | undefined,
    current: RemoteManifest | undefined,
    manifest: Manifest,
    takeOver: boolean,
  ): void {
    if (before === undefined) {
      // Somebody has created it meanwhile; that may have been a late request of our own.
      if (current !== undefined) this.#checkClaim(current, manifest, takeOver)
      return
    }
    if (current === undefined) throw this.#gone()
    if (current.writer.id === before.writer.id && current.epoch === before.epoch) return
    throw this.#fence(
      `${current.writer.label} has taken over the table in ${this.#options.store.url} (epoch ${current.epoch}): this copy ` +
        `can publish there no more. ${this.#adviceToFenced()}`,
    )
  }

  #adviceToFenced(): string {
    return (
      `What was put since then is in ${this.#options.directory} alone: move that directory away and restore it anew ` +
      '(FlashTable.restore, or an open with takeOver: true), or publish elsewhere'
    )
  }

  /** It may come back: a disk that is not mounted looks the same. */
  #gone(): FlashTableError {
    return new FlashTableError(
      'FLASHTABLE_NOT_FOUND',
      `what this table has published to ${this.#options.store.url} is gone: check that the right disk or bucket is ` +
        'there; to begin anew, pass takeOver: true',
    )
  }

  /** A first version. Where one of this directory was late, the next epoch: a copy of the directory may have sent that. */
  #claimed(current: RemoteManifest | undefined, manifest: Manifest): RemoteManifest {
    if (current === undefined) return this.#empty(manifest)
    const writer = { id: this.#known!.writer, label: this.#options.label }
    return { ...current, epoch: current.epoch + 1, writer }
  }

  #empty({ tableId, epoch, schema, pageBytes, duplicates, mode }: Manifest): RemoteManifest {
    const { lineage, writer } = this.#known!
    return {
      lineage,
      epoch: 1,
      writer: { id: writer, label: this.#options.label },
      nonce: '',
      published: '',
      parent: '',
      retentionMs: RETENTION_MS,
      table: { tableId, epoch, schema, pageBytes, duplicates, mode },
      files: [],
      versions: [],
      names: [],
    }
  }

  /** Changes the manifest as a writer. Each nonce is on the device before it is sent. */
  async #change(
    change: (current: RemoteManifest | undefined) => RemoteManifest,
    signal: AbortSignal | undefined,
  ): Promise<RemoteState> {
    const state = await changeRemote(this.#pointer, this.#state, change, {
      signal,
      isWriter: true,
      beforeSend: nonce => this.#save({ ...this.#known!, pending: [...this.#known!.pending, nonce] }),
    })
    this.#state = state!
    await this.#save({ ...this.#known!, published: state!.remote.published, pending: [] })
    return state!
  }

  async #save(known: KnownRemote): Promise<void> {
    const { fileSystem, directory } = this.#options
    await saveRemote(fileSystem, directory, known)
    this.#known = known
  }

  #fence(reason: string): FlashTableError {
    return new FlashTableError('FLASHTABLE_FENCED', reason)
  }
}

/** Whether the newest version is the state already. */
function isSame(remote: RemoteManifest, manifest: Manifest, files: readonly PlannedFile[]): boolean {
  const newest = remote.versions.at(-1)
  return (
    newest !== undefined &&
    newest.sequence === manifest.nextSequence &&
    files.every(({ isNew }) => !isNew) &&
    files.length === remote.files.filter(({ until }) => until === undefined).length &&
    JSON.stringify(newest.meta) === JSON.stringify(manifest.meta)
  )
}
