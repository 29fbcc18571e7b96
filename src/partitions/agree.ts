/**
 * What all processes that have the table open agree on: how it is divided, and what a record is. The first one that writes
 * creates PARTITIONS; later ones must mean the same. docs/internals.md, Partitions.
 */
import { Buffer } from 'node:buffer'
import { corruption, FlashTableError, hasCode } from '../base/errors.js'
import { Schema } from '../encoding/schema.js'
import { invalidOption, outside } from '../options/arguments.js'
import { DEFAULT_DUPLICATES, DEFAULT_PAGE_BYTES, type CombineFields } from '../options/options.js'
import type { FileSystem } from '../io/file-system.js'
import { compareKeys } from '../records/compare.js'
import { PARTITIONS_KEY } from '../remote/nothing-published.js'
import { REMOTE_MANIFEST_KEY } from '../remote/remote-manifest.js'
import { DirectoryStore } from '../store/directory-store.js'
import type { ObjectStore } from '../store/object-store.js'
import type { Environment } from '../table/environment.js'
import { KeyRanges, PARTITIONS_MAX } from './key-ranges.js'
import type { GivenPartitioned } from './open-options.js'
import {
  keyDigits,
  keyOfDigits,
  parsePartitions,
  serializePartitions,
  type PartitionsObject,
} from './partitions-object.js'

const LINEAGE_BYTES = 16

export interface Agreement {
  readonly object: PartitionsObject
  readonly schema: Schema
  readonly ranges: KeyRanges
}

/**
 * Reads PARTITIONS, or creates it if partitions are written here. If it is gone from the store, and the directory has a copy, it
 * is `_NOT_FOUND`; with `takeOver` it is made anew from that. Rejects with `FLASHTABLE_NOT_FOUND`, `_SCHEMA_MISMATCH`,
 * `_CORRUPTION`, `_UNSUPPORTED_FORMAT`, `_UNAVAILABLE`, and with `_INVALID_OPTION` for what creating needs.
 */
export async function agree(
  store: ObjectStore,
  given: GivenPartitioned,
  environment: Pick<Environment, 'randomBytes' | 'fileSystem'>,
): Promise<Agreement> {
  const { signal } = given
  const found = (await loadPartitions(store, signal)) ?? (await create(store, given, environment))
  const path = `${store.url}/${PARTITIONS_KEY}`
  return checked(found, path, given)
}

/**
 * Makes sure that the directory has partitions of this table: it keeps a copy of PARTITIONS. Rejects with
 * `FLASHTABLE_EXISTS` if they are of another one.
 */
export async function claimDirectory(
  directory: string,
  object: PartitionsObject,
  { fileSystem }: Pick<Environment, 'fileSystem'>,
): Promise<void> {
  const store = copyIn(directory, fileSystem)
  const found = await loadPartitions(store, undefined)
  if (found === undefined) await store.swap(PARTITIONS_KEY, serializePartitions(object), undefined)
  const { lineage } = found ?? (await loadPartitions(store, undefined))!
  if (lineage === object.lineage) return
  throw new FlashTableError(
    'FLASHTABLE_EXISTS',
    `${directory} has partitions of another table (${lineage}, and this one is ${object.lineage}): choose another directory`,
  )
}

/** Where the directory has its copy. */
function copyIn(directory: string, fileSystem: FileSystem): ObjectStore {
  return new DirectoryStore(fileSystem, directory, directory)
}

/** PARTITIONS; `undefined`: the store has no table with partitions. */
export async function loadPartitions(
  store: ObjectStore,
  signal: AbortSignal | undefined,
): Promise<PartitionsObject | undefined> {
  const content = await store.load(PARTITIONS_KEY, { signal })
  return content && parsePartitions(content.bytes, `${store.url}/${PARTITIONS_KEY}`)
}

async function create(
  store: ObjectStore,
  given: GivenPartitioned,
  { randomBytes, fileSystem }: Pick<Environment, 'randomBytes' | 'fileSystem'>,
): Promise<PartitionsObject> {
  const { signal, write, directory, takeOver } = given
  if ((await store.load(REMOTE_MANIFEST_KEY, { signal })) !== undefined)
    throw new FlashTableError(
      'FLASHTABLE_EXISTS',
      `${store.url} has a published table without partitions: read that with FlashTable.openRemote, or choose another place`,
    )
  if (write === undefined || write.length === 0)
    throw new FlashTableError(
      'FLASHTABLE_NOT_FOUND',
      `there is no table with partitions in ${store.url}: the first process that writes some creates it`,
    )
  const copy = await loadPartitions(copyIn(directory!, fileSystem), signal)
  if (copy !== undefined && takeOver !== true)
    throw new FlashTableError(
      'FLASHTABLE_NOT_FOUND',
      `${directory!} has partitions of a table, and ${store.url} has no table: check that the right disk or bucket is there, or ` +
        'choose another directory; to publish what is in this one anew, pass takeOver: true',
    )
  const object = copy ?? newObject(store, given, randomBytes)
  let failure: unknown
  try {
    await store.swap(PARTITIONS_KEY, serializePartitions(object), undefined, { signal })
  } catch (error) {
    if (!hasCode(error, 'FLASHTABLE_UNAVAILABLE')) throw error
    failure = error
  }
  // Ours, or the one of somebody who was first. An answer that was lost is not missed.
  const found = await loadPartitions(store, signal)
  if (found !== undefined) return found
  throw (
    failure ??
    new FlashTableError('FLASHTABLE_UNAVAILABLE', `${PARTITIONS_KEY} in ${store.url} is gone; try again`)
  )
}

/** As the options say. Throws with `FLASHTABLE_INVALID_OPTION` and `_KEY`. */
function newObject(
  store: ObjectStore,
  given: GivenPartitioned,
  randomBytes: Environment['randomBytes'],
): PartitionsObject {
  const { partitions, boundaries, duplicates, pageBytes } = given
  if (partitions === undefined && boundaries === undefined)
    throw invalidOption(
      `option 'partitions': needed to create a table with partitions in ${store.url}, found undefined`,
    )
  const schema = Schema.create(given)
  const keys = boundaries === undefined ? undefined : boundaryKeys(schema, boundaries)
  return {
    lineage: Buffer.from(randomBytes(LINEAGE_BYTES)).toString('hex'),
    partitions: partitions ?? keys!.length + 1,
    ...(keys && { boundaries: keys.map(key => keyDigits(key, schema.layout)) }),
    schema: schema.stored,
    duplicates: schema.combine ?? duplicates ?? DEFAULT_DUPLICATES,
    pageBytes: pageBytes ?? DEFAULT_PAGE_BYTES,
  }
}

/** The object against the options of this open; a later PARTITIONS would be refused before. */
function checked(object: PartitionsObject, path: string, given: GivenPartitioned): Agreement {
  const { partitions, boundaries, duplicates, pageBytes } = object
  const combine = typeof duplicates === 'string' ? undefined : duplicates
  const schema = Schema.open(object.schema, path, given, combine)
  const { layout } = schema
  const keys = boundaries?.map(digits => {
    const key = keyOfDigits(digits, layout)
    if (key !== undefined) return key
    throw corruption(path, 0, 'boundaries that are keys', JSON.stringify(digits))
  })
  const ranges =
    keys === undefined ? KeyRanges.byBits(layout, partitions) : KeyRanges.byBoundaries(layout, keys)
  const shape = keys === undefined ? `${partitions} partitions` : `${keys.length} boundaries`
  if (given.partitions !== undefined && (given.partitions !== partitions || keys !== undefined))
    throw mismatch(path, shape, `partitions ${given.partitions}`)
  if (given.boundaries !== undefined) {
    const asked = boundaryKeys(schema, given.boundaries)
    const isSame = keys?.length === asked.length && keys.every((key, i) => compareKeys(key, asked[i]!) === 0)
    if (!isSame)
      throw mismatch(
        path,
        keys === undefined
          ? shape
          : `${shape}, ${boundaries!.slice(0, 4).join(', ')}${keys.length > 4 ? ', ...' : ''}`,
        'other boundaries',
      )
  }
  if (given.duplicates !== undefined && given.duplicates !== duplicates)
    throw mismatch(path, duplicatesText(duplicates), `duplicates ${given.duplicates}`)
  if (given.pageBytes !== undefined && given.pageBytes !== pageBytes)
    throw mismatch(path, `pageBytes ${pageBytes}`, `pageBytes ${given.pageBytes}`)
  return { object, schema, ranges }
}

/** The keys of the option `boundaries`. Throws with `FLASHTABLE_INVALID_KEY` or `_OPTION`. */
function boundaryKeys(schema: Schema, boundaries: unknown): Uint32Array[] {
  const { lanes, count } = schema.keysToLanes(boundaries)
  const expected = `1 to ${PARTITIONS_MAX - 1} keys`
  if (count < 1 || count >= PARTITIONS_MAX) throw outside('boundaries', expected, count)
  const keys = Array.from({ length: count }, (_, row) => Uint32Array.from(lanes, lane => lane[row]!))
  const fall = keys.findIndex((key, i) => i > 0 && compareKeys(keys[i - 1]!, key) >= 0)
  if (fall === -1) return keys
  throw invalidOption(
    `option 'boundaries': expected ascending keys, found one at position ${fall} that is not above the one before`,
  )
}

function mismatch(path: string, stored: string, given: string): FlashTableError {
  return new FlashTableError(
    'FLASHTABLE_SCHEMA_MISMATCH',
    `${path}: the table was created with ${stored}, but ${given} was given; leave it out`,
  )
}

function duplicatesText(duplicates: string | CombineFields): string {
  return typeof duplicates === 'string' ? `duplicates ${duplicates}` : 'combine'
}
