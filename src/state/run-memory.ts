/**
 * Memory for runs, in blocks that all tables of the process share: what one run gives back, the next one gets, of whichever
 * table. Blocks that nobody has needed for some seconds go back to the system. docs/internals.md, Runs.
 */
import { clearTimeout, setTimeout } from 'node:timers'
import { hintFreed } from '../base/gc-hint.js'
import { newBlock, type FileMemory } from '../io/memory-file.js'

/** Bytes of the blocks that are kept; a small run takes one smaller block, which is not. */
export const BLOCK_BYTES = 2 ** 20
/** About what packed rows take: this share of the raw records, ... */
const PACKED_SHARE = 0.8
/** ... and that many pages. A job takes more if it needs more. */
const PAGES_MIN = 8
/** Blocks that have been of no use for this long are freed. */
const IDLE_MS = 5000

export class RunMemory {
  readonly #idleMs: number
  readonly #spare: SharedArrayBuffer[] = []
  #idle: NodeJS.Timeout | undefined

  constructor(idleMs = IDLE_MS) {
    this.#idleMs = idleMs
  }

  /** Bytes of blocks that wait for the next run. */
  get spareBytes(): number {
    return this.#spare.length * BLOCK_BYTES
  }

  /** Room for a file of as many rows: for about what they take. Throws if there is no memory. */
  takeForRows(rows: number, recordBytes: number, pageBytes: number): FileMemory {
    return this.take(Math.ceil(PACKED_SHARE * rows * recordBytes) + PAGES_MIN * pageBytes, pageBytes)
  }

  /** Room for a file of about this many bytes, of pages of `pageBytes`. Throws if there is no memory. */
  take(bytes: number, pageBytes: number): FileMemory {
    let blockBytes = pageBytes
    while (blockBytes < Math.min(bytes, BLOCK_BYTES)) blockBytes *= 2
    const count = Math.ceil(bytes / blockBytes)
    const blocks =
      blockBytes === BLOCK_BYTES ? this.#spare.splice(Math.max(0, this.#spare.length - count)) : []
    while (blocks.length < count) blocks.push(newBlock(blockBytes))
    return { blocks, blockBytes, bytes: 0 }
  }

  /** Takes back what nobody reads or writes any more. */
  giveBack({ blocks, blockBytes }: Pick<FileMemory, 'blocks' | 'blockBytes'>): void {
    if (blockBytes !== BLOCK_BYTES) return hintFreed(blocks.length * blockBytes)
    this.#spare.push(...blocks)
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => this.drain(), this.#idleMs)
    this.#idle.unref()
  }

  /** Frees the blocks that wait. */
  drain(): void {
    hintFreed(this.spareBytes)
    this.#spare.length = 0
  }
}

/** The blocks of the process. */
export const runMemory = new RunMemory()
