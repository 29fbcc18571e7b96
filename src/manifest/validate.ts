/**
 * Checks that a value is a manifest: every field is there, of its type, within its bounds, and consistent with the
 * others.
 *
 * Used on both sides of the disk: on what was read, which may be damaged or hostile, and on what is about to be
 * written. docs/file-format.md, Manifest.
 */
import { describeValue } from '../base/describe-value.js'
import { hasCode, messageOf } from '../base/errors.js'
import { U48_MAX } from '../format/little-endian.js'
import { isFileMode } from '../base/file-mode.js'
import { COMBINE_OPERATORS, isCombineOperator, MAX_PAGE_BYTES, MIN_PAGE_BYTES } from '../options/options.js'
import { copyMeta } from './meta.js'

/** Bucket files, and closed segments, of one table. */
const ENTRIES_MAX = 65_536
/** A file number has at most 15 digits in a file name. */
const FILE_NUMBER_MAX = 999_999_999_999_999
const LEVEL_MAX = 63
/** A schema has fields in a struct in a value: far fewer levels. */
const SCHEMA_DEPTH_MAX = 16

/** Why a value is not a manifest. */
class Problem extends Error {}

type Fields = Readonly<Record<string, unknown>>

const MANIFEST_FIELDS = [
  'tableId',
  'epoch',
  'schema',
  'pageBytes',
  'duplicates',
  'mode',
  'files',
  'log',
  'firstLogSequence',
  'nextSequence',
  'nextFileNumber',
  'clean',
  'counters',
  'meta',
]
const FILE_FIELDS = ['number', 'epoch', 'level', 'pages', 'records', 'firstSequence', 'endSequence']
/** Fields of files that another table wrote. */
const FILE_FIELDS_MAYBE = ['tableId']
const CLOSED_FIELDS = ['number', 'epoch', 'bytes', 'firstSequence', 'endSequence']
/** Missing in tables of before there was an event log: none were written. */
const COUNTER_FIELDS_MAYBE = ['eventBytes']
const COUNTER_FIELDS = ['walBytes', 'bucketBytes', 'manifestBytes', 'recordBytes', 'records']

/** Returns what is wrong, or `undefined` for a manifest. */
export function validateManifest(value: unknown): string | undefined {
  try {
    checkManifest(value)
    return undefined
  } catch (error) {
    if (error instanceof Problem) return error.message
    throw error
  }
}

/** What the entries are checked against. */
interface Bounds {
  readonly tableId: string
  readonly epoch: number
  readonly pageBytes: number
  readonly nextFileNumber: number
  readonly numbers: Set<number>
}

function checkManifest(value: unknown): void {
  const manifest = fieldsOf(value, 'the manifest', MANIFEST_FIELDS)
  const { tableId, duplicates, clean } = manifest
  need(isTableId(tableId), 'tableId', '32 hexadecimal digits', tableId)
  checkDuplicates(duplicates)
  need(typeof clean === 'boolean', 'clean', 'true or false', clean)
  const pageBytes = integer(manifest, 'pageBytes', MIN_PAGE_BYTES, MAX_PAGE_BYTES)
  need(Number.isInteger(Math.log2(pageBytes)), 'pageBytes', 'a power of two', pageBytes)
  const mode = integer(manifest, 'mode', 0, 0o777)
  need(isFileMode(mode), 'mode', 'permissions of a file of a table', mode)
  checkDepth(fieldsOf(manifest['schema'], 'schema'))
  const counters = fieldsOf(manifest['counters'], 'counters', COUNTER_FIELDS, COUNTER_FIELDS_MAYBE)
  for (const name of Object.keys(counters)) integer(counters, name, 0, Number.MAX_SAFE_INTEGER)
  checkMeta(manifest['meta'])

  const bounds: Bounds = {
    tableId,
    epoch: integer(manifest, 'epoch', 1, U48_MAX),
    pageBytes,
    nextFileNumber: integer(manifest, 'nextFileNumber', 1, FILE_NUMBER_MAX),
    numbers: new Set(),
  }
  const nextSequence = integer(manifest, 'nextSequence', 0, U48_MAX)
  const firstLogSequence = integer(manifest, 'firstLogSequence', 0, nextSequence)
  checkFiles(arrayOf(manifest['files'], 'files'), firstLogSequence, bounds)
  const log = fieldsOf(manifest['log'], 'log', ['closed', 'firstSegment'])
  const firstSegment = integer(log, 'firstSegment', 1, bounds.nextFileNumber)
  const closed = arrayOf(log['closed'], 'log.closed')
  const end = checkClosed(closed, firstLogSequence, firstSegment, bounds)
  need(end <= nextSequence, 'nextSequence', `at least ${end}, the end of the closed segments`, nextSequence)
  need(
    !clean || end === nextSequence,
    'nextSequence',
    `${end}, where the log has ended cleanly`,
    nextSequence,
  )
}

/** Of an object, encoding/ checks the names. */
function checkDuplicates(duplicates: unknown): void {
  if (duplicates === 'keep' || duplicates === 'replace') return
  const isObject = typeof duplicates === 'object' && duplicates !== null && !Array.isArray(duplicates)
  need(isObject, 'duplicates', "'keep', 'replace' or an object", duplicates)
  for (const [name, operator] of Object.entries<unknown>({ ...(duplicates as object) }))
    need(isCombineOperator(operator), `duplicates.${name}`, COMBINE_OPERATORS.join(', '), operator)
}

/** Files are oldest first, with levels that do not rise, and all older than the log. */
function checkFiles(files: readonly unknown[], firstLogSequence: number, bounds: Bounds): void {
  let end = 0
  let level = LEVEL_MAX
  for (const [i, value] of files.entries()) {
    const name = `files[${i}]`
    const file = fieldsOf(value, name, FILE_FIELDS, FILE_FIELDS_MAYBE)
    checkWriter(file['tableId'], name, bounds)
    checkNumber(file, name, bounds)
    level = integer(file, 'level', 0, level, name)
    integer(file, 'pages', 1, Math.floor(Number.MAX_SAFE_INTEGER / bounds.pageBytes), name)
    integer(file, 'records', 0, U48_MAX, name)
    const first = integer(file, 'firstSequence', end, firstLogSequence, name)
    end = integer(file, 'endSequence', first + 1, firstLogSequence, name)
  }
}

/** A file that another table wrote names that table; a file of this table names none. */
function checkWriter(tableId: unknown, name: string, bounds: Bounds): void {
  if (tableId === undefined) return
  const isOther = isTableId(tableId) && tableId !== bounds.tableId
  need(isOther, `${name}.tableId`, '32 hexadecimal digits, of another table', tableId)
}

function isTableId(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{32}$/.test(value)
}

/** Closed segments are oldest first, without a gap. Returns where the log goes on after them. */
function checkClosed(
  closed: readonly unknown[],
  firstLogSequence: number,
  firstSegment: number,
  bounds: Bounds,
): number {
  let end = firstLogSequence
  let leastNumber = 1
  for (const [i, value] of closed.entries()) {
    const name = `log.closed[${i}]`
    const segment = fieldsOf(value, name, CLOSED_FIELDS)
    checkNumber(segment, name, bounds)
    leastNumber = 1 + integer(segment, 'number', leastNumber, firstSegment - 1, name)
    const bytes = integer(segment, 'bytes', 4, Number.MAX_SAFE_INTEGER, name)
    need(bytes % 4 === 0, `${name}.bytes`, 'a multiple of 4', bytes)
    integer(segment, 'firstSequence', end, end, name)
    end = integer(segment, 'endSequence', end + 1, U48_MAX, name)
  }
  return end
}

/** Checks the number and the epoch of a file. */
function checkNumber(entry: Fields, name: string, { numbers, nextFileNumber, epoch }: Bounds): void {
  const number = integer(entry, 'number', 1, nextFileNumber - 1, name)
  need(!numbers.has(number), `${name}.number`, 'a number that no other file has', number)
  numbers.add(number)
  integer(entry, 'epoch', 1, epoch, name)
}

function need(condition: boolean, name: string, expected: string, value: unknown): asserts condition {
  if (!condition) throw new Problem(`${name}: expected ${expected}, found ${describeValue(value)}`)
}

/** Without `names`: any object. `maybe`: fields that may be missing. */
function fieldsOf(
  value: unknown,
  name: string,
  names?: readonly string[],
  maybe: readonly string[] = [],
): Fields {
  need(typeof value === 'object' && value !== null && !Array.isArray(value), name, 'an object', value)
  if (names === undefined) return value as Fields
  for (const field of Object.keys(value)) {
    need(names.includes(field) || maybe.includes(field), name, 'only known fields', field)
  }
  for (const field of names) need(Object.hasOwn(value, field), name, `a field '${field}'`, undefined)
  return value as Fields
}

function arrayOf(value: unknown, name: string): readonly unknown[] {
  need(Array.isArray(value), name, 'an array', value)
  need(value.length <= ENTRIES_MAX, name, `at most ${ENTRIES_MAX} entries`, value.length)
  return value
}

function integer(fields: Fields, field: string, min: number, max: number, name?: string): number {
  const value = fields[field]
  const expected = min === max ? String(min) : `an integer from ${min} to ${max}`
  const fits = typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max
  need(fits, name === undefined ? field : `${name}.${field}`, expected, value)
  return value
}

/** The metadata are what could be given. */
function checkMeta(meta: unknown): void {
  try {
    copyMeta(meta)
  } catch (error) {
    throw hasCode(error, 'FLASHTABLE_INVALID_VALUE') ? new Problem(messageOf(error)) : error
  }
}

/** A schema may be walked recursively. */
function checkDepth(schema: object): void {
  let level: object[] = [schema]
  for (let depth = 0; level.length > 0; depth++) {
    need(depth < SCHEMA_DEPTH_MAX, 'schema', `at most ${SCHEMA_DEPTH_MAX} levels`, 'more')
    level = level.flatMap(value =>
      Object.values(value).filter(inner => typeof inner === 'object' && inner !== null),
    )
  }
}
