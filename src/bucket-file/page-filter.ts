/** The block of the filter for a data page: hashes of its different keys, and their bits. docs/file-format.md, Filter. */
import { WORDS_PER_LINE } from '../format/cache-line.js'
import { addToFilter, filterLines, probeCount } from '../format/filter.js'
import { giveBackColumn, kernels, newColumn } from '../kernels/kernels.js'
import { compareRows } from '../records/compare.js'
import { HASH_START, hashKey, hashLane } from '../records/hash.js'
import type { WideOperations } from '../records/operations.js'

export class PageFilter {
  readonly #keyLaneCount: number
  readonly #bitsPerRecord: number
  /** Of the keys of the page, the first `#keys` of them. */
  #hashes: Uint32Array = new Uint32Array(0)
  #keys = 0
  #block: Uint32Array = new Uint32Array(0)
  /** 0: there is no filter. */
  readonly probes: number

  constructor(keyLaneCount: number, bitsPerRecord: number) {
    this.#keyLaneCount = keyLaneCount
    this.#bitsPerRecord = bitsPerRecord
    this.probes = bitsPerRecord === 0 ? 0 : probeCount(bitsPerRecord)
  }

  /** Takes the keys of a page, the sorted rows [from, to); returns how many different ones there are. */
  begin({ lanes }: WideOperations, from: number, to: number): number {
    this.#hashes = withRoom(this.#hashes, to - from)
    this.#keys = hashKeys(lanes, from, to, this.#keyLaneCount, this.#hashes)
    return this.#keys
  }

  /** The block of these keys; valid until the next one. Requires: there is a filter. */
  block(): Uint32Array {
    const lines = filterLines(this.#keys, this.#bitsPerRecord)
    const length = lines * WORDS_PER_LINE
    this.#block = withRoom(this.#block, length)
    const [block, hashes] = [this.#block, this.#hashes]
    const present = kernels()
    if (present?.has(block) === true && present.has(hashes))
      present.run.addToFilter(block.byteOffset, lines, this.probes, hashes.byteOffset, this.#keys)
    else {
      block.fill(0, 0, length)
      addToFilter(block, 0, lines, this.probes, hashes, this.#keys)
    }
    return block.subarray(0, length)
  }
}

/** The column, or a larger one in its place. */
function withRoom(column: Uint32Array, length: number): Uint32Array {
  if (length <= column.length) return column
  giveBackColumn(column)
  return newColumn(2 * length)
}

/** Puts the hash of each different key of the sorted rows [from, to) into `hashes`; returns how many. Hot. */
function hashKeys(
  lanes: readonly Uint32Array[],
  from: number,
  to: number,
  keyLaneCount: number,
  hashes: Uint32Array,
): number {
  const present = kernels()
  if (keyLaneCount <= 2 && present?.hasAll(lanes) === true && present.has(hashes)) {
    const { run } = present
    const last = lanes[keyLaneCount - 1]!.byteOffset + 4 * from
    if (keyLaneCount === 1) return run.hashKeys1(last, to - from, hashes.byteOffset)
    return run.hashKeys2(lanes[0]!.byteOffset + 4 * from, last, to - from, hashes.byteOffset)
  }
  if (keyLaneCount === 2) return hashKeys2(lanes[0]!, lanes[1]!, from, to, hashes)
  let keys = 0
  for (let row = from; row < to; row++) {
    if (row > from && compareRows(lanes, row, lanes, row - 1, keyLaneCount) === 0) continue
    hashes[keys++] = hashKey(lanes, row, keyLaneCount)
  }
  return keys
}

/** The same for keys of two lanes (u64). */
function hashKeys2(
  high: Uint32Array,
  low: Uint32Array,
  from: number,
  to: number,
  hashes: Uint32Array,
): number {
  let keys = 0
  for (let row = from; row < to; row++) {
    if (row > from && low[row] === low[row - 1] && high[row] === high[row - 1]) continue
    hashes[keys++] = hashLane(hashLane(HASH_START, high[row]!), low[row]!)
  }
  return keys
}
