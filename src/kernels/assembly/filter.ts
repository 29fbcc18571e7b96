/** Hashes of keys, and the block of a filter. The twins: records/hash.ts, bucket-file/page-builder.ts, format/filter.ts. */

const HASH_START: u32 = 0x9e3779b9
const STEP_GROWTH: u32 = 0x9e3779b9
/** Of ten bits a key. */
const USUAL_PROBES: i32 = 7

@inline
function hashLane(hash: u32, lane: u32): u32 {
  let mixed = (hash ^ lane) * 0x85ebca6b
  mixed ^= mixed >> 13
  mixed *= 0xc2b2ae35
  return mixed ^ (mixed >> 16)
}

/** Four rows at once. */
@inline
function hashLanes(hash: v128, lane: v128): v128 {
  let mixed = i32x4.mul(v128.xor(hash, lane), i32x4.splat(0x85ebca6b))
  mixed = v128.xor(mixed, i32x4.shr_u(mixed, 13))
  mixed = i32x4.mul(mixed, i32x4.splat(0xc2b2ae35))
  return v128.xor(mixed, i32x4.shr_u(mixed, 16))
}

/** Puts the hash of each different key of `count` sorted rows at `hashes`; returns how many. Requires: count > 0. */
export function hashKeys1(keys: usize, count: i32, hashes: usize): i32 {
  const begin = hashes
  const end = keys + (<usize>count << 2)
  store<u32>(hashes, hashLane(HASH_START, load<u32>(keys)))
  hashes += 4
  for (keys += 4; keys < end; ) {
    if (keys + 16 <= end) {
      const four = v128.load(keys)
      if (!v128.any_true(i32x4.eq(four, v128.load(keys - 4)))) {
        v128.store(hashes, hashLanes(i32x4.splat(HASH_START), four))
        hashes += 16
        keys += 16
        continue
      }
    }
    const key = load<u32>(keys)
    if (key != load<u32>(keys - 4)) {
      store<u32>(hashes, hashLane(HASH_START, key))
      hashes += 4
    }
    keys += 4
  }
  return <i32>((hashes - begin) >> 2)
}

/** The same for keys of two lanes. */
export function hashKeys2(highs: usize, lows: usize, count: i32, hashes: usize): i32 {
  const begin = hashes
  const end = lows + (<usize>count << 2)
  store<u32>(hashes, hashLane(hashLane(HASH_START, load<u32>(highs)), load<u32>(lows)))
  hashes += 4
  highs += 4
  for (lows += 4; lows < end; ) {
    if (lows + 16 <= end) {
      const high = v128.load(highs)
      const low = v128.load(lows)
      const equal = v128.and(i32x4.eq(low, v128.load(lows - 4)), i32x4.eq(high, v128.load(highs - 4)))
      if (!v128.any_true(equal)) {
        v128.store(hashes, hashLanes(hashLanes(i32x4.splat(HASH_START), high), low))
        hashes += 16
        highs += 16
        lows += 16
        continue
      }
    }
    const high = load<u32>(highs)
    const low = load<u32>(lows)
    if (low != load<u32>(lows - 4) || high != load<u32>(highs - 4)) {
      store<u32>(hashes, hashLane(hashLane(HASH_START, high), low))
      hashes += 4
    }
    highs += 4
    lows += 4
  }
  return <i32>((hashes - begin) >> 2)
}

@inline
function setBit(line: usize, bit: u32): void {
  const word = line + ((bit >> 28) << 2)
  store<u32>(word, load<u32>(word) | (<u32>1 << ((bit >> 23) & 31)))
}

/** Zeroes a block of `lines` lines and adds `count` keys to it, by their hashes. */
export function addToFilter(block: usize, lines: u32, probes: i32, hashes: usize, count: i32): void {
  memory.fill(block, 0, <usize>lines << 6)
  const end = hashes + (<usize>count << 2)
  for (; hashes < end; hashes += 4) {
    const hash = load<u32>(hashes)
    const line = block + (<usize>((<u64>hash * <u64>lines) >> 32) << 6)
    let bit = (hash ^ (hash >> 16)) * 0x7feb352d
    bit ^= bit >> 15
    bit *= 0x846ca68b
    let step = bit * 0x9e3779b1
    if (probes == USUAL_PROBES) {
      // Without a loop it takes three quarters of the time.
      const a = bit + step
      const b = a + step + STEP_GROWTH
      const c = b + step + 2 * STEP_GROWTH
      const d = c + step + 3 * STEP_GROWTH
      const e = d + step + 4 * STEP_GROWTH
      const f = e + step + 5 * STEP_GROWTH
      setBit(line, bit)
      setBit(line, a)
      setBit(line, b)
      setBit(line, c)
      setBit(line, d)
      setBit(line, e)
      setBit(line, f)
      continue
    }
    for (let probe = probes; probe > 0; probe--) {
      setBit(line, bit)
      bit += step
      step += STEP_GROWTH
    }
  }
}
