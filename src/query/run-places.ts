/**
 * Where a key belongs in a sorted run of a memtable. A binary search in a long run would wait for memory at each of its
 * steps; so of each long run one key in 8 is kept, side by side. docs/internals.md, Short ranges.
 */
import { PageIndex } from '../bucket-file/page-index.js'
import { compareKeyToRow } from '../records/compare.js'

/** Rows to each key that is kept. */
const SAMPLE_ROWS = 8
/** Shorter runs are searched as they are. */
const SAMPLED_ROWS_MIN = 4096

export class RunPlaces {
  /** By run; collected with it. Runs are never changed. */
  readonly #samples = new WeakMap<Uint32Array, PageIndex>()

  /** The first place in the run whose key is not below `key`; with `above`, whose key is above it. */
  placeOf(lanes: readonly Uint32Array[], run: Uint32Array, key: Uint32Array, above: boolean): number {
    if (run.length < SAMPLED_ROWS_MIN) return placeAmong(lanes, run, 0, run.length, key, above)
    let samples = this.#samples.get(run)
    if (samples === undefined) this.#samples.set(run, (samples = sampled(lanes, run, key.length)))
    if (above) {
      const from = samples.lastPageFor(key) * SAMPLE_ROWS
      return from < 0 ? 0 : placeAmong(lanes, run, from, Math.min(run.length, from + SAMPLE_ROWS), key, true)
    }
    const from = samples.firstPageFor(key) * SAMPLE_ROWS
    return placeAmong(lanes, run, from, Math.min(run.length, from + SAMPLE_ROWS), key, false)
  }
}

/** As the fences of a file. */
function sampled(lanes: readonly Uint32Array[], run: Uint32Array, keyLaneCount: number): PageIndex {
  const count = Math.ceil(run.length / SAMPLE_ROWS)
  return new PageIndex(
    lanes
      .slice(0, keyLaneCount)
      .map(lane => Uint32Array.from({ length: count }, (_, sample) => lane[run[sample * SAMPLE_ROWS]!]!)),
  )
}

function placeAmong(
  lanes: readonly Uint32Array[],
  run: Uint32Array,
  from: number,
  to: number,
  key: Uint32Array,
  above: boolean,
): number {
  let low = from
  let high = to
  while (low < high) {
    const middle = (low + high) >>> 1
    const order = compareKeyToRow(key, lanes, run[middle]!)
    if (order > 0 || (above && order === 0)) low = middle + 1
    else high = middle
  }
  return low
}
