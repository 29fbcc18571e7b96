/**
 * Small objects of a store as text: a line with kind, version, checksum and size, then JSON. docs/file-format.md, Remote
 * manifest.
 */
import { Buffer } from 'node:buffer'
import { TextDecoder } from 'node:util'
import { describeValue } from '../base/describe-value.js'
import { corruption, FlashTableError } from '../base/errors.js'
import { crc32 } from './checksum.js'

const FIRST_LINE = /^flashtable (\w+) ([1-9]\d{0,8}) ([0-9a-f]{8}) (0|[1-9]\d{0,8})\n/
const FIRST_LINE_BYTES_MAX = 64

/** What the text is of, and the version of its format. */
export interface TextFormat {
  readonly kind: string
  readonly version: number
}

export function checkedText({ kind, version }: TextFormat, value: object): Uint8Array {
  const json = Buffer.from(JSON.stringify(value))
  const checksum = checksumOf(json)
  return Buffer.concat([Buffer.from(`flashtable ${kind} ${version} ${checksum} ${json.byteLength}\n`), json])
}

/**
 * The JSON of a text. `expected` names it; `problemOf` says what is wrong with the value, or `undefined`. Throws
 * `FLASHTABLE_UNSUPPORTED_FORMAT` if another release wrote it, `FLASHTABLE_CORRUPTION` if it is damaged.
 */
export function parseCheckedText(
  bytes: Uint8Array,
  path: string,
  { kind, version }: TextFormat,
  expected: string,
  problemOf: (value: unknown) => string | undefined,
): unknown {
  const start = Buffer.from(bytes.subarray(0, FIRST_LINE_BYTES_MAX)).toString('latin1')
  const line = FIRST_LINE.exec(start)
  if (line === null || line[1] !== kind)
    throw corruption(
      path,
      0,
      `a line "flashtable ${kind} ${version} <checksum> <bytes>"`,
      describeValue(start.split('\n', 1)[0]),
    )
  if (Number(line[2]) !== version)
    throw new FlashTableError(
      'FLASHTABLE_UNSUPPORTED_FORMAT',
      `${path} has format version ${line[2]}; this release of flashtable reads version ${version}`,
      { path, offset: 0 },
    )
  const offset = line[0].length
  const json = bytes.subarray(offset)
  if (json.byteLength !== Number(line[4]))
    throw corruption(path, offset, `${line[4]} bytes`, `${json.byteLength} bytes`)
  const checksum = checksumOf(json)
  if (checksum !== line[3]) throw corruption(path, offset, `checksum ${line[3]}`, checksum)
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json))
  } catch (error) {
    throw corruption(path, offset, 'JSON', String((error as Error).message), error)
  }
  const problem = problemOf(value)
  if (problem !== undefined) throw corruption(path, offset, expected, problem)
  return value
}

function checksumOf(json: Uint8Array): string {
  return crc32(json).toString(16).padStart(8, '0')
}
