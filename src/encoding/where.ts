/**
 * Turns what `delWhere`, and a filter of a scan, is given into terms over lanes: a field has a value, or it is compared with one or two values.
 *
 * A comparison becomes a range of the field's lanes. The lanes are in the same order as the values. docs/api.md, delWhere.
 */
import { invalidType } from '../base/errors.js'
import { compareLanes, neighbour, orderedForm } from '../records/lane-ranges.js'
import type { LaneRange, WhereTerms } from '../records/operations.js'
import { outOfBounds, type FieldType } from './field-type.js'
import { readComparison, readWhere } from './given-columns.js'
import { isFloatName } from './stored-schema.js'
import type { Field } from './value-type.js'

/** A range that holds nothing, of one lane. */
const NOTHING = { lower: [1], upper: [0] } as const

/**
 * The terms of a *delete where*; `firstLane` is the first lane of the value. A range that holds nothing has its lower bound
 * above its upper one. Throws a `TypeError` or `RangeError` with `FLASHTABLE_INVALID_VALUE`.
 */
export function whereTerms(
  fields: readonly Field[],
  firstLane: number,
  where: unknown,
  call: string,
): WhereTerms {
  const given = readWhere(fields, where, call)
  const lanes: number[] = []
  const values: number[] = []
  const ranges: LaneRange[] = []
  for (const field of fields) {
    if (!given.has(field.name)) continue
    const value = given.get(field.name)
    const lane = firstLane + field.at
    if (isComparison(field.type, value)) {
      ranges.push({ lane, ...boundsOf(field, value) })
      continue
    }
    for (const [i, word] of lanesOf(field, value).entries()) {
      lanes.push(lane + i)
      values.push(word)
    }
  }
  return ranges.length === 0 ? { lanes, values } : { lanes, values, ranges }
}

/** Whether the object is a comparison. Fields of JSON and of custom encodings have values that are objects. */
function isComparison({ stored }: FieldType, value: unknown): value is object {
  if (stored.type === 'custom' || (stored.type === 'fixed' && stored.encoding === 'json')) return false
  return typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && !Array.isArray(value)
}

/** The bounds that a comparison sets, both included. */
function boundsOf(field: Field, comparison: object): Omit<LaneRange, 'lane'> {
  const { type, place } = field
  const given = readComparison(place, comparison)
  for (const [open, closed] of [
    ['lt', 'lte'],
    ['gt', 'gte'],
  ] as const) {
    if (given.has(open) && given.has(closed))
      throw invalidType(place.code, `${place.what}: expected one of ${open} and ${closed}, found both`)
  }
  const isFloat = isFloatName(type.stored.type)
  const greatestLanes = type.laneBytes.map(bytes => 2 ** (8 * bytes) - 1)
  const bound = (operator: 'lt' | 'lte' | 'gt' | 'gte'): number[] => {
    const value = given.get(operator)
    if (isFloat && Number.isNaN(value))
      throw outOfBounds(place, 'a number to compare with: NaN is neither less nor greater', value)
    const words = lanesOf(field, value)
    return isFloat ? orderedForm(withZero(words, operator)) : words
  }
  let lower: number[] | undefined = isFloat
    ? orderedForm(lanesOf(field, -Infinity))
    : greatestLanes.map(() => 0)
  let upper: number[] | undefined = isFloat ? orderedForm(lanesOf(field, Infinity)) : greatestLanes
  if (given.has('gte')) lower = bound('gte')
  if (given.has('gt')) lower = neighbour(bound('gt'), greatestLanes, 1)
  if (given.has('lte')) upper = bound('lte')
  if (given.has('lt')) upper = neighbour(bound('lt'), greatestLanes, -1)
  if (lower === undefined || upper === undefined || compareLanes(lower, upper) > 0) return NOTHING
  return { lower, upper }
}

/** Of the two zeros, -0 is before 0 in the ordered form: a bound is the one that keeps both on one side. */
function withZero(words: readonly number[], operator: 'lt' | 'lte' | 'gt' | 'gte'): readonly number[] {
  const isZero = words.every((word, i) => (i === 0 ? word & 0x7fffffff : word) === 0)
  if (!isZero) return words
  const isNegative = operator === 'lt' || operator === 'gte'
  return words.map((_, i) => (i === 0 && isNegative ? 0x80000000 : 0))
}

function lanesOf({ type, place }: Field, value: unknown): number[] {
  const encoded = new Uint32Array(type.laneBytes.length)
  type.toLanes(value, encoded, 0, place)
  return [...encoded]
}
