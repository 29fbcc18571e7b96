/**
 * The order of keys: lane by lane, as unsigned numbers, and binary search in sorted columns by it.
 *
 * Everything that sorts, merges or searches compares through here. docs/file-format.md, Lanes.
 */

/**
 * Below, at or above 0 if the key of row `rowA` of `a` is smaller than, equal to or greater than that of `rowB` of `b`.
 */
export function compareRows(
  a: readonly Uint32Array[],
  rowA: number,
  b: readonly Uint32Array[],
  rowB: number,
  keyLaneCount: number,
): number {
  for (let lane = 0; lane < keyLaneCount; lane++) {
    // Lanes are unsigned: their difference is exact as a number and has the right sign.
    const difference = a[lane]![rowA]! - b[lane]![rowB]!
    if (difference !== 0) return difference
  }
  return 0
}

/** Below, at or above 0 if `key` is smaller than, equal to or greater than the key of row `row`. */
export function compareKeyToRow(key: Uint32Array, lanes: readonly Uint32Array[], row: number): number {
  for (let lane = 0; lane < key.length; lane++) {
    const difference = key[lane]! - lanes[lane]![row]!
    if (difference !== 0) return difference
  }
  return 0
}

/** Below, at or above 0 if `a` is smaller than, equal to or greater than `b`. Requires: as many lanes in both. */
export function compareKeys(a: Uint32Array, b: Uint32Array): number {
  for (let lane = 0; lane < a.length; lane++) {
    const difference = a[lane]! - b[lane]!
    if (difference !== 0) return difference
  }
  return 0
}

/** The first row in [from, to) whose key is at least `key`, else `to`. Requires: these rows are sorted by key. */
export function lowerBound(
  lanes: readonly Uint32Array[],
  from: number,
  to: number,
  key: Uint32Array,
): number {
  let low = from
  let high = to
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareKeyToRow(key, lanes, middle) > 0) low = middle + 1
    else high = middle
  }
  return low
}

/** The first row in [from, to) whose key is greater than `key`, else `to`. Requires: these rows are sorted by key. */
export function upperBound(
  lanes: readonly Uint32Array[],
  from: number,
  to: number,
  key: Uint32Array,
): number {
  let low = from
  let high = to
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareKeyToRow(key, lanes, middle) >= 0) low = middle + 1
    else high = middle
  }
  return low
}
