/** The blocks in memory: those that were used last. docs/internals.md, Block cache. */
import { blockName, type CachedObject } from './cached-object.js'

interface Held {
  readonly object: CachedObject
  readonly block: number
  readonly bytes: Uint8Array
  isHit: boolean
}

/** Called with a block that leaves memory and was used there. */
export type OnUsedBlock = (object: CachedObject, block: number, bytes: Uint8Array) => void

export class MemoryBlocks {
  readonly #bytesMax: number
  readonly #onUsedBlock: OnUsedBlock
  /** Least recently used first. */
  readonly #blocks = new Map<string, Held>()
  #bytes = 0

  constructor(bytesMax: number, onUsedBlock: OnUsedBlock) {
    this.#bytesMax = bytesMax
    this.#onUsedBlock = onUsedBlock
  }

  get bytes(): number {
    return this.#bytes
  }

  /** `isUse`: it becomes the one that was used last. */
  get(object: CachedObject, block: number, isUse: boolean): Uint8Array | undefined {
    const name = blockName(object, block)
    const held = this.#blocks.get(name)
    if (held === undefined || !isUse) return held?.bytes
    held.isHit = true
    this.#blocks.delete(name)
    this.#blocks.set(name, held)
    return held.bytes
  }

  /** Does nothing if it is there. Takes the bytes, or a copy of them if they are part of more. */
  put(object: CachedObject, block: number, given: Uint8Array): void {
    const name = blockName(object, block)
    if (this.#blocks.has(name) || given.byteLength > this.#bytesMax) return
    // A view would hold all of what it is a part of.
    const bytes = given.byteLength === given.buffer.byteLength ? given : given.slice()
    this.#blocks.set(name, { object, block, bytes, isHit: false })
    this.#bytes += bytes.byteLength
    while (this.#bytes > this.#bytesMax) {
      const [oldest, held] = this.#blocks.entries().next().value!
      this.#remove(oldest, held)
      if (held.isHit) this.#onUsedBlock(held.object, held.block, held.bytes)
    }
  }

  remove(object: CachedObject, block: number): void {
    const name = blockName(object, block)
    const held = this.#blocks.get(name)
    if (held !== undefined) this.#remove(name, held)
  }

  clear(): void {
    this.#blocks.clear()
    this.#bytes = 0
  }

  #remove(name: string, { bytes }: Held): void {
    this.#blocks.delete(name)
    this.#bytes -= bytes.byteLength
  }
}
