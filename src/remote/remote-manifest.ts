/**
 * The manifest of a published table: the one object of it that is ever replaced. docs/remote-format.md.
 *
 * It names every object that the newest version, or an older one that can still be restored, consists of. A version *v* is
 * made of the files with `since <= v < until`. So points in time are a filter on one list.
 */
import { assert } from '../base/assert.js'
import { describeValue } from '../base/describe-value.js'
import { FlashTableError } from '../base/errors.js'
import { checkedText, parseCheckedText } from '../format/checked-text.js'
import type { BucketFileEntry } from '../manifest/bucket-file-entry.js'
import { MANIFEST_BYTES_MAX, type Manifest, type ManifestCounters } from '../manifest/manifest.js'
import type { JsonObject } from '../manifest/meta.js'
import { validateManifest } from '../manifest/validate.js'

/** The key of the manifest. */
export const REMOTE_MANIFEST_KEY = 'MANIFEST'
/** The format that this release writes; it reads no other one. */
const FORMAT = { kind: 'remote', version: 1 }
const EPOCH_DIGITS = 12
/** The last moment of a `Date`. */
const TIME_MS_MAX = 8.64e15
const EPOCH = /^e(\d{12})\//
const KEY = /^e(\d{12})\/\d{6,15}-[0-9a-f]{16}\.bucket$/

/** A bucket file in the store. */
export interface RemoteFile {
  /** As a table's manifest has it; `tableId` is always there. */
  readonly entry: BucketFileEntry
  readonly key: string
  /** The first version that has it. */
  readonly since: number
  /** The first version that does not have it any more, and when that was published; absent: the newest has it. */
  readonly until?: number
  readonly untilAt?: number
}

/** What differs between the versions of a table, besides files. */
export interface RemoteVersion {
  readonly version: number
  /** When it was published, by the clock of the store: milliseconds since 1970. */
  readonly at: number
  /** When the next one was; absent: it is the newest. */
  readonly supersededAt?: number
  /** Everything put before this sequence number is in it. */
  readonly sequence: number
  readonly nextFileNumber: number
  readonly counters: ManifestCounters
  readonly meta: JsonObject
  /** A replica has made it: of its older versions only some are kept. */
  readonly replicated?: true
}

/** A version that was given a name. */
export interface NamedVersion {
  readonly name: string
  readonly version: number
  /** From then on it may be forgotten; absent: never. */
  readonly expiresAt?: number
}

export interface RemoteManifest {
  /** Of this published table, whichever directory writes it: 32 hexadecimal digits. */
  readonly lineage: string
  /** Each writer that takes over has a higher one. */
  readonly epoch: number
  readonly writer: { readonly id: string; readonly label: string }
  /** Of this state of the manifest. */
  readonly nonce: string
  /** Of the last state that a writer has made: collecting garbage changes `nonce` alone. */
  readonly published: string
  /** `nonce` of the state before. */
  readonly parent: string
  /** How long a version can be restored after the next one was published, as the last publish has said. */
  readonly retentionMs: number
  /** The table's manifest without files, log and what differs between versions. */
  readonly table: Pick<Manifest, 'tableId' | 'epoch' | 'schema' | 'pageBytes' | 'duplicates' | 'mode'>
  /** In any order. */
  readonly files: readonly RemoteFile[]
  /** Ascending; the last is the newest. */
  readonly versions: readonly RemoteVersion[]
  readonly names: readonly NamedVersion[]
}

/** The key of a bucket file: it has never been one before. `random`: 16 hexadecimal digits. */
export function remoteKey(epoch: number, number: number, random: string): string {
  return `e${String(epoch).padStart(EPOCH_DIGITS, '0')}/${String(number).padStart(6, '0')}-${random}.bucket`
}

/** The epoch of the writer that made an object; `undefined` for an object that flashtable did not make. */
export function epochOfKey(key: string): number | undefined {
  const match = KEY.exec(key)
  return match === null ? undefined : Number(match[1])
}

/** The epoch of the writer that has begun something in this folder of the store. */
export function epochOfFolder(key: string): number | undefined {
  const match = EPOCH.exec(key)
  return match === null ? undefined : Number(match[1])
}

/** The manifest of the table as it was in that version, as a checkpoint has one: without a log. */
export function manifestOf(remote: RemoteManifest, { version, sequence, ...facts }: RemoteVersion): Manifest {
  const { tableId } = remote.table
  const { nextFileNumber, counters, meta } = facts
  return {
    ...remote.table,
    files: filesOfVersion(remote, version).map(({ entry }) => {
      const { tableId: writer, ...own } = entry
      return writer === tableId ? own : entry
    }),
    log: { closed: [], firstSegment: nextFileNumber },
    firstLogSequence: sequence,
    nextSequence: sequence,
    nextFileNumber,
    clean: true,
    counters,
    meta,
  }
}

/** The files of a version, oldest first. */
export function filesOfVersion({ files }: RemoteManifest, version: number): RemoteFile[] {
  return files
    .filter(({ since, until }) => since <= version && (until === undefined || version < until))
    .toSorted((a, b) => a.entry.firstSequence - b.entry.firstSequence)
}

/** Identifies a bucket file, wherever it is: no other one has the same. */
export function fileIdentity({ tableId, epoch, number }: BucketFileEntry): string {
  return `${tableId} ${epoch} ${number}`
}

/** Requires: a valid manifest. Throws `FLASHTABLE_IO_ERROR` if it is too large. */
export function serializeRemote(remote: RemoteManifest): Uint8Array {
  const problem = problemOf(remote)
  assert(problem === undefined, `a published manifest is valid before it is written: ${problem}`)
  const bytes = checkedText(FORMAT, remote)
  if (bytes.byteLength <= MANIFEST_BYTES_MAX) return bytes
  throw new FlashTableError(
    'FLASHTABLE_IO_ERROR',
    `the published table has ${remote.files.length} files in ${remote.versions.length} versions, more than its ` +
      'manifest can name: let names expire, keep versions for a shorter time, or compact the table',
  )
}

/**
 * Reads the manifest. `url`: of the store, for messages. Throws `FLASHTABLE_UNSUPPORTED_FORMAT` if a later release wrote it,
 * `FLASHTABLE_CORRUPTION` if it is damaged.
 */
export function parseRemote(bytes: Uint8Array, url: string): RemoteManifest {
  const path = `${url}/${REMOTE_MANIFEST_KEY}`
  return parseCheckedText(
    bytes,
    path,
    FORMAT,
    'the manifest of a published table',
    problemOf,
  ) as RemoteManifest
}

/** What is wrong with it, or `undefined`. Each version must be a valid table, and each file a file of some version. */
function problemOf(value: unknown): string | undefined {
  const remote = value as Partial<RemoteManifest> | null
  if (typeof remote !== 'object' || remote === null) return 'no object'
  const { lineage, epoch, writer, nonce, published, parent, retentionMs, table, files, versions, names } =
    remote
  for (const [name, id] of Object.entries({ lineage, nonce, published, 'writer.id': writer?.id }))
    if (typeof id !== 'string' || !/^[0-9a-f]{32}$/.test(id)) return `${name}: ${describeValue(id)}`
  if (typeof parent !== 'string' || typeof writer?.label !== 'string') return 'parent or writer: no text'
  if (!isCount(epoch) || epoch < 1) return `epoch: ${describeValue(epoch)}`
  if (!isCount(retentionMs)) return `retentionMs: ${describeValue(retentionMs)}`
  if (typeof table !== 'object' || table === null) return `table: ${describeValue(table)}`
  if (!Array.isArray(files) || !Array.isArray(versions) || !Array.isArray(names)) return 'a list is missing'
  return (
    problemOfVersions(versions) ??
    problemOfFiles(files, epoch) ??
    problemOfNames(names) ??
    problemOfTables(remote as RemoteManifest)
  )
}

function problemOfVersions(versions: readonly unknown[]): string | undefined {
  let last = 0
  if (versions.length === 0) return 'no version'
  for (const value of versions) {
    const { version, at, supersededAt = at, replicated = true } = (value ?? {}) as Partial<RemoteVersion>
    const areCounts = isCount(version) && version > last && isTime(at) && isTime(supersededAt)
    if (!areCounts || replicated !== true) return `a version: ${describeValue(value)}`
    last = version
  }
  return undefined
}

function problemOfFiles(files: readonly unknown[], epoch: number): string | undefined {
  const keys = new Set<string>()
  for (const value of files) {
    const { entry, key, since, until, untilAt } = (value ?? {}) as Partial<RemoteFile>
    const isEntry = typeof entry === 'object' && entry !== null && typeof entry.tableId === 'string'
    if (!isEntry || !isCount(since)) return `a file: ${describeValue(value)}`
    if ((until === undefined) !== (untilAt === undefined)) return `a file: ${describeValue(value)}`
    if (until !== undefined && (!isCount(until) || until <= since || !isTime(untilAt)))
      return `a file: ${describeValue(value)}`
    const made = typeof key === 'string' ? epochOfKey(key) : undefined
    if (made === undefined || made > epoch || keys.has(key!)) return `a key: ${describeValue(key)}`
    keys.add(key!)
  }
  return undefined
}

function problemOfNames(names: readonly unknown[]): string | undefined {
  const seen = new Set<string>()
  for (const value of names) {
    const { name, version, expiresAt } = (value ?? {}) as Partial<NamedVersion>
    const isFine = typeof name === 'string' && !seen.has(name) && isCount(version)
    if (!isFine || (expiresAt !== undefined && !isTime(expiresAt))) return `a name: ${describeValue(value)}`
    seen.add(name)
  }
  return undefined
}

function problemOfTables(remote: RemoteManifest): string | undefined {
  for (const version of remote.versions) {
    const problem = validateManifest(manifestOf(remote, version))
    if (problem !== undefined) return `version ${version.version}: ${problem}`
  }
  return undefined
}

/** Milliseconds since 1970 that a `Date` can hold. */
function isTime(value: unknown): value is number {
  return isCount(value) && value <= TIME_MS_MAX
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
