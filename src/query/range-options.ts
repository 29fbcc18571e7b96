/**
 * The options of a scan: `gt`, `gte`, `lt`, `lte`, `reverse`, `limit`, `signal`, checked; and those of `clear`. docs/api.md,
 * Ranges.
 */
import type { Schema } from '../encoding/schema.js'
import {
  invalidOption,
  optionalBoolean,
  optionalSignal,
  outside,
  readOptions,
  unexpected,
} from '../options/arguments.js'
import type { KeyRange } from '../records/key-range.js'
import type { WhereTerms } from '../records/operations.js'

export interface CheckedRange {
  readonly range: KeyRange
  readonly reverse: boolean
  readonly limit: number
  /** Only records that match. */
  readonly where: WhereTerms | undefined
  readonly signal: AbortSignal | undefined
  /** As given. */
  readonly snapshot: unknown
}

const WHOLE_TABLE: CheckedRange = {
  range: { lower: undefined, lowerExclusive: false, upper: undefined, upperExclusive: false },
  reverse: false,
  limit: Infinity,
  where: undefined,
  signal: undefined,
  snapshot: undefined,
}

/** A bound, a prefix or a filter; the schema checks it. */
const asGiven = (value: unknown): unknown => value

/** The options of a scan. The caller checks `snapshot`. */
const RANGE_OPTIONS = {
  gt: asGiven,
  gte: asGiven,
  lt: asGiven,
  lte: asGiven,
  prefix: asGiven,
  where: asGiven,
  reverse: optionalBoolean,
  limit: checkLimit,
  signal: optionalSignal,
  snapshot: asGiven,
}

const { gt, gte, lt, lte, prefix, where, signal, snapshot } = RANGE_OPTIONS
/** The options of `count` of a range. */
const COUNT_OPTIONS = { gt, gte, lt, lte, prefix, where, signal, snapshot }
/** The options of `first` and `last`; the blocking twins have no signal. */
const FIRST_OPTIONS = { gt, gte, lt, lte, prefix, signal, snapshot }
const FIRST_SYNC_OPTIONS = { gt, gte, lt, lte, prefix, snapshot }

/** The options of `clear`. */
const CLEAR_OPTIONS = { gt, gte, lt, lte, prefix, sync: optionalBoolean }

const BOUNDS = 'a range is given as { gte: key, lt: key } or { prefix: bytes }'

/** Throws a `TypeError` or `RangeError` with `FLASHTABLE_INVALID_OPTION` or `FLASHTABLE_INVALID_KEY`. */
export function checkRange(call: string, schema: Schema, options: unknown): CheckedRange {
  if (options === undefined) return WHOLE_TABLE
  const { reverse, limit, where, signal, snapshot, ...bounds } = readOptions(
    call,
    options,
    RANGE_OPTIONS,
    BOUNDS,
  )
  return {
    range: keyRange(schema, bounds),
    reverse: reverse ?? false,
    limit,
    where: checkWhere(call, schema, where),
    signal,
    snapshot,
  }
}

/** The options of `count` of a range. Throws as {@link checkRange}. */
export function checkCount(schema: Schema, options: object): CheckedRange {
  const { where, signal, snapshot, ...bounds } = readOptions('count', options, COUNT_OPTIONS, BOUNDS)
  const range = keyRange(schema, bounds)
  return { ...WHOLE_TABLE, range, where: checkWhere('count', schema, where), signal, snapshot }
}

function checkWhere(call: string, schema: Schema, where: unknown): WhereTerms | undefined {
  return where === undefined ? undefined : schema.whereLanes(where, `${call}: where`)
}

/** The options of `first` and `last`, with `isSync` of their blocking twins. Throws as {@link checkRange}. */
export function checkFirst(
  call: string,
  schema: Schema,
  options: unknown,
  isSync: boolean,
): Pick<CheckedRange, 'range' | 'signal' | 'snapshot'> {
  if (options === undefined) return WHOLE_TABLE
  const alone = boundsAlone(options)
  if (alone !== undefined) return { range: keyRange(schema, alone), signal: undefined, snapshot: undefined }
  const { signal, snapshot, ...bounds } = isSync
    ? { ...readOptions(call, options, FIRST_SYNC_OPTIONS, BOUNDS), signal: undefined }
    : readOptions(call, options, FIRST_OPTIONS, BOUNDS)
  return { range: keyRange(schema, bounds), signal, snapshot }
}

/** The options of `clear`; without a range it clears everything. `advice`: for other options. Throws as {@link checkRange}. */
export function checkClear(
  schema: Schema,
  options: unknown,
  advice: string,
): { readonly range: KeyRange | undefined; readonly sync: boolean } {
  const { sync = false, ...bounds } = readOptions('clear', options, CLEAR_OPTIONS, advice)
  const isAll = Object.values(bounds).every(bound => bound === undefined)
  return { range: isAll ? undefined : keyRange(schema, bounds), sync }
}

/** How far a key may be away: a whole number from 0. */
export function checkWithin(within: unknown, name: string): bigint | undefined {
  if (within === undefined) return undefined
  const expected = 'a whole number from 0, as a safe integer or a bigint'
  if (typeof within !== 'number' && typeof within !== 'bigint') throw unexpected(name, expected, within)
  if ((typeof within === 'number' && !Number.isSafeInteger(within)) || within < 0) {
    throw outside(name, expected, within)
  }
  return BigInt(within)
}

interface Bounds {
  readonly gt: unknown
  readonly gte: unknown
  readonly lt: unknown
  readonly lte: unknown
  readonly prefix?: unknown
}

/** Always with the same properties in the same order: ranges are looked at in hot loops. */
function keyRange(schema: Schema, { gt, gte, lt, lte, prefix }: Bounds): KeyRange {
  if (prefix !== undefined) {
    if (gt !== undefined || gte !== undefined || lt !== undefined || lte !== undefined)
      throw invalidOption('a range takes a prefix or bounds, not both')
    const { lower, upper } = schema.prefixBounds(prefix)
    return { lower, lowerExclusive: false, upper, upperExclusive: false }
  }
  return {
    lower: bound(schema, 'gt', gt, 'gte', gte),
    lowerExclusive: gt !== undefined,
    upper: bound(schema, 'lt', lt, 'lte', lte),
    upperExclusive: lt !== undefined,
  }
}

function bound(
  schema: Schema,
  exclusiveName: string,
  exclusive: unknown,
  inclusiveName: string,
  inclusive: unknown,
): Uint32Array | undefined {
  if (exclusive === undefined && inclusive === undefined) return undefined
  if (exclusive !== undefined && inclusive !== undefined) {
    throw invalidOption(`a range takes '${exclusiveName}' or '${inclusiveName}', not both`)
  }
  const key = new Uint32Array(schema.layout.keyLaneCount)
  schema.encodeKey(exclusive ?? inclusive, key)
  return key
}

/**
 * The options, if they are bounds and nothing else: the short path of calls that are made 100,000 times a second.
 * `undefined` if {@link readOptions} has to look.
 */
function boundsAlone(options: unknown): Bounds | undefined {
  if (typeof options !== 'object' || options === null) return undefined
  for (const name in options)
    if (name !== 'gte' && name !== 'lt' && name !== 'gt' && name !== 'lte') return undefined
  const { gt, gte, lt, lte } = options as Partial<Bounds>
  if (gt === undefined && gte === undefined && lt === undefined && lte === undefined) return undefined
  return { gt, gte, lt, lte }
}

/** Records that are passed over: a whole number from 0. */
export function checkOffset(offset: unknown, name: string): number {
  if (offset === undefined) return 0
  const expected = 'a whole number from 0'
  if (typeof offset !== 'number') throw unexpected(name, expected, offset)
  if (!Number.isSafeInteger(offset) || offset < 0) throw outside(name, expected, offset)
  return offset
}

/** As in Level, -1 means no limit. */
export function checkLimit(limit: unknown, name: string): number {
  if (limit === undefined || limit === Infinity || limit === -1) return Infinity
  const expected = 'a whole number from 0, -1 or Infinity for no limit'
  if (typeof limit !== 'number') throw unexpected(name, expected, limit)
  if (!Number.isInteger(limit) || limit < 0) throw outside(name, expected, limit)
  return limit
}
