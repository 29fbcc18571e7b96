/**
 * Published tables from outside, without a table of one's own: what there is, whether it is intact, what may be forgotten,
 * and whether a store can hold one. docs/api.md, Object stores.
 */
import { Buffer } from 'node:buffer'
import { throwIfAborted } from '../async/abort.js'
import { keepAlive } from '../async/keep-alive.js'
import { withProgress, type ProgressOptions } from '../async/progress.js'
import { FlashTableError } from '../base/errors.js'
import { checkBucketFile } from '../bucket-file/check.js'
import type { BucketFileOptions } from '../bucket-file/reader.js'
import { Schema } from '../encoding/schema.js'
import { bucketName } from '../io/file-names.js'
import type { FileSystem } from '../io/file-system.js'
import { tableIdBytes } from '../manifest/bucket-file-entry.js'
import { combineOf, type Manifest } from '../manifest/manifest.js'
import {
  optionalBoolean,
  optionalCallback,
  optionalSignal,
  readOptions,
  refuseExtra,
  unexpected,
} from '../options/arguments.js'
import { optionalDuration } from '../options/duration.js'
import { collectRemote } from '../remote/garbage.js'
import type { GivenVersion } from '../options/remote-options.js'
import { nothingPublished } from '../remote/nothing-published.js'
import { PieceReader } from '../remote/piece-reader.js'
import { loadRemote } from '../remote/pointer.js'
import { probe } from '../remote/probe.js'
import { remoteFileSystem } from '../remote/remote-file-system.js'
import {
  filesOfVersion,
  manifestOf,
  REMOTE_MANIFEST_KEY,
  type RemoteFile,
  type RemoteManifest,
  type RemoteVersion,
} from '../remote/remote-manifest.js'
import { chooseVersion } from '../remote/versions.js'
import type { ObjectStore, StoreCall } from '../store/object-store.js'
import { nodeEnvironment } from './environment.js'
import { checkStore } from './publish.js'

/** A version that can be restored. */
export interface PublishedVersion {
  readonly version: number
  /** When it was published, by the store's clock. */
  readonly at: Date
  /** When the next one was; `undefined`: it is the newest. */
  readonly supersededAt: Date | undefined
  /** Everything put before this sequence number is in it. */
  readonly sequence: number
  /** Puts that are stored. */
  readonly records: number
  /** Bucket files and their bytes; versions share files. */
  readonly files: number
  readonly bytes: number
  readonly names: readonly { readonly name: string; readonly expires: Date | undefined }[]
}

/** A published table. */
export interface PublishedTable {
  readonly url: string
  /** Machine and directory of the writer, and the number of its takeover. */
  readonly writer: string
  readonly epoch: number
  readonly retentionMs: number
  /** Oldest first. */
  readonly versions: readonly PublishedVersion[]
  /** Objects of all versions, and their bytes. */
  readonly files: number
  readonly bytes: number
}

/** Options of `publishedTable` and `probeStore`. */
export interface StoreOptions {
  readonly signal?: AbortSignal | undefined
}

/** Options of `collectGarbage`. */
export interface GarbageOptions extends StoreOptions {
  /** How long older versions can be restored: milliseconds, or a text such as `'7d'`. Default: what the last publish has said. */
  readonly retention?: number | string | undefined
  /** Names of versions that are forgotten: they keep them no longer. Default: only those that have expired. */
  readonly forget?: readonly string[] | undefined
  /** Removes nothing. */
  readonly dryRun?: boolean | undefined
}

/** What `collectGarbage` has removed, or with `dryRun` would remove. */
export interface CollectedGarbage {
  /** Versions that can no longer be restored. */
  readonly versions: readonly number[]
  /** Objects of theirs, and objects that interrupted publishes have left. */
  readonly files: number
  readonly bytes: number
}

/** Options of `verifyPublished`. */
export interface VerifyPublishedOptions extends StoreOptions {
  /** Called now and then with the number of pages read so far and in all. */
  readonly onProgress?: ((progress: { done: number; total: number }) => void) | undefined
}

/** What `verifyPublished` has found. */
export interface PublishedVerification {
  readonly version: number
  readonly problems: readonly PublishedProblem[]
  /** Of the newest version: bucket files, pages, and puts in them. */
  readonly files: number
  readonly pages: number
  readonly records: number
}

export interface PublishedProblem {
  /** The address of the object. */
  readonly file: string
  readonly offset: number | undefined
  readonly message: string
}

const STORE_OPTIONS = { signal: optionalSignal }
const GARBAGE_OPTIONS = {
  ...STORE_OPTIONS,
  retention: optionalDuration,
  forget: optionalNames,
  dryRun: optionalBoolean,
}
/** If a version is forgotten while it is verified, the newest one is verified instead, at most this often. */
const VERIFICATIONS = 5
const VERIFY_OPTIONS = {
  ...STORE_OPTIONS,
  onProgress: optionalCallback<NonNullable<VerifyPublishedOptions['onProgress']>>(),
}

/**
 * What is published there. Rejects with `FLASHTABLE_NOT_FOUND`, `_CORRUPTION`, `_UNSUPPORTED_FORMAT`, `_UNAVAILABLE`, or
 * `signal.reason`. Cost: one request.
 */
export async function publishedTable(
  store: ObjectStore,
  options?: StoreOptions,
  ...extra: never[]
): Promise<PublishedTable> {
  refuseExtra('publishedTable', extra)
  const checked = checkStore('publishedTable', store)
  const { remote } = await requireRemote(checked, readOptions('publishedTable', options, STORE_OPTIONS))
  return {
    url: checked.url,
    writer: remote.writer.label,
    epoch: remote.epoch,
    retentionMs: remote.retentionMs,
    versions: remote.versions.map(version => describe(remote, version)),
    ...totalsOf(remote, remote.files),
  }
}

/** The version that `restore` would take. Errors: as those of `restore`. */
export async function findPublished(
  store: ObjectStore,
  choice: GivenVersion,
  signal: AbortSignal,
): Promise<PublishedVersion> {
  const { remote } = await requireRemote(store, { signal })
  return describe(remote, chooseVersion(remote, store.url, choice))
}

/**
 * Forgets versions of which the time is over, names that have expired, and removes objects that nobody needs. Publishes do
 * so too: it is for tables that are published no more, and for names that are not needed any more. It may run beside a
 * writer. Rejects with `FLASHTABLE_NOT_FOUND` if nothing is published or a name is not there, `_CORRUPTION`,
 * `_UNAVAILABLE`, or `signal.reason`. Cost: a list of all objects.
 */
export async function collectGarbage(
  store: ObjectStore,
  options?: GarbageOptions,
  ...extra: never[]
): Promise<CollectedGarbage> {
  refuseExtra('collectGarbage', extra)
  const checked = checkStore('collectGarbage', store)
  const given = readOptions('collectGarbage', options, GARBAGE_OPTIONS)
  const { retention, forget, dryRun = false, signal } = given
  const { remote } = await requireRemote(checked, { signal })
  const pointer = { store: checked, newNonce: () => randomHex(16), wait: nodeEnvironment.wait }
  const garbage = await keepAlive(collectRemote(pointer, { retentionMs: retention, forget, dryRun, signal }))
  if (garbage === undefined) throw await nothingPublished(checked, { signal })
  const { versions, dropped, orphans } = garbage
  const dropping = new Set(dropped)
  const files = remote.files.filter(({ key }) => dropping.has(key))
  const orphanBytes = orphans.reduce((sum, { bytes }) => sum + bytes, 0)
  return {
    versions,
    files: dropped.length + orphans.length,
    bytes: totalsOf(remote, files).bytes + orphanBytes,
  }
}

/**
 * Reads every page of the newest version and compares it with all that is known of it; of the objects of older versions
 * it checks that they are there. Damage does not reject: it is in `problems`. Rejects with `FLASHTABLE_NOT_FOUND`,
 * `_CORRUPTION` if the manifest itself is damaged, `_UNAVAILABLE`, or `signal.reason`. Cost: fetches the version; a list.
 */
export async function verifyPublished(
  store: ObjectStore,
  options?: VerifyPublishedOptions,
  ...extra: never[]
): Promise<PublishedVerification> {
  refuseExtra('verifyPublished', extra)
  const checked = checkStore('verifyPublished', store)
  return withProgress(readOptions('verifyPublished', options, VERIFY_OPTIONS), async control => {
    for (let attempt = 1; ; attempt++) {
      const { remote } = await requireRemote(checked, control)
      const found = await verifyNewest(checked, remote, control)
      if (found.problems.length === 0) return found
      // A writer may have published meanwhile, and have deleted what was forgotten: only what is still named is damage.
      const { files } = (await requireRemote(checked, control)).remote
      const named = new Set(files.map(({ key }) => key))
      if (filesOfVersion(remote, found.version).every(({ key }) => named.has(key)))
        return { ...found, problems: found.problems.filter(({ file }) => named.has(keyIn(checked, file))) }
      if (attempt === VERIFICATIONS)
        throw new FlashTableError(
          'FLASHTABLE_SNAPSHOT_EXPIRED',
          `versions of ${checked.url} are forgotten faster than they can be verified: publish with a longer retention`,
        )
    }
  })
}

function keyIn({ url }: ObjectStore, address: string): string {
  return address.slice(url.length + 1)
}

async function verifyNewest(
  store: ObjectStore,
  remote: RemoteManifest,
  control: ProgressOptions,
): Promise<PublishedVerification> {
  const newest = remote.versions.at(-1)!
  const problems = await missingObjects(store, remote, control)
  const missing = new Set(problems.map(({ file }) => file))
  const all = filesOfVersion(remote, newest.version)
  const files = all.filter(({ key }) => !missing.has(`${store.url}/${key}`))
  const pages = files.reduce((sum, { entry }) => sum + entry.pages, 0)
  let done = 0
  let records = 0
  const objects = new PieceReader(store, control)
  const fileSystem = remoteFileSystem(store.url, remote, newest, objects)
  const options = verifyOptions(store.url, manifestOf(remote, newest), fileSystem)
  for (const file of files) {
    const result = await checkStored(file, options, objects, count => {
      throwIfAborted(control.signal)
      done += count
      control.onProgress?.({ done, total: pages })
    })
    problems.push(...result.problems)
    records += result.records
  }
  return { version: newest.version, problems, files: all.length, pages, records }
}

/**
 * Tries whether a table can be published there: that of all who create or replace an object one wins. The first publish
 * does so too. Rejects with `FLASHTABLE_UNSUPPORTED_STORE`, `_UNAVAILABLE`, or `signal.reason`. Cost: some fifteen requests.
 */
export async function probeStore(
  store: ObjectStore,
  options?: StoreOptions,
  ...extra: never[]
): Promise<void> {
  refuseExtra('probeStore', extra)
  await probe(checkStore('probeStore', store), randomHex, readOptions('probeStore', options, STORE_OPTIONS))
}

/** How the files of a version are opened. */
function verifyOptions(url: string, manifest: Manifest, fileSystem: FileSystem): BucketFileOptions {
  const { schema, pageBytes, tableId } = manifest
  const { layout } = Schema.open(schema, `${url}/${REMOTE_MANIFEST_KEY}`, {}, combineOf(manifest))
  return { fileSystem, directory: url, tableId: tableIdBytes(tableId), layout, pageBytes }
}

async function checkStored(
  { key, entry }: RemoteFile,
  options: BucketFileOptions,
  objects: PieceReader,
  onPages: (pages: number) => void,
): Promise<{ readonly problems: PublishedProblem[]; readonly records: number }> {
  const { problems, records } = await checkBucketFile(options, entry, onPages)
  objects.check()
  const path = `${options.directory}/${bucketName(entry.number)}`
  const file = `${options.directory}/${key}`
  return {
    records,
    problems: problems.map(({ offset, message }) => ({
      file,
      offset,
      message: message.replaceAll(path, file),
    })),
  }
}

/** Objects that some version needs, and that are not there, or not whole. */
async function missingObjects(
  store: ObjectStore,
  remote: RemoteManifest,
  call: StoreCall,
): Promise<PublishedProblem[]> {
  const sizes = new Map<string, number>()
  for await (const { key, bytes } of store.list('e', call)) sizes.set(key, bytes)
  return remote.files.flatMap(({ key, entry }) => {
    const size = entry.pages * remote.table.pageBytes
    const found = sizes.get(key)
    if (found === size) return []
    const message =
      found === undefined
        ? 'the manifest names this object, and it is missing'
        : `the manifest says ${size} bytes, and it has ${found}`
    return [{ file: `${store.url}/${key}`, offset: undefined, message }]
  })
}

/** The manifest. Rejects with `FLASHTABLE_NOT_FOUND`, `_UNAVAILABLE`, `_CORRUPTION`. */
export async function requireRemote(
  store: ObjectStore,
  { signal }: StoreCall,
): Promise<{ remote: RemoteManifest }> {
  const state = await loadRemote(store, { signal })
  if (state === undefined) throw await nothingPublished(store, { signal })
  return state
}

function describe(remote: RemoteManifest, version: RemoteVersion): PublishedVersion {
  const files = filesOfVersion(remote, version.version)
  const { at, supersededAt, sequence } = version
  return {
    version: version.version,
    at: new Date(at),
    supersededAt: supersededAt === undefined ? undefined : new Date(supersededAt),
    sequence,
    records: files.reduce((sum, { entry }) => sum + entry.records, 0),
    ...totalsOf(remote, files),
    names: remote.names
      .filter(name => name.version === version.version)
      .map(({ name, expiresAt }) => ({
        name,
        expires: expiresAt === undefined ? undefined : new Date(expiresAt),
      })),
  }
}

function totalsOf(
  { table }: RemoteManifest,
  files: readonly RemoteFile[],
): { readonly files: number; readonly bytes: number } {
  const pages = files.reduce((sum, { entry }) => sum + entry.pages, 0)
  return { files: files.length, bytes: pages * table.pageBytes }
}

function randomHex(bytes: number): string {
  return Buffer.from(nodeEnvironment.randomBytes(bytes)).toString('hex')
}

function optionalNames(value: unknown, name: string): readonly string[] | undefined {
  if (value === undefined) return undefined
  if (Array.isArray(value) && value.every(one => typeof one === 'string')) return [...value]
  throw unexpected(name, 'an array of names', value)
}
