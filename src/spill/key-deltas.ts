/**
 * Keys of a sorted piece as differences to the key before, which take fewer bits: a bulk load that waits on the disk so
 * writes about as much there as in the table, where keys are stored alike. docs/file-format.md, Spills.
 *
 * `laneBytes`: natural widths of the key's lanes. Differences keep to them, as what is encoded must.
 */

/** Fills the columns with the differences of the sorted keys [from, to) to those before; the first one is 0. */
export function keysToDeltas(
  keyLanes: readonly Uint32Array[],
  laneBytes: readonly number[],
  from: number,
  to: number,
  deltas: readonly Uint32Array[],
): void {
  for (const column of deltas) column[0] = 0
  for (let row = from + 1; row < to; row++) {
    let borrow = 0
    for (let lane = keyLanes.length - 1; lane >= 0; lane--) {
      const column = keyLanes[lane]!
      const difference = column[row]! - column[row - 1]! - borrow
      borrow = difference < 0 ? 1 : 0
      deltas[lane]![row - from] = difference + borrow * 2 ** (8 * laneBytes[lane]!)
    }
  }
}

/** Turns the differences in rows [from, to) into the keys again, of which row `first` of `firstKeys` is the first one. */
export function deltasToKeys(
  lanes: readonly Uint32Array[],
  laneBytes: readonly number[],
  from: number,
  to: number,
  firstKeys: readonly Uint32Array[],
  first: number,
): void {
  for (const [lane, column] of firstKeys.entries()) lanes[lane]![from] = column[first]!
  for (let row = from + 1; row < to; row++) {
    let carry = 0
    for (let lane = firstKeys.length - 1; lane >= 0; lane--) {
      const column = lanes[lane]!
      const size = 2 ** (8 * laneBytes[lane]!)
      const sum = column[row]! + column[row - 1]! + carry
      carry = sum >= size ? 1 : 0
      column[row] = sum - carry * size
    }
  }
}
