/**
 * The records of a range of keys in all spills of a bulk load, sorted.
 *
 * Their pieces are read at once and sorted one range of keys at a time, which fits the second-level cache.
 * docs/internals.md, Bulk load.
 */
import { assert } from '../base/assert.js'
import { corruption, diskError } from '../base/errors.js'
import { hintFreed } from '../base/gc-hint.js'
import { fileSeed, positionSeed } from '../format/checksum.js'
import {
  decodePayload,
  frameBytesOf,
  payloadFits,
  readFrameHeader,
  type FrameBytes,
} from '../format/frame-decoder.js'
import { FRAME_ALIGNMENT } from '../format/frame-layout.js'
import { spillName } from '../io/file-names.js'
import type { FileSystem } from '../io/file-system.js'
import { readFully } from '../io/transfer.js'
import type { TableFiles } from '../manifest/table-files.js'
import { keyIsIn, type KeyRange } from '../records/key-range.js'
import { OperationBuffer } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { appendSorted } from '../sort/append-sorted.js'
import { deltasToKeys } from './key-deltas.js'
import { bytesInMemory } from './memory-spill.js'
import {
  pieceBytes,
  pieceRows,
  piecesIn,
  splitRange,
  type FileSpill,
  type MemorySpill,
  type PieceRange,
  type Spill,
} from './spill.js'

/** The target size of a range, in bytes of records: small enough to be sorted within the second-level cache. */
const RANGE_BYTES = 2 ** 18

export interface SpillInputOptions extends Omit<TableFiles, 'pageBytes'> {
  /** Oldest first. */
  readonly spills: readonly Spill[]
  /** As {@link piecesIn} takes it. */
  readonly range: KeyRange
}

/** The pieces that were read of a spill in a file. */
interface Loaded {
  readonly spill: FileSpill
  readonly path: string
  readonly seed: number
  readonly pieces: PieceRange
  readonly frames: FrameBytes
}

export class SpillInput {
  readonly #options: SpillInputOptions
  readonly #unsorted: OperationBuffer
  #loaded: (MemorySpill | Loaded)[] | undefined
  /** For each lane the value that all rows have, if known. */
  readonly #shared: readonly (number | undefined)[]
  #ranges: KeyRange[] = []

  constructor(options: SpillInputOptions) {
    this.#options = options
    this.#unsorted = new OperationBuffer(options.layout)
    this.#shared = options.layout.laneBytes.map((_, lane) => sharedValue(options.spills, lane))
  }

  /**
   * Appends the next batch, sorted, within a key oldest first; false at the end. Rejects with `FLASHTABLE_CORRUPTION` if the
   * file does not hold what was written.
   */
  async next(into: OperationBuffer): Promise<boolean> {
    const { layout, spills, range } = this.#options
    if (this.#loaded === undefined) {
      const loaded: (MemorySpill | Loaded)[] = []
      for (const spill of spills) loaded.push(spill.kind === 'memory' ? spill : await this.#load(spill))
      this.#loaded = loaded
      this.#ranges = splitRange(spills, layout.keyLaneCount, range, rangeRows(spills, range, layout))
    }
    const part = this.#ranges.shift()
    if (part === undefined) return false
    const rows = this.#unsorted
    rows.clear()
    for (const loaded of this.#loaded) {
      if ('spill' in loaded) this.#decode(loaded, part)
      else appendPieces(rows, loaded, part, this.#shared)
    }
    appendSorted(rows, 0, rows.count, layout.keyLaneCount, into, this.#shared)
    return true
  }

  async close(): Promise<void> {
    this.#loaded = []
    this.#ranges = []
    const { spills, range } = this.#options
    for (const spill of spills) {
      const share = pieceRows(spill, piecesIn(spill, range)) / pieceRows(spill, { from: 0, to: spill.pieces })
      hintFreed(share * bytesInMemory([spill]))
    }
  }

  /** Reads the pieces of the range. */
  async #load(spill: FileSpill): Promise<Loaded> {
    const { fileSystem, directory, tableId, range } = this.#options
    const path = `${directory}/${spillName(spill.number)}`
    const pieces = piecesIn(spill, range)
    const bytes = new Uint8Array(pieceBytes(spill, pieces))
    if (bytes.byteLength > 0) {
      const offset = spill.offsets[pieces.from]!
      const read = await readPieces(fileSystem, path, bytes, offset)
      if (read < bytes.byteLength)
        throw corruption(path, offset + read, 'the records set aside', 'the end of the file')
    }
    return {
      spill,
      path,
      seed: fileSeed(tableId, spill.epoch, spill.number),
      pieces,
      frames: frameBytesOf(bytes),
    }
  }

  /** Appends the rows of the range. */
  #decode({ spill, path, seed, frames, pieces }: Loaded, part: KeyRange): void {
    const { layout } = this.#options
    const rows = this.#unsorted
    const { from, to } = piecesIn(spill, part)
    for (let piece = from; piece < to; piece++) {
      const offset = spill.offsets[piece]!
      const at = offset - spill.offsets[pieces.from]!
      const frameSeed = positionSeed(seed, offset / FRAME_ALIGNMENT)
      const header = readFrameHeader(frames, at, frames.bytes.byteLength, frameSeed)
      const fits =
        header !== undefined &&
        header.headerBytes + header.payloadBytes === pieceBytes(spill, { from: piece, to: piece + 1 }) &&
        payloadFits(frames, at + header.headerBytes, header, frameSeed)
      if (!fits)
        throw corruption(path, offset, 'the records set aside', 'bytes that do not fit their checksum')
      const before = rows.count
      const wrong = decodePayload(frames, at + header.headerBytes, header, layout, rows, [])
      assert(wrong === undefined && rows.kinds === undefined, 'a frame that fits is what was encoded')
      deltasToKeys(rows.lanes, layout.laneBytes, before, rows.count, spill.firstKeys, piece)
      if (isCut(spill, piece, part)) keepRange(rows, before, part)
    }
  }
}

async function readPieces(
  fileSystem: FileSystem,
  path: string,
  bytes: Uint8Array,
  offset: number,
): Promise<number> {
  try {
    const file = await fileSystem.open(path, 'read')
    try {
      return await readFully(file, bytes, offset)
    } finally {
      await file.close()
    }
  } catch (error) {
    throw diskError(error, `cannot read ${path}`)
  }
}

/** The number of rows of a range: at least a piece of each spill, so that few pieces are cut and read twice. */
function rangeRows(spills: readonly Spill[], range: KeyRange, { recordBytes }: RecordLayout): number {
  let rows = 0
  let pieces = 0
  for (const spill of spills) {
    const { from, to } = piecesIn(spill, range)
    rows += pieceRows(spill, { from, to })
    pieces += to - from
  }
  return Math.max(RANGE_BYTES / recordBytes, (spills.length * rows) / Math.max(1, pieces))
}

/** The value that all rows of these spills have in a lane, if there is one and it is known. */
function sharedValue(spills: readonly Spill[], lane: number): number | undefined {
  const values = new Set(spills.map(spill => (spill.kind === 'memory' ? spill.lanes[lane] : undefined)))
  const [value] = values
  return values.size === 1 && typeof value === 'number' ? value : undefined
}

/** Appends the rows of the range, except for lanes whose values are known. */
function appendPieces(
  rows: OperationBuffer,
  spill: MemorySpill,
  part: KeyRange,
  shared: readonly (number | undefined)[],
): void {
  const { starts, lanes } = spill
  const { from, to } = piecesIn(spill, part)
  for (let piece = from; piece < to; piece++) {
    const start = starts[piece]!
    const end = starts[piece + 1]!
    const at = rows.count
    rows.reserve(end - start)
    for (const [lane, column] of lanes.entries()) {
      if (shared[lane] !== undefined) continue
      const target = rows.lanes[lane]!
      if (typeof column === 'number') target.fill(column, at, at + end - start)
      else target.set(column.subarray(start, end), at)
    }
    rows.count += end - start
    if (isCut(spill, piece, part)) keepRange(rows, at, part)
  }
}

/** Whether the piece may have rows outside the range. */
function isCut({ firstKeys, lastKeys }: Spill, piece: number, range: KeyRange): boolean {
  return !keyIsIn(range, firstKeys, piece) || !keyIsIn(range, lastKeys, piece)
}

/** Drops the rows from row `from` on that are not in the range. */
function keepRange(rows: OperationBuffer, from: number, range: KeyRange): void {
  let kept = from
  for (let row = from; row < rows.count; row++) {
    if (!keyIsIn(range, rows.lanes, row)) continue
    for (const lane of rows.lanes) lane[kept] = lane[row]!
    kept++
  }
  rows.count = kept
}
