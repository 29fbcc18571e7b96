/** Where the parts of a data page are. The twin: format/page-layout.ts. */

@inline
export function bitWidth(value: u32): u32 {
  return 32 - <u32>clz<u32>(value)
}

/** The key of row `row`; of keys of one lane `highs` are any, and `highMask` is 0. */
@inline
export function keyAt(highs: usize, highMask: u64, lows: usize, row: usize): u64 {
  return ((<u64>load<u32>(highs + (row << 2)) << 32) & highMask) | <u64>load<u32>(lows + (row << 2))
}

/** The byte where the widths begin; the number of buckets and the bits of a row stand before it. */
@inline
export function widthsByte(keyLanes: u32): u32 {
  return 12 + 4 * keyLanes
}

/** The byte where the bases begin: after a byte for the shift and one for each value lane and the kinds. */
@inline
export function basesByte(keyLanes: u32, valueLanes: u32): u32 {
  return widthsByte(keyLanes) + ((valueLanes + 5) & ~3)
}

/** The byte where the directory begins. */
@inline
export function directoryByte(keyLanes: u32, valueLanes: u32): u32 {
  return basesByte(keyLanes, valueLanes) + 4 * (valueLanes + 1)
}

@inline
export function sampleCount(buckets: u32): u32 {
  return (buckets + 15) >> 4
}

@inline
export function sampleBits(rows: u32, buckets: u32): u32 {
  return bitWidth(rows + buckets)
}

/** Words of the directory, also that of even keys. */
export function directoryWords(rows: u32, buckets: u32): u32 {
  if (buckets == 0) return 2
  return (sampleBits(rows, buckets) * sampleCount(buckets) + rows + buckets + 31) >> 5
}
