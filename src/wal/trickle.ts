/**
 * Tells a trickle, where one sync after another covers little, from a bulk load; and how far a file is made longer then.
 *
 * A sync of a file that has grown writes more of the file system than of the log: size, extents, journal. So in a trickle
 * a file that has to grow is made longer at once, by zeros that the same sync covers. The syncs after it write their pages
 * alone. A bulk load has few syncs, and zeros would double what it writes. docs/decisions/zeros-ahead.md.
 */
import { assert } from '../base/assert.js'

/** A sync that covers less of the log than this is small. */
export const SMALL_SYNC_BYTES = 16 * 1024
/** The zeros end at a multiple of this, ... */
export const AHEAD_BYTES_MIN = 16 * 1024
/** ... or of the largest power of two that the trickle has written, up to this. */
export const AHEAD_BYTES_MAX = 2 ** 20
/** A single small sync is no trickle: a table that lives shortly is synced once, by its close. */
const SYNCS_MIN = 2

export class Trickle {
  /** Small syncs in a row, and the bytes of whole pages that they have covered. */
  #syncs = 0
  #bytes = 0

  /** A sync begins that covers these bytes, whole pages. */
  note(coveredBytes: number): void {
    assert(coveredBytes >= 0, 'a log does not shrink')
    if (coveredBytes >= SMALL_SYNC_BYTES) this.#syncs = this.#bytes = 0
    else if (coveredBytes > 0) {
      this.#syncs++
      this.#bytes += coveredBytes
    }
  }

  /** A file that has to grow is made longer up to the next multiple of this; 0: not at all. */
  get aheadBytes(): number {
    if (this.#syncs < SYNCS_MIN) return 0
    let ahead = AHEAD_BYTES_MIN
    while (ahead < AHEAD_BYTES_MAX && 2 * ahead <= this.#bytes) ahead *= 2
    return ahead
  }
}
