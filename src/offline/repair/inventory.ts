/**
 * Lists what can be saved: by the manifest, or if that is lost, by the files themselves and the schema that the caller
 * gives (without-manifest.ts). docs/durability.md, Repair.
 */
import { FlashTableError, diskError } from '../../base/errors.js'
import { Schema } from '../../encoding/schema.js'
import { tableFamily } from '../../format/checksum-seed.js'
import { fileSeed } from '../../format/checksum.js'
import { MANIFEST_NAME, bucketName } from '../../io/file-names.js'
import type { FileSystem } from '../../io/file-system.js'
import { tableIdBytes, writerOf, type BucketFileEntry } from '../../manifest/bucket-file-entry.js'
import { combineOf, type Manifest } from '../../manifest/manifest.js'
import { loadManifest } from '../../manifest/store.js'
import { listTable, sameFiles } from '../../manifest/table-directory.js'
import type { LogGap } from '../../wal/log-parts.js'
import { surveyLog, type LogSurvey } from '../../wal/survey.js'
import { findBuckets } from './found-buckets.js'
import type { Place } from './found-segments.js'
import { lossOf, type Loss, type RepairOptions, type Inventory } from './types.js'
import { findFiles, type Listing } from './without-manifest.js'

/** Throws if the manifest has changed: a writer was active, so what was read may mix several states of the table. */
export async function assertUnchanged(
  fileSystem: FileSystem,
  directory: string,
  { manifest }: Inventory,
): Promise<void> {
  if (manifest === undefined) return
  const after = await loadManifest(fileSystem, directory).catch(() => undefined)
  if (after !== undefined && sameFiles(manifest, after.manifest)) return
  throw new FlashTableError(
    'FLASHTABLE_IO_ERROR',
    `${directory} was changed while it was repaired; close the table, or repair a checkpoint of it`,
  )
}

export async function assertDirectory(fileSystem: FileSystem, directory: string): Promise<void> {
  const info = await fileSystem.info(directory).catch((error: unknown) => {
    throw diskError(error, `${directory} cannot be read`)
  })
  if (info?.kind !== 'directory' && info?.kind !== 'other')
    throw new FlashTableError('FLASHTABLE_NOT_FOUND', `there is no directory ${directory}`)
}

/** Lists what the manifest names; if it is lost or damaged, what the files themselves tell. */
export async function takeInventory(
  fileSystem: FileSystem,
  directory: string,
  options: RepairOptions,
): Promise<Inventory> {
  const path = `${directory}/${MANIFEST_NAME}`
  const listing = await listTable(fileSystem, directory)
  let why: string
  try {
    const loaded = await loadManifest(fileSystem, directory)
    if (loaded !== undefined)
      return await inventoryOfManifest(fileSystem, directory, loaded.manifest, options, listing)
    why = `${path} is missing`
  } catch (error) {
    const failure = diskError(error, path)
    if (failure.code !== 'FLASHTABLE_CORRUPTION' && failure.code !== 'FLASHTABLE_IO_ERROR') throw failure
    why = failure.message
  }
  if (listing.wals.length + listing.buckets.length === 0 && why === `${path} is missing`)
    throw new FlashTableError('FLASHTABLE_NOT_FOUND', `there is no table in ${directory}`)
  if (options.keyEncoding === undefined) {
    const message = `${why}; give the schema of the table to repair it without the manifest`
    throw new FlashTableError('FLASHTABLE_CORRUPTION', message, { path })
  }
  const { duplicates, pageBytes, mode } = options
  const known = {
    schema: Schema.create(options),
    isSure: false,
    duplicates,
    pageBytes,
    mode,
    meta: {},
    loss: 'the manifest',
  }
  return findFiles(fileSystem, directory, listing, options, known)
}

async function inventoryOfManifest(
  fileSystem: FileSystem,
  directory: string,
  manifest: Manifest,
  options: RepairOptions,
  listing: Listing,
): Promise<Inventory> {
  const schema = Schema.open(manifest.schema, `${directory}/${MANIFEST_NAME}`, options, combineOf(manifest))
  const tableId = tableIdBytes(manifest.tableId)
  const { pageBytes, log, clean, epoch } = manifest
  const closed = new Set(log.closed.map(segment => segment.number))
  const survey = await surveyLog({
    fileSystem,
    directory,
    tableId,
    layout: schema.layout,
    pageBytes,
    closed: log.closed,
    epoch,
    openSegments: clean
      ? []
      : listing.wals.filter(number => number >= log.firstSegment && !closed.has(number)),
    firstSequence: manifest.firstLogSequence,
    nextSequence: manifest.nextSequence,
    clean,
    signal: options.signal,
  })
  const place = { fileSystem, directory, layout: schema.layout, signal: options.signal }
  const end = Math.max(manifest.nextSequence, survey.parts.at(-1)?.endSequence ?? 0)
  const better = await betterThan(place, manifest, listing.buckets, end)
  if (better !== undefined) {
    const { duplicates, mode, meta } = manifest
    const loss = `the manifest: ${better} is newer, so the files themselves tell what counts`
    const known = { schema, isSure: true, duplicates, pageBytes, mode, meta, loss }
    return findFiles(fileSystem, directory, listing, options, known)
  }
  const losses = [...survey.gaps.map(gapLoss), ...brokenEnds(survey, closed)]
  // The first put after an open makes a segment. Without a segment nothing tells whether there was a put.
  if (!clean && survey.segments.every(segment => closed.has(segment.number))) {
    const reason =
      'the last life was not closed and has no log segment: what was put in it, if anything, is lost'
    losses.push(lossOf(directory, 0, reason))
  }
  const epochs = new Map(log.closed.map(segment => [segment.number, segment.epoch]))
  return {
    schema,
    pageBytes,
    duplicates: manifest.duplicates,
    mode: manifest.mode,
    meta: manifest.meta,
    items: [
      ...manifest.files.map(entry => ({
        path: `${directory}/${bucketName(entry.number)}`,
        seed: fileSeed(writerOf(entry, tableId), entry.epoch, entry.number),
        pageBytes,
        pages: entry.pages,
        said: entry,
      })),
      ...survey.parts.map(piece => {
        const number = piece.run.segment
        return { ...piece, seed: fileSeed(tableId, epochs.get(number) ?? epoch, number) }
      }),
    ],
    losses,
    schemaGiven: false,
    manifest,
  }
}

/**
 * Finds a bucket file that shows that an older manifest was put back: the manifest does not name it, and it is of a later
 * epoch and newer than all that the manifest knows, or it covers the range of a file that is gone. An orphan of a crash is
 * no such file: it is of the epoch of the manifest, or the log has its operations too.
 */
async function betterThan(
  place: Place,
  manifest: Manifest,
  buckets: readonly number[],
  end: number,
): Promise<string | undefined> {
  const named = new Set(manifest.files.map(file => file.number))
  const others = buckets.filter(number => !named.has(number))
  if (others.length === 0) return undefined
  const gone: BucketFileEntry[] = []
  for (const entry of manifest.files) {
    const info = await place.fileSystem.info(`${place.directory}/${bucketName(entry.number)}`)
    if (info === undefined) gone.push(entry)
  }
  const family = tableFamily(tableIdBytes(manifest.tableId))
  const { files } = await (await findBuckets(place, others)).complete(undefined)
  const found = files.find(
    file =>
      file.family === family &&
      ((file.epoch > manifest.epoch && file.endSequence > end) ||
        gone.some(entry => entry.firstSequence < file.endSequence && entry.endSequence > file.firstSequence)),
  )
  return found?.file.path
}

function gapLoss({ path, offset, firstSequence, endSequence, noFile }: LogGap): Loss {
  const numbers = `operations ${firstSequence} to ${endSequence - 1} of the log`
  const reason = noFile ? `the log segment is missing: ${numbers}` : `damaged or missing frames: ${numbers}`
  return lossOf(path, offset, reason, endSequence - firstSequence)
}

/** Losses where the log breaks off within a frame and no later frame tells how many operations are missing. */
function brokenEnds({ segments, parts, gaps }: LogSurvey, closed: ReadonlySet<number>): Loss[] {
  const end = parts.at(-1)?.endSequence ?? 0
  if (gaps.some(gap => gap.firstSequence >= end)) return []
  const last = parts.at(-1)?.run.segment ?? 0
  return segments.flatMap(({ number, path, runs, brokenAt }) => {
    if (brokenAt === undefined || closed.has(number) || number < last) return []
    const reason =
      runs.length === 0
        ? 'no frame of this segment is in the file, and something else is: it was written over, or a power cut came before its first frame was on the device; what was put into it is lost'
        : 'the log ends in a frame that is not whole, as it may after a crash'
    return [lossOf(path, brokenAt, reason)]
  })
}
