/**
 * Writes the rows of a memtable as spills, split by key, front to back in calls of 256 KiB, and not synced.
 *
 * Crash: the files are orphans, whatever is in them. docs/file-format.md, Spills.
 */
import { assert } from '../assert.js'
import { OperationBuffer, type Operations } from '../columns/operations.js'
import type { RecordLayout } from '../columns/record-layout.js'
import { sortedOrder } from '../columns/sort.js'
import { splitByKey } from '../columns/split.js'
import { fileSeed, positionSeed } from '../format/checksum.js'
import { FrameEncoder } from '../format/frame-encoder.js'
import { FRAME_ALIGNMENT } from '../format/layout.js'
import { spillName } from '../io/file-names.js'
import type { FileHandle, FileSystem } from '../io/file-system.js'
import { writeFully } from '../io/transfer.js'
import type { Spill } from './spill.js'

/** Rows that a piece shall have, about: few enough that ranges of keys can be cut well, many for what a frame costs. */
const PIECE_ROWS = 1024
const BIN_BITS_MAX = 11
/** Bins of more rows, where keys cluster, are sorted, and cut into pieces that need not end where a bin does. */
const UNSORTED_ROWS_MAX = 2 ** 15
/** Bytes of one write call. */
const WRITE_BYTES = 2 ** 18

export interface SpillTarget {
  readonly fileSystem: FileSystem
  readonly directory: string
  /** Of the files. */
  readonly numbers: readonly number[]
  readonly tableId: Uint8Array
  readonly epoch: number
  readonly layout: RecordLayout
  /** Room for the rows, which are copied: a column a lane. */
  readonly scratch: readonly Uint32Array[]
}

/**
 * Writes the rows as spills, one for each of the target's numbers at most, with ascending keys. `onWrite` is called
 * after write calls. Rejects with what it or a call rejects with, and removes the files then. Requires: puts, at least
 * one.
 */
export async function writeSpills(
  target: SpillTarget,
  rows: Operations,
  onWrite: () => Promise<void>,
): Promise<Spill[]> {
  const { numbers } = target
  const spills: Spill[] = []
  let writer: SpillWriter | undefined
  let rowsDone = 0
  try {
    for (const piece of piecesOf(target, rows)) {
      writer ??= await SpillWriter.create(target, numbers[spills.length]!)
      const writtenBefore = writer.writtenBytes
      await writer.add(piece)
      rowsDone += piece.to - piece.from
      if (writer.writtenBytes > writtenBefore) await onWrite()
      // The last piece reaches the last share.
      if (rowsDone < ((spills.length + 1) * rows.count) / numbers.length) continue
      spills.push(await writer.finish())
      writer = undefined
    }
    return spills
  } catch (error) {
    await writer?.abandon()
    await removeSpills(target.fileSystem, target.directory, spills)
    throw error
  }
}

/** Best effort: what cannot be removed is an orphan, gone at the next open. */
export async function removeSpills(
  fileSystem: FileSystem,
  directory: string,
  spills: readonly Spill[],
): Promise<void> {
  for (const { number } of spills) {
    await fileSystem.unlink(`${directory}/${spillName(number)}`).catch(() => {})
  }
}

/** Rows [from, to) with keys from `first` to `last`. */
interface Piece {
  readonly rows: Operations
  readonly from: number
  readonly to: number
  readonly first: KeyAt
  readonly last: KeyAt
}

/** The key of a row. */
interface KeyAt {
  readonly lanes: readonly Uint32Array[]
  readonly row: number
}

/** The rows, piece by piece. A piece is valid until the next one. */
function* piecesOf({ layout, scratch }: SpillTarget, source: Operations): Generator<Piece> {
  assert(source.kinds === undefined, 'spills hold puts')
  const binBits = Math.ceil(Math.log2(source.count / PIECE_ROWS))
  const options = { binBits: Math.min(BIN_BITS_MAX, Math.max(1, binBits)), partRows: 0 }
  const { rows, starts, firstKeys, lastKeys } = splitByKey(layout, source, options, scratch)
  const sorted = new OperationBuffer(layout, PIECE_ROWS)
  for (let part = 0; part + 1 < starts.length; part++) {
    const from = starts[part]!
    const to = starts[part + 1]!
    if (to - from <= UNSORTED_ROWS_MAX) {
      yield { rows, from, to, first: { lanes: firstKeys, row: part }, last: { lanes: lastKeys, row: part } }
      continue
    }
    const order = sortedOrder(rows.lanes, layout.keyLaneCount, from, to)
    for (let at = 0; at < order.length; at += PIECE_ROWS) {
      sorted.clear()
      sorted.gather(rows, order.subarray(at, at + PIECE_ROWS))
      const { lanes, count } = sorted
      yield { rows: sorted, from: 0, to: count, first: { lanes, row: 0 }, last: { lanes, row: count - 1 } }
    }
  }
}

/** `add` ... `finish` or `abandon`. */
class SpillWriter {
  readonly #target: SpillTarget
  readonly #number: number
  readonly #file: FileHandle
  readonly #seed: number
  readonly #encoder: FrameEncoder
  readonly #chunk = new Uint8Array(WRITE_BYTES)
  #chunkBytes = 0
  writtenBytes = 0
  /** Of each piece, and where the next one begins. */
  readonly #offsets = [0]
  /** One column a lane. */
  readonly #firstKeys: number[][]
  readonly #lastKeys: number[][]

  private constructor(target: SpillTarget, number: number, file: FileHandle) {
    const { tableId, epoch, layout } = target
    this.#target = target
    this.#number = number
    this.#file = file
    this.#seed = fileSeed(tableId, epoch, number)
    this.#encoder = new FrameEncoder(layout, 0)
    this.#firstKeys = Array.from({ length: layout.keyLaneCount }, () => [])
    this.#lastKeys = Array.from({ length: layout.keyLaneCount }, () => [])
  }

  static async create(target: SpillTarget, number: number): Promise<SpillWriter> {
    const path = `${target.directory}/${spillName(number)}`
    return new SpillWriter(target, number, await target.fileSystem.open(path, 'create'))
  }

  /** Requires: its keys are not before those of the piece that came before. */
  async add({ rows, from, to, first, last }: Piece): Promise<void> {
    const offset = this.#offsets.at(-1)!
    const seed = positionSeed(this.#seed, offset / FRAME_ALIGNMENT)
    const frameBytes = this.#encoder.encode(rows, from, to, [], 0, 0, seed)
    this.#offsets.push(offset + frameBytes)
    for (const [lane, column] of this.#firstKeys.entries()) column.push(first.lanes[lane]![first.row]!)
    for (const [lane, column] of this.#lastKeys.entries()) column.push(last.lanes[lane]![last.row]!)
    const frame = this.#encoder.bytes(frameBytes, frameBytes)
    for (let at = 0; at < frameBytes;) {
      const bytes = frame.subarray(at, at + this.#chunk.byteLength - this.#chunkBytes)
      this.#chunk.set(bytes, this.#chunkBytes)
      this.#chunkBytes += bytes.byteLength
      at += bytes.byteLength
      if (this.#chunkBytes === this.#chunk.byteLength) await this.#writeChunk()
    }
  }

  /** Writes what is left. The file is not synced: nobody reads it after a crash. */
  async finish(): Promise<Spill> {
    await this.#writeChunk()
    await this.#file.close()
    return {
      number: this.#number,
      epoch: this.#target.epoch,
      pieces: this.#offsets.length - 1,
      firstKeys: this.#firstKeys.map(sharedColumn),
      lastKeys: this.#lastKeys.map(sharedColumn),
      offsets: sharedOffsets(this.#offsets),
    }
  }

  /** Removes the file. Best effort: what cannot be removed is an orphan, gone at the next open. */
  async abandon(): Promise<void> {
    await this.#file.close().catch(() => {})
    await this.#target.fileSystem.unlink(this.#file.path).catch(() => {})
  }

  async #writeChunk(): Promise<void> {
    await writeFully(this.#file, this.#chunk.subarray(0, this.#chunkBytes), this.writtenBytes)
    this.writtenBytes += this.#chunkBytes
    this.#chunkBytes = 0
  }
}

function sharedColumn(values: readonly number[]): Uint32Array {
  const column = new Uint32Array(new SharedArrayBuffer(values.length * Uint32Array.BYTES_PER_ELEMENT))
  column.set(values)
  return column
}

function sharedOffsets(values: readonly number[]): Float64Array {
  const offsets = new Float64Array(new SharedArrayBuffer(values.length * Float64Array.BYTES_PER_ELEMENT))
  offsets.set(values)
  return offsets
}
