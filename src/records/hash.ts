/**
 * The one hash of keys: the memtable's index and the filters of bucket files use it.
 *
 * On disk: filters hold bits at places that follow from it, so it never changes within a format version. Each lane
 * goes through the finaliser of MurmurHash3 (Appleby). docs/file-format.md, Key hash.
 */

/** The state before the first lane. */
export const HASH_START = 0x9e3779b9

/** Adds one more lane to a hash. The result is signed; `>>> 0` after the last lane makes it the hash. */
export function hashLane(hash: number, lane: number): number {
  let mixed = Math.imul(hash ^ lane, 0x85ebca6b)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}

/** The unsigned 32-bit hash of the key in row `row`. */
export function hashKey(lanes: readonly Uint32Array[], row: number, keyLaneCount: number): number {
  let hash = HASH_START
  for (let lane = 0; lane < keyLaneCount; lane++) hash = hashLane(hash, lanes[lane]![row]!)
  return hash >>> 0
}

/** The unsigned 32-bit hash of a single key. */
export function hashKeyLanes(key: Uint32Array): number {
  let hash = HASH_START
  for (let lane = 0; lane < key.length; lane++) hash = hashLane(hash, key[lane]!)
  return hash >>> 0
}
