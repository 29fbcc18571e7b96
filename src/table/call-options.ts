/**
 * The options of each method of a table, by name and type, and the advice for arguments that a method does not take.
 *
 * docs/api.md, Errors.
 */
import { describeValue } from '../base/describe-value.js'
import {
  invalidOption,
  optionalBoolean,
  optionalCallback,
  optionalSignal,
  readOptions,
  soleOption,
  type Checked,
} from '../options/arguments.js'
import { optionalVersion } from '../options/remote-options.js'
import type { Wanted } from '../query/lookup.js'
import { checkLimit, checkOffset, checkWithin } from '../query/range-options.js'
import { ALL } from '../query/reader.js'
import { optionalSnapshot, Snapshot } from '../state/snapshot.js'
import type { CompactOptions } from './table-types.js'

const WRITE_OPTIONS = { sync: optionalBoolean }
const PUT_COLUMNS_OPTIONS = { sync: optionalBoolean, ifAbsent: optionalBoolean }
const READ_OPTIONS = { snapshot: optionalSnapshot }
const GET_ALL_OPTIONS = {
  snapshot: optionalSnapshot,
  limit: checkLimit,
  offset: checkOffset,
  reverse: optionalBoolean,
}
const NEAR_OPTIONS = { snapshot: optionalSnapshot, within: checkWithin }
const REFRESH_OPTIONS = { atLeast: optionalVersion, signal: optionalSignal }
const COMPACT_OPTIONS = {
  signal: optionalSignal,
  onProgress: optionalCallback<NonNullable<CompactOptions['onProgress']>>(),
}

/** What callers mean by arguments that a method does not take, and where these belong. */
const ADVICE: Readonly<Partial<Record<string, string>>> = {
  put: 'put(key, value, options)',
  putIfAbsent: 'putIfAbsent(key, value, options) resolves to whether it was put',
  putColumns: 'putColumns(columns, { sync, ifAbsent })',
  del: 'del(key, options) deletes all records of a key; to delete one record use delRecord(key, value)',
  delRecord: 'delRecord(key, value, options)',
  delWhere: 'delWhere(fields, options)',
  batch: 'batch(operations, options)',
  clear:
    'clear({ gte, lt, sync }) forgets all keys of a range, clear() everything; ' +
    'to delete by number or by value use keys(range) and del, or delRecord, delWhere',
  get: 'get(key, options) returns a promise; for a range use entries(range)',
  getSync: 'getSync(key, options)',
  compact: 'compact({ signal, onProgress }) merges the whole table',
}

export function adviceFor(call: string): string {
  return ADVICE[call] ?? ''
}

/** Whether a write waits until it is on the device. */
export function readSync(call: string, options: unknown): boolean {
  const sync = soleOption(options, 'sync')
  if (typeof sync === 'boolean') return sync
  return readOptions(call, options, WRITE_OPTIONS, adviceFor(call)).sync ?? false
}

/** The options of `putColumns`. */
export function readPutColumnsOptions(options: unknown): Checked<typeof PUT_COLUMNS_OPTIONS> {
  return readOptions('putColumns', options, PUT_COLUMNS_OPTIONS, adviceFor('putColumns'))
}

/** The snapshot that a read looks at. */
export function readSnapshot(call: string, options: unknown): Snapshot | undefined {
  const snapshot = soleOption(options, 'snapshot')
  if (Snapshot.is(snapshot)) return snapshot
  return readOptions(call, options, READ_OPTIONS, adviceFor(call)).snapshot
}

/** The options of `getAll`: which records are wanted, and the snapshot. */
export function readGetAllOptions(
  call: string,
  options: unknown,
): { readonly wanted: Wanted; readonly snapshot: Snapshot | undefined } {
  if (options === undefined) return { wanted: ALL, snapshot: undefined }
  const { snapshot, limit, offset, reverse } = readOptions(call, options, GET_ALL_OPTIONS, adviceFor(call))
  return { wanted: { limit, offset, reverse: reverse ?? false }, snapshot }
}

/** The options of `getColumns`. */
export function readNearOptions(options: unknown): Checked<typeof NEAR_OPTIONS> {
  return readOptions('getColumns', options, NEAR_OPTIONS)
}

export function readRefreshOptions(options: unknown): Checked<typeof REFRESH_OPTIONS> {
  return readOptions('refresh', options, REFRESH_OPTIONS)
}

export function readCompactOptions(options: unknown): Checked<typeof COMPACT_OPTIONS> {
  return readOptions('compact', options, COMPACT_OPTIONS, adviceFor('compact'))
}

/** Refuses a source that cannot be iterated, before a table is made for it. */
export function checkSource(source: unknown): void {
  const isObject = typeof source === 'object' && source !== null && !ArrayBuffer.isView(source)
  const given = source as { [Symbol.iterator]?: unknown; [Symbol.asyncIterator]?: unknown }
  if (isObject && (isFunction(given[Symbol.asyncIterator]) || isFunction(given[Symbol.iterator]))) return
  throw invalidOption(
    `bulkLoad: the source: expected an iterable or async iterable of columns, found ${describeValue(source)}`,
  )
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function'
}
