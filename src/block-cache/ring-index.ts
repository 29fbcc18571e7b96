/**
 * Says in which slot of the ring a block is. In memory: 33 to 37 bytes a slot, so 0.06 % of what is on disk.
 *
 * A hash table with chains, in typed arrays: objects of JavaScript would take several times as much.
 */
import { ID_WORDS } from './cached-object.js'

/** What is in a slot. */
export interface RingEntry {
  /** Of the object: {@link ID_WORDS} numbers. */
  readonly words: Uint32Array
  readonly block: number
  readonly checksum: number
}

export class RingIndex {
  readonly #words: Uint32Array
  /** The number of the block, plus one; 0: the slot is empty. */
  readonly #blocks: Uint32Array
  readonly #checksums: Uint32Array
  readonly #hits: Uint8Array
  /** Slots plus one, 0 at the end: the first slot of each chain, and the next one of each slot. */
  readonly #first: Uint32Array
  readonly #next: Uint32Array
  #count = 0

  constructor(slots: number) {
    this.#words = new Uint32Array(slots * ID_WORDS)
    this.#blocks = new Uint32Array(slots)
    this.#checksums = new Uint32Array(slots)
    this.#hits = new Uint8Array(slots)
    this.#next = new Uint32Array(slots)
    this.#first = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(1, slots))))
  }

  /** Slots that are not empty. */
  get count(): number {
    return this.#count
  }

  /** The slot of a block, or -1. */
  find(words: Uint32Array, block: number): number {
    for (let slot = this.#first[this.#chainOf(words, block)]! - 1; slot >= 0; slot = this.#next[slot]! - 1) {
      if (this.#blocks[slot] === block + 1 && this.#hasWords(slot, words)) return slot
    }
    return -1
  }

  /** Requires: the slot is empty, and no other one has this block. */
  set(slot: number, { words, block, checksum }: RingEntry): void {
    this.#words.set(words, slot * ID_WORDS)
    this.#blocks[slot] = block + 1
    this.#checksums[slot] = checksum
    this.#hits[slot] = 0
    const chain = this.#chainOf(words, block)
    this.#next[slot] = this.#first[chain]!
    this.#first[chain] = slot + 1
    this.#count++
  }

  /** What is in the slot; `undefined` if it is empty. */
  get(slot: number): RingEntry | undefined {
    const block = this.#blocks[slot]! - 1
    if (block < 0) return undefined
    const words = this.#words.slice(slot * ID_WORDS, (slot + 1) * ID_WORDS)
    return { words, block, checksum: this.#checksums[slot]! }
  }

  /** Makes the slot empty. */
  remove(slot: number): void {
    const entry = this.get(slot)
    if (entry === undefined) return
    const chain = this.#chainOf(entry.words, entry.block)
    if (this.#first[chain] === slot + 1) {
      this.#first[chain] = this.#next[slot]!
    } else {
      let before = this.#first[chain]! - 1
      while (this.#next[before] !== slot + 1) before = this.#next[before]! - 1
      this.#next[before] = this.#next[slot]!
    }
    this.#blocks[slot] = 0
    this.#hits[slot] = 0
    this.#count--
  }

  /** The block was used. Requires: the slot is not empty. */
  hit(slot: number): void {
    this.#hits[slot] = 1
  }

  isHit(slot: number): boolean {
    return this.#hits[slot] === 1
  }

  /** The slots from `first` on that were used. */
  countHits(first: number, slots: number): number {
    let count = 0
    for (let slot = first; slot < first + slots; slot++) count += this.#hits[slot]!
    return count
  }

  clearHits(first: number, slots: number): void {
    this.#hits.fill(0, first, first + slots)
  }

  #hasWords(slot: number, words: Uint32Array): boolean {
    for (let i = 0; i < ID_WORDS; i++) if (this.#words[slot * ID_WORDS + i] !== words[i]) return false
    return true
  }

  /** The numbers of an object are those of a hash: they need no more mixing, the blocks of one object do. */
  #chainOf(words: Uint32Array, block: number): number {
    const mixed = Math.imul(words[0]! ^ block, 0x9e3779b1)
    return (mixed ^ (mixed >>> 15)) & (this.#first.length - 1)
  }
}
