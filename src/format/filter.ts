/**
 * Bloom filters, one block for each data page, checked before the page is read.
 *
 * Blocked by page, a filter is built in the same sequential pass as its pages: a block holds the keys of one page and
 * has as many bits as it has different keys, times the bits a record. Probes by double hashing (Kirsch &
 * Mitzenmacher 2006). docs/file-format.md, Filter.
 */

/** Probes that make the fewest false positives: bits a key times ln 2. */
export function probeCount(bitsPerRecord: number): number {
  return Math.max(1, Math.min(16, Math.round(bitsPerRecord * Math.LN2)))
}

/** Words of the block for `keys` different keys. */
export function filterBlockWords(keys: number, bitsPerRecord: number): number {
  return Math.ceil((keys * bitsPerRecord) / 32)
}

/** The step between probes. */
function secondHash(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 16), 0x7feb352d)
  h ^= h >>> 15
  return (Math.imul(h, 0x846ca68b) | 1) >>> 0
}

/** Takes a hash to a bit of the block, by its upper bits: exact in doubles, as a block has fewer than 2^21 bits. */
function scaleOf(from: number, to: number): number {
  return ((to - from) * 32) / 2 ** 32
}

/** Adds keys, by the first `count` of their hashes, to the block words [from, to). Hot. */
export function addToFilter(
  words: Uint32Array,
  from: number,
  to: number,
  probes: number,
  hashes: Uint32Array,
  count: number,
): void {
  const scale = scaleOf(from, to)
  for (let key = 0; key < count; key++) {
    let h = hashes[key]!
    const step = secondHash(h)
    for (let probe = 0; probe < probes; probe++) {
      const bit = (h * scale) >>> 0
      words[from + (bit >>> 5)]! |= 1 << (bit & 31)
      h = (h + step) >>> 0
    }
  }
}

/** Whether the block words [from, to) may hold the key; never false for one that was added. */
export function mayContain(
  words: Uint32Array,
  from: number,
  to: number,
  probes: number,
  hash: number,
): boolean {
  const scale = scaleOf(from, to)
  const step = secondHash(hash)
  let h = hash
  for (let probe = 0; probe < probes; probe++) {
    const bit = (h * scale) >>> 0
    if ((words[from + (bit >>> 5)]! & (1 << (bit & 31))) === 0) return false
    h = (h + step) >>> 0
  }
  return true
}
