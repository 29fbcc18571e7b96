/**
 * Finds out what there is to be saved: from the manifest, or where that is lost, from the footers of the bucket files and
 * the schema that the caller gives.
 */
import { Buffer } from 'node:buffer'
import { tableIdBytes, type BucketFileEntry } from '../columns/bucket-file-entry.js'
import { Schema, type GivenEncodings } from '../encoding/schema.js'
import { type Environment } from '../environment.js'
import { FlashTableError } from '../errors.js'
import { fileSeed } from '../format/checksum.js'
import { footerIdentity, readFooter } from '../format/footer.js'
import { BUCKET_MAGIC, FOOTER } from '../format/page-layout.js'
import { pageChecksums } from '../format/section.js'
import { MANIFEST_NAME, bucketName } from '../io/file-names.js'
import type { FileSystem } from '../io/file-system.js'
import { readFully } from '../io/transfer.js'
import type { Manifest } from '../manifest/manifest.js'
import { loadManifest } from '../manifest/store.js'
import { DEFAULT_DUPLICATES, MAX_PAGE_BYTES, MIN_PAGE_BYTES, type Duplicates } from '../options.js'
import { listTable } from '../recovery.js'

/** Something that could not be saved. */
export interface Loss {
  readonly file: string
  readonly offset: number
  readonly reason: string
  /** Keys of the records before and behind the gap, where they are known: what is lost lies between them. */
  readonly after: unknown
  readonly before: unknown
  /** Operations that are missing, where that is known. */
  readonly operations: number | undefined
}

export interface RepairOptions extends GivenEncodings {
  /** Of the lost manifest, where it was not `'keep'`. */
  readonly duplicates?: Duplicates | undefined
  readonly signal?: AbortSignal | undefined
  /** Pages read so far and in all. */
  readonly onProgress?: ((progress: { done: number; total: number }) => void) | undefined
  /** @internal */
  readonly environment?: Environment | undefined
}

/** What there is to be saved. */
export interface Source {
  readonly tableId: Uint8Array
  readonly schema: Schema
  readonly pageBytes: number
  readonly duplicates: Duplicates
  /** Oldest first. */
  readonly files: readonly BucketFileEntry[]
  /** The epochs in which a segment of this number may have been written. */
  readonly segments: readonly {
    readonly number: number
    readonly epochs: readonly number[]
    readonly bytes: number
  }[]
  readonly firstLogSequence: number
  readonly losses: readonly Loss[]
}

/** Lives that may have come after the newest bucket file, when the manifest is lost. */
const LATER_EPOCHS = 64

/** What the manifest says; where it is damaged, what the files themselves say. */
export async function findSource(
  fileSystem: FileSystem,
  directory: string,
  options: RepairOptions,
): Promise<Source> {
  const path = `${directory}/${MANIFEST_NAME}`
  const { wals, buckets } = await listTable(fileSystem, directory)
  try {
    const loaded = await loadManifest(fileSystem, directory)
    if (loaded !== undefined) return sourceOfManifest(loaded.manifest, path, options, wals)
  } catch (error) {
    if (!(error instanceof FlashTableError) || error.code !== 'FLASHTABLE_CORRUPTION') throw error
    if (options.keyEncoding === undefined) {
      throw new FlashTableError(
        'FLASHTABLE_CORRUPTION',
        `${error.message}; give the schema of the table to repair it`,
        {
          cause: error,
          path,
        },
      )
    }
  }
  if (wals.length + buckets.length === 0) {
    throw new FlashTableError('FLASHTABLE_NOT_FOUND', `there is no table in ${directory}`)
  }
  return sourceOfFiles(fileSystem, directory, options, wals, buckets)
}

function sourceOfManifest(
  manifest: Manifest,
  path: string,
  options: RepairOptions,
  wals: readonly number[],
): Source {
  const { closed, firstSegment } = manifest.log
  const open = manifest.clean ? [] : wals.filter(number => number >= firstSegment)
  return {
    tableId: tableIdBytes(manifest.tableId),
    schema: Schema.open(manifest.schema, path, options),
    pageBytes: manifest.pageBytes,
    duplicates: manifest.duplicates,
    files: manifest.files,
    segments: [
      ...closed.map(({ number, epoch, bytes }) => ({ number, epochs: [epoch], bytes })),
      ...open
        .filter(number => !closed.some(segment => segment.number === number))
        .map(number => ({ number, epochs: [manifest.epoch], bytes: Infinity })),
    ],
    firstLogSequence: manifest.firstLogSequence,
    losses: [],
  }
}

async function sourceOfFiles(
  fileSystem: FileSystem,
  directory: string,
  options: RepairOptions,
  wals: readonly number[],
  buckets: readonly number[],
): Promise<Source> {
  const schema = Schema.create(options)
  const path = `${directory}/${MANIFEST_NAME}`
  const found: FoundFile[] = []
  const losses: Loss[] = [
    {
      file: path,
      offset: 0,
      reason: 'the manifest',
      after: undefined,
      before: undefined,
      operations: undefined,
    },
  ]
  for (const number of buckets) {
    const file = await footerOf(fileSystem, directory, number, schema)
    if (file !== undefined) found.push(file)
    else {
      const file = `${directory}/${bucketName(number)}`
      const reason = 'the footer is damaged, and without the manifest nothing else names what is in the file'
      losses.push({ file, offset: 0, reason, after: undefined, before: undefined, operations: undefined })
    }
  }
  if (found.length === 0) {
    throw new FlashTableError(
      'FLASHTABLE_CORRUPTION',
      `${path} is lost, and no bucket file of this schema has an intact footer: nothing tells how to read the files`,
      { path },
    )
  }
  // The output of a merge and its inputs may both be there: the widest range stands for all that lie in it.
  const widest = found.filter(
    ({ entry }) => !found.some(other => other.entry !== entry && covers(other.entry, entry)),
  )
  const files = widest.map(({ entry }) => entry).sort((a, b) => a.firstSequence - b.firstSequence)
  const epochs = Array.from(
    { length: Math.max(...files.map(file => file.epoch)) + LATER_EPOCHS },
    (_, epoch) => epoch + 1,
  )
  return {
    // A copy shares its oldest files with its origin: the newest one is likeliest its own.
    tableId: tableIdBytes(files.at(-1)!.tableId!),
    schema,
    pageBytes: found[0]!.pageBytes,
    duplicates: options.duplicates ?? DEFAULT_DUPLICATES,
    files,
    segments: wals.map(number => ({ number, epochs, bytes: Infinity })),
    firstLogSequence: Math.max(...files.map(file => file.endSequence)),
    losses,
  }
}

/** Whether `other` holds all that `entry` holds; of two that are alike the newer one does. */
function covers(other: BucketFileEntry, entry: BucketFileEntry): boolean {
  if (other.firstSequence > entry.firstSequence || other.endSequence < entry.endSequence) return false
  const alike = other.firstSequence === entry.firstSequence && other.endSequence === entry.endSequence
  return !alike || other.number > entry.number
}

interface FoundFile {
  readonly entry: BucketFileEntry
  readonly pageBytes: number
}

/** Reads a footer that has to vouch for itself; `undefined` where there is no intact one of this schema. */
async function footerOf(
  fileSystem: FileSystem,
  directory: string,
  number: number,
  { layout }: Schema,
): Promise<FoundFile | undefined> {
  const file = await fileSystem.open(`${directory}/${bucketName(number)}`, 'read')
  try {
    const size = await file.size()
    for (let pageBytes = MIN_PAGE_BYTES; pageBytes <= MAX_PAGE_BYTES && pageBytes <= size; pageBytes *= 2) {
      const page = new Uint8Array(pageBytes)
      await readFully(file, page, size - pageBytes)
      const isFooter = footerIdentity(page).magic === BUCKET_MAGIC && size % pageBytes === 0
      if (!isFooter || page.byteLength < FOOTER.bounds) continue
      const footer = readFooter(page, layout)
      const pages = size / pageBytes
      const [stored, expected] = pageChecksums(
        page,
        fileSeed(footer.tableId, footer.epoch, number),
        pages - 1,
      )
      const fits = footer.keyLaneCount === layout.keyLaneCount && footer.laneCount === layout.laneCount
      if (stored !== expected || footer.pageBytes !== pageBytes || !fits) continue
      const { epoch, records, firstSequence, endSequence, tableId } = footer
      return {
        entry: {
          tableId: Buffer.from(tableId).toString('hex'),
          number,
          epoch,
          level: 0,
          pages,
          records,
          firstSequence,
          endSequence,
        },
        pageBytes,
      }
    }
    return undefined
  } finally {
    await file.close()
  }
}
