/** A `Uint32Array` that grows by doubling. */
export class GrowingWords {
  #words = new Uint32Array(1024)
  length = 0

  /** Makes room for `count` more words, zeroed, and counts them in; returns the array, which may be a new one. */
  extend(count: number): Uint32Array {
    const length = this.length + count
    if (length > this.#words.length) {
      const grown = new Uint32Array(Math.max(length, this.#words.length * 2))
      grown.set(this.#words)
      this.#words = grown
    }
    this.length = length
    return this.#words
  }

  push(word: number): void {
    this.extend(1)[this.length - 1] = word
  }

  /** The words so far; a view that the next growth leaves behind. */
  view(): Uint32Array {
    return this.#words.subarray(0, this.length)
  }
}
