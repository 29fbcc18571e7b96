/**
 * Looks up many keys at once: in the given order if all pages fit the cache, otherwise in key order, so that
 * each page is visited once; missing pages are read together. docs/internals.md, Lookup.
 */
import { Turns } from '../async/turns.js'
import type { Latency } from '../base/latency.js'
import { OperationBuffer, gatherColumn } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { sortedInTurns } from '../sort/sort-in-turns.js'
import type { View } from '../state/table-state.js'
import { KEYS_PER_BLOCK, KeyBlock } from './key-block.js'
import { TOO_MANY, type Lookup } from './lookup.js'
import { LookupClock } from './lookup-clock.js'
import { PageSource } from './page-source.js'

/** Keys that are looked up before the event loop may get a turn, and whose missing pages are read together. */
const KEYS_PER_SLICE = 16 * KEYS_PER_BLOCK
/** Rows that are put in order before the event loop may get a turn. */
const SLICE_ROWS = 2 ** 15

/** The records of many keys. */
export interface FoundRows {
  /** In the order of the keys, and for each from old to new. */
  readonly rows: OperationBuffer
  /** Row `ends[i]` is the first one after those of key i. */
  readonly ends: Uint32Array
}

/** What answers keys for which a block is not enough. */
export interface ManyKeysOptions {
  readonly layout: RecordLayout
  readonly lookup: Lookup
  readonly block: KeyBlock
  /** Rows of a key that are looked through; one with more is scanned: `scan` appends its records, from old to new. */
  readonly rowsMax: number
  readonly scan: (key: Uint32Array, into: OperationBuffer) => Promise<void>
  readonly latency: Latency | undefined
}

/** All records of each key, or with a `limit` of 1 the newest. `keys`: a column a key lane. Requires: the view is retained. */
export async function findManyKeys(
  view: View,
  keys: readonly Uint32Array[],
  limit: number,
  options: ManyKeysOptions,
): Promise<FoundRows> {
  const { layout } = options
  const count = keys[0]!.length
  const turns = new Turns()
  if (fitsCache(view)) return new ManyKeys(view, keys, limit, options).run(turns)
  const order = await sortedInTurns(keys, layout.keyLaneCount, count, turns)
  const sorted = await gathered(keys, order, turns)
  const found = await new ManyKeys(view, sorted, limit, options).run(turns)
  return reordered(layout, found, order, turns)
}

/** The keys in this order. */
async function gathered(
  keys: readonly Uint32Array[],
  order: Uint32Array,
  turns: Turns,
): Promise<Uint32Array[]> {
  const sorted = keys.map(() => new Uint32Array(order.length))
  for (let from = 0; from < order.length; from += SLICE_ROWS) {
    if (turns.due()) await turns.take()
    const slice = order.subarray(from, from + SLICE_ROWS)
    for (let lane = 0; lane < keys.length; lane++) gatherColumn(keys[lane]!, slice, sorted[lane]!, from)
  }
  return sorted
}

/** Whether the cache has room for all pages of the view. */
function fitsCache({ version: { files } }: View): boolean {
  const pages = files.reduce((sum, { footer }) => sum + footer.dataPages + footer.filterPages, 0)
  return files.length === 0 || pages <= files[0]!.cache.pages
}

class ManyKeys {
  readonly #view: View
  readonly #keys: readonly Uint32Array[]
  readonly #limit: number
  readonly #options: ManyKeysOptions
  readonly #pages: PageSource
  readonly #clock: LookupClock | undefined
  readonly #key: Uint32Array
  /** Rows of one key, newest first. */
  readonly #newestFirst: OperationBuffer
  readonly #rows: OperationBuffer
  readonly #ends: Uint32Array

  constructor(view: View, keys: readonly Uint32Array[], limit: number, options: ManyKeysOptions) {
    const count = keys[0]!.length
    this.#clock = options.latency && new LookupClock(options.latency)
    this.#pages = new PageSource(false, this.#clock)
    this.#view = view
    this.#keys = keys
    this.#limit = limit
    this.#options = options
    this.#key = new Uint32Array(keys.length)
    this.#newestFirst = new OperationBuffer(options.layout, 16)
    this.#rows = new OperationBuffer(options.layout, count)
    this.#ends = new Uint32Array(count)
  }

  async run(turns: Turns): Promise<FoundRows> {
    const count = this.#ends.length
    for (let from = 0; from < count; from += KEYS_PER_SLICE) {
      if (turns.due()) await turns.take()
      await this.#runSlice(from, Math.min(count, from + KEYS_PER_SLICE))
    }
    this.#clock?.answered()
    return { rows: this.#rows, ends: this.#ends }
  }

  async #runSlice(from: number, to: number): Promise<void> {
    const rows = this.#rows
    for (let next = from; next < to;) {
      const before = rows.count
      const stopped = this.#findRows(next, to)
      if (this.#pages.missing.length > 0) {
        // What it has found is found again, once the pages are there.
        rows.count = before
        await this.#pages.load()
        continue
      }
      next = stopped
      if (next === to) break
      await this.#options.scan(this.#takeKey(next).slice(), rows)
      this.#ends[next++] = rows.count
    }
    this.#pages.release()
  }

  /** Appends the rows of the keys [from, to); returns where it has stopped: at a key that has to be scanned, or at the end. */
  #findRows(from: number, to: number): number {
    const { block } = this.#options
    const rows = this.#rows
    for (let begin = from; begin < to; begin += KEYS_PER_BLOCK) {
      const end = Math.min(to, begin + KEYS_PER_BLOCK)
      block.prepare(this.#view, this.#keys, begin, end, this.#limit)
      for (let position = begin; position < end; position++) {
        if (!block.take(this.#view, position - begin, this.#limit, rows) && !this.#findRowsOf(position))
          return position
        this.#ends[position] = rows.count
      }
    }
    return to
  }

  /** Appends the rows of a key the general way; false where there are too many of them. */
  #findRowsOf(position: number): boolean {
    const { lookup, rowsMax } = this.#options
    const limit = this.#limit
    const rows = this.#newestFirst
    rows.clear()
    const effort = limit === 1 ? Infinity : rowsMax
    const found = lookup.collect(this.#view, this.#takeKey(position), limit, rows, this.#pages, { effort })
    if (found === TOO_MANY) return false
    if (found > 0) this.#rows.appendReversed(rows)
    return true
  }

  #takeKey(position: number): Uint32Array {
    const key = this.#key
    for (let lane = 0; lane < key.length; lane++) key[lane] = this.#keys[lane]![position]!
    return key
  }
}

/** Puts what was found for keys in this order into the order of the queries. */
async function reordered(
  layout: RecordLayout,
  found: FoundRows,
  order: Uint32Array,
  turns: Turns,
): Promise<FoundRows> {
  const { rows, ends } = found
  const ordered = new OperationBuffer(layout, rows.count)
  const newEnds = new Uint32Array(ends.length)
  const placeOf = new Uint32Array(order.length)
  for (let place = 0; place < order.length; place++) placeOf[order[place]!] = place
  const source = new Uint32Array(rows.count)
  let at = 0
  for (let query = 0; query < order.length; query++) {
    if (query % SLICE_ROWS === 0 && turns.due()) await turns.take()
    const place = placeOf[query]!
    for (let row = place === 0 ? 0 : ends[place - 1]!; row < ends[place]!; row++) source[at++] = row
    newEnds[query] = at
  }
  for (let from = 0; from < at; from += SLICE_ROWS) {
    if (turns.due()) await turns.take()
    ordered.gather(rows, source.subarray(from, Math.min(at, from + SLICE_ROWS)))
  }
  return { rows: ordered, ends: newEnds }
}

/** The query of each row; `queryOf` names that of a key if several keys belong to one. */
export async function queriesOf(
  { rows, ends }: FoundRows,
  queryOf: (position: number) => number = position => position,
): Promise<Uint32Array<ArrayBuffer>> {
  const turns = new Turns()
  const query = new Uint32Array(rows.count)
  for (let position = 0, row = 0; position < ends.length; position++) {
    if (position % SLICE_ROWS === 0 && turns.due()) await turns.take()
    for (; row < ends[position]!; row++) query[row] = queryOf(position)
  }
  return query
}
