/**
 * Reads whole objects from front to back, in large pieces, for what looks at every page. docs/internals.md, Publishing.
 *
 * What reads them takes a failed read for damage. So the first failure of the store itself is kept: it says that
 * nothing is known.
 */
import type { ObjectStore, StoreCall } from '../store/object-store.js'
import type { RemoteObjects } from './remote-file-system.js'

/** Bytes that are fetched at once, and how many such pieces of an object stay: one of the data, one of the filter. */
const PIECE_BYTES = 4 * 2 ** 20
const PIECES = 2

interface Piece {
  readonly key: string
  readonly start: number
  readonly bytes: Uint8Array
}

export class PieceReader implements RemoteObjects {
  readonly #store: ObjectStore
  readonly #call: StoreCall
  #pieces: readonly Piece[] = []
  #failure: { readonly error: unknown } | undefined

  constructor(store: ObjectStore, call: StoreCall) {
    this.#store = store
    this.#call = call
  }

  async read(key: string, size: number, position: number, buffer: Uint8Array): Promise<number | undefined> {
    if (position >= size) return 0
    const start = position - (position % PIECE_BYTES)
    const piece = await this.#pieceAt(key, start, Math.min(size, start + PIECE_BYTES))
    if (piece === undefined) return undefined
    const part = piece.bytes.subarray(position - start, position - start + buffer.byteLength)
    buffer.set(part)
    return part.byteLength
  }

  /** Nothing can be had without the store. */
  readSync(): undefined {
    return undefined
  }

  forget(key: string): void {
    this.#pieces = this.#pieces.filter(piece => piece.key !== key)
  }

  /** Throws the failure of the store, if there was one. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async #pieceAt(key: string, start: number, end: number): Promise<Piece | undefined> {
    const held = this.#pieces.find(piece => piece.key === key && piece.start === start)
    if (held !== undefined) return held
    this.check()
    try {
      const bytes = await this.#store.get(key, { ...this.#call, range: { start, end } })
      if (bytes === undefined) return undefined
      const piece = { key, start, bytes }
      this.#pieces = [piece, ...this.#pieces].slice(0, PIECES)
      return piece
    } catch (error) {
      this.#failure = { error }
      throw error
    }
  }
}
