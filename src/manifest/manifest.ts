/**
 * The manifest as text: what the table consists of, as JSON after a line with version, checksum and size.
 *
 * Everything read is checked, field by field, before anything is trusted: the manifest says which files exist, how
 * large they are and which part of the log counts. docs/file-format.md, Manifest.
 */
import { Buffer } from 'node:buffer'
import { TextDecoder } from 'node:util'
import { assert } from '../base/assert.js'
import { corruption, FlashTableError } from '../base/errors.js'
import { crc32 } from '../format/checksum.js'
import type { CombineFields, Duplicates } from '../options/options.js'
import type { BucketFileEntry } from './bucket-file-entry.js'
import { copyMeta, type JsonObject } from './meta.js'
import type { SegmentInfo } from './segment-info.js'
import { validateManifest } from './validate.js'

/** The format that this version writes; it reads no other one. */
export const MANIFEST_VERSION = 2
/** The most bytes of a manifest. */
export const MANIFEST_BYTES_MAX = 16 * 1024 * 1024

/** Sums over the life of the table. */
export interface ManifestCounters {
  /** Bytes handed to write calls, by purpose. */
  readonly walBytes: number
  readonly bucketBytes: number
  readonly manifestBytes: number
  readonly eventBytes: number
  /** Bytes of raw records that were put, and how many. */
  readonly recordBytes: number
  readonly records: number
}

export interface Manifest {
  /** 32 hexadecimal digits. */
  readonly tableId: string
  /** The epoch of the writer that installed it. */
  readonly epoch: number
  /** The schema as JSON; encoding/ knows what is in it. */
  readonly schema: object
  readonly pageBytes: number
  /** What becomes of the records of one key: an object combines them, with an operator for each field. */
  readonly duplicates: Duplicates | CombineFields
  /** Permissions of its files. */
  readonly mode: number
  /** Oldest first; their sequence ranges ascend, their levels do not. */
  readonly files: readonly BucketFileEntry[]
  readonly log: {
    /** Segments of earlier epochs, whose ends are known; oldest first, without a gap from `firstLogSequence` on. */
    readonly closed: readonly SegmentInfo[]
    /** Segments of this epoch have this number or a higher one. */
    readonly firstSegment: number
  }
  /** The first sequence number that is not in a bucket file. */
  readonly firstLogSequence: number
  /** The next sequence number when the manifest was installed; the log may go on. */
  readonly nextSequence: number
  readonly nextFileNumber: number
  /** Written by `close()`: the log consists only of the closed segments. */
  readonly clean: boolean
  readonly counters: ManifestCounters
  /** The program's own; frozen. */
  readonly meta: JsonObject
}

/** How the records of a key become one; `undefined`: they do not. */
export function combineOf({ duplicates }: Pick<Manifest, 'duplicates'>): CombineFields | undefined {
  return typeof duplicates === 'string' ? undefined : duplicates
}

const FIRST_LINE = /^flashtable manifest ([1-9]\d{0,8}) /
const FIRST_LINE_2 = /^flashtable manifest 2 ([0-9a-f]{8}) (0|[1-9]\d{0,8})\n/
const FIRST_LINE_BYTES_MAX = 64

/**
 * The manifest with its own size among the bytes that were written. It is counted again until its size no longer
 * changes.
 */
export function countingItself(manifest: Manifest): Manifest {
  const { counters } = manifest
  let counted = manifest
  for (let bytes = 0; ;) {
    counted = { ...manifest, counters: { ...counters, manifestBytes: counters.manifestBytes + bytes } }
    const { byteLength } = serializeManifest(counted)
    if (byteLength === bytes) return counted
    bytes = byteLength
  }
}

/** The bytes of the file. Requires: a valid manifest. */
export function serializeManifest(manifest: Manifest): Uint8Array {
  const problem = validateManifest(manifest)
  assert(problem === undefined, `a manifest is valid before it is written: ${problem}`)
  const json = Buffer.from(textOf(manifest))
  const checksum = crc32(json).toString(16).padStart(8, '0')
  const bytes = Buffer.concat([
    Buffer.from(`flashtable manifest ${MANIFEST_VERSION} ${checksum} ${json.byteLength}\n`),
    json,
  ])
  assert(bytes.byteLength <= MANIFEST_BYTES_MAX, 'a manifest fits its size limit')
  return bytes
}

/** The metadata are on one line: indented, they could take many times their size. */
function textOf({ meta, ...others }: Manifest): string {
  const text = JSON.stringify({ ...others, meta: {} }, undefined, 2)
  return `${text.slice(0, -'{}\n}'.length)}${JSON.stringify(meta)}\n}\n`
}

/**
 * Reads the bytes of the file at `path`.
 *
 * Throws `FLASHTABLE_UNSUPPORTED_FORMAT` for a manifest of another version, `FLASHTABLE_CORRUPTION` for anything else
 * that is not a manifest.
 */
export function parseManifest(bytes: Uint8Array, path: string): Manifest {
  if (bytes.byteLength > MANIFEST_BYTES_MAX) {
    throw corruption(path, 0, `at most ${MANIFEST_BYTES_MAX} bytes`, `${bytes.byteLength} bytes`)
  }
  const start = Buffer.from(bytes.subarray(0, FIRST_LINE_BYTES_MAX)).toString('latin1')
  const version = FIRST_LINE.exec(start)?.[1]
  if (version !== undefined && Number(version) !== MANIFEST_VERSION) {
    throw new FlashTableError(
      'FLASHTABLE_UNSUPPORTED_FORMAT',
      `${path} has format version ${Number(version)}; this release of flashtable reads version ${MANIFEST_VERSION}`,
      { path, offset: 0 },
    )
  }
  const line = FIRST_LINE_2.exec(start)
  if (line === null) {
    throw corruption(path, 0, 'a line like "flashtable manifest 2 <checksum> <bytes>"', quote(start))
  }
  const json = bytes.subarray(line[0].length)
  if (json.byteLength !== Number(line[2])) {
    throw corruption(path, line[0].length, `${line[2]} bytes`, `${json.byteLength} bytes`)
  }
  const checksum = crc32(json).toString(16).padStart(8, '0')
  if (checksum !== line[1]) throw corruption(path, line[0].length, `checksum ${line[1]}`, checksum)
  return parseJson(json, path, line[0].length)
}

/** The checksum fits: what is wrong from here on was written that way, by a bug or on purpose. */
function parseJson(json: Uint8Array, path: string, offset: number): Manifest {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json))
  } catch (error) {
    throw corruption(path, offset, 'JSON', String((error as Error).message), error)
  }
  const problem = validateManifest(value)
  if (problem !== undefined) throw corruption(path, offset, 'a manifest', problem)
  const manifest = value as Manifest
  const counters = { ...manifest.counters, eventBytes: manifest.counters.eventBytes ?? 0 }
  return { ...manifest, counters, meta: copyMeta(manifest.meta) }
}

function quote(text: string): string {
  return JSON.stringify(text.split('\n', 1)[0])
}
