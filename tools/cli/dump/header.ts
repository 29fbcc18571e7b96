/**
 * The first and the last line of a dump, and how its records are written.
 *
 * A dump is text, for `load` of this version and of later ones, for diff and sort, and for pipes:
 *
 * - the first line is a JSON object: format and version, what the table was created with, its metadata, and how many
 *   records follow;
 * - each record is a line: its fields, the key first, separated by commas. Integers are decimal; bytes and encoded
 *   values two hexadecimal digits a byte; floats the shortest text that reads as the same number, or `NaN`, with its
 *   bits (`NaN:fff80000`) if they are not the usual ones;
 * - the last line is a JSON object: the number of records, and the CRC-32 of all bytes before that line.
 *
 * README.md, Dump and load.
 */
import type { StoredSchema } from '../../../src/encoding/stored-schema.js'
import { parseStoredSchema } from '../../../src/encoding/stored-schema.js'
import type { FlashTable, JsonObject } from '../../../src/index.js'
import { visible } from '../../../src/base/describe-value.js'
import { WrongFileError } from '../formats/wrong-file.js'
import { separated, type RowFormat } from '../rows/row-format.js'
import { storedFields } from '../../../src/encoding/stored-schema.js'

const FORMAT = 'flashtable dump'
const VERSION = 1

/** What a table is created with, and what it holds besides records. */
export interface DumpHeader {
  readonly schema: StoredSchema
  readonly duplicates?: 'keep' | 'replace'
  readonly combine?: Readonly<Record<string, string>>
  readonly pageBytes: number
  readonly mode: number
  readonly meta: JsonObject
  readonly records: number
}

export interface DumpEnd {
  readonly records: number
  /** Eight hexadecimal digits. */
  readonly crc32: string
}

/** What a table says of itself. */
export type Described = Pick<FlashTable, 'duplicates' | 'combine' | 'pageBytes' | 'mode' | 'meta'>

export function headerLine(table: Described, schema: StoredSchema, records: number): string {
  const { duplicates, combine, pageBytes, mode, meta } = table
  const made = { schema, duplicates, combine, pageBytes, mode: mode.toString(8) }
  return jsonLine({ format: FORMAT, version: VERSION, ...made, meta, records })
}

export function endLine(records: number, crc: number): string {
  return jsonLine({ records, crc32: crcText(crc) } satisfies DumpEnd)
}

export function crcText(crc: number): string {
  return crc.toString(16).padStart(8, '0')
}

/** How records are written. */
export function dumpFormat(schema: StoredSchema): RowFormat {
  return separated(storedFields(schema), ',', { quote64: '', quote: '', keepsNaN: true }, '')
}

/** Checks a first line; throws a {@link WrongFileError}. */
export function parseHeader(line: string, path: string): DumpHeader {
  const header = objectOf(line)
  if (header?.['format'] !== FORMAT)
    throw new WrongFileError(`${path} is no dump: its first line is not what flashtable dump writes`)
  if (header['version'] !== VERSION)
    throw new WrongFileError(
      `${path} is a dump of version ${String(header['version'])}, this program reads version ${VERSION}`,
    )
  const { records, pageBytes, mode, meta } = header
  const isWhole =
    isCount(records) &&
    isCount(pageBytes) &&
    typeof mode === 'string' &&
    /^[0-7]{3}$/.test(mode) &&
    typeof meta === 'object'
  if (!isWhole) throw new WrongFileError(`${path} has a damaged first line`)
  const checked = { schema: schemaOf(header['schema'], path), mode: parseInt(mode, 8) }
  return { ...(header as unknown as DumpHeader), ...checked }
}

/** Reads a last line; `undefined` if it is none. */
export function parseEnd(line: string): DumpEnd | undefined {
  const end = objectOf(line)
  if (end === undefined || !isCount(end['records']) || typeof end['crc32'] !== 'string') return undefined
  return end as unknown as DumpEnd
}

function schemaOf(json: unknown, path: string): StoredSchema {
  try {
    return parseStoredSchema(json, path)
  } catch (error) {
    throw new WrongFileError((error as Error).message)
  }
}

/** On one line: control characters are only in strings, where their escapes mean the same. */
function jsonLine(value: object): string {
  return `${visible(JSON.stringify(value))}\n`
}

function objectOf(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
