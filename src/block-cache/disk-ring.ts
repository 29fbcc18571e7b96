/**
 * The blocks on disk: a ring of segments in one file, written front to back and overwritten in stream.
 *
 * Blocks gather in memory until a segment is full; one call in the background writes it, in whole pages. The head then
 * goes on to the next segment. Of the blocks there, those that were used since they were written stay: they come first in
 * the new segment; if they are more than half of it, the head steps over it and writes nothing. So a new byte costs at most
 * two. If both pieces of memory are full, the disk is slower than the store, and blocks are dropped.
 *
 * Nothing is synced, and nothing here is believed without its checksum: what is torn, old, foreign or damaged is a miss.
 * After a failure of the disk the ring is off, for good. In memory: the index (ring-index.ts) and 4 MiB. docs/internals.md,
 * Block cache.
 */
import { assert } from '../base/assert.js'
import { diskError, type FlashTableError } from '../base/errors.js'
import type { FileHandle } from '../io/file-system.js'
import { readFully, readFullySync, writeFully } from '../io/transfer.js'
import { BLOCK_BYTES, blockChecksum, type CachedObject } from './cached-object.js'
import type { DiskCacheStats } from './object-reader.js'
import { RingIndex, type RingEntry } from './ring-index.js'
import { INDEX_BYTES, SEGMENT_BLOCKS, SEGMENT_BYTES, slotOffset, writeIndexPage } from './ring-segment.js'

/** If more blocks of a segment were used, it stays as it is. */
const USED_MAX = SEGMENT_BLOCKS / 2
/** One piece is filled while the other one is written. */
const PIECES = 2

/** What is found in the file when it is opened. */
export interface RingContent {
  readonly index: RingIndex
  readonly segments: number
  /** The highest in the file. */
  readonly generation: number
  /** The segment that is written next. */
  readonly head: number
  /** A segment that is not full: it is filled up. */
  readonly unfinished: number | undefined
}

/** A segment in memory. */
interface Piece {
  readonly segment: number
  readonly buffer: Uint8Array
  /** Its blocks, from the first slot on. */
  count: number
}

export class DiskRing {
  readonly #file: FileHandle
  readonly #segments: number
  #index: RingIndex
  #head: number
  #generation: number
  /** All that are in memory: blocks are read from there. */
  #pieces: Piece[] = []
  /** The one that takes blocks, from its first new one on, and those that come after it. */
  #open: Piece | undefined
  #prepared: Piece[] = []
  #buffers = 0
  /** Preparations and writes: one after the other. Never rejects. */
  #work: Promise<void> = Promise.resolve()
  #closing: Promise<void> | undefined
  #off: FlashTableError | undefined
  #writtenBytes = 0
  #newBytes = 0
  #droppedBlocks = 0
  #damagedBlocks = 0

  /** Takes over the file. */
  constructor(file: FileHandle, { index, segments, generation, head, unfinished }: RingContent) {
    this.#file = file
    this.#segments = segments
    this.#index = index
    this.#generation = generation
    this.#head = head
    this.#needPieces(1, unfinished)
  }

  /** Resolves when the ring takes blocks: a put before it would drop its block. */
  async ready(): Promise<void> {
    await this.#work
  }

  has({ words }: CachedObject, block: number): boolean {
    return this.#index.find(words, block) >= 0
  }

  /** `bytes`: of the block. `isUse`: it stays when the head comes. `undefined`: it is not there, or it is damaged. */
  async read(
    object: CachedObject,
    block: number,
    bytes: number,
    isUse: boolean,
  ): Promise<Uint8Array | undefined> {
    const slot = this.#index.find(object.words, block)
    if (slot < 0 || this.#closing !== undefined) return undefined
    const held = this.#held(slot)
    const content = held ?? new Uint8Array(BLOCK_BYTES)
    try {
      if (held === undefined) await readFully(this.#file, content, positionOf(slot))
    } catch (error) {
      this.#turnOff(error)
      return undefined
    }
    return this.#checked(slot, object, block, content, isUse)?.subarray(0, bytes)
  }

  /** As {@link read}, blocking. */
  readSync(object: CachedObject, block: number, bytes: number, isUse: boolean): Uint8Array | undefined {
    const slot = this.#index.find(object.words, block)
    if (slot < 0 || this.#closing !== undefined) return undefined
    let content = this.#held(slot)
    try {
      if (content === undefined) {
        content = new Uint8Array(BLOCK_BYTES)
        readFullySync(this.#file, content, positionOf(slot))
      }
    } catch (error) {
      this.#turnOff(error)
      return undefined
    }
    return this.#checked(slot, object, block, content, isUse)?.subarray(0, bytes)
  }

  /** Takes a block, unless it is there. */
  put({ words }: CachedObject, block: number, bytes: Uint8Array): void {
    if (this.#off !== undefined || this.#closing !== undefined) return
    if (this.#index.find(words, block) >= 0) return
    const piece = (this.#open ??= this.#prepared.shift())
    if (piece === undefined) {
      this.#droppedBlocks++
      return
    }
    const content = contentOf(piece, piece.count)
    content.set(bytes)
    content.fill(0, bytes.byteLength)
    const checksum = blockChecksum(words, block, content)
    this.#index.set(piece.segment * SEGMENT_BLOCKS + piece.count, { words, block, checksum })
    piece.count++
    this.#newBytes += bytes.byteLength
    if (piece.count === SEGMENT_BLOCKS) {
      this.#open = undefined
      this.#inBackground(async () => {
        await this.#write(piece)
        await this.#prepare(piece.buffer)
      })
    }
    this.#needPieces(PIECES)
  }

  /** The block was used elsewhere: it stays when the head comes. Takes it if it is not there. */
  use(object: CachedObject, block: number, bytes: Uint8Array): void {
    const slot = this.#index.find(object.words, block)
    if (slot < 0) this.put(object, block, bytes)
    else this.#index.hit(slot)
  }

  forget({ words }: CachedObject, block: number): void {
    const slot = this.#index.find(words, block)
    if (slot >= 0) this.#index.remove(slot)
  }

  stats(): Omit<DiskCacheStats, 'directory'> {
    return {
      blocks: this.#index.count,
      roomBlocks: this.#segments * SEGMENT_BLOCKS,
      writtenBytes: this.#writtenBytes,
      newBytes: this.#newBytes,
      droppedBlocks: this.#droppedBlocks,
      damagedBlocks: this.#damagedBlocks,
      ...(this.#off === undefined ? {} : { off: this.#off.message }),
    }
  }

  /** Writes what has gathered, and closes the file. Idempotent; never rejects. Requires: no read is under way. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const open = this.#open
    if (open !== undefined) this.#inBackground(() => this.#write(open))
    await this.#work
    // Whatever it says, nothing depends on the file.
    await this.#file.close().catch(() => {})
  }

  /** The block, if it is what was written. */
  #checked(
    readFrom: number,
    { words }: CachedObject,
    block: number,
    content: Uint8Array,
    isUse: boolean,
  ): Uint8Array | undefined {
    const slot = this.#index.find(words, block)
    // The head may have come while it was read.
    if (slot < 0 || slot !== readFrom) return undefined
    if (this.#index.get(slot)!.checksum !== blockChecksum(words, block, content)) {
      this.#damagedBlocks++
      this.#index.remove(slot)
      return undefined
    }
    if (isUse) this.#index.hit(slot)
    return content
  }

  /** A copy of what a piece has of the slot: the piece is filled anew later. */
  #held(slot: number): Uint8Array | undefined {
    const piece = this.#pieces.find(({ segment }) => segment === segmentOf(slot))
    return piece === undefined ? undefined : contentOf(piece, slot % SEGMENT_BLOCKS).slice()
  }

  #needPieces(count: number, unfinished?: number): void {
    if (this.#buffers >= count) return
    this.#buffers++
    this.#inBackground(() => this.#prepare(new Uint8Array(SEGMENT_BYTES), unfinished))
  }

  /** Makes a piece for a segment: with all of its blocks if it is `unfinished`, with those that were used otherwise. */
  async #prepare(buffer: Uint8Array, unfinished?: number): Promise<void> {
    const segment = unfinished ?? this.#nextSegment()
    const first = segment * SEGMENT_BLOCKS
    const stays = new Set<number>()
    for (let slot = first; slot < first + SEGMENT_BLOCKS; slot++)
      if (unfinished !== undefined || this.#index.isHit(slot)) stays.add(slot)
    if (stays.size > 0) await readFully(this.#file, buffer, segment * SEGMENT_BYTES)
    // A read may have failed meanwhile.
    if (this.#off !== undefined) return
    const piece: Piece = { segment, buffer, count: 0 }
    for (let slot = first; slot < first + SEGMENT_BLOCKS; slot++) {
      const entry = this.#index.get(slot)
      this.#index.remove(slot)
      if (entry === undefined || !stays.has(slot)) continue
      const content = contentOf(piece, slot - first)
      if (blockChecksum(entry.words, entry.block, content) !== entry.checksum) {
        this.#damagedBlocks++
        continue
      }
      contentOf(piece, piece.count).set(content)
      this.#index.set(first + piece.count++, entry)
    }
    this.#pieces.push(piece)
    this.#prepared.push(piece)
  }

  /** Moves the head. The segments that it steps over stay; their blocks must be used again to stay once more. */
  #nextSegment(): number {
    // After the first round no block counts as used any more.
    for (let step = 0; step < 2 * this.#segments; step++) {
      const segment = this.#head
      this.#head = (this.#head + 1) % this.#segments
      if (this.#pieces.some(piece => piece.segment === segment)) continue
      const first = segment * SEGMENT_BLOCKS
      if (this.#index.countHits(first, SEGMENT_BLOCKS) <= USED_MAX) return segment
      this.#index.clearHits(first, SEGMENT_BLOCKS)
    }
    assert(false, 'a ring has more segments than pieces in memory')
  }

  async #write(piece: Piece): Promise<void> {
    const first = piece.segment * SEGMENT_BLOCKS
    const entries = Array.from({ length: piece.count }, (_, i): RingEntry | undefined =>
      this.#index.get(first + i),
    )
    writeIndexPage(piece.buffer.subarray(0, INDEX_BYTES), { generation: ++this.#generation, entries })
    const bytes = piece.buffer.subarray(0, slotOffset(piece.count))
    await writeFully(this.#file, bytes, piece.segment * SEGMENT_BYTES)
    this.#writtenBytes += bytes.byteLength
    this.#pieces = this.#pieces.filter(other => other !== piece)
  }

  #inBackground(action: () => Promise<void>): void {
    this.#work = this.#work.then(async () => {
      if (this.#off !== undefined) return
      try {
        await action()
      } catch (error) {
        this.#turnOff(error)
      }
    })
  }

  #turnOff(error: unknown): void {
    this.#off ??= diskError(error, `cannot use the cache ${this.#file.path}`)
    this.#index = new RingIndex(0)
    this.#pieces = []
    this.#open = undefined
    this.#prepared = []
  }
}

function segmentOf(slot: number): number {
  return Math.floor(slot / SEGMENT_BLOCKS)
}

/** Where a slot is in the file. */
function positionOf(slot: number): number {
  return segmentOf(slot) * SEGMENT_BYTES + slotOffset(slot % SEGMENT_BLOCKS)
}

function contentOf({ buffer }: Piece, slot: number): Uint8Array {
  return buffer.subarray(slotOffset(slot), slotOffset(slot) + BLOCK_BYTES)
}
