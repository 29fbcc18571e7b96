/**
 * Splits rows by key into parts: the keys of each part are less than those of the next, and within a part the rows
 * stay in the order in which they came.
 *
 * In sequential passes, column by column, so that it costs 6 ns a value and not a cache miss (partitioned radix sort,
 * Satish et al. 2010). A seal makes parts that fit the second-level cache and sorts each, docs/internals.md,
 * Memtable; a bulk load sets them aside, Bulk load.
 */
import { assert } from '../base/assert.js'
import type { LaneColumn } from '../records/lane-columns.js'
import { keyLanesOf, type Operations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'

/** More bins would not fit the caches beside what is written; part numbers have 16 bits. */
const BIN_BITS_MAX = 12
/** Rows that one call of an inner loop takes: small enough that V8 compiles it as a whole after a few calls. */
const BLOCK_ROWS = 2 ** 15

export interface SplitOptions {
  /** Rows that agree in about this many leading bits of the first key lane that differs form a bin, which is never split. */
  readonly binBits: number
  /** Neighbouring bins are one part as long as it has no more rows than this; 0: each bin is a part. */
  readonly partRows: number
}

/** Rows split by key: those of part p are [starts[p], starts[p + 1]). No part is empty. */
export interface Parts {
  readonly rows: Operations
  readonly starts: readonly number[]
  /** No key in part p is less than `firstKeys[p]` or greater than `lastKeys[p]`. One column a lane. */
  readonly firstKeys: readonly Uint32Array[]
  readonly lastKeys: readonly Uint32Array[]
}

/**
 * Splits a copy of the rows. Where keys cluster, a part may be large.
 *
 * `into`: room for all rows, a column a lane. Requires: at least one row.
 */
export function splitByKey(
  layout: RecordLayout,
  source: Operations,
  options: SplitOptions,
  into: readonly LaneColumn[],
): Parts {
  const { lanes, kinds, count } = source
  assert(count > 0, 'there are rows to split')
  assert(options.binBits > 0 && options.binBits <= BIN_BITS_MAX, 'there are 2 to 4,096 bins')
  const keyLanes = keyLanesOf(source, layout.keyLaneCount)
  const bins = binsOf(keyLanes, options.binBits, column => measure(column, count))
  const column = keyLanes[bins.lane]!
  const binRows = new Uint32Array(binsIn(options.binBits))
  forBlocks(count, (from, to) => countBins(column, bins, binRows, from, to))
  const { partOfBin, starts, firstBins, lastBins } = groupBins(binRows, options.partRows)
  const kindsInto = kinds === undefined ? undefined : new Uint8Array(count)
  const next = Uint32Array.from(starts)
  const places = new Uint32Array(Math.min(count, BLOCK_ROWS))
  forBlocks(count, (from, to) => {
    findPlaces(column, bins, partOfBin, next, places, from, to)
    for (const [lane, values] of lanes.entries()) scatter(values, places, into[lane]!, from, to)
    if (kinds !== undefined) scatter(kinds, places, kindsInto!, from, to)
  })
  return {
    rows: { count, lanes: into, kinds: kindsInto },
    starts,
    firstKeys: boundsOf(keyLanes, bins, firstBins, 0),
    lastKeys: boundsOf(keyLanes, bins, lastBins, 0xffffffff),
  }
}

/**
 * The bins of some rows. A bin is a range of keys that depends on its number and `shift` alone, so rows that are
 * spread alike have the same bins.
 */
export interface Bins {
  /** The first lane in which the keys differ, or the last one. */
  readonly lane: number
  readonly shift: number
  /** The number of the first bin: values of `lane`, shifted. */
  readonly first: number
}

/** The least and the greatest value of a column. */
export interface Extremes {
  readonly min: number
  readonly max: number
}

export function binsOf(
  keyLanes: readonly Uint32Array[],
  binBits: number,
  measureLane: (column: Uint32Array) => Extremes,
): Bins {
  let lane = 0
  let { min, max } = measureLane(keyLanes[0]!)
  while (min === max && lane + 1 < keyLanes.length) ({ min, max } = measureLane(keyLanes[++lane]!))
  const shift = Math.max(0, 32 - Math.clz32(max - min) - binBits)
  return { lane, shift, first: min >>> shift }
}

/** Shifted, the difference may reach over one bin more than its bits say. */
export function binsIn(binBits: number): number {
  return (1 << binBits) + 1
}

function measure(column: Uint32Array, count: number): Extremes {
  const extremes = Uint32Array.of(column[0]!, column[0]!)
  forBlocks(count, (from, to) => widenExtremes(column, extremes, from, to))
  return { min: extremes[0]!, max: extremes[1]! }
}

function widenExtremes(column: Uint32Array, extremes: Uint32Array, from: number, to: number): void {
  let min = extremes[0]!
  let max = extremes[1]!
  for (let row = from; row < to; row++) {
    const value = column[row]!
    if (value < min) min = value
    if (value > max) max = value
  }
  extremes[0] = min
  extremes[1] = max
}

function countBins(
  column: Uint32Array,
  { shift, first }: Bins,
  binRows: Uint32Array,
  from: number,
  to: number,
): void {
  for (let row = from; row < to; row++) binRows[(column[row]! >>> shift) - first]!++
}

/** Which part each bin belongs to, where each part starts, and its first and last bin that are not empty. */
export function groupBins(binRows: Uint32Array, partRows: number) {
  const partOfBin = new Uint16Array(binRows.length)
  const starts: number[] = []
  const firstBins: number[] = []
  const lastBins: number[] = []
  let end = 0
  for (const [bin, rows] of binRows.entries()) {
    if (rows === 0) continue
    if (starts.length > 0 && end + rows - starts.at(-1)! <= partRows) {
      lastBins[lastBins.length - 1] = bin
    } else {
      starts.push(end)
      firstBins.push(bin)
      lastBins.push(bin)
    }
    partOfBin[bin] = starts.length - 1
    end += rows
  }
  starts.push(end)
  return { partOfBin, starts, firstBins, lastBins }
}

/** Where each row goes: after the earlier rows of its part. */
function findPlaces(
  column: Uint32Array,
  { shift, first }: Bins,
  partOfBin: Uint16Array,
  next: Uint32Array,
  places: Uint32Array,
  from: number,
  to: number,
): void {
  for (let row = from; row < to; row++) {
    const part = partOfBin[(column[row]! >>> shift) - first]!
    const place = next[part]!
    next[part] = place + 1
    places[row - from] = place
  }
}

function scatter(column: LaneColumn, places: Uint32Array, into: LaneColumn, from: number, to: number): void {
  for (let row = from; row < to; row++) into[places[row - from]!] = column[row]!
}

/** The least (`rest` 0) or greatest (`rest` all ones) keys that may be in the bins. */
function boundsOf(
  keyLanes: readonly Uint32Array[],
  { lane, shift, first }: Bins,
  binNumbers: readonly number[],
  rest: number,
): Uint32Array[] {
  return keyLanes.map((column, i) => {
    const bounds = new Uint32Array(binNumbers.length)
    // All rows agree in the lanes before.
    if (i !== lane) return bounds.fill(i < lane ? column[0]! : rest)
    const low = rest & ((1 << shift) - 1)
    for (const [part, bin] of binNumbers.entries()) bounds[part] = ((first + bin) << shift) | low
    return bounds
  })
}

function forBlocks(count: number, work: (from: number, to: number) => void): void {
  for (let from = 0; from < count; from += BLOCK_ROWS) work(from, Math.min(from + BLOCK_ROWS, count))
}
