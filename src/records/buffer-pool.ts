/**
 * Columns for short scans, used again: to allocate them would cost such a scan more than all the rest. docs/internals.md,
 * Short ranges.
 */
import { OperationBuffer } from './operations.js'
import type { RecordLayout } from './record-layout.js'

/** Buffers that are kept, and rows that each of them has room for at most. */
const BUFFERS_MAX = 8
const ROWS_MAX = 1024

export class BufferPool {
  readonly #layout: RecordLayout
  readonly #free: OperationBuffer[] = []

  constructor(layout: RecordLayout) {
    this.#layout = layout
  }

  /** An empty buffer, for the caller alone until it gives it back. */
  take(): OperationBuffer {
    // The first rows say how much room they need.
    return this.#free.pop() ?? new OperationBuffer(this.#layout, 1)
  }

  /** Requires: nobody reads from it any more. */
  giveBack(buffer: OperationBuffer): void {
    if (this.#free.length === BUFFERS_MAX || buffer.capacity > ROWS_MAX) return
    buffer.clear()
    this.#free.push(buffer)
  }
}
