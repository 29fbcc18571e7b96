/**
 * How many rows fit a data page, and the page itself: of puts, with keys of one or two lanes. The twins, step by step:
 * format/data-page-encoder.ts and format/page-extent.ts.
 */
import { basesByte, bitWidth, directoryByte, directoryWords, keyAt, sampleBits, sampleCount, widthsByte } from './page-layout'

const ROWS_MAX: u32 = 32_767
const STEP_ROWS: u32 = 8
const BUCKETS_MAX: u64 = 65_535
const SAMPLE_INTERVAL: u32 = 16
const SHIFT_MAX: u32 = 254
const SHIFT_MIN: u64 = 16
const NO_OTHER_KEY: u32 = 255
const EXACT_MAX: u64 = 1 << 52
const EVEN_BITS: u32 = 64
/** Rows that are written together: what is known of them stays in the first-level cache. */
const BLOCK: u32 = 128
const GROUP_BYTES: usize = <usize>BLOCK << 3
/** Bits that are written together: with up to 7 that wait they fill a word of 64. */
const GROUP_BITS: u32 = 56

/** The memory of an encoder; the column of each lane follows, then two extents, then groups of a block. */
@unmanaged
class Encoder {
  keyLanes: u32
  valueLanes: u32
  freeBits: u32
  /** What `fit` has found: rows, and how their keys are written. */
  rows: u32
  lowBits: u32
  /** 0: the keys are even. */
  buckets: u32
  /** The rows that fit so far, and those that are tried. */
  accepted: usize
  tried: usize
  /** Groups of bits, of a row one after another: how many there are, and where their widths and their values are. */
  groups: u32
  widths: usize
  values: usize
  /** Of the directory: how many rows there are up to the end of each 16 buckets; where the unary part begins. */
  ends: usize
  unary: u32
  /** 64 bits of the unary part that have not reached the page yet, and which they are. */
  place: u32
  word: u64
}

const COLUMNS_AT: usize = offsetof<Encoder>()

/** See PageExtent; the least and the greatest value of each lane follow. */
@unmanaged
class Extent {
  rows: u32
  shift: u32
  even: u32
  unused: u32
  bits: u64
  distance: u64
  leastDistance: u64
  greatestLow: u64
}

const BOUNDS_AT: usize = offsetof<Extent>()

@inline
function extentBytes(valueLanes: u32): usize {
  return BOUNDS_AT + ((<usize>valueLanes) << 3)
}

@inline
function extentsAt(keyLanes: u32, valueLanes: u32): usize {
  return (COLUMNS_AT + ((<usize>(keyLanes + valueLanes)) << 2) + 7) & ~7
}

/** A u16 for each 16 buckets. */
const ENDS_BYTES: usize = <usize>(BUCKETS_MAX + 1) >> 3

/** The key may take two groups, each lane one. */
@inline
function groupsMax(valueLanes: u32): u32 {
  return valueLanes + 2
}

/** Bytes that an encoder needs. */
export function encoderBytes(keyLanes: u32, valueLanes: u32): usize {
  const groups = <usize>groupsMax(valueLanes)
  return extentsAt(keyLanes, valueLanes) + 2 * extentBytes(valueLanes) + groups * (8 + GROUP_BYTES) + ENDS_BYTES
}

/** Makes an encoder of the bytes there; returns where a pointer for the column of each lane belongs. */
export function initEncoder(encoder: usize, keyLanes: u32, valueLanes: u32, freeBits: u32): usize {
  const it = changetype<Encoder>(encoder)
  it.keyLanes = keyLanes
  it.valueLanes = valueLanes
  it.freeBits = freeBits
  it.accepted = encoder + extentsAt(keyLanes, valueLanes)
  it.tried = it.accepted + extentBytes(valueLanes)
  it.widths = it.tried + extentBytes(valueLanes)
  it.values = it.widths + ((<usize>groupsMax(valueLanes)) << 3)
  it.ends = it.values + <usize>groupsMax(valueLanes) * GROUP_BYTES
  return encoder + COLUMNS_AT
}

/** Where the least and the greatest value of each lane of the rows of the last `fit` are. */
export function bounds(encoder: usize): usize {
  return changetype<Encoder>(encoder).accepted + BOUNDS_AT
}

/** How many of `count` rows from row `from` on go into one page, by steps that begin with `firstStep` rows. */
export function fit(encoder: usize, from: u32, count: u32, firstStep: u32): u32 {
  const it = changetype<Encoder>(encoder)
  const keyLanes = it.keyLanes
  const columns = encoder + COLUMNS_AT
  const highs = <usize>load<u32>(columns) + ((<usize>from) << 2)
  const lows = <usize>load<u32>(columns + 4 * (keyLanes - 1)) + ((<usize>from) << 2)
  const highMask: u64 = keyLanes == 2 ? 0xffffffff_00000000 : 0
  const bytes = extentBytes(it.valueLanes)
  const end = min(count, ROWS_MAX)
  let step = firstStep
  let nextStep = STEP_ROWS
  let full = false
  reset(it.accepted, it.valueLanes)
  while (step > 0) {
    const accepted = it.accepted
    const tried = it.tried
    const before = changetype<Extent>(accepted).rows
    if (before >= end) break
    const rowsToTry = min(step, end - before)
    memory.copy(tried, accepted, bytes)
    extendKeys(changetype<Extent>(tried), highs, highMask, lows, before, before + rowsToTry)
    let valueBits: u32 = 0
    for (let lane: u32 = 0; lane < it.valueLanes; lane++) {
      const column = <usize>load<u32>(columns + 4 * (keyLanes + lane)) + ((<usize>(from + before)) << 2)
      valueBits += widen(column, rowsToTry, tried + BOUNDS_AT + 8 * lane)
    }
    if (accepts(it, changetype<Extent>(tried), highs, highMask, lows, valueBits)) {
      it.accepted = tried
      it.tried = accepted
      if (full) step >>= 1
      else {
        step = nextStep
        nextStep <<= 1
      }
    } else {
      step = full ? step >> 1 : 1 << (bitWidth(step) - 1)
      // The same rows once more would not fit either.
      if (!full && step == rowsToTry) step >>= 1
      full = true
    }
  }
  it.rows = changetype<Extent>(it.accepted).rows
  return it.rows
}

function reset(extent: usize, valueLanes: u32): void {
  const it = changetype<Extent>(extent)
  it.rows = 0
  it.shift = NO_OTHER_KEY
  it.bits = 0
  beginEven(it)
  for (let lane: u32 = 0; lane < valueLanes; lane++) store<u64>(extent + BOUNDS_AT + 8 * lane, 0xffffffff)
}

@inline
function beginEven(extent: Extent): void {
  extent.even = 1
  extent.distance = EXACT_MAX
  extent.leastDistance = 1
  extent.greatestLow = 0
}

@inline
function shiftOf(extent: Extent): u32 {
  return extent.shift == NO_OTHER_KEY ? 0 : extent.shift
}

/** Takes in the keys of rows [begin, end). */
function extendKeys(extent: Extent, highs: usize, highMask: u64, lows: usize, begin: u32, end: u32): void {
  extent.rows = end
  if (extent.shift > 0) {
    const before = extent.shift
    extendShift(extent, highs, highMask, lows, begin, end)
    if (extent.shift != before && extent.even && begin > 0) {
      // Distances are in other units now: all rows are looked at again.
      beginEven(extent)
      extendEven(extent, highs, highMask, lows, 0, begin)
    }
  }
  if (extent.even) extendEven(extent, highs, highMask, lows, begin, end)
}

function extendShift(extent: Extent, highs: usize, highMask: u64, lows: usize, begin: u32, end: u32): void {
  const first = keyAt(highs, highMask, lows, 0)
  let bits = extent.bits
  for (let row = begin; row < end; row++) {
    bits |= keyAt(highs, highMask, lows, row) - first
    if ((bits & ((1 << SHIFT_MIN) - 1)) == 0) continue
    extent.shift = 0
    break
  }
  extent.bits = bits
  if (extent.shift > 0 && bits != 0) extent.shift = min(SHIFT_MAX, <u32>ctz<u64>(bits))
}

function extendEven(extent: Extent, highs: usize, highMask: u64, lows: usize, begin: u32, end: u32): void {
  const first = keyAt(highs, highMask, lows, 0)
  const shift = <u64>shiftOf(extent)
  const before = extent.distance
  let distance = before
  let least = extent.leastDistance
  let even: u32 = 1
  for (let row = max<u32>(1, begin); row < end; row++) {
    const offset = (keyAt(highs, highMask, lows, row) - first) >> shift
    // That far numbers are not exact any more; products of smaller ones are below 2^64.
    if (offset >= EXACT_MAX) {
      even = 0
      break
    }
    if (offset >= <u64>(row + 1) * least) least = offset / <u64>(row + 1) + 1
    if (offset < <u64>row * distance) distance = offset / <u64>row
    if (least > distance) {
      even = 0
      break
    }
  }
  extent.distance = distance
  extent.leastDistance = least
  extent.even = even
  if (!even) return
  // Another distance changes how far above it all keys are.
  const again: u32 = distance == before ? begin : 0
  let greatest = again == 0 ? 0 : extent.greatestLow
  for (let row = again; row < end; row++) {
    const above = ((keyAt(highs, highMask, lows, row) - first) >> shift) - <u64>row * distance
    if (row > 0 && above > greatest) greatest = above
  }
  extent.greatestLow = greatest
}

/** Takes `count` values into the bounds of their lane; returns how many bits one takes now. */
function widen(column: usize, count: u32, bounds: usize): u32 {
  let least = load<u32>(bounds)
  let greatest = load<u32>(bounds, 4)
  const end = column + ((<usize>count) << 2)
  if (count >= 4) {
    let low = v128.load(column)
    let high = low
    for (column += 16; column + 16 <= end; column += 16) {
      const four = v128.load(column)
      low = i32x4.min_u(low, four)
      high = i32x4.max_u(high, four)
    }
    // The last four, some of them once more.
    const four = v128.load(end - 16)
    low = i32x4.min_u(low, four)
    high = i32x4.max_u(high, four)
    low = i32x4.min_u(low, v128.shuffle<i32>(low, low, 2, 3, 0, 1))
    high = i32x4.max_u(high, v128.shuffle<i32>(high, high, 2, 3, 0, 1))
    low = i32x4.min_u(low, v128.shuffle<i32>(low, low, 1, 0, 3, 2))
    high = i32x4.max_u(high, v128.shuffle<i32>(high, high, 1, 0, 3, 2))
    least = min(least, <u32>i32x4.extract_lane(low, 0))
    greatest = max(greatest, <u32>i32x4.extract_lane(high, 0))
  } else {
    for (; column < end; column += 4) {
      const value = load<u32>(column)
      least = min(least, value)
      greatest = max(greatest, value)
    }
  }
  store<u32>(bounds, least)
  store<u32>(bounds, greatest, 4)
  return bitWidth(greatest - least)
}

/** Whether the rows of the extent fit; if so, keeps the shortest way to write their keys. */
function accepts(it: Encoder, extent: Extent, highs: usize, highMask: u64, lows: usize, valueBits: u32): bool {
  const count = extent.rows
  const shift = <u64>shiftOf(extent)
  const span = (keyAt(highs, highMask, lows, count - 1) - keyAt(highs, highMask, lows, 0)) >> shift
  // The best is close to where there are as many buckets as rows.
  const quotient = (<f64>span + 1) / <f64>count
  const about = quotient < 1 ? -1 : <i32>(reinterpret<u64>(quotient) >> 52) - 1023
  let bits: u32 = u32.MAX_VALUE
  let bestLow: u32 = 0
  let bestBuckets: u32 = 0
  const last = about + 2
  for (let lowBits = max(0, about - 1); lowBits <= last || bits == u32.MAX_VALUE; lowBits++) {
    const upper = lowBits >= 64 ? 0 : span >> <u64>lowBits
    if (upper >= BUCKETS_MAX) continue
    const buckets = <u32>upper + 1
    const wanted: u32 = 32 * directoryWords(count, buckets) + count * <u32>lowBits
    if (wanted < bits) {
      bits = wanted
      bestLow = lowBits
      bestBuckets = buckets
    }
  }
  bits += count * valueBits
  if (extent.even && count >= 2) {
    const lowBits: u32 = 64 - <u32>clz<u64>(extent.greatestLow)
    const wanted: u32 = EVEN_BITS + count * (lowBits + valueBits)
    if (wanted < bits) {
      bits = wanted
      bestLow = lowBits
      bestBuckets = 0
    }
  }
  if (bits > it.freeBits) return false
  it.lowBits = bestLow
  it.buckets = bestBuckets
  return true
}

/** Writes the rows of the last `fit`, which begin with row `from`, into the page; it has `pageBytes` and may hold anything. */
export function write(encoder: usize, from: u32, page: usize, pageBytes: usize): void {
  const it = changetype<Encoder>(encoder)
  const extent = it.accepted
  const keyLanes = it.keyLanes
  const valueLanes = it.valueLanes
  const rows = it.rows
  const columns = encoder + COLUMNS_AT
  const highs = <usize>load<u32>(columns) + ((<usize>from) << 2)
  const lows = <usize>load<u32>(columns + 4 * (keyLanes - 1)) + ((<usize>from) << 2)
  const behind = load<u64>(page + pageBytes)
  memory.fill(page, 0, pageBytes)
  store<u8>(page, 1, 4)
  store<u8>(page, it.lowBits, 5)
  store<u16>(page, rows, 6)
  for (let lane: u32 = 0; lane < keyLanes; lane++)
    store<u32>(page + 4 * lane, load<u32>(<usize>load<u32>(columns + 4 * lane) + ((<usize>from) << 2)), 8)
  const widths = page + widthsByte(keyLanes)
  const bases = page + basesByte(keyLanes, valueLanes)
  store<u8>(widths, shiftOf(changetype<Extent>(extent)))
  let rowBits = it.lowBits
  for (let lane: u32 = 0; lane < valueLanes; lane++) {
    const least = load<u32>(extent + BOUNDS_AT + 8 * lane)
    const width = bitWidth(load<u32>(extent + BOUNDS_AT + 8 * lane, 4) - least)
    store<u32>(bases + 4 * lane, least)
    store<u8>(widths + lane, width, 1)
    rowBits += width
  }
  store<u32>(page + 4 * keyLanes, it.buckets | (rowBits << 16), 8)
  const directory = directoryByte(keyLanes, valueLanes)
  if (it.buckets == 0) store<u64>(page + directory, changetype<Extent>(extent).distance)
  else {
    it.unary = (directory << 3) + sampleBits(rows, it.buckets) * sampleCount(it.buckets)
    memory.fill(it.ends, 0, (<usize>sampleCount(it.buckets)) << 1)
    it.place = it.unary >> 6
    it.word = 0
  }
  writeRows(it, page, highs, lows, from, page + directory + 4 * directoryWords(rows, it.buckets))
  if (it.buckets > 0) finishDirectory(it, page, directory)
  store<u64>(page + pageBytes, behind)
}

/** Lows and values of all rows, from byte `at` on; and the directory beside them. */
function writeRows(it: Encoder, page: usize, highs: usize, lows: usize, from: u32, at: usize): void {
  const rows = it.rows
  let waiting: u64 = 0
  let fill: u32 = 0
  for (let row: u32 = 0; row < rows; row += BLOCK) {
    const count = min(BLOCK, rows - row)
    if (it.buckets == 0) evenLows(it, highs, lows, row, count)
    else bucketLows(it, page, highs, lows, row, count)
    groupValues(it, from + row, count)
    const groups = it.groups
    const width = load<u32>(it.widths)
    let value = it.values
    const end = value + ((<usize>count) << 3)
    // What has been stored is a whole word, so nothing is left to be stored after the last one.
    if (groups == 2) {
      const second = load<u32>(it.widths, 8)
      for (; value < end; value += 8) {
        waiting |= load<u64>(value) << <u64>fill
        fill += width
        store<u64>(at, waiting)
        at += fill >> 3
        waiting >>= <u64>(fill & ~7)
        fill &= 7
        waiting |= load<u64>(value, GROUP_BYTES) << <u64>fill
        fill += second
        store<u64>(at, waiting)
        at += fill >> 3
        waiting >>= <u64>(fill & ~7)
        fill &= 7
      }
    } else {
      for (; value < end; value += 8) {
        for (let group: u32 = 0; group < groups; group++) {
          waiting |= load<u64>(value + ((<usize>group) << 10)) << <u64>fill
          fill += load<u32>(it.widths + ((<usize>group) << 3))
          store<u64>(at, waiting)
          at += fill >> 3
          waiting >>= <u64>(fill & ~7)
          fill &= 7
        }
      }
    }
  }
}

/** What is left of the directory when all rows are written. */
function finishDirectory(it: Encoder, page: usize, directory: u32): void {
  const last = page + ((<usize>it.place) << 3)
  store<u64>(last, load<u64>(last) | it.word)
  const bits = sampleBits(it.rows, it.buckets)
  const end = it.ends + ((<usize>sampleCount(it.buckets)) << 1)
  let rows: u32 = 0
  let before: u32 = 0
  let bit = directory << 3
  for (let at = it.ends; at < end; at += 2) {
    const byte = page + (bit >> 3)
    store<u64>(byte, load<u64>(byte) | (<u64>(rows + before) << <u64>(bit & 7)))
    rows = max(rows, <u32>load<u16>(at))
    before += SAMPLE_INTERVAL
    bit += bits
  }
}

/** The first groups: what even keys are above their distances. */
function evenLows(it: Encoder, highs: usize, lows: usize, row: u32, count: u32): void {
  const extent = changetype<Extent>(it.accepted)
  const highMask: u64 = it.keyLanes == 2 ? 0xffffffff_00000000 : 0
  const first = keyAt(highs, highMask, lows, 0)
  const shift = <u64>shiftOf(extent)
  const distance = extent.distance
  let value = it.values
  for (const end = row + count; row < end; row++) {
    store<u64>(value, ((keyAt(highs, highMask, lows, row) - first) >> shift) - <u64>row * distance)
    value += 8
  }
}

/** The first groups: the low bits of keys; their buckets go to the directory. */
function bucketLows(it: Encoder, page: usize, highs: usize, lows: usize, row: u32, count: u32): void {
  const highMask: u64 = it.keyLanes == 2 ? 0xffffffff_00000000 : 0
  const first = keyAt(highs, highMask, lows, 0)
  const shift = <u64>shiftOf(changetype<Extent>(it.accepted))
  const lowBits = it.lowBits
  const mask: u64 = lowBits == 0 ? 0 : <u64>-1 >> <u64>(64 - lowBits)
  // With all bits in the row there is one bucket, and a shift by 64 would be none at all.
  const bucketShift = shift + <u64>lowBits
  const bucketMask: u32 = bucketShift < 64 ? -1 : 0
  const unary = it.unary
  const ends = it.ends
  let word = it.word
  let at = it.place
  let value = it.values
  for (const end = row + count; row < end; row++) {
    const offset = keyAt(highs, highMask, lows, row) - first
    store<u64>(value, (offset >> shift) & mask)
    value += 8
    const bucket = <u32>(offset >> bucketShift) & bucketMask
    // What later rows overwrite: no branch, which would be guessed wrong with each sample.
    store<u16>(ends + ((bucket >> 4) << 1), row + 1)
    const one = unary + row + bucket
    if (one >> 6 != at) {
      const place = page + ((<usize>at) << 3)
      store<u64>(place, load<u64>(place) | word)
      word = 0
      at = one >> 6
    }
    word |= <u64>1 << <u64>(one & 63)
  }
  it.word = word
  it.place = at
}

/** Puts the values of rows after the low bits of their keys, as many into a group as it has room for. */
function groupValues(it: Encoder, from: u32, count: u32): void {
  const valuesEnd = (<usize>count) << 3
  let group: u32 = 0
  let filled = it.lowBits
  let values = it.values
  if (filled > GROUP_BITS) {
    // The second half of long keys.
    store<u32>(it.widths, 32)
    for (let value = values; value < values + valuesEnd; value += 8) {
      const low = load<u64>(value)
      store<u64>(value, low & 0xffffffff)
      store<u64>(value, low >> 32, GROUP_BYTES)
    }
    group++
    filled -= 32
    values += GROUP_BYTES
  }
  const columns = changetype<usize>(it) + COLUMNS_AT + 4 * it.keyLanes
  for (let lane: u32 = 0; lane < it.valueLanes; lane++) {
    const bounds = it.accepted + BOUNDS_AT + 8 * lane
    const base = load<u32>(bounds)
    const width = bitWidth(load<u32>(bounds, 4) - base)
    if (width == 0) continue
    if (filled + width > GROUP_BITS) {
      store<u32>(it.widths + ((<usize>group) << 3), filled)
      group++
      filled = 0
      values += GROUP_BYTES
    }
    addLane(<usize>load<u32>(columns + 4 * lane) + ((<usize>from) << 2), count, base, values, filled)
    filled += width
  }
  store<u32>(it.widths + ((<usize>group) << 3), filled)
  it.groups = group + 1
}

/** Adds the values of a lane to those of a group, above the `filled` bits that it has. Up to three rows more are written. */
function addLane(column: usize, count: u32, base: u32, values: usize, filled: u32): void {
  const four = i32x4.splat(base)
  const end = values + ((<usize>count) << 3)
  if (filled == 0) {
    for (; values < end; values += 32) {
      const value = i32x4.sub(v128.load(column), four)
      v128.store(values, i64x2.extend_low_i32x4_u(value))
      v128.store(values, i64x2.extend_high_i32x4_u(value), 16)
      column += 16
    }
    return
  }
  for (; values < end; values += 32) {
    const value = i32x4.sub(v128.load(column), four)
    const low = i64x2.shl(i64x2.extend_low_i32x4_u(value), filled)
    const high = i64x2.shl(i64x2.extend_high_i32x4_u(value), filled)
    v128.store(values, v128.or(v128.load(values), low))
    v128.store(values, v128.or(v128.load(values, 16), high), 16)
    column += 16
  }
}
