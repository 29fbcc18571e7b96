/**
 * Finds the frames of log segments of an unknown table: the seed of a header's checksum can be solved, and the checksum
 * of the payload, or the header of another frame, confirms it.
 *
 * A segment that was overwritten has frames of an older life after the new ones, with another seed. The seeds of one table
 * share a family (format/checksum-seed.ts); those of an older life do not belong to the number of the file.
 */
import { throwIfAborted } from '../../async/abort.js'
import { seedFamily } from '../../format/checksum-seed.js'
import {
  FRAME_ALIGNMENT,
  SMALL_FRAME_BYTES_MAX,
  SMALL_FRAME_HEADER_BYTES,
  alignFrame,
} from '../../format/frame-layout.js'
import { walName } from '../../io/file-names.js'
import type { FileSystem } from '../../io/file-system.js'
import { MAX_PAGE_BYTES, MIN_PAGE_BYTES } from '../../options/options.js'
import type { RecordLayout } from '../../records/record-layout.js'
import { SegmentReader, type FoundFrame } from '../../wal/segment-reader.js'
import { surveySegment, type SegmentSurvey } from '../../wal/survey.js'
import { lossOf, type Loss } from './types.js'

export interface Place {
  readonly fileSystem: FileSystem
  readonly directory: string
  readonly layout: RecordLayout
  readonly signal: AbortSignal | undefined
}

export interface FoundSegment {
  readonly seed: number
  readonly survey: SegmentSurvey
}

export interface FoundSegments {
  readonly segments: readonly FoundSegment[]
  /** The family of the table that wrote the log. */
  readonly family: number | undefined
  readonly losses: readonly Loss[]
}

/** The most seeds that are tried for one file: its own, and those of older lives. */
const SEEDS_MAX = 16
/** Payloads are checked up to this many times the file's size: hostile headers could make it the square. */
const TRIES = 8
/** A file of fewer bytes is searched as thoroughly as one of this size. */
const SMALL_FILE_BYTES = 2 ** 20
/** Bytes that may be read to confirm a small frame: it and the frames that may follow. */
const CONFIRMED_BYTES = 8 * SMALL_FRAME_BYTES_MAX

interface Candidates {
  readonly number: number
  readonly seeds: readonly number[]
  readonly written: boolean
}

/** `families`: of the bucket files. `fresh`: no segment can have been overwritten. */
export async function findSegments(
  place: Place,
  numbers: readonly number[],
  families: ReadonlySet<number>,
  fresh: boolean,
): Promise<FoundSegments> {
  const losses: Loss[] = []
  const candidates: Candidates[] = []
  for (const number of numbers) {
    const found = await seedsIn(place, number)
    if (found === undefined)
      losses.push(lossOf(`${place.directory}/${walName(number)}`, 0, 'the log segment cannot be read'))
    else candidates.push(found)
  }
  const family = familyOf(candidates, families)
  const segments: FoundSegment[] = []
  for (const { number, seeds, written } of candidates) {
    const seed = seeds.find(seed => seedFamily(seed, number) === family)
    if (seed === undefined) {
      if (written) {
        const what = seeds.length === 0 ? 'no frame is intact in it' : 'no frame of this table is in it'
        losses.push(lossOf(`${place.directory}/${walName(number)}`, 0, what))
      }
      continue
    }
    const reader = await SegmentReader.openWith({ ...place, lenient: true }, number, seed, Infinity)
    try {
      const options = { pageBytes: MIN_PAGE_BYTES, fresh, signal: place.signal }
      const survey = await surveySegment(number, reader, options)
      segments.push({ seed, survey })
    } finally {
      await reader.close()
    }
  }
  const last = segments.at(-1)?.survey
  if (last?.brokenAt !== undefined)
    losses.push(lossOf(last.path, last.brokenAt, 'the log ends in a frame that is not whole'))
  return { segments, family, losses }
}

/** The family that bucket files or most segments have; of several, the one whose frames come first in the newest. */
function familyOf(candidates: readonly Candidates[], families: ReadonlySet<number>): number | undefined {
  const votes = new Map<number, number>()
  for (const { number, seeds } of candidates) {
    for (const family of new Set(seeds.map(seed => seedFamily(seed, number))))
      votes.set(family, (votes.get(family) ?? (families.has(family) ? candidates.length : 0)) + 1)
  }
  let best: number | undefined
  for (const { number, seeds } of candidates.toReversed()) {
    for (const family of seeds.map(seed => seedFamily(seed, number)))
      if (best === undefined || votes.get(family)! > votes.get(best)!) best = family
  }
  return best
}

/** The seeds of the frames in a segment, in their order; `undefined` if it cannot be opened. */
async function seedsIn(place: Place, number: number): Promise<Candidates | undefined> {
  let reader: SegmentReader
  try {
    reader = await SegmentReader.openWith({ ...place, lenient: true }, number, 0, Infinity)
  } catch {
    return undefined
  }
  try {
    const seeds = await solveSeeds(reader, place)
    const written = (await reader.firstWritten(0, reader.end)) !== undefined
    return { number, seeds, written }
  } finally {
    await reader.close()
  }
}

async function solveSeeds(reader: SegmentReader, { layout, signal }: Place): Promise<number[]> {
  const seeds: number[] = []
  /** That of a small frame at the start of the file: where nothing else says more, it is believed. */
  let first: number | undefined
  let budget = TRIES * Math.max(SMALL_FILE_BYTES, reader.end)
  for (let offset = 0; offset + SMALL_FRAME_HEADER_BYTES <= reader.end && seeds.length < SEEDS_MAX;) {
    const loaded = reader.loadStart(offset)
    if (loaded !== true) {
      throwIfAborted(signal)
      if (!(await loaded)) continue
    }
    const frame = reader.foreignFrameAt(offset)
    let whole = frame !== undefined && seeds.includes(frame.seed)
    const frameBytes = frame === undefined ? 0 : frame.end - offset
    if (!whole && frame !== undefined && frameBytes <= budget) {
      const isSmall = frame.header.payloadChecksum === undefined
      budget -= isSmall ? CONFIRMED_BYTES : frameBytes
      if (isSmall && offset === 0 && hasSizeOf(layout, frame)) first = frame.seed
      const there = reader.load(offset, frameBytes)
      whole =
        (there === true || (await there)) &&
        (isSmall ? await isConfirmed(reader, frame) : reader.isWholeWith(frame, frame.seed))
      if (whole) seeds.push(frame.seed)
    }
    offset = whole ? frame!.end : offset + FRAME_ALIGNMENT
  }
  return seeds.length === 0 && first !== undefined ? [first] : seeds
}

/**
 * Whether the frame after a small one has the same seed: the single checksum of a small frame proves nothing. It begins where
 * the small one ends, or at the start of the next page.
 */
async function isConfirmed(
  reader: SegmentReader,
  { end, seed }: { readonly end: number; readonly seed: number },
): Promise<boolean> {
  const places = new Set([end])
  for (let pageBytes = MIN_PAGE_BYTES; pageBytes <= MAX_PAGE_BYTES; pageBytes *= 2)
    places.add(Math.ceil(end / pageBytes) * pageBytes)
  for (const place of places) {
    if ((await reader.loadStart(place)) && reader.foreignFrameAt(place)?.seed === seed) return true
  }
  return false
}

/** Whether the payload of a small frame is as long as its records of this layout take. */
function hasSizeOf({ recordBytes }: RecordLayout, { header }: FoundFrame): boolean {
  const { operationCount, payloadBytes, hasKinds } = header
  return payloadBytes === alignFrame(operationCount * (recordBytes + (hasKinds ? 1 : 0)))
}
