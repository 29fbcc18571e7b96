/**
 * How a published table goes on from version to version, and what may be forgotten: pure functions on its manifest.
 *
 * A version can be restored for `retentionMs` after the next one was published, and as long as it has a name. A file goes
 * when no version that can be restored has it. All times are those of the store's clock.
 */
import { FlashTableError } from '../base/errors.js'
import type { BucketFileEntry } from '../manifest/bucket-file-entry.js'
import type { KeptPeriods } from '../options/kept-periods.js'
import type { GivenVersion } from '../options/remote-options.js'
import {
  fileIdentity,
  type NamedVersion,
  type RemoteFile,
  type RemoteManifest,
  type RemoteVersion,
} from './remote-manifest.js'

/** A message names that many versions. */
const NUMBERS_SHOWN = 12
/** Versions that a replica has made and that are kept, and how long all of them are. */
const STEPS_KEPT = 100
const STEP_MS = 600_000

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Each kind of period, how long one is, and how much of its beginning its name has. */
const PERIODS = [
  { kind: 'hourly', ms: HOUR_MS, digits: 'YYYY-MM-DDTHH'.length },
  { kind: 'daily', ms: DAY_MS, digits: 'YYYY-MM-DD'.length },
  { kind: 'weekly', ms: 7 * DAY_MS, digits: 'YYYY-MM-DD'.length },
] as const
/** 1970 began on a Thursday: weeks are counted from the Monday before. */
const MONDAY_MS = -3 * DAY_MS

/** A bucket file of the new version. */
export interface PublishedFile {
  readonly entry: BucketFileEntry
  readonly key: string
}

/** What a publish changes. */
export interface NextVersion extends Omit<RemoteVersion, 'version'> {
  readonly table: RemoteManifest['table']
  /** Oldest first. */
  readonly files: readonly PublishedFile[]
  readonly name?: Omit<NamedVersion, 'version'> | undefined
}

/** The manifest with one version more. The nonces are the caller's. */
export function withVersion(remote: RemoteManifest, next: NextVersion): RemoteManifest {
  const { table, files, name, ...facts } = next
  const { at } = facts
  const version = newestOf(remote).version + 1
  const named = new Map(files.map(file => [file.key, file]))
  const retired = remote.files
    .filter(({ key }) => !named.has(key))
    .map((file): RemoteFile => (file.until === undefined ? { ...file, until: version, untilAt: at } : file))
  const since = new Map(remote.files.map(file => [file.key, file.since]))
  const current = files.map(({ entry, key }): RemoteFile => ({
    entry,
    key,
    since: since.get(key) ?? version,
  }))
  const names = remote.names.filter(other => other.name !== name?.name)
  return {
    ...remote,
    table,
    files: [...retired, ...current],
    versions: [...remote.versions.map(other => ({ supersededAt: at, ...other })), { version, ...facts }],
    names: name === undefined ? names : [...names, { ...name, version }],
  }
}

/**
 * After a publish: if the version before was the last one of an hour, a day or a week that is to be kept, it gets a name, such
 * as `daily-2026-11-29`, which expires when as many periods have passed.
 */
export function withKeptPeriods(remote: RemoteManifest, keep: KeptPeriods): RemoteManifest {
  const [last, next] = remote.versions.slice(-2)
  if (last === undefined || next === undefined) return remote
  let { names } = remote
  for (const { kind, ms, digits } of PERIODS) {
    const count = keep[kind]
    const beginOf = ({ at }: RemoteVersion): number => Math.floor((at - MONDAY_MS) / ms) * ms + MONDAY_MS
    const begin = beginOf(last)
    if (count === undefined || begin === beginOf(next)) continue
    const name = `${kind}-${new Date(begin).toISOString().slice(0, digits)}`
    const kept = { name, version: last.version, expiresAt: next.at + count * ms }
    names = [...names.filter(other => other.name !== name), kept]
  }
  return { ...remote, names }
}

/** The newest version; before the first one, version 0. */
export function newestOf({ versions }: RemoteManifest): Pick<RemoteVersion, 'version' | 'at' | 'sequence'> {
  return versions.at(-1) ?? { version: 0, at: 0, sequence: 0 }
}

/** The keys of the files of the newest version, by what the files are. */
export function keysByIdentity({ files }: RemoteManifest): Map<string, string> {
  const current = files.filter(({ until }) => until === undefined)
  return new Map(current.map(({ entry, key }) => [fileIdentity(entry), key]))
}

/** The manifest without what may be forgotten at `now`, and the keys that it no longer names. */
export function collected(
  remote: RemoteManifest,
  now: number,
  retentionMs: number,
): { readonly remote: RemoteManifest; readonly dropped: readonly string[] } {
  const names = remote.names.filter(({ expiresAt }) => expiresAt === undefined || expiresAt > now)
  const kept = new Set(names.map(({ version }) => version))
  const versions = withoutSteps(remote.versions, now, retentionMs, kept).filter(
    ({ version, supersededAt = Infinity }) => supersededAt + retentionMs > now || kept.has(version),
  )
  const isNeeded = ({ since, until }: RemoteFile): boolean =>
    until === undefined || versions.some(({ version }) => since <= version && version < until)
  return {
    remote: { ...remote, names, versions, files: remote.files.filter(isNeeded) },
    dropped: remote.files.filter(file => !isNeeded(file)).map(({ key }) => key),
  }
}

/**
 * A replica makes a version every few seconds. Once readers have moved on, one is kept for each hundredth of the retention:
 * a manifest that named them all would be large, and is read and written each time.
 */
function withoutSteps(
  versions: readonly RemoteVersion[],
  now: number,
  retentionMs: number,
  kept: ReadonlySet<number>,
): readonly RemoteVersion[] {
  const slotOf = ({ at }: RemoteVersion): number => Math.floor(at / (retentionMs / STEPS_KEPT))
  const left: RemoteVersion[] = []
  for (const [i, version] of versions.entries()) {
    const next = versions[i + 1]
    const { supersededAt = Infinity, replicated } = version
    const isStep = replicated === true && next !== undefined && slotOf(version) === slotOf(next)
    const before = left.at(-1)
    if (!isStep || supersededAt + STEP_MS > now || kept.has(version.version)) left.push(version)
    // What was the newest then is told by the one before.
    else if (before?.supersededAt === version.at) left[left.length - 1] = { ...before, supersededAt }
  }
  return left
}

/** The version that is meant. Throws `FLASHTABLE_NOT_FOUND`, which says what there is. */
export function chooseVersion(remote: RemoteManifest, url: string, choice: GivenVersion): RemoteVersion {
  const { versions, names } = remote
  const found = find(remote, choice)
  if (found !== undefined) return found
  const wanted =
    choice.name !== undefined
      ? `a version named ${JSON.stringify(choice.name)}`
      : choice.version !== undefined
        ? `version ${choice.version}`
        : choice.at !== undefined
          ? `a version of ${new Date(choice.at).toISOString()}`
          : 'anything published'
  const oldest = versions[0]
  const there =
    oldest === undefined
      ? 'nothing was published yet'
      : `there are versions ${listed(versions.map(({ version }) => String(version)))}, the oldest of ` +
        `${new Date(oldest.at).toISOString()}, and ${namesText(names.map(({ name }) => name))}`
  throw new FlashTableError('FLASHTABLE_NOT_FOUND', `${url} does not have ${wanted}: ${there}`)
}

/** A replica makes hundreds, and periods that are kept have names. */
function listed(texts: readonly string[]): string {
  const few = texts.length <= NUMBERS_SHOWN
  return (few ? texts : [...texts.slice(0, 3), '...', ...texts.slice(-3)]).join(', ')
}

function namesText(names: readonly string[]): string {
  return names.length === 0 ? 'no names' : `the names ${listed(names.map(name => JSON.stringify(name)))}`
}

function find(
  { versions, names }: RemoteManifest,
  { at, version, name }: GivenVersion,
): RemoteVersion | undefined {
  if (name !== undefined) {
    const named = names.find(other => other.name === name)
    return versions.find(other => other.version === named?.version)
  }
  if (version !== undefined) return versions.find(other => other.version === version)
  if (at === undefined) return versions.at(-1)
  // Versions in between may be forgotten: then that time is.
  return versions.find(other => other.at <= at && at < (other.supersededAt ?? Infinity))
}
