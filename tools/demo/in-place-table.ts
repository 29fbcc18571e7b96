/**
 * The table that flashtable replaces, simulated to count what it writes: a hash table of fixed slots in a
 * memory-mapped file, where each record is written in place.
 *
 * The kernel writes back whole pages: a page that was dirtied between two syncs is written once by the second. Layout
 * and hash are those of test/fixtures/README.md; a test compares the result with the real file byte for byte.
 */

/** The least that a flash file system writes, and the page size of the kernel. */
const PAGE_BYTES = 4096
const RECORD_BYTES = 16
/** 2^64 / golden ratio: Fibonacci hashing (Knuth, TAOCP 3, 6.4). */
const HASH_MULTIPLIER = 0x9e37_79b9_7f4a_7c15n

export class InPlaceTable {
  readonly bytes: Uint8Array
  /** Records that came when their bucket was full. */
  dropped = 0
  /** Pages that all syncs so far had to write. */
  pagesWritten = 0
  readonly #view: DataView
  readonly #dirty: Uint8Array
  readonly #slots: number
  readonly #hashShift: bigint

  /** `buckets` is a power of two; slot 0 of each bucket is its head. */
  constructor(buckets: number, slots: number) {
    this.bytes = new Uint8Array(buckets * slots * RECORD_BYTES)
    this.#view = new DataView(this.bytes.buffer)
    this.#dirty = new Uint8Array(Math.ceil(this.bytes.byteLength / PAGE_BYTES))
    this.#slots = slots
    this.#hashShift = BigInt(64 - Math.log2(buckets))
  }

  /** Writes one record into the next free slot of its bucket, or drops it if there is none. */
  put(key: bigint, time: number, flags: number, id: number): void {
    const bucket = Number(BigInt.asUintN(64, key * HASH_MULTIPLIER) >> this.#hashShift)
    const head = bucket * this.#slots * RECORD_BYTES
    const next = this.#view.getInt32(head + 12, true) || 1
    if (next === this.#slots) {
      this.dropped++
      return
    }
    const slot = head + next * RECORD_BYTES
    this.#view.setBigUint64(slot, key, true)
    this.#view.setUint16(slot + 8, time, true)
    this.#view.setUint16(slot + 10, flags, true)
    this.#view.setInt32(slot + 12, id, true)
    this.#view.setInt32(head + 12, next + 1, true)
    this.#dirty[Math.floor(slot / PAGE_BYTES)] = 1
    this.#dirty[Math.floor(head / PAGE_BYTES)] = 1
  }

  /** Writes the pages that were dirtied since the last sync. */
  sync(): void {
    for (const dirty of this.#dirty) this.pagesWritten += dirty
    this.#dirty.fill(0)
  }

  get bytesWritten(): number {
    return this.pagesWritten * PAGE_BYTES
  }
}
