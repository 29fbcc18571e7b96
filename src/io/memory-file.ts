/**
 * A file in memory that threads share: bytes in blocks, read and written as a file on a disk is. docs/internals.md, Runs.
 */
import type { FileHandle, Stamp } from './file-system.js'

/** Bytes of a block beyond its payload: a reader of bits may touch the word after the last one. */
const BLOCK_REST_BYTES = 4

/** What a file in memory holds, as plain data: posted to another thread, the blocks are the same memory there. */
export interface FileMemory {
  readonly blocks: readonly SharedArrayBuffer[]
  /** Bytes of the file in each block. */
  readonly blockBytes: number
  /** Bytes of the file. */
  readonly bytes: number
}

export function newBlock(blockBytes: number): SharedArrayBuffer {
  return new SharedArrayBuffer(blockBytes + BLOCK_REST_BYTES)
}

/** An open file in memory. It grows by blocks of its own where those that it was given are full. */
export class MemoryFile implements FileHandle {
  readonly path: string
  readonly #blocks: Uint8Array<SharedArrayBuffer>[]
  readonly #blockBytes: number
  #bytes: number

  /** `path`: for messages. The blocks of `memory` beyond its bytes are room. */
  constructor(path: string, { blocks, blockBytes, bytes }: FileMemory) {
    this.path = path
    this.#blocks = blocks.map(block => new Uint8Array(block))
    this.#blockBytes = blockBytes
    this.#bytes = bytes
  }

  /** What it holds, without blocks that nothing was written to. */
  get memory(): FileMemory {
    const used = Math.ceil(this.#bytes / this.#blockBytes)
    const blocks = this.#blocks.slice(0, used).map(({ buffer }) => buffer)
    return { blocks, blockBytes: this.#blockBytes, bytes: this.#bytes }
  }

  readSync(buffer: Uint8Array, position: number): number {
    const bytes = Math.max(0, Math.min(buffer.byteLength, this.#bytes - position))
    this.#forBlocks(position, bytes, (block, from, to, done) => buffer.set(block.subarray(from, to), done))
    return bytes
  }

  writeSync(buffer: Uint8Array, position: number): number {
    const end = position + buffer.byteLength
    while (this.#blocks.length * this.#blockBytes < end)
      this.#blocks.push(new Uint8Array(newBlock(this.#blockBytes)))
    this.#forBlocks(position, buffer.byteLength, (block, from, to, done) =>
      block.set(buffer.subarray(done, done + to - from), from),
    )
    this.#bytes = Math.max(this.#bytes, end)
    return buffer.byteLength
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    return this.readSync(buffer, position)
  }

  async write(buffer: Uint8Array, position: number): Promise<number> {
    return this.writeSync(buffer, position)
  }

  /** There is no device: it lives as long as the process. */
  async sync(): Promise<void> {}

  async size(): Promise<number> {
    return this.#bytes
  }

  async stamp(): Promise<Stamp> {
    return { identity: this.path, bytes: this.#bytes, changed: '' }
  }

  async close(): Promise<void> {}

  #forBlocks(
    position: number,
    bytes: number,
    take: (block: Uint8Array, from: number, to: number, done: number) => void,
  ): void {
    for (let done = 0; done < bytes;) {
      const at = position + done
      const from = at % this.#blockBytes
      const to = Math.min(this.#blockBytes, from + bytes - done)
      take(this.#blocks[Math.floor(at / this.#blockBytes)]!, from, to, done)
      done += to - from
    }
  }
}
