/** Splits rows by key into parts. The twin: sort/split.ts. */

/** Rows whose places are found together: what is written to them stays in the first-level cache. */
const BLOCK: u32 = 256

/** A column of rows, as many bytes a value as the value has in a row, and where it goes there. */
@unmanaged
class SplitLane {
  column: u32
  offset: u32
  bytes: u32
  unused: u32
}

/** Widens the least and the greatest value, at `extremes`, by those of a column. */
export function widenExtremes(column: usize, count: u32, extremes: usize): void {
  let least = load<u32>(extremes)
  let greatest = load<u32>(extremes + 4)
  const end = column + (<usize>count << 2)
  for (; column < end; column += 4) {
    const value = load<u32>(column)
    least = min(least, value)
    greatest = max(greatest, value)
  }
  store<u32>(extremes, least)
  store<u32>(extremes + 4, greatest)
}

/** Adds the rows of each bin to its counter. */
export function countBins(column: usize, count: u32, shift: u32, first: u32, bins: usize): void {
  const end = column + (<usize>count << 2)
  for (; column < end; column += 4) {
    const counter = bins + (<usize>((load<u32>(column) >>> shift) - first) << 2)
    store<u32>(counter, load<u32>(counter) + 1)
  }
}

/**
 * Copies rows to their parts. `nextOfBin`: for each bin where the address of the next row of its part stands. `lanes`: a
 * {@link SplitLane} for each lane. `places`: room for 256 words.
 */
export function splitRows(
  column: usize,
  count: u32,
  shift: u32,
  first: u32,
  nextOfBin: usize,
  rowBytes: u32,
  lanes: usize,
  laneCount: u32,
  places: usize,
): void {
  for (let from: u32 = 0; from < count; from += BLOCK) {
    const rows = min(BLOCK, count - from)
    const placesEnd = places + (<usize>rows << 2)
    let key = column + (<usize>from << 2)
    for (let place = places; place < placesEnd; place += 4, key += 4) {
      const next = <usize>load<u32>(nextOfBin + (<usize>((load<u32>(key) >>> shift) - first) << 2))
      const at = load<u32>(next)
      store<u32>(next, at + rowBytes)
      store<u32>(place, at)
    }
    for (let lane: u32 = 0; lane < laneCount; lane++) {
      const it = changetype<SplitLane>(lanes + <usize>lane * offsetof<SplitLane>())
      let value = <usize>it.column + <usize>from * <usize>it.bytes
      const offset = <usize>it.offset
      if (it.bytes == 4) {
        for (let place = places; place < placesEnd; place += 4, value += 4)
          store<u32>(<usize>load<u32>(place) + offset, load<u32>(value))
      } else if (it.bytes == 2) {
        for (let place = places; place < placesEnd; place += 4, value += 2)
          store<u16>(<usize>load<u32>(place) + offset, load<u16>(value))
      } else {
        for (let place = places; place < placesEnd; place += 4, value += 1)
          store<u8>(<usize>load<u32>(place) + offset, load<u8>(value))
      }
    }
  }
}
