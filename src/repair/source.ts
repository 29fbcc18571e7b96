/**
 * Finds out what there is to be saved: from the manifest, or where that is lost, from the files themselves and the schema
 * that the caller gives (without-manifest.ts).
 */
import { tableIdBytes, writerOf } from '../columns/bucket-file-entry.js'
import { Schema } from '../encoding/schema.js'
import { FlashTableError, diskError } from '../errors.js'
import { fileSeed } from '../format/checksum.js'
import { MANIFEST_NAME, bucketName } from '../io/file-names.js'
import type { FileSystem } from '../io/file-system.js'
import type { Manifest } from '../manifest/manifest.js'
import { loadManifest } from '../manifest/store.js'
import { listTable } from '../recovery.js'
import { surveyLog } from '../wal/check.js'
import type { LogGap, Piece, SegmentSurvey } from '../wal/survey.js'
import { lossOf, type Loss, type RepairOptions, type Source } from './types.js'
import { findFiles } from './without-manifest.js'

/** What the manifest says; where it is damaged, what the files themselves say. */
export async function findSource(
  fileSystem: FileSystem,
  directory: string,
  options: RepairOptions,
): Promise<Source> {
  const path = `${directory}/${MANIFEST_NAME}`
  const info = await fileSystem.info(directory).catch((error: unknown) => {
    throw diskError(error, `${directory} cannot be read`)
  })
  if (info?.kind !== 'directory' && info?.kind !== 'other')
    throw new FlashTableError('FLASHTABLE_NOT_FOUND', `there is no directory ${directory}`)
  const listing = await listTable(fileSystem, directory)
  let why: string
  try {
    const loaded = await loadManifest(fileSystem, directory)
    if (loaded !== undefined)
      return await sourceOfManifest(fileSystem, directory, loaded.manifest, options, listing.wals)
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
  return findFiles(fileSystem, directory, listing, options)
}

async function sourceOfManifest(
  fileSystem: FileSystem,
  directory: string,
  manifest: Manifest,
  options: RepairOptions,
  wals: readonly number[],
): Promise<Source> {
  const schema = Schema.open(manifest.schema, `${directory}/${MANIFEST_NAME}`, options)
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
    openSegments: clean ? [] : wals.filter(number => number >= log.firstSegment && !closed.has(number)),
    firstSequence: manifest.firstLogSequence,
    nextSequence: manifest.nextSequence,
    clean,
    signal: options.signal,
  })
  const losses = [...survey.gaps.map(gapLoss), ...brokenEnds(survey, closed)]
  // The first put of a life makes a segment: without one nothing tells whether there was any.
  if (!clean && survey.segments.every(segment => closed.has(segment.number))) {
    const reason =
      'no log segment of the last life is there, and it was not closed: what was put then is lost, if anything was'
    losses.push(lossOf(directory, 0, reason))
  }
  const epochs = new Map(log.closed.map(segment => [segment.number, segment.epoch]))
  return {
    schema,
    pageBytes,
    duplicates: manifest.duplicates,
    items: [
      ...manifest.files.map(entry => ({
        path: `${directory}/${bucketName(entry.number)}`,
        seed: fileSeed(writerOf(entry, tableId), entry.epoch, entry.number),
        pageBytes,
        pages: entry.pages,
        said: entry,
      })),
      ...survey.pieces.map(piece => {
        const number = piece.run.segment
        return { ...piece, seed: fileSeed(tableId, epochs.get(number) ?? epoch, number) }
      }),
    ],
    losses,
    schemaGiven: false,
  }
}

function gapLoss({ path, offset, firstSequence, endSequence, noFile }: LogGap): Loss {
  const numbers = `operations ${firstSequence} to ${endSequence - 1} of the log`
  const reason = noFile ? `the log segment is missing: ${numbers}` : `damaged or missing frames: ${numbers}`
  return lossOf(path, offset, reason, endSequence - firstSequence)
}

/** Where the log breaks off in a frame, and nothing behind it tells how many operations are missing. */
function brokenEnds(
  { segments, pieces, gaps }: { segments: SegmentSurvey[]; pieces: Piece[]; gaps: LogGap[] },
  closed: ReadonlySet<number>,
): Loss[] {
  const end = pieces.at(-1)?.endSequence ?? 0
  if (gaps.some(gap => gap.firstSequence >= end)) return []
  const last = pieces.at(-1)?.run.segment ?? 0
  return segments.flatMap(({ number, path, brokenAt }) =>
    brokenAt === undefined || closed.has(number) || number < last
      ? []
      : [lossOf(path, brokenAt, 'the log ends in a frame that is not whole, as it may after a crash')],
  )
}
