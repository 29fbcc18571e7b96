/**
 * The records of a range of keys in all spills of a bulk load, sorted, as the input of a merge.
 *
 * Their pieces are read at once and sorted a stretch of keys at a time, which fits the second-level cache.
 * docs/architecture.md, Bulk load.
 */
import { assert } from '../assert.js'
import { keyIsIn, type KeyRange } from '../columns/key-range.js'
import { OperationBuffer } from '../columns/operations.js'
import type { RecordLayout } from '../columns/record-layout.js'
import { sortedOrder } from '../columns/sort.js'
import type { SortedInput } from '../columns/sorted-input.js'
import { corruption, diskError } from '../errors.js'
import { fileSeed, positionSeed } from '../format/checksum.js'
import {
  decodePayload,
  frameBytesOf,
  payloadFits,
  readFrameHeader,
  type FrameBytes,
} from '../format/frame-decoder.js'
import { FRAME_ALIGNMENT, FRAME_HEADER_BYTES } from '../format/layout.js'
import { spillName } from '../io/file-names.js'
import type { FileSystem } from '../io/file-system.js'
import { readFully } from '../io/transfer.js'
import { pieceBytes, piecesIn, splitRange, type PieceRange, type Spill } from './spill.js'

/** Bytes of a stretch, packed: about 50,000 records. */
const STRETCH_BYTES = 2 ** 19
/** Pieces of each spill in a stretch, at least: one that is cut by the end of a stretch is read in two. */
const STRETCH_PIECES = 2

export interface SpillInputOptions {
  readonly fileSystem: FileSystem
  readonly directory: string
  readonly tableId: Uint8Array
  readonly layout: RecordLayout
  /** Oldest first. */
  readonly spills: readonly Spill[]
  /** As {@link piecesIn} takes it. */
  readonly range: KeyRange
}

/** The pieces of one spill, read. */
interface Loaded {
  readonly spill: Spill
  readonly path: string
  readonly seed: number
  readonly pieces: PieceRange
  readonly frames: FrameBytes
}

export class SpillInput implements SortedInput {
  readonly #options: SpillInputOptions
  readonly #unsorted: OperationBuffer
  #loaded: Loaded[] | undefined
  #stretches: KeyRange[] = []

  constructor(options: SpillInputOptions) {
    this.#options = options
    this.#unsorted = new OperationBuffer(options.layout)
  }

  /** Rejects with `FLASHTABLE_CORRUPTION` where what was written does not come back. */
  async next(into: OperationBuffer): Promise<boolean> {
    const { layout, spills, range } = this.#options
    if (this.#loaded === undefined) {
      const loaded: Loaded[] = []
      for (const spill of spills) loaded.push(await this.#load(spill))
      this.#loaded = loaded
      this.#stretches = splitRange(spills, layout.keyLaneCount, range, stretchBytes(loaded))
    }
    const stretch = this.#stretches.shift()
    if (stretch === undefined) return false
    const rows = this.#unsorted
    rows.clear()
    for (const loaded of this.#loaded) this.#decode(loaded, stretch)
    into.gather(rows, sortedOrder(rows.lanes, layout.keyLaneCount, 0, rows.count))
    return true
  }

  /** Bytes of the pieces in which the range is. */
  get bytes(): number {
    const { spills, range } = this.#options
    return spills.reduce((sum, spill) => sum + pieceBytes(spill, piecesIn(spill, range)), 0)
  }

  async close(): Promise<void> {
    this.#loaded = []
    this.#stretches = []
  }

  /** Reads the pieces of the range. */
  async #load(spill: Spill): Promise<Loaded> {
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

  /** Appends the rows of the stretch. */
  #decode({ spill, path, seed, frames, pieces }: Loaded, stretch: KeyRange): void {
    const { layout } = this.#options
    const rows = this.#unsorted
    const { from, to } = piecesIn(spill, stretch)
    for (let piece = from; piece < to; piece++) {
      const offset = spill.offsets[piece]!
      const at = offset - spill.offsets[pieces.from]!
      const frameSeed = positionSeed(seed, offset / FRAME_ALIGNMENT)
      const header = readFrameHeader(frames, at, frameSeed)
      const fits =
        header !== undefined &&
        FRAME_HEADER_BYTES + header.payloadBytes === pieceBytes(spill, { from: piece, to: piece + 1 }) &&
        payloadFits(frames, at + FRAME_HEADER_BYTES, header, frameSeed)
      if (!fits)
        throw corruption(path, offset, 'the records set aside', 'bytes that do not fit their checksum')
      const before = rows.count
      const wrong = decodePayload(frames, at + FRAME_HEADER_BYTES, header, layout, rows, [])
      assert(wrong === undefined && rows.kinds === undefined, 'a frame that fits is what was encoded')
      if (isCut(spill, piece, stretch)) keepRange(rows, before, stretch)
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

function stretchBytes(loaded: readonly Loaded[]): number {
  let bytes = 0
  let pieces = 0
  for (const {
    frames,
    pieces: { from, to },
  } of loaded) {
    bytes += frames.bytes.byteLength
    pieces += to - from
  }
  return Math.max(STRETCH_BYTES, (STRETCH_PIECES * loaded.length * bytes) / Math.max(1, pieces))
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
