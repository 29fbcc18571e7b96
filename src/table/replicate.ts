/**
 * Starts the replica of an open table: of a writer, or of a reader beside a writer in another process. What is in bucket files
 * is published as it is; what is only in memory and in the log as tail files. docs/internals.md, Replicas.
 */
import { throwIfAborted } from '../async/abort.js'
import { diskError, FlashTableError, hasCode } from '../base/errors.js'
import { MANIFEST_NAME, walName } from '../io/file-names.js'
import { modedFileSystem } from '../io/moded-file-system.js'
import { Jobs } from '../jobs/jobs.js'
import type { Manifest } from '../manifest/manifest.js'
import { listTable } from '../manifest/table-directory.js'
import { optionalBoolean, optionalSignal, readOptions, type Checked } from '../options/arguments.js'
import { optionalDuration, optionalInterval } from '../options/duration.js'
import { optionalKeep, type KeptPeriods } from '../options/kept-periods.js'
import type { PublishRequest } from '../remote/publisher.js'
import { Replica, type ReplicatedVersion } from '../replica/replica.js'
import { Tail } from '../replica/tail.js'
import type { View } from '../state/table-state.js'
import type { ObjectStore } from '../store/object-store.js'
import type { Environment } from './environment.js'
import { sourceOfStored, type Publishing, type TakenState } from './publish.js'
import type { TableParts } from './table-parts.js'

const INTERVAL_MS = 10_000
/** A reader that finds a segment gone looks again, at most this often. */
const ATTEMPTS = 20

/** Options of `replicate`. */
export interface ReplicateOptions {
  /** How often what is new is published: milliseconds, or a text such as `'10s'`. Default: 10 seconds. */
  readonly interval?: number | string | undefined
  /** How long older versions can be restored, as for `publish`. */
  readonly retention?: number | string | undefined
  /** Of which periods the last versions stay, as for `publish`. */
  readonly keep?: KeptPeriods | undefined
  /** Go on with a table that another writer has published, as for `publish`. */
  readonly takeOver?: boolean | undefined
  /** Ends the first publish: the call rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined
}

const REPLICATE_OPTIONS = {
  interval: optionalInterval,
  retention: optionalDuration,
  keep: optionalKeep,
  takeOver: optionalBoolean,
  signal: optionalSignal,
}

/** Options of `replicate` that were checked. */
export type GivenReplicate = Checked<typeof REPLICATE_OPTIONS>

/** Throws with `FLASHTABLE_INVALID_OPTION`. */
export function readReplicateOptions(given: ReplicateOptions | undefined): GivenReplicate {
  return readOptions('replicate', given, REPLICATE_OPTIONS)
}

/** The table of a replica. */
export interface ReplicatedTable {
  /** The current parts: a refresh replaces those of a reader. */
  parts(): TableParts
  /** Moves a reader on. */
  refresh(): Promise<void>
  readonly publishing: Publishing
  readonly environment: Environment
}

/**
 * `poisons`: where another writer has taken over, nothing can be put any more. `ending`: ends the first publish, too. Errors: as
 * `publish`.
 */
export async function startReplica(
  table: ReplicatedTable,
  store: ObjectStore,
  { interval, retention, keep, takeOver = false, signal }: GivenReplicate,
  { poisons, ending }: { readonly poisons: boolean; readonly ending: AbortSignal },
): Promise<Replica> {
  const { environment } = table
  const { state, writer, remote } = table.parts()
  if (remote !== undefined) {
    throw new FlashTableError(
      'FLASHTABLE_READ_ONLY',
      `${remote.url} is a published table: replicate the table that it comes from`,
    )
  }
  const jobs = writer?.jobs ?? new Jobs(environment.newExecutor(), state.manifest.mode)
  const source = new ReplicaSource(table, jobs)
  const parts = {
    url: store.url,
    intervalMs: interval ?? INTERVAL_MS,
    look: () => source.look(),
    sequence: () => table.parts().state.view().sequence,
    stamp: () => {
      const { state } = table.parts()
      return stampOf(state.manifest, state.view())
    },
    publish: async (signal: AbortSignal, isFirst: boolean) => {
      try {
        return await source.publish(store, {
          takeOver: isFirst && takeOver,
          retentionMs: retention,
          keep,
          isReplicated: true,
          signal,
        })
      } catch (error) {
        // If the first one fails, so does the open.
        if (poisons && !isFirst && hasCode(error, 'FLASHTABLE_FENCED')) table.parts().poison.latch(error)
        throw error
      }
    },
    release: async () => {
      source.clear()
      if (writer === undefined) await jobs.close()
    },
    wait: environment.wait,
    now: environment.now,
  }
  return Replica.start(parts, [signal, ending])
}

/** What a replica publishes: the states of an open table, with their tails. */
class ReplicaSource {
  readonly #table: ReplicatedTable
  readonly #tail: Tail
  /** Of a reader. */
  readonly #follower: Follower | undefined

  constructor(table: ReplicatedTable, jobs: Jobs) {
    const { directory, state, writer, options, schema } = table.parts()
    const { pageBytes, duplicates } = state.manifest
    this.#table = table
    this.#follower = writer === undefined ? new Follower(table) : undefined
    this.#tail = new Tail({
      jobs,
      directory,
      layout: schema.layout,
      pageBytes,
      filterBitsPerRecord: options.filterBitsPerRecord,
      replace: duplicates === 'replace',
      isFollowing: writer === undefined,
      tableId: table.environment.randomBytes(16),
    })
  }

  /** Sees what a writer in another process has put; of a writer, waits for the calls that came before. */
  async look(): Promise<void> {
    await (this.#follower?.look() ?? this.#table.parts().writer?.committer.barrier(false))
  }

  async publish(store: ObjectStore, request: PublishRequest): Promise<ReplicatedVersion> {
    const { publishing, environment, parts } = this.#table
    const { directory, state, writer } = parts()
    const fileSystem = writer?.home.fileSystem ?? modedFileSystem(environment.fileSystem, state.manifest.mode)
    let stamp = ''
    const take = async (): Promise<TakenState> => {
      const taken = await this.#take(request.signal)
      stamp = taken.stamp
      return taken
    }
    const published = await publishing.publishState(
      store,
      { directory, fileSystem },
      environment,
      take,
      request,
    )
    this.#tail.uploaded()
    return { version: published.version, sequence: published.sequence, stamp }
  }

  async #take(signal: AbortSignal | undefined): Promise<TakenState & { readonly stamp: string }> {
    for (let attempt = 1; ; attempt++) {
      const parts = this.#table.parts()
      try {
        return await takeWithTail(parts, this.#tail, signal)
      } catch (error) {
        throwIfAborted(signal)
        // The writer has flushed a segment since the reader has read it.
        const isGone = this.#follower !== undefined && hasCode(error, 'ENOENT')
        if (!isGone || attempt === ATTEMPTS) throw diskError(error, `${parts.directory} cannot be read`)
        await this.#table.refresh()
      }
    }
  }

  clear(): void {
    this.#tail.clear()
  }
}

/** The newest state with its tail, on the device: a power cut cannot leave the store ahead of the table. */
async function takeWithTail(
  parts: TableParts,
  tail: Tail,
  signal: AbortSignal | undefined,
): Promise<TakenState & { readonly stamp: string }> {
  const { state, writer } = parts
  const { view, manifest } = await state.holdFiles(async view => {
    view.version.retain()
    return { view, manifest: state.manifest }
  })
  const { version, sequence } = view
  try {
    // What is in the view was appended to the log before.
    await (writer === undefined ? syncLog(parts, view) : writer.committer.barrier(true))
    const tailFiles = await tail.cover(view, manifest, signal)
    const stored = new Set(manifest.files.map(({ number }) => number))
    const nextFileNumber = Math.max(manifest.nextFileNumber, ...tailFiles.map(({ number }) => number + 1))
    return {
      // Of the manifest that is published: there may be another one by now.
      stamp: stampOf(manifest, view),
      manifest: {
        ...manifest,
        files: [...manifest.files, ...tailFiles],
        log: { closed: [], firstSegment: nextFileNumber },
        firstLogSequence: sequence,
        nextSequence: sequence,
        nextFileNumber,
        clean: true,
        counters: state.counters.read(),
      },
      sourceOf: number =>
        stored.has(number) ? sourceOfStored(version, number, manifest.pageBytes) : tail.sourceOf(number),
      release: () => version.release(),
    }
  } catch (error) {
    await version.release()
    throw error
  }
}

/** The same only for states with the same content. A clear of records that are in the log alone changes where the log begins. */
function stampOf(manifest: Manifest, { sequence }: View): string {
  const { tableId, epoch, files, meta, firstLogSequence } = manifest
  return JSON.stringify([tableId, epoch, firstLogSequence, sequence, files.map(({ number }) => number), meta])
}

/** Syncs the segments that the memtables of a reader come from. Rejects with `ENOENT` as the cause if one is gone. */
async function syncLog({ state }: TableParts, { version }: View): Promise<void> {
  const { fileSystem, directory } = state.options
  for (const number of new Set(version.segments)) {
    const file = await fileSystem.open(`${directory}/${walName(number)}`, 'read')
    try {
      await file.sync()
    } finally {
      await file.close().catch(() => {})
    }
  }
  await fileSystem.syncDirectory(directory)
}

/** Moves a reader on to what the writer has put, if it has put something. */
class Follower {
  readonly #table: ReplicatedTable
  #seen: string | undefined
  /** Whether what was seen last had been seen before: a file may change twice within one tick of its clock. */
  #isSettled = false

  constructor(table: ReplicatedTable) {
    this.#table = table
  }

  async look(): Promise<void> {
    const seen = await this.#stamps()
    if (seen === this.#seen && this.#isSettled) return
    this.#isSettled = seen === this.#seen
    this.#seen = seen
    await this.#table.refresh()
  }

  async #stamps(): Promise<string> {
    const { state, directory } = this.#table.parts()
    const { fileSystem } = state.options
    const { wals } = await listTable(fileSystem, directory)
    const names = [MANIFEST_NAME, ...wals.map(walName)]
    const stamps = await Promise.all(names.map(name => fileSystem.stamp(`${directory}/${name}`)))
    return JSON.stringify([names, stamps])
  }
}
