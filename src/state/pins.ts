/**
 * Views that outlive a call: those of snapshots and running scans. A pin retains its version until it is released.
 * `close` of the table releases all pins.
 *
 * Nothing here refers to a `Pin`. So the garbage collector can take a pin that its user has forgotten, and then its
 * version is released.
 */
import type { BucketFile } from '../bucket-file/reader.js'
import type { TableState, View } from './table-state.js'

/** What pins a view. */
export type PinKind = 'snapshot' | 'scan'

/** What the table knows of a pin. */
interface Held {
  readonly kind: PinKind
  readonly view: View
  readonly release: () => Promise<void>
}

/** A view that stays readable until the pin is released or forgotten. */
export class Pin {
  readonly #held: Held
  readonly #isHeld: (held: Held) => boolean

  /** @internal */
  constructor(held: Held, isHeld: (held: Held) => boolean) {
    this.#held = held
    this.#isHeld = isHeld
  }

  get view(): View {
    return this.#held.view
  }

  get held(): boolean {
    return this.#isHeld(this.#held)
  }

  /** Idempotent. */
  release(): Promise<void> {
    return this.#held.release()
  }
}

/** All pins of a table. */
export class Pins {
  readonly #held = new Set<Held>()
  /** Releases of forgotten pins that have not ended. None rejects. */
  readonly #releasing = new Set<Promise<void>>()
  readonly #onForgotten: (kind: PinKind, view: View) => void
  readonly #forgotten = new FinalizationRegistry<Held>(held => this.#releaseForgotten(held))

  /** `onForgotten`: called when the garbage collector has taken a pin that was not released. */
  constructor(onForgotten: (kind: PinKind, view: View) => void) {
    this.#onForgotten = onForgotten
  }

  get size(): number {
    return this.#held.size
  }

  /** The bucket files on disk that pins hold. */
  get files(): ReadonlySet<BucketFile> {
    return new Set([...this.#held].flatMap(({ view }) => view.version.stored))
  }

  /** Pins the newest view. */
  pin(state: TableState): Pin {
    return this.pinView(state.view(), 'snapshot')
  }

  pinView(view: View, kind: PinKind): Pin {
    view.version.retain()
    const held: Held = {
      kind,
      view,
      release: async () => {
        if (!this.#held.delete(held)) return
        this.#forgotten.unregister(held)
        await view.version.release()
      },
    }
    this.#held.add(held)
    const pin = new Pin(held, held => this.#held.has(held))
    this.#forgotten.register(pin, held, held)
    return pin
  }

  async releaseAll(): Promise<void> {
    for (const held of this.#held) await held.release()
    await Promise.all(this.#releasing)
  }

  #releaseForgotten(held: Held): void {
    if (!this.#held.has(held)) return
    // It does not matter if a file cannot be closed: it is no longer needed.
    const released = held
      .release()
      .catch(() => {})
      .finally(() => this.#releasing.delete(released))
    this.#releasing.add(released)
    this.#onForgotten(held.kind, held.view)
  }
}
