/**
 * Answers lookups and scans of a view: for single keys, for many keys at once, and for ranges.
 *
 * The newest record of a key is looked up in newest.ts, many keys in many-keys.ts; all else is in lookup.ts, where blocking
 * and asynchronous lookups share everything but the page source. docs/internals.md, Lookup.
 */
import { throwIfAborted } from '../async/abort.js'
import { Turns } from '../async/turns.js'
import { assert } from '../base/assert.js'
import type { Latency } from '../base/latency.js'
import { leavesOutFile } from '../bucket-file/filtered-pages.js'
import { BucketInput } from '../bucket-file/input.js'
import { DataPageDecoder } from '../format/data-page-decoder.js'
import { PageKeys } from '../format/page-keys.js'
import type { Memtable } from '../memtable/memtable.js'
import { RunInput } from '../memtable/run-input.js'
import { Merge } from '../merge/merge.js'
import { BufferPool } from '../records/buffer-pool.js'
import { rangeIsEmpty, rangeOverlaps, type KeyRange } from '../records/key-range.js'
import { OperationBuffer, type WhereTerms, type WideOperations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import type { WhereFilter } from '../records/where-filter.js'
import type { View } from '../state/table-state.js'
import { FirstLast, GIVEN_UP, MISSING, NOTHING, RECORD, type Effort } from './first-last.js'
import { KeyBlock } from './key-block.js'
import { scanKey, type KeyInput } from './key-scan.js'
import { LookupClock } from './lookup-clock.js'
import { Lookup, MISSING as PAGE_MISSING, type Wanted } from './lookup.js'
import { findManyKeys, type FoundRows } from './many-keys.js'
import { NearBlock, QUERIES_PER_BLOCK } from './near-block.js'
import { FOUND, GENERAL, NONE, NewestRecord } from './newest.js'
import { PageSource } from './page-source.js'

/** A lookup that would index more rows of memtables first lets the event loop turn in between. */
const ROWS_INDEXED_MAX = 2 ** 17
/** A key is scanned that takes more effort: rows that are looked through, and some for each page. */
const EFFORT_MAX = 2 ** 15
/** This many rows of memtables are put in order without a turn of the event loop. */
const ROWS_SORTED_MAX = 2 ** 14
/** Whether that many keys have records is answered at once if all is in memory. */
const KEYS_AT_ONCE = 64
/** Where the first keys of a range have no records, a scan is faster than a search for each of the next. */
const KEYS_MAX = 64
const ALL_EFFORT: Effort = { keysMax: Infinity, rowsMax: Infinity }
/** The newest record of a key. */
export const NEWEST: Wanted = { limit: 1, offset: 0, reverse: true }
/** All of them, from the oldest on. */
export const ALL: Wanted = { limit: Infinity, offset: 0, reverse: false }
/** A search that lacks pages so often, and for each file again, goes on as a scan. */
const LOADS_MAX = 4

export interface ReaderOptions {
  readonly layout: RecordLayout
  readonly pageBytes: number
  readonly replace: boolean
  /** Rows of one key that are looked through or merged together at most; the tests have fewer. */
  readonly keyRows?: number | undefined
  /** Where it is noted how long lookups take. */
  readonly latency?: Latency | undefined
}

/**
 * Turns the records of a key into what the caller wants. Rows are used again for the next key, unless there are thousands, so
 * they are read before this returns; and of a lookup of one record only the value lanes are there.
 */
export type Answer<T> = (rows: WideOperations) => T

/** Turns a row into what the caller wants. A search uses its rows again, so they are read before this returns. */
export type RowAnswer<T> = (rows: WideOperations, row: number) => T

/** What a search found: a record, nothing (`undefined`), or what of the range is left for a scan. */
export type FirstFound = RowAt | { readonly left: KeyRange } | undefined

export interface RowAt {
  readonly rows: WideOperations
  readonly row: number
}

/** Makes values of lanes: a schema. */
export interface ValueDecoder {
  decodeValue(lanes: readonly Uint32Array[], row: number): unknown
}

export class TableReader {
  readonly #options: ReaderOptions
  readonly #lookup: Lookup
  readonly #newest: NewestRecord
  readonly #block: KeyBlock
  readonly #near: NearBlock
  readonly #firstLast: FirstLast
  readonly #decoder: DataPageDecoder
  readonly #keys: PageKeys
  readonly #buffers: BufferPool
  readonly #blocking: PageSource
  /** Of lookups that block: there is one at a time. */
  readonly #blockingClock: LookupClock | undefined
  readonly #inMemory = new PageSource(false)
  readonly #effortMax: number
  readonly #effort: Effort

  constructor(options: ReaderOptions) {
    this.#options = options
    this.#effortMax = options.keyRows ?? EFFORT_MAX
    this.#effort = { keysMax: KEYS_MAX, rowsMax: this.#effortMax }
    this.#lookup = new Lookup(options.layout, options.pageBytes, options.replace)
    this.#blockingClock = options.latency && new LookupClock(options.latency)
    this.#newest = new NewestRecord(options.layout, options.pageBytes, this.#blockingClock)
    this.#block = new KeyBlock(options.layout, options.pageBytes, options.replace)
    this.#near = new NearBlock(options.layout, options.pageBytes)
    this.#firstLast = new FirstLast(options)
    this.#decoder = new DataPageDecoder(options.layout, options.pageBytes)
    this.#keys = new PageKeys(options.layout, options.pageBytes)
    this.#buffers = new BufferPool(options.layout)
    this.#blocking = new PageSource(true, this.#blockingClock)
  }

  /** What `answer` makes of the wanted records of one key, in their order. Blocks where pages must be read. */
  findSync<T>(view: View, key: Uint32Array, wanted: Wanted, answer: Answer<T>): T {
    const hits = this.#buffers.take()
    this.#lookup.find(view, key, wanted, hits, this.#blocking)
    this.#blockingClock?.answered()
    const answered = answer(hits)
    this.#buffers.giveBack(hits)
    return answered
  }

  /** As {@link findSync} of the newest record: its value, or `undefined`. Hot: the decoder is called directly. */
  newestSync(view: View, key: Uint32Array, decoder: ValueDecoder): unknown {
    const hits = this.#buffers.take()
    let answer = this.#newest.find(view, key, hits.lanes, true)
    if (answer === GENERAL)
      answer = this.#lookup.collect(view, key, 1, hits, this.#blocking) > 0 ? FOUND : NONE
    this.#blockingClock?.answered()
    const value = answer === FOUND ? decoder.decodeValue(hits.lanes, 0) : undefined
    this.#buffers.giveBack(hits)
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
    wanted: Wanted,
    answer: Answer<T | Promise<T>>,
  ): Promise<T> | undefined {
    if (rowsToIndex(view) > ROWS_INDEXED_MAX) return undefined
    const hits = this.#buffers.take()
    const newest = wanted === NEWEST ? this.#newest.find(view, key, hits.lanes, false) : GENERAL
    if (newest !== GENERAL) {
      hits.count = newest === FOUND ? 1 : 0
      const answered = Promise.resolve(answer(hits))
      this.#buffers.giveBack(hits)
      return answered
    }
    const found = this.#lookup.find(view, key, wanted, hits, this.#inMemory, this.#effortMax)
    this.#inMemory.missing = []
    const answered = found >= 0 ? Promise.resolve(answer(hits)) : undefined
    this.#buffers.giveBack(hits)
    return answered
  }

  /** The wanted records of one key, in their order. Reads missing pages without blocking. The rows are the caller's. */
  async find(view: View, key: Uint32Array, wanted: Wanted): Promise<WideOperations> {
    const hits = new OperationBuffer(this.#options.layout, 4)
    await this.#run(view, key, wanted, hits)
    return hits
  }

  /** What `answer` makes of the first record of the range, with `reverse` the last; else `undefined`. May block. */
  firstSync<T>(view: View, range: KeyRange, reverse: boolean, answer: RowAnswer<T>): T | undefined {
    const hits = this.#buffers.take()
    const search = this.#firstLast
    const found = search.find(view, range, reverse, hits, this.#blocking, ALL_EFFORT)
    this.#blockingClock?.answered()
    const answered = found === RECORD ? answer(hits, search.row) : undefined
    this.#buffers.giveBack(hits)
    return answered
  }

  /** As {@link firstSync}, without blocking: `undefined` if it takes more than a moment, then {@link first} has to answer. */
  firstInMemory<T>(
    view: View,
    range: KeyRange,
    reverse: boolean,
    answer: RowAnswer<T>,
  ): Promise<T | undefined> | undefined {
    if (rowsToSort(view) > ROWS_SORTED_MAX || rowsToIndex(view) > ROWS_INDEXED_MAX) return undefined
    const hits = this.#buffers.take()
    const search = this.#firstLast
    const found = search.find(view, range, reverse, hits, this.#inMemory, this.#effort)
    this.#inMemory.missing = []
    const answered =
      found === RECORD
        ? Promise.resolve(answer(hits, search.row))
        : found === NOTHING
          ? Promise.resolve(undefined)
          : undefined
    this.#buffers.giveBack(hits)
    return answered
  }

  /** The first record of the range, with `reverse` the last. Requires: the caller retains the version. */
  async first(view: View, range: KeyRange, reverse: boolean, signal?: AbortSignal): Promise<FirstFound> {
    const { version, active, length } = view
    for (const { memtable, ordered } of version.sealed) await ordered.runs(memtable.count, signal)
    await active.ordered.runs(length, signal)
    await prepareIndexes(view, new Turns())
    const clock = this.#newClock()
    const pages = new PageSource(false, clock)
    const hits = new OperationBuffer(this.#options.layout, 4)
    const search = this.#firstLast
    let left = range
    for (let loads = LOADS_MAX * (1 + version.files.length); loads > 0; loads--) {
      throwIfAborted(signal)
      hits.clear()
      const found = search.find(view, left, reverse, hits, pages, this.#effort)
      if (found === RECORD || found === NOTHING) clock?.answered()
      if (found === RECORD) return { rows: hits, row: search.row }
      if (found === NOTHING) return undefined
      // Another search may use the same memory meanwhile.
      left = search.left
      if (found === GIVEN_UP) break
      assert(found === MISSING, 'a search that has no answer lacks pages')
      await pages.load()
    }
    return { left }
  }

  /** How many records the key has, `limit` at most. */
  async count(view: View, key: Uint32Array, limit: number): Promise<number> {
    return this.#run(view, key, { ...NEWEST, limit })
  }

  /** For each key, a column a lane: 1 if it has a record, else 0. A promise where it takes more than a moment. */
  hasEach(view: View, keys: readonly Uint32Array[]): Uint8Array | Promise<Uint8Array> {
    const count = keys[0]!.length
    return (count <= KEYS_AT_ONCE ? this.#hasInMemory(view, keys) : undefined) ?? this.#hasMany(view, keys)
  }

  #hasInMemory(view: View, keys: readonly Uint32Array[]): Uint8Array | undefined {
    if (rowsToIndex(view) > ROWS_INDEXED_MAX) return undefined
    const hits = this.#buffers.take()
    const has = new Uint8Array(keys[0]!.length)
    const key = new Uint32Array(keys.length)
    let answered = 0
    for (; answered < has.length; answered++) {
      for (let lane = 0; lane < key.length; lane++) key[lane] = keys[lane]![answered]!
      const newest = this.#newest.find(view, key, hits.lanes, false)
      const found =
        newest === GENERAL
          ? this.#lookup.collect(view, key, 1, hits, this.#inMemory, { keepRows: false })
          : newest === FOUND
            ? 1
            : 0
      if (found < 0) break
      has[answered] = found
    }
    this.#inMemory.missing = []
    this.#buffers.giveBack(hits)
    return answered === has.length ? has : undefined
  }

  async #hasMany(view: View, keys: readonly Uint32Array[]): Promise<Uint8Array> {
    const { ends } = await this.findMany(view, keys, 1)
    const has = new Uint8Array(ends.length)
    for (let i = 0; i < has.length; i++) has[i] = ends[i]! - (i === 0 ? 0 : ends[i - 1]!)
    return has
  }

  /** All records of each key, or with a `limit` of 1 the newest. `keys`: a column a key lane. */
  async findMany(view: View, keys: readonly Uint32Array[], limit: number): Promise<FoundRows> {
    view.version.retain()
    try {
      await prepareIndexes(view, new Turns())
      return await findManyKeys(view, keys, limit, {
        layout: this.#options.layout,
        lookup: this.#lookup,
        block: this.#block,
        rowsMax: this.#effortMax,
        latency: this.#options.latency,
        scan: async (key, into) => {
          await this.#scanKey(view, key, ALL, into)
        },
      })
    } finally {
      await view.version.release()
    }
  }

  /**
   * The records at most `within` away from each key, in key order, but for queries that are not simple: `general` names these,
   * in order. Requires: the view is retained, and `within` is small.
   */
  async findNearby(
    view: View,
    keys: readonly Uint32Array[],
    within: number,
  ): Promise<FoundRows & { readonly general: readonly number[] }> {
    const turns = new Turns()
    await prepareIndexes(view, turns)
    const count = keys[0]!.length
    const rows = new OperationBuffer(this.#options.layout, count)
    const ends = new Uint32Array(count)
    const general: number[] = []
    for (let from = 0; from < count; from += QUERIES_PER_BLOCK) {
      if (turns.due()) await turns.take()
      const to = Math.min(count, from + QUERIES_PER_BLOCK)
      this.#near.prepare(view, keys, from, to, within)
      for (let query = from; query < to; query++) {
        if (!this.#near.take(view, query - from, rows)) general.push(query)
        ends[query] = rows.count
      }
    }
    return { rows, ends, general }
  }

  /**
   * A merge over all that the view holds in the range; the caller closes it and releases the version. A signal ends it
   * here and in each step of the merge. `where`: only records that match are wanted; others may come.
   */
  async scan(
    view: View,
    range: KeyRange,
    reverse: boolean,
    signal?: AbortSignal,
    where?: WhereTerms,
  ): Promise<Merge> {
    const inputs = await this.#inputs(view, range, reverse, signal, where)
    return new Merge(inputs, { ...this.#merging(), reverse, keepDeletes: false, signal })
  }

  /** How many records there are in the range, or of those that match. Requires: the view is retained. */
  async countRange(view: View, range: KeyRange, where?: WhereFilter, signal?: AbortSignal): Promise<number> {
    const inputs = await this.#inputs(view, range, false, signal, where?.terms)
    return scanKey(inputs, ALL, { ...this.#merging(), where, signal })
  }

  /** All that the view holds in the range, oldest first. Files and pages without a record that matches are left out. */
  async #inputs(
    view: View,
    range: KeyRange,
    reverse: boolean,
    signal?: AbortSignal,
    where?: WhereTerms,
  ): Promise<KeyInput[]> {
    const { layout, pageBytes, replace } = this.#options
    const { version, active, length, sequence, deletes } = view
    const hiding = { deletes, before: sequence, replace }
    const inputs: KeyInput[] = []
    if (rangeIsEmpty(range)) return inputs
    const shared = { decoder: this.#decoder, keys: this.#keys }
    for (const file of version.files) {
      const { dataPages, firstKey, lastKey } = file.footer
      if (dataPages === 0 || !rangeOverlaps(range, firstKey, lastKey)) continue
      const isOldest = inputs.length === 0
      if (where !== undefined && leavesOutFile(file, layout, where, isOldest, replace)) continue
      inputs.push(new BucketInput(file, { layout, pageBytes, range, reverse, hiding, where, ...shared }))
    }
    const memtables = version.sealed.map(sealed => ({ sealed, rows: sealed.memtable.count }))
    for (const { sealed, rows } of [...memtables, { sealed: active, rows: length }]) {
      for (const run of await sealed.ordered.runs(rows, signal)) {
        inputs.push(new RunInput(sealed.memtable, run, { length: rows, range, reverse, ...hiding }))
      }
    }
    return inputs
  }

  #merging() {
    const { layout, replace, keyRows } = this.#options
    return { layout, replace, keyRows, turns: new Turns(), buffers: this.#buffers }
  }

  /** Finds the wanted records of a key, or without `into` counts them. */
  async #run(view: View, key: Uint32Array, wanted: Wanted, into?: OperationBuffer): Promise<number> {
    const clock = this.#newClock()
    const pages = new PageSource(false, clock)
    let found = PAGE_MISSING
    if (rowsToIndex(view) <= ROWS_INDEXED_MAX) {
      found = this.#look(view, key, wanted, pages, into)
      if (found >= 0) return found
    }
    const ownKey = key.slice()
    view.version.retain()
    try {
      await prepareIndexes(view, new Turns())
      while (found === PAGE_MISSING) {
        await pages.load()
        found = this.#look(view, ownKey, wanted, pages, into)
      }
      if (found < 0) found = await this.#scanKey(view, ownKey, wanted, into)
      clock?.answered()
      return found
    } finally {
      await view.version.release()
    }
  }

  /** Of one asynchronous lookup. */
  #newClock(): LookupClock | undefined {
    const { latency } = this.#options
    return latency && new LookupClock(latency)
  }

  #look(
    view: View,
    key: Uint32Array,
    wanted: Wanted,
    pages: PageSource,
    into: OperationBuffer | undefined,
  ): number {
    const effort = this.#effortMax
    if (into !== undefined) return this.#lookup.find(view, key, wanted, into, pages, effort)
    const hits = this.#buffers.take()
    const found = this.#lookup.collect(view, key, wanted.limit, hits, pages, { keepRows: false, effort })
    this.#buffers.giveBack(hits)
    return found
  }

  /** The same for a key with very many records. */
  async #scanKey(view: View, key: Uint32Array, wanted: Wanted, into?: OperationBuffer): Promise<number> {
    const inputs = await this.#inputs(view, { lower: key, upper: key }, wanted.reverse)
    return scanKey(inputs, wanted, this.#merging(), into)
  }
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

/** Rows that a search sorts first. */
function rowsToSort({ version, active, length }: View): number {
  let rows = active.ordered.rowsToSort(length)
  for (const { memtable, ordered } of version.sealed) rows += ordered.rowsToSort(memtable.count)
  return rows
}

async function prepareIndexes(view: View, turns: Turns): Promise<void> {
  if (rowsToIndex(view) <= ROWS_INDEXED_MAX) return
  for (const { memtable, rows } of memtablesOf(view)) await memtable.prepareIndex(rows, turns)
}
