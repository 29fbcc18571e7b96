/**
 * Columns for short scans and for puts, used again: to allocate them would cost such a call more than all the rest.
 * docs/internals.md, Short ranges, Commit groups.
 */
import { OperationBuffer } from './operations.js'
import type { RecordLayout } from './record-layout.js'

/** Of short scans: buffers that are kept, and rows that each of them has room for at most. */
const BUFFERS_MAX = 8
const ROWS_MAX = 1024

export class BufferPool {
  readonly #layout: RecordLayout
  readonly #buffersMax: number
  readonly #rowsMax: number
  readonly #free: OperationBuffer[] = []

  /** Keeps at most `buffersMax` buffers, none of which has room for more than `rowsMax` rows. */
  constructor(layout: RecordLayout, buffersMax = BUFFERS_MAX, rowsMax = ROWS_MAX) {
    this.#layout = layout
    this.#buffersMax = buffersMax
    this.#rowsMax = rowsMax
  }

  /** An empty buffer, for the caller alone until it gives it back. */
  take(): OperationBuffer {
    // The first rows say how much room they need.
    return this.#free.pop() ?? new OperationBuffer(this.#layout, 1)
  }

  /** Requires: nobody reads from it any more. */
  giveBack(buffer: OperationBuffer): void {
    if (this.#free.length === this.#buffersMax || buffer.capacity > this.#rowsMax) return
    buffer.clear()
    this.#free.push(buffer)
  }

  /** Frees the buffers that are kept. */
  drain(): void {
    this.#free.length = 0
  }
}
