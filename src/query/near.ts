/**
 * Near-key lookups: the records whose key differs by at most r from a query key (as Panako-style matching wants them).
 *
 * A small r is answered by one visit of the page that has all keys in reach, or by looking up every one of them; a large one
 * by scans, one for queries whose reaches touch. docs/api.md, getColumns.
 */
import { atOnce } from '../async/at-once.js'
import { Turns } from '../async/turns.js'
import { lowerBound, upperBound } from '../records/compare.js'
import { greatestKeyNumber, incrementKey, keyNumber, keyOfNumber } from '../records/key-number.js'
import { OperationBuffer, type WideOperations } from '../records/operations.js'
import type { RecordLayout } from '../records/record-layout.js'
import { sortedInTurns } from '../sort/sort-in-turns.js'
import type { View } from '../state/table-state.js'
import { queriesOf, type FoundRows } from './many-keys.js'
import type { TableReader } from './reader.js'

/** Up to this many keys in reach of a query are looked up one by one. */
const LOOKUPS_PER_QUERY_MAX = 33
/** Scans in flight at once. */
const SCANS_AT_ONCE = 16

/** Rows in query order, then key order, then insertion order. */
export interface OrderedHits {
  /** The query that each row answers. */
  readonly query: Uint32Array<ArrayBuffer>
  readonly rows: OperationBuffer
}

/** All records at most `within` away from each key; `keys`: a column a key lane. */
export async function findNear(
  reader: TableReader,
  layout: RecordLayout,
  view: View,
  keys: readonly Uint32Array[],
  within: bigint,
): Promise<OrderedHits> {
  // The event loop turns before the first read of the view.
  view.version.retain()
  try {
    if (within * 2n + 1n <= BigInt(LOOKUPS_PER_QUERY_MAX))
      return await lookUpEach(reader, layout, view, keys, within)
    const turns = new Turns()
    const queries = await reachesOf(layout, keys, within, turns)
    return await scanEach(reader, layout, view, queries, await groupReaches(layout, keys, queries, turns))
  } finally {
    await view.version.release()
  }
}

/** The keys that a query reaches, as numbers. */
interface Reach {
  readonly first: bigint
  readonly last: bigint
}

async function reachesOf(
  layout: RecordLayout,
  keys: readonly Uint32Array[],
  within: bigint,
  turns: Turns,
): Promise<Reach[]> {
  const greatest = greatestKeyNumber(layout)
  const queries: Reach[] = []
  for (let query = 0; query < keys[0]!.length; query++) {
    if (turns.due()) await turns.take()
    const number = keyNumber(keys, query, layout)
    const first = number < within ? 0n : number - within
    queries.push({ first, last: greatest - number < within ? greatest : number + within })
  }
  return queries
}

/** In one visit of a page where that is simple; the others key by key. */
async function lookUpEach(
  reader: TableReader,
  layout: RecordLayout,
  view: View,
  keys: readonly Uint32Array[],
  within: bigint,
): Promise<OrderedHits> {
  const { rows, ends, general } = await reader.findNearby(view, keys, Number(within))
  const turns = new Turns()
  if (general.length === 0) return { query: await queriesOf({ rows, ends }), rows }
  const others = keys.map(lane => Uint32Array.from(general, query => lane[query]!))
  const found = await lookUpKeys(reader, layout, view, await reachesOf(layout, others, within, turns), turns)
  return merged(layout, { rows, ends }, found, general, turns)
}

/** What was found for all queries but some, and for these, in the order of the queries. */
async function merged(
  layout: RecordLayout,
  { rows, ends }: FoundRows,
  found: OrderedHits,
  general: readonly number[],
  turns: Turns,
): Promise<OrderedHits> {
  const all = new OperationBuffer(layout, rows.count + found.rows.count)
  const query = new Uint32Array(rows.count + found.rows.count)
  let next = 0
  let row = 0
  for (let i = 0; i < ends.length; i++) {
    if (turns.due()) await turns.take()
    const before = all.count
    all.append(rows, i === 0 ? 0 : ends[i - 1]!, ends[i]!)
    if (general[next] === i) {
      const from = row
      while (row < found.query.length && found.query[row] === next) row++
      all.append(found.rows, from, row)
      next++
    }
    query.fill(i, before, all.count)
  }
  return { query, rows: all }
}

/** All records of each key in reach. */
async function lookUpKeys(
  reader: TableReader,
  layout: RecordLayout,
  view: View,
  queries: readonly Reach[],
  turns: Turns,
): Promise<OrderedHits> {
  const counts = queries.map(({ first, last }) => Number(last - first) + 1)
  const total = counts.reduce((sum, count) => sum + count, 0)
  const keys = Array.from({ length: layout.keyLaneCount }, () => new Uint32Array(total))
  const queryOf = new Uint32Array(total)
  let position = 0
  for (const [query, { first }] of queries.entries()) {
    if (turns.due()) await turns.take()
    const key = keyOfNumber(first, layout)
    for (let i = 0; i < counts[query]!; i++, position++) {
      for (let lane = 0; lane < keys.length; lane++) keys[lane]![position] = key[lane]!
      queryOf[position] = query
      incrementKey(key, layout)
    }
  }
  const found = await reader.findMany(view, keys, Infinity)
  return { query: await queriesOf(found, position => queryOf[position]!), rows: found.rows }
}

/** A range of keys that several queries reach. */
interface Group extends Reach {
  readonly queries: number[]
}

async function scanEach(
  reader: TableReader,
  layout: RecordLayout,
  view: View,
  queries: readonly Reach[],
  groups: readonly Group[],
): Promise<OrderedHits> {
  const found: WideOperations[] = []
  await atOnce(groups.length, SCANS_AT_ONCE, async group => {
    found[group] = await scanAll(reader, layout, view, groups[group]!)
  })
  return inQueryOrder(layout, queries, groups, found)
}

/** Joins reaches that touch, so that each key is read once. In the order of the keys they begin in order too. */
async function groupReaches(
  layout: RecordLayout,
  keys: readonly Uint32Array[],
  queries: readonly Reach[],
  turns: Turns,
): Promise<Group[]> {
  const groups: Group[] = []
  for (const query of await sortedInTurns(keys, layout.keyLaneCount, queries.length, turns)) {
    if (turns.due()) await turns.take()
    const { first, last } = queries[query]!
    const group = groups.at(-1)
    if (group !== undefined && first <= group.last + 1n) {
      group.queries.push(query)
      if (last > group.last) groups[groups.length - 1] = { ...group, last }
    } else groups.push({ first, last, queries: [query] })
  }
  return groups
}

async function scanAll(
  reader: TableReader,
  layout: RecordLayout,
  view: View,
  { first, last }: Reach,
): Promise<OperationBuffer> {
  const range = { lower: keyOfNumber(first, layout), upper: keyOfNumber(last, layout) }
  const rows = new OperationBuffer(layout, 64)
  const merge = await reader.scan(view, range, false)
  try {
    for (let batch = await merge.next(); batch !== undefined; batch = await merge.next()) {
      rows.append(batch, 0, batch.count)
    }
  } finally {
    await merge.close()
  }
  return rows
}

/** Cuts what was found for the groups into the answers of the queries. */
async function inQueryOrder(
  layout: RecordLayout,
  queries: readonly Reach[],
  groups: readonly Group[],
  found: readonly WideOperations[],
): Promise<OrderedHits> {
  const turns = new Turns()
  const groupOf = new Uint32Array(queries.length)
  for (const [i, group] of groups.entries()) for (const query of group.queries) groupOf[query] = i
  const rows = new OperationBuffer(layout, 64)
  const ends = new Float64Array(queries.length)
  for (const [query, { first, last }] of queries.entries()) {
    if (turns.due()) await turns.take()
    const candidates = found[groupOf[query]!]!
    const { lanes, count } = candidates
    const from = lowerBound(lanes, 0, count, keyOfNumber(first, layout))
    rows.append(candidates, from, upperBound(lanes, from, count, keyOfNumber(last, layout)))
    ends[query] = rows.count
  }
  const query = new Uint32Array(rows.count)
  for (const [i, end] of ends.entries()) query.fill(i, i === 0 ? 0 : ends[i - 1]!, end)
  return { query, rows }
}
