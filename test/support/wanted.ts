/** Which records of a key a lookup is asked for. */
import type { Wanted } from '../../src/query/lookup.js'

/** The newest ones. */
export function newest(limit: number): Wanted {
  return { limit, offset: 0, reverse: true }
}
