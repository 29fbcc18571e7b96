/**
 * Makes a table of a published one: in a new directory, as it was in some version.
 *
 * Files are fetched in pieces, each checked as it is opened; then REMOTE, and the manifest last. Crash: without its
 * manifest the directory is no table. The copy has an id of its own. docs/internals.md, Publishing.
 */
import { Buffer } from 'node:buffer'
import { dirname } from 'node:path'
import { throwIfAborted } from '../async/abort.js'
import { atOnce } from '../async/at-once.js'
import { withProgress } from '../async/progress.js'
import { corruption, diskError, FlashTableError } from '../base/errors.js'
import { Poison, latchedReason } from '../base/poison.js'
import { checkBucketFile } from '../bucket-file/check.js'
import { BucketFile, type BucketFileOptions } from '../bucket-file/reader.js'
import { Schema } from '../encoding/schema.js'
import { bucketName } from '../io/file-names.js'
import type { FileSystem } from '../io/file-system.js'
import { Home } from '../io/home.js'
import { modedFileSystem } from '../io/moded-file-system.js'
import { writeFully } from '../io/transfer.js'
import { tableIdBytes } from '../manifest/bucket-file-entry.js'
import { combineOf, type Manifest } from '../manifest/manifest.js'
import { installManifest } from '../manifest/store.js'
import { optionalBoolean, optionalCallback, optionalSignal, readOptions } from '../options/arguments.js'
import { VERSION_OPTIONS, versionChoice } from '../options/remote-options.js'
import { nothingPublished } from '../remote/nothing-published.js'
import { loadRemote } from '../remote/pointer.js'
import {
  filesOfVersion,
  manifestOf,
  REMOTE_MANIFEST_KEY,
  type RemoteFile,
  type RemoteManifest,
  type RemoteVersion,
} from '../remote/remote-manifest.js'
import { saveRemote } from '../remote/remote-state.js'
import { chooseVersion, newestOf } from '../remote/versions.js'
import type { ObjectStore } from '../store/object-store.js'
import { newTableId } from './create-table.js'
import type { Environment } from './environment.js'
import { makeNewDirectory, removeDirectories, removeTableFiles } from './new-directory.js'

/** Bytes of a request, and requests on their way at the same time. */
const PIECE_BYTES = 8 * 2 ** 20
const PIECES_AT_ONCE = 3

/** Options of `restore`. At most one of `at`, `version` and `name`; default: the newest version. */
export interface RestoreOptions {
  /** The version that was the newest at that time, by the store's clock. */
  readonly at?: Date | undefined
  readonly version?: number | undefined
  readonly name?: string | undefined
  /** Reads every page that was fetched, and checks it against all that footers and manifest say. */
  readonly verify?: boolean | undefined
  readonly signal?: AbortSignal | undefined
  /** Called with the bytes fetched so far, and all of them. */
  readonly onProgress?: ((progress: { done: number; total: number }) => void) | undefined
}

/** What was restored. */
export interface RestoreResult {
  readonly version: number
  readonly sequence: number
  /** When the version was published. */
  readonly at: Date
  readonly fetchedBytes: number
}

const RESTORE_OPTIONS = {
  ...VERSION_OPTIONS,
  verify: optionalBoolean,
  signal: optionalSignal,
  onProgress: optionalCallback<NonNullable<RestoreOptions['onProgress']>>(),
}

/** A published table that was taken over for the copy that is to be made. */
export interface ClaimedTable {
  readonly remote: RemoteManifest
  /** The id under which the copy will publish. */
  readonly writer: string
}

/**
 * Restores into the new `directory`, an absolute path; everything in it is synced. Rejects with `FLASHTABLE_NOT_FOUND`,
 * `_EXISTS`, `_UNAVAILABLE`, `_CORRUPTION`, `_DISK_FULL`, `_IO_ERROR`, or `signal.reason`; then nothing is left of it.
 */
export async function restoreTable(
  store: ObjectStore,
  directory: string,
  given: RestoreOptions | undefined,
  environment: Environment,
  claimed?: ClaimedTable,
): Promise<RestoreResult> {
  const {
    signal,
    onProgress,
    verify = false,
    at,
    version,
    name,
  } = readOptions('restore', given, RESTORE_OPTIONS)
  const choice = versionChoice({ at, version, name })
  return withProgress({ signal, onProgress }, async control => {
    const remote = claimed?.remote ?? (await loadRemote(store, control))?.remote
    if (remote === undefined) throw await nothingPublished(store, control)
    const chosen = chooseVersion(remote, store.url, choice)
    const writer = claimed?.writer ?? newWriterId(environment)
    const restore = new Restore(store, { remote, writer }, chosen, environment, verify, control.signal)
    const fetchedBytes = await restore.into(directory, (done, total) => control.onProgress?.({ done, total }))
    return { version: chosen.version, sequence: chosen.sequence, at: new Date(chosen.at), fetchedBytes }
  })
}

/** The id of a directory that publishes. */
export function newWriterId({ randomBytes }: Pick<Environment, 'randomBytes'>): string {
  return Buffer.from(randomBytes(16)).toString('hex')
}

class Restore {
  readonly #store: ObjectStore
  readonly #remote: RemoteManifest
  readonly #writer: string
  readonly #chosen: RemoteVersion
  readonly #environment: Environment
  readonly #verify: boolean
  readonly #signal: AbortSignal | undefined

  constructor(
    store: ObjectStore,
    { remote, writer }: ClaimedTable,
    chosen: RemoteVersion,
    environment: Environment,
    verify: boolean,
    signal: AbortSignal | undefined,
  ) {
    this.#store = store
    this.#remote = remote
    this.#writer = writer
    this.#chosen = chosen
    this.#environment = environment
    this.#verify = verify
    this.#signal = signal
  }

  /** Resolves to the bytes that were fetched. */
  async into(directory: string, onBytes: (done: number, total: number) => void): Promise<number> {
    const fileSystem = modedFileSystem(this.#environment.fileSystem, this.#remote.table.mode)
    let topmost: string
    try {
      topmost = await makeNewDirectory(fileSystem, directory, 'a restored table')
    } catch (error) {
      throw diskError(error, `the table cannot be restored into ${directory}`)
    }
    let home: Home | undefined
    try {
      // If somebody makes a table there meanwhile, or puts another directory there, it is left alone.
      home = await Home.hold(fileSystem, directory, () => {})
      await home.settle()
      const bytes = await this.#write(directory, home.fileSystem, onBytes)
      await home.close()
      await fileSystem.syncDirectory(dirname(directory))
      return bytes
    } catch (error) {
      await removeTableFiles(home?.fileSystem ?? fileSystem, directory)
      await home?.close()
      await removeDirectories(fileSystem, directory, topmost)
      throwIfAborted(this.#signal)
      throw diskError(latchedReason(error), `the table cannot be restored into ${directory}`)
    }
  }

  async #write(
    directory: string,
    fileSystem: FileSystem,
    onBytes: (done: number, total: number) => void,
  ): Promise<number> {
    const files = filesOfVersion(this.#remote, this.#chosen.version)
    const { pageBytes } = this.#remote.table
    const total = files.reduce((sum, { entry }) => sum + entry.pages * pageBytes, 0)
    const tableId = newTableId(this.#environment)
    const manifest: Manifest = {
      ...manifestOf(this.#remote, this.#chosen),
      tableId,
      files: files.map(({ entry }) => entry),
    }
    let done = 0
    for (const file of files) {
      await this.#fetch(file, fileSystem, directory, bytes => onBytes((done += bytes), total))
    }
    await this.#check(manifest, fileSystem, directory)
    await fileSystem.syncDirectory(directory)
    const isNewest = this.#chosen.version === newestOf(this.#remote).version
    const { lineage } = this.#remote
    const published = isNewest ? this.#remote.published : ''
    await saveRemote(fileSystem, directory, {
      lineage,
      url: this.#store.url,
      // This copy is a writer of its own.
      writer: this.#writer,
      published,
      pending: [],
    })
    throwIfAborted(this.#signal)
    await installManifest(fileSystem, directory, manifest, new Poison())
    return done
  }

  async #fetch(
    { key, entry }: RemoteFile,
    fileSystem: FileSystem,
    directory: string,
    onBytes: (bytes: number) => void,
  ): Promise<void> {
    const size = entry.pages * this.#remote.table.pageBytes
    const file = await fileSystem.open(`${directory}/${bucketName(entry.number)}`, 'create')
    try {
      await atOnce(Math.ceil(size / PIECE_BYTES), PIECES_AT_ONCE, async piece => {
        const start = piece * PIECE_BYTES
        const range = { start, end: Math.min(size, start + PIECE_BYTES) }
        const bytes = await this.#store.get(key, { range, signal: this.#signal })
        if (bytes === undefined) throw await this.#missing(key)
        await writeFully(file, bytes, start)
        onBytes(bytes.byteLength)
      })
      await file.sync()
    } finally {
      await file.close()
    }
  }

  /** An object that the manifest has named is not there: the version was forgotten meanwhile, or the store has lost it. */
  async #missing(key: string): Promise<FlashTableError> {
    const { url } = this.#store
    const state = await loadRemote(this.#store, { signal: this.#signal })
    const isNamed = state?.remote.files.some(file => file.key === key) ?? false
    return isNamed
      ? corruption(`${url}/${key}`, 0, 'an object that the manifest names', 'none: somebody has deleted it')
      : new FlashTableError(
          'FLASHTABLE_NOT_FOUND',
          `version ${this.#chosen.version} of ${url} was forgotten while it was being restored: restore a newer one, ` +
            'or keep versions for longer (retention)',
        )
  }

  async #check(manifest: Manifest, fileSystem: FileSystem, directory: string): Promise<void> {
    const path = `${this.#store.url}/${REMOTE_MANIFEST_KEY}`
    const { layout } = Schema.open(manifest.schema, path, {}, combineOf(manifest))
    const options: BucketFileOptions = {
      fileSystem,
      directory,
      tableId: tableIdBytes(manifest.tableId),
      layout,
      pageBytes: manifest.pageBytes,
    }
    for (const entry of manifest.files) {
      if (!this.#verify) {
        await (await BucketFile.open(options, entry)).close()
        continue
      }
      const { problems } = await checkBucketFile(options, entry, () => throwIfAborted(this.#signal))
      const [problem] = problems
      if (problem !== undefined)
        throw new FlashTableError('FLASHTABLE_CORRUPTION', problem.message, {
          path: problem.path,
          ...(problem.offset === undefined ? {} : { offset: problem.offset }),
        })
    }
  }
}
