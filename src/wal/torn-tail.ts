/**
 * The evidence by which replay tells a torn tail from damage. replay.ts decides.
 *
 * Replay collects it when the frame that it expects is not where it should be. Pages that were not synced reach the disk in
 * any order, so after a crash that is normal: the tail is torn, and the log ends before it. But each frame says up to which
 * sequence number everything was synced when it was written. If an intact header on the way says that the missing frame
 * was synced ({@link saysSynced}), the log is damaged. docs/durability.md, Recovery; docs/file-format.md, WAL segments.
 */
import { corruption } from '../base/errors.js'
import type { FlashTableError } from '../base/errors.js'
import type { FoundFrame, SegmentReader } from './segment-reader.js'

/** A position in the log. */
export interface LogPosition {
  /** Index of the segment, in the order in which segments are replayed. */
  readonly source: number
  readonly offset: number
}

/**
 * What a position says about the missing frame. Padding: the frame was probably not there. An intact header: the frame
 * surely was there. Anything else says little.
 */
export type Evidence = 'padding' | 'other bytes' | 'header'

const EVIDENCE_BY_STRENGTH: readonly Evidence[] = ['padding', 'other bytes', 'header']

/** What is at a position in place of the expected frame. */
export interface Sighting {
  readonly path: string
  readonly offset: number
  readonly found: string
  readonly evidence: Evidence
  /** Whether something was being written here when the table's last life ended. */
  readonly isTorn: boolean
}

/** Describes what is at `offset`, where the frame that begins with sequence number `expected` is missing. */
export function sightingAt(
  reader: SegmentReader,
  offset: number,
  frame: FoundFrame | undefined,
  expected: number,
  pageBytes: number,
): Sighting {
  const at = { path: reader.path, offset }
  if (frame === undefined) {
    // After the last frame of a page there are zeros. At a page start there may be anything, from an earlier life.
    const isInsidePage = offset % pageBytes !== 0
    const isWritten = reader.isWritten(offset)
    const evidence = isInsidePage && !isWritten ? 'padding' : 'other bytes'
    return { ...at, found: 'no frame', evidence, isTorn: isInsidePage && isWritten }
  }
  const { firstSequence } = frame.header
  return firstSequence === expected
    ? { ...at, found: 'a payload that does not fit its checksum', evidence: 'header', isTorn: true }
    : { ...at, found: `a frame that begins with ${firstSequence}`, evidence: 'other bytes', isTorn: true }
}

/** The sighting at the end of a segment. */
export function endOfFile(reader: SegmentReader, offset: number): Sighting {
  return {
    path: reader.path,
    offset,
    found: 'the end of the file',
    evidence: 'other bytes',
    isTorn: false,
  }
}

/** Whether a frame says that the operation with this sequence number had been synced before the frame was written. */
export function saysSynced(frame: FoundFrame | undefined, sequence: number): boolean {
  return frame !== undefined && frame.header.syncedSequence > sequence
}

/**
 * The break in the chain of frames after the last frame that was replayed: where it is and what was seen there. Replay
 * decides whether it is a torn tail or damage.
 */
export class ChainBreak {
  /** Where the missing frame should begin. */
  readonly start: LogPosition
  /** The sequence number with which it begins. */
  readonly expected: number
  #strongest: Sighting
  #isTorn: boolean

  constructor(start: LogPosition, expected: number, first: Sighting) {
    this.start = start
    this.expected = expected
    this.#strongest = first
    this.#isTorn = first.isTorn
  }

  /** Adds what is at a later position. Of sightings with equal evidence the first is reported. */
  add(sighting: Sighting): void {
    if (strengthOf(sighting) > strengthOf(this.#strongest)) this.#strongest = sighting
    this.#isTorn ||= sighting.isTorn
  }

  /** The error for a break that is damage. `because`: why the frame must be there. */
  damage(because = ''): FlashTableError {
    const { path, offset, found } = this.#strongest
    const expected = `the frame that begins with sequence number ${this.expected}${because}`
    return corruption(path, offset, expected, found)
  }

  /** Where the log ends in the middle of something, if the break is a torn tail; `undefined` if it just ends there. */
  get tornAt(): { readonly path: string; readonly offset: number } | undefined {
    const { path, offset } = this.#strongest
    return this.#isTorn ? { path, offset } : undefined
  }
}

function strengthOf({ evidence }: Sighting): number {
  return EVIDENCE_BY_STRENGTH.indexOf(evidence)
}
