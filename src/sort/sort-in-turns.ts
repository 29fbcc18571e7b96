/**
 * Sorts many rows by key in slices, so that the event loop can turn between them: sorted runs first, which are then merged
 * slice by slice. docs/internals.md, Turns of the event loop.
 */
import type { Turns } from '../async/turns.js'
import { compareRows } from '../records/compare.js'
import { sortedOrder, sortRows } from './sort.js'

/** Rows that are sorted at a time: 2 to 3 ms. */
export const SLICE_ROWS = 65536
/** Rows that are merged at a time: they lie all over the columns, so each costs as much as four that lie together. */
const MERGED_ROWS = SLICE_ROWS / 4
/** A merge takes one row in this many as a sample when it looks for the borders of its slices. */
const SAMPLE_ROWS = 512

/** Unsorted rows are sorted this many at a time: 5 to 8 ms. A merge of runs takes several times as long. */
const RUN_ROWS = 8 * SLICE_ROWS

/** As `sortedOrder` of the rows below `count`. */
export async function sortedInTurns(
  lanes: readonly Uint32Array[],
  keyLaneCount: number,
  count: number,
  turns: Turns,
): Promise<Uint32Array> {
  if (count <= RUN_ROWS) return sortedOrder(lanes, keyLaneCount, 0, count)
  const runs: Uint32Array[] = []
  for (let from = 0; from < count; from += RUN_ROWS) {
    if (turns.due()) await turns.take()
    runs.push(sortedOrder(lanes, keyLaneCount, from, Math.min(count, from + RUN_ROWS)))
  }
  const goOn = async (): Promise<boolean> => {
    if (turns.due()) await turns.take()
    return true
  }
  return (await mergeRuns(lanes, keyLaneCount, runs, goOn))!
}

/**
 * Merges sorted runs, oldest first, slice by slice: the rows between two neighbouring borders are put together and sorted
 * again, which is several times faster than comparing heads. Stable, because the rows of older runs come first.
 *
 * `goOn` is awaited before each slice, with the work of sorting its rows; if it answers no, the merge is abandoned.
 */
export async function mergeRuns(
  lanes: readonly Uint32Array[],
  keyLaneCount: number,
  runs: readonly Uint32Array[],
  goOn: (rows: number) => Promise<boolean>,
): Promise<Uint32Array | undefined> {
  const merged = new Uint32Array(runs.reduce((sum, run) => sum + run.length, 0))
  const starts = runs.map(() => 0)
  let from = 0
  for (const border of [...bordersOf(lanes, keyLaneCount, runs), undefined]) {
    let to = from
    for (const [index, run] of runs.entries()) {
      const start = starts[index]!
      const end = border === undefined ? run.length : placeOf(lanes, keyLaneCount, border, run, start)
      merged.set(run.subarray(start, end), to)
      starts[index] = end
      to += end - start
    }
    if (!(await goOn(((to - from) * SLICE_ROWS) / MERGED_ROWS))) return undefined
    sortRows(lanes, keyLaneCount, merged.subarray(from, to))
    from = to
  }
  return merged
}

/** Rows that cut the merged run into slices of about `MERGED_ROWS` rows, in its order. */
function bordersOf(
  lanes: readonly Uint32Array[],
  keyLaneCount: number,
  runs: readonly Uint32Array[],
): Uint32Array {
  const samples: number[] = []
  for (const run of runs) {
    for (let i = SAMPLE_ROWS / 2; i < run.length; i += SAMPLE_ROWS) samples.push(run[i]!)
  }
  const sorted = Uint32Array.from(samples)
  sortRows(lanes, keyLaneCount, sorted)
  const samplesPerSlice = MERGED_ROWS / SAMPLE_ROWS
  return sorted.filter((_, index) => index > 0 && index % samplesPerSlice === 0)
}

/** The first place in `run`, from `start` on, of a row that does not come before `border` by key, then by number. */
function placeOf(
  lanes: readonly Uint32Array[],
  keyLaneCount: number,
  border: number,
  run: Uint32Array,
  start: number,
): number {
  let low = start
  let high = run.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const row = run[middle]!
    const order = compareRows(lanes, row, lanes, border, keyLaneCount)
    if (order < 0 || (order === 0 && row < border)) low = middle + 1
    else high = middle
  }
  return low
}
