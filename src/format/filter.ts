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

/** Adds a key, by its hash, to the block words [from, to). */
export function addToFilter(
  words: Uint32Array,
  from: number,
  to: number,
  probes: number,
  hash: number,
): void {
  const bits = (to - from) * 32
  const step = secondHash(hash)
  let h = hash
  for (let probe = 0; probe < probes; probe++) {
    // The upper bits of h, scaled to the block: exact in doubles.
    const bit = Math.floor((h * bits) / 2 ** 32)
    words[from + (bit >>> 5)]! |= 1 << (bit & 31)
    h = (h + step) >>> 0
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
  const bits = (to - from) * 32
  const step = secondHash(hash)
  let h = hash
  for (let probe = 0; probe < probes; probe++) {
    const bit = Math.floor((h * bits) / 2 ** 32)
    if ((words[from + (bit >>> 5)]! & (1 << (bit & 31))) === 0) return false
    h = (h + step) >>> 0
  }
  return true
}
