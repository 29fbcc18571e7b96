/** Publishes an open table to an object store: what is put before the call, in bucket files. docs/internals.md, Publishing. */
import { Buffer } from 'node:buffer'
import { hostname } from 'node:os'
import { Mutex } from 'async-mutex'
import { runExclusive } from '../async/abort.js'
import { withProgress } from '../async/progress.js'
import { describeValue } from '../base/describe-value.js'
import { diskError, FlashTableError, hasCode, messageOf } from '../base/errors.js'
import { REMOTE_LOCK_NAME } from '../io/file-names.js'
import type { FileSystem } from '../io/file-system.js'
import {
  invalidOption,
  optionalBoolean,
  optionalCallback,
  optionalSignal,
  readOptions,
} from '../options/arguments.js'
import { durationOf, optionalDuration } from '../options/duration.js'
import { optionalKeep, type KeptPeriods } from '../options/kept-periods.js'
import { isDate } from '../options/remote-options.js'
import {
  Publisher,
  type PublisherOptions,
  type PublishRequest,
  type PublishResult,
  type PublishedState,
} from '../remote/publisher.js'
import type { TableState } from '../state/table-state.js'
import type { Version } from '../state/version.js'
import { guardedStore, missingOf } from '../store/guarded-store.js'
import type { ObjectSource, ObjectStore } from '../store/object-store.js'
import type { Environment } from './environment.js'
import type { TableLock, TableParts, WriterParts } from './table-parts.js'

const NAME_LENGTH_MAX = 200

/** Options of `publish`. */
export interface PublishOptions {
  /** Gives the version a name, by which it can be restored until it expires. A name that was given before moves here. */
  readonly name?: string | undefined
  /** When the name may be forgotten: a `Date`, milliseconds from now on, or a text such as `'30d'`. Default: never. */
  readonly expires?: Date | number | string | undefined
  /** Go on with a table that another writer has published, from a copy of its newest version. That writer can publish no more. */
  readonly takeOver?: boolean | undefined
  /** How long older versions can be restored: milliseconds, or a text such as `'7d'`. Default: as at the last publish, at first an hour. */
  readonly retention?: number | string | undefined
  /**
   * When the first version of a new hour, day or week is published, the last one before it stays for that many of them, by a
   * name such as `daily-2026-11-29`. To be given with each publish. Default: only the retention counts.
   */
  readonly keep?: KeptPeriods | undefined
  /** Ends the call: it rejects with `signal.reason`; what was uploaded by then is removed later. */
  readonly signal?: AbortSignal | undefined
  /** Called with the bytes uploaded so far, and those of all uploads. */
  readonly onProgress?: ((progress: { done: number; total: number }) => void) | undefined
}

const PUBLISH_OPTIONS = {
  name: optionalName,
  expires: optionalExpiry,
  takeOver: optionalBoolean,
  retention: optionalDuration,
  keep: optionalKeep,
  signal: optionalSignal,
  onProgress: optionalCallback<NonNullable<PublishOptions['onProgress']>>(),
}

/** A state of a table that is held until it is released. */
export interface TakenState extends PublishedState {
  release(): Promise<void>
}

/** The publishers of one open table, by store; and one publish at a time. */
export class Publishing {
  readonly #publishers = new Map<string, Publisher>()
  readonly #turn = new Mutex()
  #lock: TableLock | undefined

  /** Publishes what was put before the call. Errors: as {@link Publisher.publish}, and as a flush. */
  async publish(
    parts: TableParts,
    { committer, compactor, home }: WriterParts,
    store: ObjectStore,
    given: PublishOptions | undefined,
    environment: Environment,
  ): Promise<PublishResult> {
    const {
      name,
      expires,
      takeOver = false,
      retention,
      keep,
      signal,
      onProgress,
    } = readOptions('publish', given, PUBLISH_OPTIONS)
    if (expires !== undefined && name === undefined)
      throw invalidOption('publish: expires is when a name is forgotten, and no name is given')
    return withProgress({ signal, onProgress }, control => {
      const take = async (): Promise<TakenState> => {
        await compactor.flushAll(
          stop => committer.exclusive(() => committer.seal(stop), stop),
          control.signal,
        )
        return takeState(parts.state)
      }
      const request = {
        name,
        expiresAt: expires,
        takeOver,
        retentionMs: retention,
        keep,
        signal: control.signal,
        onBytes: (done: number, total: number) => control.onProgress?.({ done, total }),
      }
      return this.publishState(
        store,
        { directory: parts.directory, fileSystem: home.fileSystem },
        environment,
        take,
        request,
      )
    })
  }

  /** Another process may publish from now on. Requires: nothing is published any more. */
  async close(): Promise<void> {
    await this.#lock?.release()
    this.#lock = undefined
  }

  /** Takes a state when its turn has come, publishes it, and releases it. */
  publishState(
    store: ObjectStore,
    { directory, fileSystem }: Pick<PublisherOptions, 'directory' | 'fileSystem'>,
    environment: Environment,
    take: () => Promise<TakenState>,
    request: PublishRequest,
  ): Promise<PublishResult> {
    const { randomBytes, wait } = environment
    return runExclusive(this.#turn, request.signal, async () => {
      this.#lock ??= await lockPublishing(directory, fileSystem, environment)
      const taken = await take()
      try {
        let publisher = this.#publishers.get(store.url)
        publisher ??= new Publisher({
          store,
          fileSystem,
          directory,
          randomHex: bytes => Buffer.from(randomBytes(bytes)).toString('hex'),
          label: writerLabel(directory),
          wait,
        })
        this.#publishers.set(store.url, publisher)
        publisher.useStore(store)
        return await publisher.publish(taken, request)
      } finally {
        await taken.release()
      }
    })
  }
}

/**
 * Of a directory, one process at a time publishes: two would be one writer to the store, and take the table from each other.
 * Held until the table is closed. Rejects with `FLASHTABLE_LOCKED`.
 */
async function lockPublishing(
  directory: string,
  fileSystem: FileSystem,
  { acquireLock }: Environment,
): Promise<TableLock> {
  const place = `${directory}/${REMOTE_LOCK_NAME}`
  try {
    await fileSystem.makeDirectory(place)
    return await acquireLock(place, { timeoutMs: 0 })
  } catch (error) {
    if (!hasCode(error, 'FLASHTABLE_LOCKED')) throw diskError(error, `${place} cannot be made`)
    throw new FlashTableError(
      'FLASHTABLE_LOCKED',
      `${directory} is published by another process or another open already, a replica for instance; two would take the ` +
        // Not what it says to do about it: nobody waits for this lock.
        `table from each other: end that one first (${messageOf(error).split(';')[0]})`,
      { cause: error },
    )
  }
}

/** Says who publishes a directory, for people. */
export function writerLabel(directory: string): string {
  return `${hostname()}:${directory}`
}

/** The newest state in bucket files; they can be read until it is released, whatever is merged meanwhile. */
async function takeState(state: TableState): Promise<TakenState> {
  return state.holdFiles(({ version }) => {
    const { manifest } = state
    const { firstLogSequence: sequence, nextFileNumber } = manifest
    version.retain()
    return Promise.resolve({
      manifest: {
        ...manifest,
        log: { closed: [], firstSegment: nextFileNumber },
        nextSequence: sequence,
        clean: true,
      },
      sourceOf: number => sourceOfStored(version, number, manifest.pageBytes),
      release: () => version.release(),
    })
  })
}

/** The content of a bucket file of the version. Requires: it is there, and the version is retained. */
export function sourceOfStored({ stored }: Version, number: number, pageBytes: number): ObjectSource {
  const file = stored.find(({ entry }) => entry.number === number)!
  return {
    bytes: file.entry.pages * pageBytes,
    read: (position, buffer) => file.readBytes(position, buffer),
  }
}

/**
 * The store, guarded. Throws a `TypeError` with `FLASHTABLE_INVALID_OPTION` unless it has the calls of an object store.
 * `needsBelow`: also `below`, which stores made by others need for tables of many parts alone.
 */
export function checkStore(call: string, store: unknown, needsBelow = false): ObjectStore {
  const missing = missingOf(store)
  if (missing !== undefined)
    throw invalidOption(
      `${call}: expected a store, made by directoryStore(), by s3Store() of flashtable/s3, or of your own, found ` +
        `${describeValue(store)}: ${missing}`,
    )
  const given = store as ObjectStore
  if (!needsBelow || typeof (given as Partial<ObjectStore>).below === 'function') return guardedStore(given)
  throw invalidOption(
    `${call}: the store ${given.url} has no method below, which gives the store at a path below it`,
  )
}

function optionalName(value: unknown, name: string): string | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'string' && value !== '' && value.length <= NAME_LENGTH_MAX && !/\p{Cc}/u.test(value))
    return value
  throw invalidOption(
    `${name}: expected a text of 1 to ${NAME_LENGTH_MAX} characters without control characters, found ${describeValue(value)}`,
  )
}

/** Gives the time of expiry from the time by the clock of the store. */
function optionalExpiry(value: unknown, name: string): ((now: number) => number) | undefined {
  if (value === undefined) return undefined
  if (isDate(value)) {
    const at = value.getTime()
    return () => at
  }
  const ms = durationOf(value, name, 'a Date, ')
  return now => now + ms
}
