/** The options of a scan: `gt`, `gte`, `lt`, `lte`, `reverse`, `limit`, `signal`, checked. docs/api.md, Ranges. */
import { isAbortSignal } from '../abort.js'
import type { KeyRange } from '../columns/key-range.js'
import type { Schema } from '../encoding/schema.js'
import { invalidType, outOfRange } from '../errors.js'
import { found } from '../found.js'

export interface CheckedRange {
  readonly range: KeyRange
  readonly reverse: boolean
  readonly limit: number
  readonly signal: AbortSignal | undefined
}

const NAMES = ['gt', 'gte', 'lt', 'lte', 'reverse', 'limit', 'signal', 'snapshot']

/** Throws a `TypeError` or `RangeError` with `FLASHTABLE_INVALID_OPTION` or `FLASHTABLE_INVALID_KEY`. */
export function checkRange(schema: Schema, options: unknown): CheckedRange {
  if (options === undefined) return { range: {}, reverse: false, limit: Infinity, signal: undefined }
  if (typeof options !== 'object' || options === null) {
    throw invalidType('FLASHTABLE_INVALID_OPTION', `the range: expected an object, found ${found(options)}`)
  }
  for (const name of Object.keys(options)) {
    if (!NAMES.includes(name)) {
      throw invalidType(
        'FLASHTABLE_INVALID_OPTION',
        `a range has no option ${found(name)}; it has ${NAMES.join(', ')}`,
      )
    }
  }
  const { gt, gte, lt, lte, reverse, limit, signal } = options as Record<string, unknown>
  return {
    range: {
      ...bound(schema, 'lower', ['gt', gt], ['gte', gte]),
      ...bound(schema, 'upper', ['lt', lt], ['lte', lte]),
    },
    reverse: checkReverse(reverse),
    limit: checkLimit(limit),
    signal: checkSignal(signal),
  }
}

/** An option that is an `AbortSignal` or left out. */
export function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined || isAbortSignal(signal)) return signal
  throw invalidType(
    'FLASHTABLE_INVALID_OPTION',
    `option 'signal': expected an AbortSignal, found ${found(signal)}`,
  )
}

/** How far a key may be away: a whole number from 0. */
export function checkWithin(within: unknown): bigint | undefined {
  if (within === undefined) return undefined
  const expected = 'a whole number from 0, as a safe integer or a bigint'
  if (typeof within !== 'number' && typeof within !== 'bigint') {
    throw invalidType(
      'FLASHTABLE_INVALID_OPTION',
      `option 'within': expected ${expected}, found ${found(within)}`,
    )
  }
  if ((typeof within === 'number' && !Number.isSafeInteger(within)) || within < 0) {
    throw outOfRange(
      'FLASHTABLE_INVALID_OPTION',
      `option 'within': expected ${expected}, found ${found(within)}`,
    )
  }
  return BigInt(within)
}

function bound(
  schema: Schema,
  side: 'lower' | 'upper',
  [exclusiveName, exclusive]: [string, unknown],
  [inclusiveName, inclusive]: [string, unknown],
): KeyRange {
  if (exclusive === undefined && inclusive === undefined) return {}
  if (exclusive !== undefined && inclusive !== undefined) {
    throw invalidType(
      'FLASHTABLE_INVALID_OPTION',
      `a range takes '${exclusiveName}' or '${inclusiveName}', not both`,
    )
  }
  const key = new Uint32Array(schema.layout.keyLaneCount)
  schema.encodeKey(exclusive ?? inclusive, key)
  const isExclusive = exclusive !== undefined
  return side === 'lower'
    ? { lower: key, lowerExclusive: isExclusive }
    : { upper: key, upperExclusive: isExclusive }
}

function checkReverse(reverse: unknown): boolean {
  if (reverse === undefined || typeof reverse === 'boolean') return reverse ?? false
  throw invalidType(
    'FLASHTABLE_INVALID_OPTION',
    `option 'reverse': expected true or false, found ${found(reverse)}`,
  )
}

/** As in Level, -1 means no limit. */
function checkLimit(limit: unknown): number {
  if (limit === undefined || limit === Infinity || limit === -1) return Infinity
  const expected = 'a whole number from 0, -1 or Infinity for no limit'
  if (typeof limit !== 'number') {
    throw invalidType(
      'FLASHTABLE_INVALID_OPTION',
      `option 'limit': expected ${expected}, found ${found(limit)}`,
    )
  }
  if (!Number.isInteger(limit) || limit < 0) {
    throw outOfRange(
      'FLASHTABLE_INVALID_OPTION',
      `option 'limit': expected ${expected}, found ${found(limit)}`,
    )
  }
  return limit
}
