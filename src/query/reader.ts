/**
 * Answers lookups and scans of a view: for single keys, for many keys at once, and for ranges.
 *
 * Lookups of many keys go in key order, so each page is visited once; missing pages are read together. Blocking and
 * asynchronous lookups share all but the page source. docs/internals.md, Lookup.
 */
import { Turns } from '../async/turns.js'
import { BucketInput } from '../bucket-file/input.js'
import type { Memtable } from '../memtable/memtable.js'
import { RunInput } from '../memtable/run-input.js'
import { Merge } from '../merge/merge.js'
import type { SortedInput } from '../merge/sorted-input.js'
import { rangeIsEmpty, type KeyRange } from '../records/key-range.js'
import { OperationBuffer, type Operations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { sortedInTurns } from '../sort/sort-in-turns.js'
import type { View } from '../state/table-state.js'
import { KEYS_PER_BLOCK, KeyBlock } from './key-block.js'
import { Lookup } from './lookup.js'
import { PageSource } from './page-source.js'

/** Keys that are looked up before the event loop may get a turn, and whose missing pages are read together. */
const KEYS_PER_SLICE = 2048
/** A lookup that would index more rows of memtables first lets the event loop turn in between. */
const ROWS_INDEXED_MAX = 2 ** 17
/** A key that has as many records is scanned. */
const RECORDS_MAX = 2 ** 15

export interface ReaderOptions {
  readonly layout: RecordLayout
  readonly pageBytes: number
  readonly replace: boolean
}

/**
 * Turns the records of a key into what the caller wants. A lookup of one record uses its rows again for the next key, so
 * they are read before this returns.
 */
export type Answer<T> = (rows: Operations) => T

/** Makes values of lanes: a schema. */
export interface ValueDecoder {
  decodeValue(lanes: readonly Uint32Array[], row: number): unknown
}

/** Hits of many keys. */
export interface BatchHits {
  /** Newest first within a key. */
  readonly hits: OperationBuffer
  /** Rows [starts[i], ends[i]) of `hits` are those of key i. */
  readonly starts: Uint32Array
  readonly ends: Uint32Array
}

export class TableReader {
  readonly #options: ReaderOptions
  readonly #lookup: Lookup
  readonly #block: KeyBlock
  readonly #blocking: PageSource
  readonly #inMemory = new PageSource(false)
  /**
   * Rows for lookups of one record. A lookup takes them until its answer is decoded: if the caller's encoding looks up
   * another key while it decodes, that lookup finds none here and allocates rows of its own.
   */
  #scratch: OperationBuffer | undefined

  constructor(options: ReaderOptions) {
    this.#options = options
    this.#lookup = new Lookup(options.layout, options.pageBytes, options.replace)
    this.#block = new KeyBlock(options.layout, options.pageBytes)
    this.#blocking = new PageSource(true)
    this.#scratch = new OperationBuffer(options.layout, 16)
  }

  /** What `answer` makes of the records of one key: newest first, at most `limit`. Blocks where pages must be read. */
  findSync<T>(view: View, key: Uint32Array, limit: number, answer: Answer<T>): T {
    const hits = this.#takeHits(limit)
    this.#lookup.collect(view, key, limit, hits, this.#blocking)
    const answered = answer(hits)
    this.#giveBack(hits, limit)
    return answered
  }

  /** As {@link findSync} with a limit of 1: the newest value, or `undefined`. Hot: the decoder is called directly. */
  newestSync(view: View, key: Uint32Array, decoder: ValueDecoder): unknown {
    const hits = this.#takeHits(1)
    this.#lookup.collect(view, key, 1, hits, this.#blocking)
    const value = hits.count === 0 ? undefined : decoder.decodeValue(hits.lanes, 0)
    this.#giveBack(hits, 1)
    return value
  }

  /**
   * As {@link findSync}, without blocking: `undefined` if a page must be read first, then {@link find} has to answer.
   *
   * Why a key is looked up twice then: most keys are found in memory, and such an answer needs no turn of the event loop,
   * retains no version and is tracked by nobody. Only if that fails is the price of a read worth paying. `find` starts
   * again from the newest memtable: what the first attempt found in memory is found again in a microsecond.
   */
  findInMemory<T>(
    view: View,
    key: Uint32Array,
    limit: number,
    answer: Answer<T | Promise<T>>,
  ): Promise<T> | undefined {
    if (rowsToIndex(view) > ROWS_INDEXED_MAX) return undefined
    const hits = this.#takeHits(limit)
    const found = this.#lookup.collect(view, key, Math.min(limit, RECORDS_MAX), hits, this.#inMemory)
    this.#inMemory.missing = []
    const answered = isAll(found, limit) ? Promise.resolve(answer(hits)) : undefined
    this.#giveBack(hits, limit)
    return answered
  }

  /** The records of one key, newest first, at most `limit`. Reads missing pages without blocking. The rows are the caller's. */
  async find(view: View, key: Uint32Array, limit: number): Promise<Operations> {
    const hits = new OperationBuffer(this.#options.layout, 4)
    await this.#run(view, key, limit, hits, true)
    return hits
  }

  /** Takes the rows for the hits of a lookup, until {@link #giveBack}. */
  #takeHits(limit: number): OperationBuffer {
    const hits = limit === 1 ? this.#scratch : undefined
    if (hits === undefined) return new OperationBuffer(this.#options.layout, 4)
    this.#scratch = undefined
    hits.clear()
    return hits
  }

  #giveBack(hits: OperationBuffer, limit: number): void {
    if (limit === 1) this.#scratch = hits
  }

  /** How many records the key has, `limit` at most. */
  async count(view: View, key: Uint32Array, limit: number): Promise<number> {
    return this.#run(view, key, limit, new OperationBuffer(this.#options.layout, 4), false)
  }

  /** All records of all keys; `keys`: a column a key lane. */
  async findMany(view: View, keys: readonly Uint32Array[], limit: number): Promise<BatchHits> {
    const { layout } = this.#options
    const count = keys[0]!.length
    const turns = new Turns()
    const result: BatchHits = {
      hits: new OperationBuffer(layout, count),
      starts: new Uint32Array(count),
      ends: new Uint32Array(count),
    }
    const key = new Uint32Array(layout.keyLaneCount)
    const pages = new PageSource(false)
    view.version.retain()
    try {
      const order = await sortedInTurns(keys, layout.keyLaneCount, count, turns)
      await prepareIndexes(view, turns)
      for (let from = 0; from < count; from += KEYS_PER_SLICE) {
        if (turns.due()) await turns.take()
        let open: number[] | Uint32Array = order.subarray(from, from + KEYS_PER_SLICE)
        const long: number[] = []
        while (open.length > 0) {
          open = this.#runSlice(view, keys, key, open, limit, result, pages, long)
          if (open.length > 0) await pages.load()
        }
        pages.release()
        for (const query of long) {
          const one = Uint32Array.from(keys, lane => lane[query]!)
          result.starts[query] = result.hits.count
          await this.#scanKey(view, one, result.hits, true)
          result.ends[query] = result.hits.count
        }
      }
    } finally {
      await view.version.release()
    }
    return result
  }

  /** Looks the keys `open` up; returns those for which a page is missing. `long`: takes those to be scanned. */
  #runSlice(
    view: View,
    keys: readonly Uint32Array[],
    key: Uint32Array,
    open: number[] | Uint32Array,
    limit: number,
    result: BatchHits,
    pages: PageSource,
    long: number[],
  ): number[] {
    const missing: number[] = []
    const { files } = view.version
    const block = this.#block
    const most = Math.min(limit, RECORDS_MAX)
    for (let i = 0; i < open.length; i++) {
      const place = i % KEYS_PER_BLOCK
      if (place === 0) block.prepare(files, keys, open, i, Math.min(i + KEYS_PER_BLOCK, open.length))
      const query = open[i]!
      for (let lane = 0; lane < key.length; lane++) key[lane] = keys[lane]![query]!
      result.starts[query] = result.hits.count
      const found = this.#lookup.collect(view, key, most, result.hits, pages, true, block, place)
      if (found < 0) missing.push(query)
      else if (!isAll(found, limit)) {
        result.hits.count -= found
        long.push(query)
      }
      result.ends[query] = result.hits.count
    }
    return missing
  }

  /**
   * A merge over all that the view holds in the range; the caller closes it and releases the version. A signal ends it
   * here and in each step of the merge.
   */
  async scan(view: View, range: KeyRange, reverse: boolean, signal?: AbortSignal): Promise<Merge> {
    const { layout, pageBytes, replace } = this.#options
    const { version, active, length, sequence, deletes } = view
    const hiding = { deletes, before: sequence, replace }
    const inputs: SortedInput[] = []
    if (!rangeIsEmpty(range)) {
      for (const file of version.files) {
        inputs.push(new BucketInput(file, { layout, pageBytes, range, reverse, hiding }))
      }
      const memtables = version.sealed.map(sealed => ({ sealed, rows: sealed.memtable.count }))
      for (const { sealed, rows } of [...memtables, { sealed: active, rows: length }]) {
        for (const run of await sealed.ordered.runs(rows, signal)) {
          inputs.push(new RunInput(sealed.memtable, run, { length: rows, range, reverse, ...hiding }))
        }
      }
    }
    return new Merge(inputs, { layout, reverse, replace, keepDeletes: false, signal, turns: new Turns() })
  }

  async #run(
    view: View,
    key: Uint32Array,
    limit: number,
    hits: OperationBuffer,
    keepRows: boolean,
  ): Promise<number> {
    const pages = new PageSource(false)
    const most = Math.min(limit, RECORDS_MAX)
    let found = -1
    if (rowsToIndex(view) <= ROWS_INDEXED_MAX) {
      found = this.#lookup.collect(view, key, most, hits, pages, keepRows)
      if (isAll(found, limit)) return found
    }
    const ownKey = key.slice()
    view.version.retain()
    try {
      await prepareIndexes(view, new Turns())
      while (found < 0) {
        await pages.load()
        found = this.#lookup.collect(view, ownKey, most, hits, pages, keepRows)
      }
      if (isAll(found, limit)) return found
      hits.clear()
      return await this.#scanKey(view, ownKey, hits, keepRows)
    } finally {
      await view.version.release()
    }
  }

  /** Appends the records of a key with very many, newest first, where they are wanted; returns how many there are. */
  async #scanKey(view: View, key: Uint32Array, hits: OperationBuffer, keepRows: boolean): Promise<number> {
    const oldestFirst = new OperationBuffer(this.#options.layout, RECORDS_MAX)
    let found = 0
    const merge = await this.scan(view, { lower: key, upper: key }, false)
    try {
      for (let rows = await merge.next(); rows !== undefined; rows = await merge.next()) {
        found += rows.count
        if (keepRows) oldestFirst.append(rows, 0, rows.count)
      }
    } finally {
      await merge.close()
    }
    hits.appendReversed(oldestFirst)
    return found
  }
}

/** Whether a lookup that stops at `RECORDS_MAX` has found all that was asked for; -1: a page is missing. */
function isAll(found: number, limit: number): boolean {
  return found >= 0 && (found < RECORDS_MAX || limit <= RECORDS_MAX)
}

/** The memtables of the view, and how many of their rows belong to it. */
function memtablesOf({ version, active, length }: View): { memtable: Memtable; rows: number }[] {
  const sealed = version.sealed.map(({ memtable }) => ({ memtable, rows: memtable.count }))
  return [...sealed, { memtable: active.memtable, rows: length }]
}

/** Rows that the next lookup would index first. */
function rowsToIndex({ version, active, length }: View): number {
  let rows = active.memtable.rowsToIndex(length)
  for (const { memtable } of version.sealed) rows += memtable.rowsToIndex(memtable.count)
  return rows
}

async function prepareIndexes(view: View, turns: Turns): Promise<void> {
  if (rowsToIndex(view) <= ROWS_INDEXED_MAX) return
  for (const { memtable, rows } of memtablesOf(view)) await memtable.prepareIndex(rows, turns)
}
