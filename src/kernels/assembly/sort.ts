/**
 * Sorts rows by keys of one or two lanes, and takes their columns in that order. The twins: sort/sort.ts, and `gather` of
 * records/operations.ts.
 *
 * A row becomes a word: the leading bits of its key, counted from the least one, above its number. So words differ, and
 * their order is stable. They are distributed over buckets by their leading bits, one or two to a bucket, and sorted
 * by insertion; buckets of many are distributed again. Rows whose leading bits agree are sorted by the rest.
 */
import { bitWidth, keyAt } from './page-layout'

/** Up to this many words are sorted by insertion. */
const INSERTION_WORDS: u32 = 24
/** Counters of more buckets would not stay in the second-level cache. */
const BUCKET_BITS_MAX: u32 = 16

/** Bytes of the counters for `count` rows. */
export function sortCounterBytes(count: u32): usize {
  return <usize>4 << bucketBits(count)
}

@inline
function bucketBits(count: u32): u32 {
  return min(BUCKET_BITS_MAX, max(1, bitWidth(count - 1) - 1))
}

/**
 * Puts a word for each row into `words`, in the order of their keys: its lowest bits, as many as `count - 1` has, are the
 * number of the row. `spare`: as much room as `words`. Requires: count > 1.
 */
export function sortKeys(
  highs: usize,
  lows: usize,
  keyLanes: u32,
  stride: usize,
  count: u32,
  words: usize,
  spare: usize,
  counters: usize,
): void {
  const highMask: u64 = keyLanes == 2 ? 0xffffffff_00000000 : 0
  let least: u64 = -1
  let greatest: u64 = 0
  let before: u64 = 0
  let descents: u32 = 0
  let high = highs
  let low = lows
  for (let row: u32 = 0; row < count; row++, high += stride, low += stride) {
    const key = keyAt(high, highMask, low, 0)
    descents |= u32(key < before)
    least = min(least, key)
    greatest = max(greatest, key)
    before = key
  }
  if (!descents) {
    for (let row: u32 = 0; row < count; row++) store<u64>(words + (<usize>row << 3), row)
    return
  }
  const rowBits = <u64>bitWidth(count - 1)
  const width = 64 - clz<u64>(greatest - least)
  const rest = width + rowBits > 64 ? width + rowBits - 64 : 0
  high = highs
  low = lows
  let word = spare
  for (let row: u64 = 0; row < <u64>count; row++, high += stride, low += stride, word += 8) {
    store<u64>(word, (((keyAt(high, highMask, low, 0) - least) >> rest) << rowBits) | row)
  }
  distribute(spare, words, count, 0, width - rest + rowBits, counters)
  if (rest > 0) sortTies(highs, highMask, lows, stride, least, rest, rowBits, count, words, spare, counters)
}

/** Sorts different words from `source` to `target`, which differ from `least` only in their lowest `bits` bits. */
function distribute(source: usize, target: usize, count: u32, least: u64, bits: u64, counters: usize): void {
  const end = source + (<usize>count << 3)
  const used = <u64>bucketBits(count)
  const shift = bits > used ? bits - used : 0
  memory.fill(counters, 0, <usize>4 << <usize>used)
  for (let at = source; at < end; at += 8) {
    const counter = counters + (<usize>((load<u64>(at) - least) >> shift) << 2)
    store<u32>(counter, load<u32>(counter) + 1)
  }
  let place = target
  let most: u32 = 0
  const countersEnd = counters + (<usize>4 << <usize>used)
  for (let counter = counters; counter < countersEnd; counter += 4) {
    const words = load<u32>(counter)
    store<u32>(counter, <u32>place)
    place += <usize>words << 3
    most = max(most, words)
  }
  for (let at = source; at < end; at += 8) {
    const word = load<u64>(at)
    const counter = counters + (<usize>((word - least) >> shift) << 2)
    const to = <usize>load<u32>(counter)
    store<u32>(counter, <u32>(to + 8))
    store<u64>(to, word)
  }
  if (shift == 0) return
  const targetEnd = target + (<usize>count << 3)
  if (most <= INSERTION_WORDS) {
    insert(target, targetEnd)
    return
  }
  for (let from = target; from < targetEnd; ) {
    const bucket = (load<u64>(from) - least) >> shift
    let to = from + 8
    while (to < targetEnd && (load<u64>(to) - least) >> shift == bucket) to += 8
    sortWords(from, to, source + (from - target), counters)
    from = to
  }
}

/** Sorts different words in place. `spare`: as much room. */
function sortWords(from: usize, to: usize, spare: usize, counters: usize): void {
  const count = <u32>((to - from) >> 3)
  if (count <= INSERTION_WORDS) {
    insert(from, to)
    return
  }
  let least: u64 = -1
  let greatest: u64 = 0
  for (let at = from; at < to; at += 8) {
    const word = load<u64>(at)
    least = min(least, word)
    greatest = max(greatest, word)
  }
  memory.copy(spare, from, to - from)
  distribute(spare, from, count, least, 64 - clz<u64>(greatest - least), counters)
}

@inline
function insert(from: usize, to: usize): void {
  for (let at = from + 8; at < to; at += 8) {
    const word = load<u64>(at)
    let before = load<u64>(at - 8)
    if (before < word) continue
    let place = at
    do {
      store<u64>(place, before)
      place -= 8
      if (place == from) break
      before = load<u64>(place - 8)
    } while (before > word)
    store<u64>(place, word)
  }
}

/** Sorts groups of words that agree above the number of the row, by the lowest `rest` bits of their keys. */
function sortTies(
  highs: usize,
  highMask: u64,
  lows: usize,
  stride: usize,
  least: u64,
  rest: u64,
  rowBits: u64,
  count: u32,
  words: usize,
  spare: usize,
  counters: usize,
): void {
  const end = words + (<usize>count << 3)
  const restMask: u64 = ((<u64>1) << rest) - 1
  const rowMask: u64 = ((<u64>1) << rowBits) - 1
  for (let from = words; from < end; ) {
    const prefix = load<u64>(from) >> rowBits
    let to = from + 8
    while (to < end && load<u64>(to) >> rowBits == prefix) to += 8
    if (to - from > 8) {
      for (let at = from; at < to; at += 8) {
        const row = load<u64>(at) & rowMask
        const offset = <usize>row * stride
        const key = keyAt(highs + offset, highMask, lows + offset, 0) - least
        store<u64>(at, ((key & restMask) << rowBits) | row)
      }
      sortWords(from, to, spare + (from - words), counters)
    }
    from = to
  }
}

/** Puts the values of a column, `bytes` wide and `stride` apart, to `out` in the order of `words`. */
export function gather(
  words: usize,
  count: u32,
  column: usize,
  stride: usize,
  bytes: u32,
  out: usize,
): void {
  const rowMask: u32 = count < 2 ? 0 : <u32>-1 >>> (32 - bitWidth(count - 1))
  const end = out + (<usize>count << 2)
  if (bytes == 1) {
    for (; out < end; out += 4, words += 8)
      store<u32>(out, <u32>load<u8>(column + <usize>(load<u32>(words) & rowMask) * stride))
  } else if (bytes == 2) {
    for (; out < end; out += 4, words += 8)
      store<u32>(out, <u32>load<u16>(column + <usize>(load<u32>(words) & rowMask) * stride))
  } else if (stride == 4) {
    for (; out < end; out += 4, words += 8)
      store<u32>(out, load<u32>(column + ((<usize>(load<u32>(words) & rowMask)) << 2)))
  } else {
    for (; out < end; out += 4, words += 8)
      store<u32>(out, load<u32>(column + <usize>(load<u32>(words) & rowMask) * stride))
  }
}
