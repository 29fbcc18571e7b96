/** The handle of a pinned point in time. docs/api.md, Snapshots. */
import { FlashTableError } from './errors.js'
import type { Pin } from './state/pins.js'
import type { View } from './state/table-state.js'

/**
 * A consistent state of the table. Pass it as `{ snapshot }` to any read.
 *
 * It keeps the files that it needs on disk until it is closed; `close()` of the table closes it too.
 */
export class Snapshot {
  readonly #pin: Pin
  readonly #owner: object

  /** @internal */
  constructor(pin: Pin, owner: object) {
    this.#pin = pin
    this.#owner = owner
  }

  /**
   * The view, for reads of the table that made this snapshot.
   *
   * @internal
   */
  viewFor(owner: object): View {
    if (owner !== this.#owner) {
      throw new FlashTableError('FLASHTABLE_SNAPSHOT_CLOSED', 'the snapshot belongs to another table')
    }
    if (!this.#pin.held) throw new FlashTableError('FLASHTABLE_SNAPSHOT_CLOSED', 'the snapshot is closed')
    return this.#pin.view
  }

  /** Lets go of the files. Idempotent. */
  async close(): Promise<void> {
    await this.#pin.release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
