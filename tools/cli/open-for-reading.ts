/**
 * Opens what a command reads: a table in a directory, or a published one where it is. All commands that only read records
 * go through it, so that each takes both. README.md, Command line.
 */
import { Option, type Command } from 'commander'
import { throwIfAborted } from '../../src/async/abort.js'
import { parseStoredSchema, type StoredSchema } from '../../src/encoding/stored-schema.js'
import { FlashTable, type ObjectStore } from '../../src/index.js'
import type { PartitionsObject } from '../../src/partitions/partitions-object.js'
import { PARTITIONS_KEY } from '../../src/remote/nothing-published.js'
import {
  REMOTE_MANIFEST_KEY,
  type RemoteManifest,
  type RemoteVersion,
} from '../../src/remote/remote-manifest.js'
import { chooseVersion } from '../../src/remote/versions.js'
import { requireRemote } from '../../src/table/published.js'
import { parseDirectory, single } from './arguments.js'
import { closing } from './closing.js'
import { readableEncodings } from './encodings.js'
import { interruptible } from './interrupt.js'
import { publishedOr } from './partitions.js'
import { addVersionOptions, parseVersion, type VersionTexts } from './published-version.js'
import { readPartitions, readTable, type ReadTable } from './read-table.js'
import { printLine } from './streams.js'
import { addStoreOptions, isStore, openStore, URL_DETAILS, type StoreTexts } from './store.js'
import { readSchema } from './table-schema.js'
import { UsageError } from './usage.js'

/** Where a published table is, and which version of it is meant. */
export interface ReadingTexts extends StoreTexts, VersionTexts {
  readonly cache?: string
}

/** What the help of commands that read a directory or a URL says of it. */
export const READING_DETAILS = `
DIR may also be the URL of a published table. Then it is read where it is: what is needed is fetched, of the newest
version, or of one by --at, --version or --name. It may be the URL of a table with partitions, too: --at and --name then
mean a version of each partition.
${URL_DETAILS}`

/** A table that can be opened. */
export interface Readable {
  /** What results say of its place: `directory` or `url`. */
  readonly place: { readonly directory: string } | { readonly url: string }
  readonly schema: StoredSchema
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
  /** Runs `work` on the open table, which stays as it is at its open. Rejects with the reason of `signal` once that is aborted. */
  open<Result>(work: (table: ReadTable) => Promise<Result>): Promise<Result>
}

/** A version of a published table. */
export interface Published {
  readonly store: ObjectStore
  readonly remote: RemoteManifest
  readonly version: RemoteVersion
}

/** `--endpoint`, `--region`, `--at`, `--version` and `--name`. */
export function addReadingOptions(command: Command): Command {
  return addVersionOptions(addStoreOptions(command))
}

/** `--cache DIR`, of commands that may read the same again. */
export function cacheOption(): Option {
  const option = new Option('--cache <dir>', 'keep what is fetched from URL there, for the next command')
  return single(option.argParser(parseDirectory))
}

/** Runs `work` on a table that is only read: it is found before it is opened, so that wrong usage is told first. */
export async function reading<Result>(
  place: string,
  texts: ReadingTexts,
  work: (table: Readable) => Promise<Result>,
): Promise<Result> {
  return interruptible(async signal => {
    if (isStore(place)) {
      const choice = parseVersion(texts)
      return closing(await openStore(place, texts), async store => {
        const found = await publishedOr(store, signal, () => requireRemote(store, { signal }))
        if ('partitions' in found) return work(readableOfPartitions(store, found.partitions, texts, signal))
        const { remote } = found.result
        const version = chooseVersion(remote, store.url, choice)
        return work(readableVersion({ store, remote, version }, texts, signal))
      })
    }
    refuseStoreOptions(texts)
    const schema = await readSchema(place)
    return work({
      place: { directory: place },
      schema,
      signal,
      async open(work) {
        const options = { ...readableEncodings(schema), readOnly: true, signal }
        return whileOpen(await readTable(FlashTable.open(place, options)), signal, work)
      },
    })
  })
}

/** Runs `work` on the version that the options mean. Rejects with `FLASHTABLE_NOT_FOUND`, `_UNAVAILABLE`, `_CORRUPTION`. */
export async function withPublished<Result>(
  url: string,
  texts: ReadingTexts,
  signal: AbortSignal,
  work: (published: Published) => Promise<Result>,
): Promise<Result> {
  const choice = parseVersion(texts)
  return closing(await openStore(url, texts), async store => {
    const { remote } = await requireRemote(store, { signal })
    return work({ store, remote, version: chooseVersion(remote, store.url, choice) })
  })
}

/** Throws a {@link UsageError} if there are options that only a published table has. */
export function refuseStoreOptions(texts: ReadingTexts): void {
  const { endpoint, region, at, version, name, cache } = texts
  const given = Object.entries({ endpoint, region, at, version, name, cache })
  const option = given.find(([, value]) => value !== undefined)?.[0]
  if (option !== undefined)
    throw new UsageError(`--${option} is for the URL of a published table, and DIR is a directory`)
}

function readableVersion(
  { store, remote, version }: Published,
  { cache }: ReadingTexts,
  signal: AbortSignal,
): Readable {
  const schema = parseStoredSchema(remote.table.schema, `${store.url}/${REMOTE_MANIFEST_KEY}`)
  return {
    place: { url: store.url },
    schema,
    signal,
    async open(work) {
      const opening = FlashTable.openRemote(store, {
        ...readableEncodings(schema),
        // By its number: it stays this one, and nobody looks for a newer one.
        version: version.version,
        // One command asks for few keys: filters would cost more than they spare.
        filterBytes: 0,
        cacheDirectory: cache,
        signal,
      })
      return whileOpen(await readTable(opening), signal, tellingUnusable(cache, work))
    },
  }
}

/** All partitions, each as its newest version, or as that by its time or name. */
function readableOfPartitions(
  store: ObjectStore,
  object: PartitionsObject,
  { cache, at, name, version }: ReadingTexts,
  signal: AbortSignal,
): Readable {
  if (version !== undefined)
    throw new UsageError(
      `--version is for one table, and each partition of ${store.url} has versions of its own: give --at or --name, ` +
        'or the URL of a partition',
    )
  const schema = parseStoredSchema(object.schema, `${store.url}/${PARTITIONS_KEY}`)
  return {
    place: { url: store.url },
    schema,
    signal,
    async open(work) {
      const table = await readPartitions(store, object, { schema, at, name, cache, signal })
      return whileOpen(table, signal, tellingUnusable(cache, work))
    },
  }
}

/** A cache that cannot be used is no failure, but the user, who asked for it, should know that nothing is kept. */
function tellingUnusable<Result>(
  cache: string | undefined,
  work: (table: ReadTable) => Promise<Result>,
): (table: ReadTable) => Promise<Result> {
  return async table => {
    const failure = cache === undefined ? undefined : await table.cacheFailure()
    if (failure !== undefined) printLine(`flashtable: nothing is kept in --cache ${cache}: ${failure}`)
    return work(table)
  }
}

/** Runs `work` and closes the table; on Ctrl-C at once, which ends all reads that are under way. */
async function whileOpen<Result>(
  table: ReadTable,
  signal: AbortSignal,
  work: (table: ReadTable) => Promise<Result>,
): Promise<Result> {
  const close = (): void => void table.close().catch(() => {})
  signal.addEventListener('abort', close)
  try {
    return await closing(table, work)
  } catch (error) {
    throwIfAborted(signal)
    throw error
  } finally {
    signal.removeEventListener('abort', close)
  }
}
