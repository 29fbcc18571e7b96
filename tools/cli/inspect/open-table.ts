/** A table as `inspect` sees it: its manifest and what is in its directory. Nothing is opened for writing, nothing locked. */
import { diskError } from '../../../src/base/errors.js'
import type { BucketFileOptions } from '../../../src/bucket-file/reader.js'
import { Schema } from '../../../src/encoding/schema.js'
import { MANIFEST_NAME, bucketName, parseFileName, walName } from '../../../src/io/file-names.js'
import type { FileSystem } from '../../../src/io/file-system.js'
import { tableIdBytes } from '../../../src/manifest/bucket-file-entry.js'
import { combineOf, type Manifest } from '../../../src/manifest/manifest.js'
import { loadManifest } from '../../../src/manifest/store.js'
import {
  listTable,
  requireManifest,
  sameFiles,
  type TableListing,
} from '../../../src/manifest/table-directory.js'
import { inLine } from '../output.js'
import { UsageError } from '../usage.js'

export interface InspectedTable {
  readonly manifest: Manifest
  readonly manifestBytes: number
  readonly schema: Schema
  readonly listing: TableListing
  /** How its bucket files and segments are read. */
  readonly options: BucketFileOptions
  readonly signal: AbortSignal
}

/** Where the files of a table are. */
export interface TableFiles {
  readonly fileSystem: FileSystem
  readonly directory: string
}

/** Something wrong, and where. */
export interface Problem {
  readonly file: string
  readonly offset: number | null
  readonly message: string
}

/** How often it starts over when a writer replaces files while they are read. */
const ATTEMPTS = 10
/** Names that an error lists. */
const NAMES_MAX = 40

/**
 * Runs `work` on a table. Where it finds problems and a writer has changed the table meanwhile, it starts over: a file that
 * was replaced is no problem. Rejects if the manifest cannot be read.
 */
export async function inspecting<Result extends { readonly problems: readonly Problem[] }>(
  files: TableFiles,
  signal: AbortSignal,
  work: (table: InspectedTable) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    const table = await openTable(files, signal)
    const result = await work(table)
    if (result.problems.length === 0 || attempt === ATTEMPTS) return result
    const after = await loadManifest(files.fileSystem, files.directory).catch(() => undefined)
    if (after === undefined || sameFiles(table.manifest, after.manifest)) return result
  }
}

async function openTable(
  { fileSystem, directory }: TableFiles,
  signal: AbortSignal,
): Promise<InspectedTable> {
  const loaded = await loadManifest(fileSystem, directory)
  // Says what is wrong with a directory that has none.
  const manifest = loaded?.manifest ?? (await requireManifest(fileSystem, directory))
  const schema = Schema.open(manifest.schema, `${directory}/${MANIFEST_NAME}`, {}, combineOf(manifest))
  return {
    manifest,
    manifestBytes: loaded?.bytes ?? 0,
    schema,
    listing: await listTable(fileSystem, directory),
    signal,
    options: {
      fileSystem,
      directory,
      tableId: tableIdBytes(manifest.tableId),
      layout: schema.layout,
      pageBytes: manifest.pageBytes,
    },
  }
}

/** The bucket file or segment of this name. Throws a {@link UsageError} that lists those that there are. */
export function numberOf(
  { manifest, listing }: InspectedTable,
  name: string,
): { readonly kind: 'bucket' | 'wal'; readonly number: number } {
  const buckets = new Set([...manifest.files.map(({ number }) => number), ...listing.buckets])
  const wals = new Set([...manifest.log.closed.map(({ number }) => number), ...listing.wals])
  const file = parseFileName(name)
  if (file?.kind === 'bucket' && buckets.has(file.number)) return { kind: file.kind, number: file.number }
  if (file?.kind === 'wal' && wals.has(file.number)) return { kind: file.kind, number: file.number }
  const names = [...Array.from(buckets, bucketName), ...Array.from(wals, walName)].toSorted()
  const more = names.length > NAMES_MAX ? ` and ${names.length - NAMES_MAX} more` : ''
  const list = names.length === 0 ? 'it has none' : `they are ${names.slice(0, NAMES_MAX).join(' ')}${more}`
  throw new UsageError(`${inLine(name)} is no bucket file and no log segment of this table: ${list}`)
}

export function problemOf(error: unknown, path: string): Problem {
  const failure = diskError(error, path)
  return { file: failure.path ?? path, offset: failure.offset ?? null, message: failure.message }
}

/** One line each, as compilers print them. */
export function problemLines(problems: readonly Problem[]): string[] {
  return problems.map(
    ({ file, offset, message }) => `${inLine(file)}:${offset === null ? '' : `${offset}:`} ${message}`,
  )
}
