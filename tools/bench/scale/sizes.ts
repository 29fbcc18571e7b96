/**
 * How large a bucket file of random records is, and what a reader holds of it: as measured of files that the library wrote
 * (docs/benchmarks.md), and what follows for others from how pages are packed.
 */

export const PAGE_BYTES = 4096

/** Of a record besides its key and its id, which are packed by their range: 16 bits of time, 10 of filter, the rest overhead. */
const OTHER_BITS = 30.54
const KEY_BITS = 64
const ID_BITS_MAX = 32
/** Footer, and what sections leave of their last pages. */
const MORE_PAGES = 3
const FILTER_BYTES = 10 / 8
/** Of fences in a file; of fences in memory, a data page: two lanes, and the place of its rows. */
const FENCE_BYTES_IN_FILE = 0.105
const FENCE_BYTES_A_PAGE = 16.75

/**
 * Bytes a record in a file of this many, of a table of random keys in that many partitions. Twice the records in a file: a
 * bit less for each key, and a bit more for each id, as long as it has bits.
 */
export function recordBytes(records: number, partitions: number): number {
  const keyBits = KEY_BITS - Math.log2(partitions) - Math.log2(records)
  const idBits = Math.min(ID_BITS_MAX, Math.log2(records * partitions))
  return (keyBits + idBits + OTHER_BITS) / 8
}

export function filePages(records: number, partitions: number): number {
  return Math.ceil((records * recordBytes(records, partitions)) / PAGE_BYTES) + MORE_PAGES
}

/** Bytes of the filter of a file. */
export function filterBytes(records: number): number {
  return records * FILTER_BYTES
}

/** Memory of the fences of a file. */
export function fenceBytes(records: number, partitions: number): number {
  const data = records * (recordBytes(records, partitions) - FILTER_BYTES - FENCE_BYTES_IN_FILE)
  return (data / PAGE_BYTES) * FENCE_BYTES_A_PAGE
}

/** Of keys that are not there, those that a filter lets through. */
const FALSE_POSITIVES = 0.009

/**
 * Requests of the store that a cold hit costs on average, if `budget` bytes of filters are held: smallest files first.
 * `files`: their records, newest first.
 */
export function getsPerHit(files: readonly number[], budget: number): number {
  const held = new Set<number>()
  let left = budget
  for (const [i, records] of [...files.entries()].toSorted((a, b) => a[1] - b[1])) {
    if (filterBytes(records) > left) break
    left -= filterBytes(records)
    held.add(i)
  }
  const all = files.reduce((sum, records) => sum + records, 0)
  let [gets, newer] = [0, 0]
  for (const [i, records] of files.entries()) {
    gets += (records / all) * (newer + 1)
    newer += held.has(i) ? FALSE_POSITIVES : 1
  }
  return gets
}
