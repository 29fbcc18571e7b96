/** Checks that a table holds given fingerprints: each with its time and track, those of a key in their order. */
import type { Fingerprints } from './fixtures.js'

/** What `getColumns` of a table of fingerprints gives. */
interface FingerprintHits {
  readonly query: Uint32Array
  readonly time: Uint16Array
  readonly flags: Uint16Array
  readonly id: Int32Array
}

interface FingerprintTable {
  getColumns(keys: BigUint64Array): Promise<FingerprintHits>
}

/** Keys that are looked up in one call. */
const KEYS_PER_CALL = 10_000

/**
 * How many keys do not have exactly their records of `expected`, in order. 0: the table holds all of `expected`, and
 * nothing else under its keys.
 */
export async function countWrongKeys(table: FingerprintTable, expected: Fingerprints): Promise<number> {
  const rowsByKey = groupByKey(expected)
  const keys = BigUint64Array.from(rowsByKey.keys())
  let wrong = 0
  for (let from = 0; from < keys.length; from += KEYS_PER_CALL) {
    const queried = keys.subarray(from, from + KEYS_PER_CALL)
    const hits = await table.getColumns(queried)
    let hit = 0
    for (const [query, key] of queried.entries()) {
      const first = hit
      while (hit < hits.query.length && hits.query[hit] === query) hit++
      if (!sameRecords(hits, first, hit, expected, rowsByKey.get(key)!)) wrong++
    }
    // Hits that are out of order belong to no key.
    if (hit !== hits.query.length) wrong++
  }
  return wrong
}

function groupByKey(records: Fingerprints): Map<bigint, number[]> {
  const rowsByKey = new Map<bigint, number[]>()
  for (const [row, key] of records.key.entries()) {
    const rows = rowsByKey.get(key)
    if (rows === undefined) rowsByKey.set(key, [row])
    else rows.push(row)
  }
  return rowsByKey
}

function sameRecords(
  hits: FingerprintHits,
  from: number,
  to: number,
  expected: Fingerprints,
  rows: readonly number[],
): boolean {
  return (
    to - from === rows.length &&
    rows.every(
      (row, at) =>
        hits.time[from + at] === expected.time[row] &&
        hits.flags[from + at] === expected.flags[row] &&
        hits.id[from + at] === expected.id[row],
    )
  )
}
