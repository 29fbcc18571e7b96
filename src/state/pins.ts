/**
 * Views that outlive a call: snapshots and running scans. Each holds its version until it is let go, and `close` of the
 * table lets go of all.
 *
 * Nothing here refers to a `Pin`: where its user has forgotten it, the garbage collector takes it, and what it held is
 * given back then.
 */
import type { BucketFile } from '../bucket-file/reader.js'
import type { TableState, View } from './table-state.js'

/** Who pins a view. */
export type PinKind = 'snapshot' | 'scan'

/** What a pin holds. */
interface Held {
  readonly kind: PinKind
  readonly view: View
  readonly release: () => Promise<void>
}

/** A view that stays readable until it is released, or forgotten. */
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
  /** What is being given back of pins that were forgotten; none rejects. */
  readonly #givingBack = new Set<Promise<void>>()
  readonly #onForgotten: (kind: PinKind, view: View) => void
  readonly #forgotten = new FinalizationRegistry<Held>(held => this.#giveBack(held))

  /** `onForgotten`: the garbage collector has taken a pin that nobody had released. */
  constructor(onForgotten: (kind: PinKind, view: View) => void) {
    this.#onForgotten = onForgotten
  }

  get size(): number {
    return this.#held.size
  }

  /** The bucket files that pins hold. */
  get files(): ReadonlySet<BucketFile> {
    return new Set([...this.#held].flatMap(({ view }) => view.version.files))
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
    await Promise.all(this.#givingBack)
  }

  #giveBack(held: Held): void {
    if (!this.#held.has(held)) return
    // A file that cannot be closed is not needed any more.
    const givenBack = held
      .release()
      .catch(() => {})
      .finally(() => this.#givingBack.delete(givenBack))
    this.#givingBack.add(givenBack)
    this.#onForgotten(held.kind, held.view)
  }
}
