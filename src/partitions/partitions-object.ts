/**
 * PARTITIONS: the object that says how a table is divided. It is created once, and never replaced. docs/file-format.md,
 * Partitions.
 */
import { describeValue } from '../base/describe-value.js'
import { checkedText, parseCheckedText } from '../format/checked-text.js'
import {
  isCombineOperator,
  MAX_PAGE_BYTES,
  MIN_PAGE_BYTES,
  type CombineFields,
  type Duplicates,
} from '../options/options.js'
import type { RecordLayout } from '../records/record-layout.js'
import { PARTITIONS_MAX } from './key-ranges.js'

const FORMAT = { kind: 'partitions', version: 1 }

/** What all partitions have in common. */
export interface PartitionsObject {
  /** Of this partitioned table: 32 hexadecimal digits. */
  readonly lineage: string
  /** How many there are; without boundaries a power of two. */
  readonly partitions: number
  /** The first key of each partition but the first, ascending: its bytes as hexadecimal digits. */
  readonly boundaries?: readonly string[]
  /** encoding/ knows what is in it. */
  readonly schema: object
  readonly duplicates: Duplicates | CombineFields
  readonly pageBytes: number
}

export function serializePartitions(object: PartitionsObject): Uint8Array {
  return checkedText(FORMAT, object)
}

/** `path`: for messages. Throws `FLASHTABLE_UNSUPPORTED_FORMAT`, `_CORRUPTION`. The schema, and the boundaries by it, are checked later. */
export function parsePartitions(bytes: Uint8Array, path: string): PartitionsObject {
  return parseCheckedText(
    bytes,
    path,
    FORMAT,
    'how a table is divided into partitions',
    problemOf,
  ) as PartitionsObject
}

/** A key as it stands among the boundaries. */
export function keyDigits(key: Uint32Array, { laneBytes }: RecordLayout): string {
  return Array.from(key, (lane, i) => lane.toString(16).padStart(2 * laneBytes[i]!, '0')).join('')
}

/** The key of such digits; `undefined` if they are too few or too many. */
export function keyOfDigits(digits: string, layout: RecordLayout): Uint32Array | undefined {
  const key = new Uint32Array(layout.keyLaneCount)
  let at = 0
  for (let lane = 0; lane < key.length; lane++) {
    const end = at + 2 * layout.laneBytes[lane]!
    key[lane] = Number.parseInt(digits.slice(at, end), 16)
    at = end
  }
  return at === digits.length ? key : undefined
}

function problemOf(value: unknown): string | undefined {
  const object = value as Partial<PartitionsObject> | null
  if (typeof object !== 'object' || object === null || Array.isArray(object)) return 'no object'
  const { lineage, partitions, boundaries, schema, duplicates, pageBytes } = object
  if (typeof lineage !== 'string' || !/^[0-9a-f]{32}$/.test(lineage))
    return `lineage: ${describeValue(lineage)}`
  if (!isPartitionCount(partitions, boundaries !== undefined))
    return `partitions: ${describeValue(partitions)}`
  if (boundaries !== undefined && !areDigits(boundaries, partitions - 1)) return 'boundaries: no list of keys'
  if (typeof schema !== 'object' || schema === null) return `schema: ${describeValue(schema)}`
  if (!isPageBytes(pageBytes)) return `pageBytes: ${describeValue(pageBytes)}`
  return isDuplicates(duplicates) ? undefined : `duplicates: ${describeValue(duplicates)}`
}

/** Whether a table may have that many partitions. */
export function isPartitionCount(value: unknown, anyCount = false): value is number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > PARTITIONS_MAX)
    return false
  return anyCount ? value > 1 : (value & (value - 1)) === 0
}

/** Of one length, and ascending. */
function areDigits(value: unknown, count: number): boolean {
  if (!Array.isArray(value) || value.length !== count) return false
  return value.every((digits: unknown, i) => {
    if (typeof digits !== 'string' || !/^([0-9a-f]{2})+$/.test(digits)) return false
    const before = value[i - 1] as string | undefined
    return before === undefined || (before.length === digits.length && before < digits)
  })
}

function isPageBytes(value: unknown): boolean {
  const isInside = typeof value === 'number' && value >= MIN_PAGE_BYTES && value <= MAX_PAGE_BYTES
  return isInside && Number.isInteger(Math.log2(value))
}

function isDuplicates(value: unknown): boolean {
  if (value === 'keep' || value === 'replace') return true
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.values(value).every(isCombineOperator)
}
