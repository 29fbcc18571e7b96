/** The buffers that calls are encoded into: a few are kept and used again, and freed when nothing was put for a while. */
import { clearTimeout, setTimeout } from 'node:timers'
import { BufferPool } from '../records/buffer-pool.js'
import type { OperationBuffer } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'

const BUFFERS_MAX = 4
const IDLE_MS = 5000

export class CallBuffers {
  readonly #pool: BufferPool
  readonly #memoryFreed: ((memory: Uint8Array) => void) | undefined
  /** Whether one was given back since the timer was set. */
  #used = false
  #idle: NodeJS.Timeout | undefined

  /** `rowsMax`: larger ones are not kept. `memoryFreed`: called with memory that nobody reads any more. */
  constructor(layout: RecordLayout, rowsMax: number, memoryFreed?: (memory: Uint8Array) => void) {
    this.#pool = new BufferPool(layout, BUFFERS_MAX, rowsMax)
    this.#memoryFreed = memoryFreed
  }

  /** An empty buffer. */
  take(): OperationBuffer {
    return this.#pool.take()
  }

  /** Requires: nobody reads from it any more. */
  giveBack(buffer: OperationBuffer): void {
    if (this.#memoryFreed !== undefined)
      for (const lane of buffer.lanes) this.#memoryFreed(new Uint8Array(lane.buffer))
    this.#pool.giveBack(buffer)
    this.#used = true
    if (this.#idle === undefined) this.#watch()
  }

  /** No buffer comes back any more. */
  close(): void {
    clearTimeout(this.#idle)
  }

  #watch(): void {
    this.#used = false
    this.#idle = setTimeout(() => {
      this.#idle = undefined
      if (this.#used) this.#watch()
      else this.#pool.drain()
    }, IDLE_MS)
    this.#idle.unref()
  }
}
