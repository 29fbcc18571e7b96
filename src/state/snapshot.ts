/** The handle of a pinned point in time. docs/api.md, Snapshots. */
import { FlashTableError } from '../base/errors.js'
import { INSPECT, inspectAs, type Inspect } from '../base/inspect.js'
import { invalidOption, refuseExtra, unexpected } from '../options/arguments.js'
import type { Pin } from './pins.js'
import type { View } from './table-state.js'

/**
 * A consistent state of the table. Pass it as `{ snapshot }` to any read.
 *
 * It keeps the files that it needs on disk until it is closed; `close()` of the table closes it too.
 */
export class Snapshot {
  readonly #pin: Pin
  readonly #owner: { readonly location: string }

  /** @internal */
  constructor(pin: Pin, owner: { readonly location: string }) {
    if (owner === undefined) throw invalidOption('snapshots are made by snapshot() of a table')
    this.#pin = pin
    this.#owner = owner
  }

  /** @internal */
  static is(value: unknown): value is Snapshot {
    return typeof value === 'object' && value !== null && #pin in value
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

  /** Releases the files. Idempotent. */
  async close(...extra: never[]): Promise<void> {
    refuseExtra('close', extra)
    await this.#pin.release()
  }

  /**
   * How it looks in `JSON.stringify`.
   *
   * @internal
   */
  toJSON(): object {
    // The prototype has nothing to show.
    if (!(#pin in this)) return {}
    const { view, held } = this.#pin
    const { location } = this.#owner
    return { location, status: held ? 'open' : 'closed', sequence: view.sequence }
  }

  /**
   * How it looks in `util.inspect` and `console.log`.
   *
   * @internal
   */
  [INSPECT](depth: number, options: object, inspect: Inspect): string {
    return inspectAs('Snapshot', this.toJSON(), depth, options, inspect)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** The option `snapshot`. */
export function optionalSnapshot(value: unknown, name: string): Snapshot | undefined {
  if (value === undefined || Snapshot.is(value)) return value
  throw unexpected(name, 'a snapshot from snapshot() of this table', value)
}
