/**
 * A growing list of words: filter and fences of a bucket file that is being written.
 *
 * Kept in chunks, so that growing copies nothing: the filter of a hundred million records has 125 MB. Only the first chunk
 * grows, from little: most files are small. Chunks of one that was written serve the next one of the thread: the garbage
 * collector would let them pile up.
 */
import { newColumn } from '../kernels/kernels.js'

const CHUNK_WORDS = 2 ** 16
const FIRST_WORDS = 2 ** 8
/** Up to this many words lie in the memory of the kernels, where there is some: more would leave too little for columns. */
const KERNEL_WORDS_MAX = 2 ** 23

/** Chunks, not of the kernels, that nobody uses; they go with the thread, which ends when it is idle. */
const spareChunks: Uint32Array[] = []

export class WordBuffer {
  readonly #chunks: Uint32Array[] = []
  #length = 0
  /** Words that the chunks hold. */
  #room = 0

  get length(): number {
    return this.#length
  }

  push(word: number): void {
    if (this.#length === this.#room) this.#makeRoom()
    this.#chunks.at(-1)![this.#length % CHUNK_WORDS] = word
    this.#length++
  }

  append(words: Uint32Array): void {
    for (let from = 0; from < words.length;) {
      if (this.#length === this.#room) this.#makeRoom()
      const piece = words.subarray(from, from + this.#room - this.#length)
      this.#chunks.at(-1)!.set(piece, this.#length % CHUNK_WORDS)
      from += piece.length
      this.#length += piece.length
    }
  }

  #makeRoom(): void {
    const first = this.#chunks[0]
    if (first !== undefined && first.length < CHUNK_WORDS) {
      this.#chunks[0] = newColumn(2 * first.length)
      this.#chunks[0].set(first)
    } else {
      this.#chunks.push(first === undefined ? newColumn(FIRST_WORDS) : this.#newChunk())
    }
    this.#room = (this.#chunks.length - 1) * CHUNK_WORDS + this.#chunks.at(-1)!.length
  }

  #newChunk(): Uint32Array {
    const chunk = this.#length < KERNEL_WORDS_MAX ? newColumn(CHUNK_WORDS) : spareChunks.pop()
    return chunk ?? new Uint32Array(CHUNK_WORDS)
  }

  /** Drops all words; others will use their memory. */
  clear(): void {
    spareChunks.push(...this.#chunks.slice(KERNEL_WORDS_MAX / CHUNK_WORDS))
    this.#chunks.length = 0
    this.#length = 0
    this.#room = 0
  }

  /** A copy of all words. */
  toArray(): Uint32Array<ArrayBuffer> {
    const words = new Uint32Array(this.#length)
    this.copyTo(words, 0)
    return words
  }

  /** Copies the words from `from` on into `target`, as many as there are and fit. */
  copyTo(target: Uint32Array, from: number): void {
    const end = Math.min(this.#length, from + target.length)
    for (let word = from; word < end;) {
      const at = word % CHUNK_WORDS
      const piece = this.#chunks[(word - at) / CHUNK_WORDS]!.subarray(
        at,
        Math.min(CHUNK_WORDS, at + end - word),
      )
      target.set(piece, word - from)
      word += piece.length
    }
  }
}
