/**
 * Lists what can be saved if the manifest is lost: the files say what they are, the caller says what a record is.
 *
 * Sequence numbers order everything. A bucket file covers the range in its footer. If the range lies within another
 * file's (an input and its merge), the wider file has all of it. Of the log, only what no bucket file covers counts.
 */
import { FlashTableError } from '../../base/errors.js'
import type { Schema } from '../../encoding/schema.js'
import { MANIFEST_NAME } from '../../io/file-names.js'
import { DEFAULT_FILE_MODE } from '../../base/file-mode.js'
import type { FileSystem } from '../../io/file-system.js'
import type { Manifest } from '../../manifest/manifest.js'
import type { JsonObject } from '../../manifest/meta.js'
import { DEFAULT_DUPLICATES, DEFAULT_PAGE_BYTES } from '../../options/options.js'
import { clip, partsOf, type RunPart } from '../../wal/log-parts.js'
import { findBuckets, type FoundFile, type RangedFile } from './found-buckets.js'
import { findSegments, type FoundSegment } from './found-segments.js'
import {
  lossOf,
  type Loss,
  type RepairOptions,
  type Inventory,
  type SourceFile,
  type SourcePiece,
} from './types.js'

export interface Listing {
  readonly wals: readonly number[]
  readonly buckets: readonly number[]
}

/** What the lost manifest said, as far as it is known. */
export interface Known {
  readonly schema: Schema
  /** The schema comes from a manifest, not from the caller. */
  readonly isSure: boolean
  readonly duplicates: Manifest['duplicates'] | undefined
  readonly pageBytes: number | undefined
  readonly mode: number | undefined
  readonly meta: JsonObject
  /** What is lost with the manifest. */
  readonly loss: string
}

export async function findFiles(
  fileSystem: FileSystem,
  directory: string,
  { wals, buckets }: Listing,
  options: RepairOptions,
  known: Known,
): Promise<Inventory> {
  const { schema } = known
  const place = { fileSystem, directory, layout: schema.layout, signal: options.signal }
  const ranged = await findBuckets(place, buckets)
  const log = await findSegments(place, wals, ranged.families, buckets.length === 0)
  const { files, unknown } = await ranged.complete(log.family)
  if (files.length + unknown.length + log.segments.length === 0) throw nothingFits(directory, ranged.losses)
  const chosen = chooseFiles(files, log.family)
  const pieces = uncovered(log.segments, chosen.files)
  const losses: Loss[] = [
    lossOf(`${directory}/${MANIFEST_NAME}`, 0, known.loss),
    ...ranged.losses,
    ...log.losses,
    ...chosen.losses,
  ]
  const placed = placeUnknown(unknown, chosen.files, pieces, losses)
  losses.push(...gapsBetween(directory, [...chosen.files, ...placed, ...pieces]))
  const pageBytes = known.pageBytes ?? ranged.pageBytes ?? DEFAULT_PAGE_BYTES
  return {
    schema,
    pageBytes,
    duplicates: known.duplicates ?? DEFAULT_DUPLICATES,
    mode: known.mode ?? DEFAULT_FILE_MODE,
    meta: known.meta,
    items: [...chosen.files, ...placed, ...pieces]
      .sort((a, b) => a.firstSequence - b.firstSequence)
      .map(item => ('run' in item ? item : item.file)),
    losses,
    schemaGiven: !known.isSure,
  }
}

function nothingFits(directory: string, losses: readonly Loss[]): FlashTableError {
  const other = losses.find(loss => loss.reason.includes('schema'))
  const path = `${directory}/${MANIFEST_NAME}`
  return other === undefined
    ? new FlashTableError(
        'FLASHTABLE_CORRUPTION',
        `${path} is lost, and no page or frame of the other files is intact: nothing can be saved`,
        { path },
      )
    : new FlashTableError('FLASHTABLE_SCHEMA_MISMATCH', `${other.file}: ${other.reason}`, {
        path: other.file,
      })
}

/** Takes each range once, from the widest file to the narrowest, files of the log's table first. */
function chooseFiles(
  found: readonly RangedFile[],
  family: number | undefined,
): { files: RangedFile[]; losses: Loss[] } {
  const members = new Map<number, number>()
  for (const file of found) members.set(file.family, (members.get(file.family) ?? 0) + 1)
  const rank = (file: RangedFile): number => (file.family === family ? Infinity : members.get(file.family)!)
  const ordered = found.toSorted(
    (a, b) =>
      (rank(a) === rank(b) ? 0 : rank(b) - rank(a)) ||
      widthOf(b) - widthOf(a) ||
      b.file.number - a.file.number,
  )
  const files: RangedFile[] = []
  const losses: Loss[] = []
  for (const file of ordered) {
    const over = files.filter(
      other => other.firstSequence < file.endSequence && other.endSequence > file.firstSequence,
    )
    if (over.length === 0) files.push(file)
    else if (over.some(other => other.family !== file.family))
      losses.push(
        lossOf(file.file.path, 0, `a file of another table; it covers what ${over[0]!.file.path} covers`),
      )
    else if (!over.some(other => covers(other, file)))
      losses.push(lossOf(file.file.path, 0, `covers a part of what ${over[0]!.file.path} covers too`))
  }
  return { files, losses }
}

function widthOf({ firstSequence, endSequence }: RangedFile): number {
  return endSequence - firstSequence
}

function covers(wide: RangedFile, file: RangedFile): boolean {
  return wide.firstSequence <= file.firstSequence && wide.endSequence >= file.endSequence
}

/** The frames, or parts of them, that no bucket file covers. */
function uncovered(segments: readonly FoundSegment[], files: readonly RangedFile[]): SourcePiece[] {
  const seeds = new Map(segments.map(({ survey, seed }) => [survey.number, seed]))
  const all = partsOf(
    segments.map(segment => segment.survey),
    () => ({ first: 0, end: Infinity }),
  )
  const sorted = files.toSorted((a, b) => a.firstSequence - b.firstSequence)
  const pieces: RunPart[] = all.flatMap(piece => {
    const parts: RunPart[] = []
    let from = piece.firstSequence
    for (const { firstSequence, endSequence } of sorted) {
      const before = clip(piece, from, firstSequence)
      if (before !== undefined) parts.push(before)
      from = Math.max(from, endSequence)
    }
    const rest = clip(piece, from, Infinity)
    return rest === undefined ? parts : [...parts, rest]
  })
  return pieces.map(piece => ({ ...piece, seed: seeds.get(piece.run.segment)! }))
}

interface Ranged {
  readonly firstSequence: number
  readonly endSequence: number
}

interface PlacedFile extends Ranged {
  readonly file: SourceFile
}

/**
 * Orders files without a footer by age: each goes into the first gap between the others' sequence numbers that could
 * hold its operations, else after all bucket files. If the others cover every number, they hold its operations already.
 */
function placeUnknown(
  unknown: readonly FoundFile[],
  files: readonly RangedFile[],
  pieces: readonly SourcePiece[],
  losses: Loss[],
): PlacedFile[] {
  const placed: PlacedFile[] = []
  for (const { file, operations } of unknown) {
    const gaps = holes([...files, ...placed, ...pieces])
    const gap = gaps.find(({ firstSequence, endSequence }) => endSequence - firstSequence >= operations)
    if (gap === undefined && gaps.length === 0 && pieces.length > 0 && files.length > 0) {
      const reason =
        'the footer is damaged; the other files have all sequence numbers, so nothing of it is needed'
      losses.push(lossOf(file.path, 0, reason))
      continue
    }
    const end = Math.max(0, ...[...files, ...placed].map(({ endSequence }) => endSequence))
    const first = gap?.firstSequence ?? end
    placed.push({ file, firstSequence: first, endSequence: gap === undefined ? end : first + operations })
    losses.push(
      lossOf(
        file.path,
        0,
        'its footer, and with it its age: newer operations may be taken for older ones, and records that the log has too may be there twice',
      ),
    )
  }
  return placed
}

/** Sequence numbers from 0 on that none of these has. */
function holes(ranges: readonly Ranged[]): Ranged[] {
  const found: Ranged[] = []
  let expected = 0
  for (const { firstSequence, endSequence } of ranges.toSorted((a, b) => a.firstSequence - b.firstSequence)) {
    if (firstSequence > expected) found.push({ firstSequence: expected, endSequence: firstSequence })
    expected = Math.max(expected, endSequence)
  }
  return found
}

function gapsBetween(directory: string, ranges: readonly Ranged[]): Loss[] {
  return holes(ranges).map(({ firstSequence, endSequence }) =>
    lossOf(
      directory,
      0,
      `operations ${firstSequence} to ${endSequence - 1} are in no file: they were erased, or files are missing, and deletes with them`,
    ),
  )
}
