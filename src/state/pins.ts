/**
 * Views that outlive a call: snapshots and running scans. Each holds its version until it is let go, and `close` of the
 * table lets go of all.
 */
import type { TableState, View } from './table-state.js'

/** A view that stays readable. */
export class Pin {
  readonly view: View
  readonly #forget: (pin: Pin) => void
  #held = true

  constructor(view: View, forget: (pin: Pin) => void) {
    view.version.retain()
    this.view = view
    this.#forget = forget
  }

  get held(): boolean {
    return this.#held
  }

  /** Idempotent. */
  async release(): Promise<void> {
    if (!this.#held) return
    this.#held = false
    this.#forget(this)
    await this.view.version.release()
  }
}

/** All pins of a table. */
export class Pins {
  readonly #pins = new Set<Pin>()

  get size(): number {
    return this.#pins.size
  }

  /** Pins the newest view. */
  pin(state: TableState): Pin {
    return this.pinView(state.view())
  }

  pinView(view: View): Pin {
    const pin = new Pin(view, gone => this.#pins.delete(gone))
    this.#pins.add(pin)
    return pin
  }

  async releaseAll(): Promise<void> {
    for (const pin of this.#pins) await pin.release()
  }
}
