/**
 * Publishes the states of one table to one store: claims it, uploads what is missing, swaps the manifest, and deletes what
 * nobody needs any more. docs/internals.md, Publishing.
 *
 * Every key is used once. An object is deleted only after a swap of this writer has dropped its name, or if it is one of
 * an earlier writer that nothing names. So what a writer does that was paused and replaced cannot harm anybody.
 */
import { FlashTableError } from '../base/errors.js'
import type { FileSystem } from '../io/file-system.js'
import type { Manifest } from '../manifest/manifest.js'
import type { ObjectSource, ObjectStore, StoreCall } from '../store/object-store.js'
import { removeOrphans } from './orphans.js'
import { changeRemote, loadRemote, type PointerOptions, type RemoteState } from './pointer.js'
import { fileIdentity, remoteKey, type RemoteManifest } from './remote-manifest.js'
import { loadRemotes, saveRemotes, type KnownRemote } from './remote-state.js'
import {
  collected,
  keysByIdentity,
  newestOf,
  withVersion,
  type NextVersion,
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
  readonly retentionMs: number
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

const NONCE_BYTES = 16
const KEY_BYTES = 8

export class Publisher {
  readonly #options: PublisherOptions
  readonly #pointer: PointerOptions
  /** As it was last seen. `undefined` until it is claimed, or where nothing is published. */
  #state: RemoteState | undefined
  #known: KnownRemote | undefined
  #isClaimed = false
  #fenced: FlashTableError | undefined

  constructor(options: PublisherOptions) {
    this.#options = options
    const { store, randomHex, wait } = options
    this.#pointer = { store, newNonce: () => randomHex(NONCE_BYTES), wait }
  }

  /**
   * Publishes the state. One at a time. Rejects with `FLASHTABLE_FENCED` if another writer has taken over, or has to be
   * taken over first; `_EXISTS` if another table is published there; `_UNAVAILABLE`: nothing has changed, or it will be
   * found that it has, at the next publish.
   */
  async publish(taken: PublishedState, request: PublishRequest): Promise<PublishResult> {
    if (this.#fenced !== undefined) throw this.#fenced
    const { store, randomHex } = this.#options
    const { signal, onBytes } = request
    await this.#claim(taken.manifest, request)
    const { manifest } = taken
    const remote = this.#state?.remote
    const epoch = remote?.epoch ?? 1
    const keys = remote === undefined ? new Map<string, string>() : keysByIdentity(remote)
    const files = manifest.files.map((given): PublishedFile & { readonly isNew: boolean } => {
      const entry = { tableId: manifest.tableId, ...given }
      const key = keys.get(fileIdentity(entry))
      return key === undefined
        ? { entry, key: remoteKey(epoch, entry.number, randomHex(KEY_BYTES)), isNew: true }
        : { entry, key, isNew: false }
    })
    if (remote !== undefined && request.name === undefined && isSame(remote, manifest, files)) {
      const { version, sequence } = newestOf(remote)
      return { version, sequence, uploadedBytes: 0, uploadedFiles: 0 }
    }
    const uploads = files.filter(({ isNew }) => isNew)
    const total = uploads.reduce((sum, { entry }) => sum + entry.pages * manifest.pageBytes, 0)
    let done = 0
    for (const { entry, key } of uploads) {
      const source = taken.sourceOf(entry.number)
      await store.put(key, source, { signal })
      done += source.bytes
      onBytes?.(done, total)
    }
    await this.#install(taken, files, request)
    const { version, sequence } = newestOf(this.#state!.remote)
    return { version, sequence, uploadedBytes: done, uploadedFiles: uploads.length }
  }

  async #install(
    { manifest }: PublishedState,
    files: readonly PublishedFile[],
    { signal, name, expiresAt, retentionMs }: PublishRequest,
  ): Promise<void> {
    const { store } = this.#options
    const now = await store.now({ signal })
    const named =
      name === undefined
        ? undefined
        : { name, ...(expiresAt === undefined ? {} : { expiresAt: Math.round(expiresAt(now)) }) }
    const { tableId, epoch, schema, pageBytes, duplicates, mode } = manifest
    const next: NextVersion = {
      table: { tableId, epoch, schema, pageBytes, duplicates, mode },
      files,
      name: named,
      at: now,
      sequence: manifest.nextSequence,
      nextFileNumber: manifest.nextFileNumber,
      counters: manifest.counters,
      meta: manifest.meta,
    }
    let dropped: readonly string[] = []
    await this.#change(current => {
      // The clock of the store may be set back.
      const at = Math.max(now, newestOf(current ?? this.#empty(manifest)).at)
      const changed = withVersion(current ?? this.#empty(manifest), { ...next, at })
      const rest = collected(changed, at, retentionMs)
      dropped = rest.dropped
      return rest.remote
    }, signal)
    // Whatever is not deleted is an orphan, which the next claim removes.
    for (const key of dropped) await store.delete(key, { signal }).catch(() => {})
  }

  /** Makes sure that this table may publish here: takes the next epoch. Once; where nothing is published, nothing is done. */
  async #claim(manifest: Manifest, { takeOver, signal }: PublishRequest): Promise<void> {
    if (this.#isClaimed) return
    const { store, fileSystem, directory, randomHex, label } = this.#options
    this.#state = await loadRemote(store, { signal })
    const known = (await loadRemotes(fileSystem, directory))[store.url]
    if (this.#state === undefined) {
      // A lineage of its own, even if something was published here before: it is gone.
      this.#known = {
        lineage: randomHex(NONCE_BYTES),
        writer: randomHex(NONCE_BYTES),
        published: '',
        pending: [],
      }
      this.#isClaimed = true
      return
    }
    this.#known = this.#checkClaim(this.#state.remote, known, manifest, takeOver)
    const { writer } = this.#known
    const { remote: seen } = this.#state
    await this.#change(current => {
      if (current === undefined) throw this.#fence('the published table was removed meanwhile')
      // Somebody else has claimed or published it since it was read.
      if (current.published !== seen.published) throw this.#fenceBy(current)
      return { ...current, epoch: seen.epoch + 1, writer: { id: writer, label } }
    }, signal)
    this.#isClaimed = true
    await removeOrphans(store, { signal })
  }

  /** What this directory knows of the published table, if it may go on with it. */
  #checkClaim(
    remote: RemoteManifest,
    known: KnownRemote | undefined,
    { tableId }: Manifest,
    takeOver: boolean,
  ): KnownRemote {
    const { url } = this.#options.store
    if (known === undefined || known.lineage !== remote.lineage)
      throw new FlashTableError(
        'FLASHTABLE_EXISTS',
        `${url} holds another table (of ${remote.writer.label}), which ${tableId} does not come from: publish elsewhere, ` +
          'or restore that one and go on with the copy',
      )
    if (remote.published !== known.published && !known.pending.includes(remote.published))
      throw this.#fence(
        `the table in ${url} has gone on (${remote.writer.label} has published version ${newestOf(remote).version}) since ` +
          'this copy was made or last published: restore it anew and go on with that, or publish elsewhere',
      )
    if (remote.writer.id !== known.writer && !takeOver)
      throw this.#fence(
        `${remote.writer.label} publishes to ${url}: if it has ended for good, pass takeOver: true, and it can publish no more`,
      )
    return known
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
      table: { tableId, epoch, schema, pageBytes, duplicates, mode },
      files: [],
      versions: [],
      names: [],
    }
  }

  /** Changes the manifest as the writer that has the epoch. */
  async #change(
    change: (current: RemoteManifest | undefined) => RemoteManifest,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const before = this.#state?.remote
    const sent = new Set<string>()
    const changed = await changeRemote(
      this.#pointer,
      this.#state,
      current => {
        const isOther = current?.writer.id !== before?.writer.id || current?.epoch !== before?.epoch
        if (isOther)
          throw current === undefined
            ? this.#fence('the published table was removed')
            : this.#fenceBy(current)
        return change(current)
      },
      {
        signal,
        isWriter: true,
        beforeSend: async nonce => {
          sent.add(nonce)
          await this.#save({ ...this.#known!, pending: [...this.#known!.pending, nonce] })
        },
      },
    )
    this.#state = changed
    await this.#save({ ...this.#known!, published: changed!.remote.published, pending: [] })
  }

  async #save(known: KnownRemote): Promise<void> {
    const { fileSystem, directory, store } = this.#options
    const remotes = await loadRemotes(fileSystem, directory)
    await saveRemotes(fileSystem, directory, { ...remotes, [store.url]: known })
    this.#known = known
  }

  #fenceBy({ writer, epoch }: RemoteManifest): FlashTableError {
    return this.#fence(
      `${writer.label} has taken over the table in ${this.#options.store.url} (epoch ${epoch}): this copy can publish there ` +
        'no more. Restore it anew, or publish elsewhere; the table itself goes on',
    )
  }

  #fence(reason: string): FlashTableError {
    return new FlashTableError('FLASHTABLE_FENCED', reason)
  }
}

/** Whether the newest version is the state already. */
function isSame(
  remote: RemoteManifest,
  manifest: Manifest,
  files: readonly (PublishedFile & { readonly isNew: boolean })[],
): boolean {
  const newest = remote.versions.at(-1)
  return (
    newest !== undefined &&
    newest.sequence === manifest.nextSequence &&
    files.every(({ isNew }) => !isNew) &&
    files.length === remote.files.filter(({ until }) => until === undefined).length &&
    JSON.stringify(newest.meta) === JSON.stringify(manifest.meta)
  )
}
