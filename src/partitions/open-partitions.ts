/**
 * Opens the partitions of a process: those that it writes at once, the others when they are needed. docs/internals.md,
 * Partitions.
 *
 * A partition that is written has its table in a directory of this machine. If it is not there yet, and the store has it, it is
 * restored first. A publish claims it, so that the process that wrote it before cannot publish it any more.
 */
import { atOnce } from '../async/at-once.js'
import { hasCode } from '../base/errors.js'
import { BlockCache } from '../block-cache/block-cache.js'
import { declaredKey, declaredValue } from '../encoding/declared.js'
import { FlashTable } from '../flash-table.js'
import { resolveOptions } from '../options/options.js'
import type { GivenVersion } from '../options/remote-options.js'
import { loadRemote } from '../remote/pointer.js'
import type { ObjectStore } from '../store/object-store.js'
import type { Environment } from '../table/environment.js'
import { blockCacheOptions } from '../table/remote-reader.js'
import { restoreFirst } from '../table/restore-first.js'
import type { Agreement } from './agree.js'
import { partitionName } from './key-ranges.js'
import {
  cacheOptions,
  readerOptions,
  versionOf,
  writerOptions,
  type GivenPartitioned,
} from './open-options.js'
import { Partition } from './partition.js'

const OPENS_AT_ONCE = 8

/** The partitions of a process, in order, and the cache of those that it reads elsewhere; `undefined`: it writes all. */
export interface OpenedPartitions {
  readonly all: readonly Partition[]
  readonly cache: BlockCache | undefined
}

/** Rejects as an open, a restore and a publish; then nothing is left open. */
export async function openPartitions(
  store: ObjectStore,
  { object, schema, ranges }: Agreement,
  written: readonly number[],
  given: GivenPartitioned,
  environment: Environment,
): Promise<OpenedPartitions> {
  const { count } = ranges
  const { signal, takeOver = false } = given
  const { key, value } = schema.stored
  const { pageBytes, duplicates } = object
  const encodings = {
    keyEncoding: given.keyEncoding ?? declaredKey(key),
    valueEncoding: given.keyEncoding === undefined ? declaredValue(value) : given.valueEncoding,
    pageBytes,
    ...(typeof duplicates === 'string' ? { duplicates } : { combine: duplicates }),
  }
  const writing = { ...encodings, ...writerOptions(given, written.length), signal }
  const reading = { ...encodings, ...readerOptions(given, count - written.length) }
  const reader = cacheOptions(given)
  const choice = versionOf(given)
  const cache =
    written.length === count
      ? undefined
      : await BlockCache.open(environment, blockCacheOptions(reader, environment))
  const readerEnvironment = { ...environment, blockCache: cache }

  const writers = new Map<number, FlashTable>()
  const partOf = (number: number, writer: FlashTable | undefined): Partition => {
    const name = partitionName(number, count)
    return new Partition({
      number,
      name,
      store: store.below(`p/${name}`),
      writer,
      openReader: part => openReader(part, choice, reading, readerEnvironment),
      lookAgainMs: reader.refreshIntervalMs,
      now: environment.now,
    })
  }
  try {
    await atOnce(written.length, OPENS_AT_ONCE, async i => {
      const number = written[i]!
      const name = partitionName(number, count)
      const part = store.below(`p/${name}`)
      try {
        const directory = `${given.directory!}/p-${name}`
        writers.set(number, await openWriter(part, directory, writing, takeOver, environment))
      } catch (error) {
        throw partOf(number, undefined).named(error)
      }
    })
  } catch (error) {
    await Promise.allSettled([...writers.values()].map(table => table.close()))
    await cache?.close()
    throw error
  }
  return { all: Array.from({ length: count }, (_, number) => partOf(number, writers.get(number))), cache }
}

/** A reader of what is published there; `undefined`: nobody has published it, or had at the time that is asked for. */
async function openReader(
  store: ObjectStore,
  choice: GivenVersion,
  options: Readonly<Record<string, unknown>>,
  environment: Environment,
): Promise<FlashTable | undefined> {
  // The open chooses the version: one that is chosen before may be forgotten by a publish until then.
  const at = choice.at === undefined ? undefined : new Date(choice.at)
  try {
    return await FlashTable.openRemoteIn(store, { ...options, at, name: choice.name }, environment)
  } catch (error) {
    if (!hasCode(error, 'FLASHTABLE_NOT_FOUND')) throw error
    if (choice.at === undefined && choice.name === undefined) return undefined
    const state = await loadRemote(store)
    if (state === undefined) return undefined
    const oldest = state.remote.versions[0]
    if (oldest?.version === 1 && choice.at !== undefined && choice.at < oldest.at) return undefined
    throw error
  }
}

/** The table of a partition that is written here, claimed. */
async function openWriter(
  store: ObjectStore,
  directory: string,
  options: Readonly<Record<string, unknown>> & { readonly signal: AbortSignal | undefined },
  takeOver: boolean,
  environment: Environment,
): Promise<FlashTable> {
  const { signal } = options
  await restoreFirst(store, directory, resolveOptions(options), takeOver, environment)
  const table = await FlashTable.openIn(directory, options, environment)
  try {
    await table.publish(store, { takeOver, signal })
    return table
  } catch (error) {
    await table.close().catch(() => {})
    throw error
  }
}
