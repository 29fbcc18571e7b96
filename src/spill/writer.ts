/**
 * Writes sorted pieces to spill files, front to back in calls of 256 KiB, and not synced.
 *
 * Crash: the files are orphans, whatever is in them. docs/file-format.md, Spills.
 */
import { fileSeed, positionSeed } from '../format/checksum.js'
import { FrameEncoder } from '../format/frame-encoder.js'
import { FRAME_ALIGNMENT } from '../format/frame-layout.js'
import { discard } from '../io/discard.js'
import { spillName } from '../io/file-names.js'
import type { FileHandle, FileSystem } from '../io/file-system.js'
import { writeFully } from '../io/transfer.js'
import type { TableFiles } from '../manifest/table-files.js'
import type { LaneColumn } from '../records/lane-columns.js'
import { OperationBuffer, keyLanesOf, type Operations } from '../records/operations.js'
import { keysToDeltas } from './key-deltas.js'
import { cutPieces, piecesFrom } from './pieces.js'
import type { FileSpill, Pieces, Spill } from './spill.js'

/** Bytes of one write call. */
const WRITE_BYTES = 2 ** 18

export interface SpillTarget extends Omit<TableFiles, 'pageBytes'> {
  /** The numbers of the files. */
  readonly numbers: readonly number[]
  readonly epoch: number
}

/**
 * Writes the rows as spills, at most one for each of the target's numbers, with ascending keys. `onWrite` is called
 * after write calls. If it or a call rejects, the files are removed and this rejects with the same. Requires: sorted
 * pieces.
 */
export async function writeSpills(
  target: SpillTarget,
  lanes: readonly LaneColumn[],
  pieces: Pieces,
  onWrite: () => Promise<void>,
): Promise<FileSpill[]> {
  const { numbers } = target
  const { starts } = pieces
  const rows = { lanes, count: starts[pieces.pieces]!, kinds: undefined }
  const spills: FileSpill[] = []
  let writer: SpillWriter | undefined
  try {
    for (const range of cutPieces(pieces, numbers.length)) {
      writer = await SpillWriter.create(target, numbers[spills.length]!)
      for (let piece = range.from; piece < range.to; piece++) {
        const writtenBefore = writer.writtenBytes
        await writer.add(rows, starts[piece]!, starts[piece + 1]!)
        if (writer.writtenBytes > writtenBefore) await onWrite()
      }
      spills.push(await writer.finish(piecesFrom(pieces, range)))
      writer = undefined
    }
    return spills
  } catch (error) {
    await writer?.abandon()
    await removeSpills(target.fileSystem, target.directory, spills)
    throw error
  }
}

/** Removes the files. Best effort: what cannot be removed is an orphan, and the next open removes it. */
export async function removeSpills(
  fileSystem: FileSystem,
  directory: string,
  spills: readonly Spill[],
): Promise<void> {
  for (const spill of spills) {
    if (spill.kind === 'file')
      await fileSystem.unlink(`${directory}/${spillName(spill.number)}`).catch(() => {})
  }
}

/** Writes one spill: `add` ..., then `finish` or `abandon`. */
class SpillWriter {
  readonly #target: SpillTarget
  readonly #number: number
  readonly #file: FileHandle
  readonly #seed: number
  readonly #encoder: FrameEncoder
  /** The piece that is being encoded, with its keys as differences. */
  readonly #piece: OperationBuffer
  readonly #chunk = new Uint8Array(WRITE_BYTES)
  #chunkBytes = 0
  writtenBytes = 0
  /** Where each piece begins, and the next one. */
  readonly #offsets = [0]

  private constructor(target: SpillTarget, number: number, file: FileHandle) {
    const { tableId, epoch, layout } = target
    this.#target = target
    this.#number = number
    this.#file = file
    this.#seed = fileSeed(tableId, epoch, number)
    this.#encoder = new FrameEncoder(layout, 0)
    this.#piece = new OperationBuffer(layout)
  }

  static async create(target: SpillTarget, number: number): Promise<SpillWriter> {
    const path = `${target.directory}/${spillName(number)}`
    return new SpillWriter(target, number, await target.fileSystem.open(path, 'create'))
  }

  /** Adds a piece: the sorted rows [from, to). */
  async add(rows: Operations, from: number, to: number): Promise<void> {
    const offset = this.#offsets.at(-1)!
    const seed = positionSeed(this.#seed, offset / FRAME_ALIGNMENT)
    const piece = this.#piece
    piece.clear()
    piece.append(rows, from, to)
    const { keyLaneCount, laneBytes } = this.#target.layout
    keysToDeltas(keyLanesOf(rows, keyLaneCount), laneBytes, from, to, keyLanesOf(piece, keyLaneCount))
    const frameBytes = this.#encoder.encode(piece, 0, piece.count, [], 0, 0, seed)
    this.#offsets.push(offset + frameBytes)
    const frame = this.#encoder.bytes(frameBytes, frameBytes)
    for (let at = 0; at < frameBytes;) {
      const bytes = frame.subarray(at, at + this.#chunk.byteLength - this.#chunkBytes)
      this.#chunk.set(bytes, this.#chunkBytes)
      this.#chunkBytes += bytes.byteLength
      at += bytes.byteLength
      if (this.#chunkBytes === this.#chunk.byteLength) await this.#writeChunk()
    }
  }

  /** Writes what is left. The file is not synced: nobody reads it after a crash. `pieces`: those that were added. */
  async finish(pieces: Pieces): Promise<FileSpill> {
    await this.#writeChunk()
    await this.#file.close()
    const offsets = new Float64Array(
      new SharedArrayBuffer(this.#offsets.length * Float64Array.BYTES_PER_ELEMENT),
    )
    offsets.set(this.#offsets)
    return { kind: 'file', number: this.#number, epoch: this.#target.epoch, ...pieces, offsets }
  }

  /** Removes the file. Best effort: what cannot be removed is an orphan, and the next open removes it. */
  async abandon(): Promise<void> {
    await discard(this.#target.fileSystem, this.#file)
  }

  async #writeChunk(): Promise<void> {
    await writeFully(this.#file, this.#chunk.subarray(0, this.#chunkBytes), this.writtenBytes)
    this.writtenBytes += this.#chunkBytes
    this.#chunkBytes = 0
  }
}
